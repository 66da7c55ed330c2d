"""Any Keras 3 model trained in rounds, with the member's own back end (JAX, say) and on its own GPU.

    build = lambda: compiled(keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")]))
    algorithm = averaging("digits", AveragingParams, tables_only, learner_of(build))
    model = model_of(build, weights_of(state))

`build` gives a compiled model, once; each round begins with the round's weights and an optimiser that remembers
nothing. Not here: scaffold and fedprox, layers with state of their own that is no weight.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from federation.algorithms.averaging import AveragingParams, Learner, Pull, shuffled
from federation.errors import Refused
from federation.tables import Table
from federation.vectors import Reals

Build = Callable[[], Any]


def learner_of(build: Build) -> Learner[AveragingParams]:
    """A learner around `build`; the first weights are those it draws under the plan's seed."""

    kept = functools.cache(lambda: _begun(build))  # compiled once: a back end takes seconds for it

    def start(plan: AveragingParams) -> Reals:
        return _get(_built(build, plan.seed))

    def train(plan: AveragingParams, weights: Reals, table: Table, seed: int, pull: Pull) -> tuple[Reals, int]:
        import keras

        if plan.method not in ("fedavg", "fedadam"):
            raise Refused("it shows no gradient", clause="method", seen=plan.method, needed="fedavg or fedadam")
        model, untouched = kept()
        keras.utils.set_random_seed(seed)
        _set(model, weights)
        for variable, value in zip(model.optimizer.variables, untouched, strict=True):
            variable.assign(value)
        values, size = np.nan_to_num(table.values), plan.batch or len(table)
        for epoch in range(plan.epochs):
            order = shuffled(seed * plan.epochs + epoch, len(table))
            model.fit(values[order], table.target[order], batch_size=size, shuffle=False, verbose=0)
        return _get(model) - weights, len(table)

    return Learner(averaging=lambda plan: plan, start=start, train=train)


def model_of(build: Build, weights: Reals) -> Any:
    """A model with these weights."""
    return _set(_built(build, 0), weights)


def _built(build: Build, seed: int) -> Any:
    import keras

    keras.utils.set_random_seed(seed)
    return build()


def _begun(build: Build) -> tuple[Any, list[Any]]:
    """A model, and its optimiser's variables before any step."""
    model = _built(build, 0)
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in model.optimizer.variables]


def _get(model: Any) -> Reals:
    return np.concatenate([np.asarray(array, dtype=np.float64).ravel() for array in model.get_weights()])


def _set(model: Any, weights: Reals) -> Any:
    arrays, used = [], 0
    for array in model.get_weights():
        arrays.append(weights[used : used + array.size].reshape(array.shape).astype(array.dtype))
        used += array.size
    model.set_weights(arrays)
    return model
