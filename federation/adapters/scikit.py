"""Networks and linear models of scikit-learn trained in rounds: `partial_fit` is a member's local training.

    learner = learner_of(MLPClassifier((32,), solver="sgd", learning_rate_init=0.05), columns=64, classes=10)
    algorithm = averaging("digits", AveragingParams, tables_only, learner)
    model = model_of(template, weights_of(state), columns=64, classes=10)

Not here: scaffold and fedprox, which need a gradient that `partial_fit` does not show.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import numpy as np

from federation.algorithms.averaging import AveragingParams, Learner, Pull
from federation.errors import Refused
from federation.tables import Columns, Table
from federation.vectors import Reals


def tables_only(params: AveragingParams, columns: Columns) -> Table:
    """A plan of another library's model names no columns: Refused."""
    raise Refused("the plan names no columns", clause="columns", seen=type(columns).__name__, needed="tables")


def learner_of(template: Any, *, columns: int, classes: int = 0) -> Learner[AveragingParams]:
    """A learner around an unfitted model, which stays as it is. `classes`: 0 for a regressor."""
    first = _ready(template, columns, classes)

    def train(plan: AveragingParams, weights: Reals, table: Table, seed: int, pull: Pull) -> tuple[Reals, int]:
        if plan.method not in ("fedavg", "fedadam"):
            raise Refused("it shows no gradient", clause="method", seen=plan.method, needed="fedavg or fedadam")
        model = _set(deepcopy(first), weights)
        model.set_params(random_state=seed)
        if hasattr(model, "_random_state"):  # a network draws on from what its first call made of the seed
            model._random_state = np.random.RandomState(seed)
        for _ in range(plan.epochs):
            model.partial_fit(np.nan_to_num(table.values), table.target)
        return _get(model) - weights, len(table)

    return Learner(averaging=lambda plan: plan, start=lambda plan: _get(first), train=train)


def model_of(template: Any, weights: Reals, *, columns: int, classes: int = 0) -> Any:
    """A fitted copy of `template` with these weights: `predict` gives the number of the class, or the value."""
    return _set(_ready(template, columns, classes), weights)


def _ready(template: Any, columns: int, classes: int) -> Any:
    """A copy whose arrays have their shapes and first values, from its own random_state."""
    from sklearn.base import clone

    if template.random_state is None:
        raise Refused("every member would start elsewhere", clause="seed", seen=None, needed="a random_state")
    model = clone(template)
    known = {"classes": np.arange(float(classes))} if classes else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got `batch_size`")  # of one record, which is there for its shape only
        model.partial_fit(np.zeros((1, columns)), np.zeros(1), **known)
    return model


def _arrays(model: Any) -> list[Reals]:
    if hasattr(model, "coefs_"):
        return [*model.coefs_, *model.intercepts_]
    return [model.coef_, model.intercept_]


def _get(model: Any) -> Reals:
    return np.concatenate([np.asarray(array, dtype=np.float64).ravel() for array in _arrays(model)])


def _set(model: Any, weights: Reals) -> Any:
    used = 0
    for array in _arrays(model):
        array[...] = weights[used : used + array.size].reshape(array.shape)
        used += array.size
    return model
