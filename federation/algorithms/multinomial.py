"""Logistic regression with several classes by Newton's method, equal to the same on all records pooled.

Minimise J(W) = -sum of ln p_y over records + ridge/2 |W without intercepts|^2, p = softmax(W z), z = (1, scaled x).
Each round every member adds up, record by record,
    gradient (p_k - [y = k]) z,   Hessian p_k ([k = l] - p_l) z z^T for k <= l (upper triangles),   loss,   1.
The same weights added to all classes change no chance; the Hessian gets (sum over k of W_k)^2 / 2 in addition, which is
0 at the minimum, so that there is one answer. Round 0 finds the scaling, and which classes there are: one without
records is never said, and has no part in the rest. Boehning 1992; Hastie, Tibshirani & Friedman
2009, 4.4. The vector has (classes (columns + 1))^2 / 4 lanes or so: for many classes and columns rather `neural`.

    params = MultinomialParams(features, Classes("kind", ("a", "b", "c")), members=4, records=1000)
    labels = np.argmax(scores(params, state, table), axis=1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.newton import (
    NewtonParams,
    NewtonState,
    next_path,
    products,
    ridges,
    symmetric,
    triangle,
    varying,
)
from federation.algorithms.scaling import (
    counted,
    known,
    original,
    scale,
    scaling_blocks,
    scaling_from,
    scaling_sums,
)
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.tables import Classes, Columns, Table, encode
from federation.vectors import Integers, Layout, Reals

NEVER = -1e300  # the score of a class that has no records


@dataclass(frozen=True)
class MultinomialParams(NewtonParams):
    """The plan. `ridge` is 1 / C of scikit-learn."""

    target: Classes


@dataclass(frozen=True)
class MultinomialState(NewtonState):
    """As of `logistic`; weights are those of the first of the classes `alive` (intercept first), then of the second,
    and so on."""

    alive: tuple[int, ...] = ()


def prepare(params: MultinomialParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: MultinomialParams) -> MultinomialState:
    return MultinomialState()


def layout(params: MultinomialParams, state: MultinomialState) -> Layout:
    limits, classes, size = params.limits, len(state.alive), len(params.columns) + 1
    if state.scaling is None:
        return limits.layout(*scaling_blocks(limits, size - 1), limits.counts("class", len(params.target.levels)))
    reach = (1.0, *state.scaling.reach)
    longest = max(reach)
    margins = [math.fsum(np.abs(row) * reach) for row in np.reshape(state.weights, (classes, size))]
    return limits.layout(
        limits.counts("records"),
        limits.reals("loss", 1, 2.0 * max(margins) + classes),
        limits.reals("gradient", classes * size, longest),
        limits.reals("hessian", triangle(classes) * triangle(size), longest * longest * 0.26),
    )


def local(params: MultinomialParams, state: MultinomialState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan = layout(params, state)
    if state.scaling is None:
        return scaling_sums(plan, table) | {"class": _classes(params, table)}
    sums, weights = zeros(plan), np.reshape(state.weights, (len(state.alive), -1))
    for values, target in slices(table, numbers=plan["hessian"].length):
        place = np.searchsorted(state.alive, target)
        add(plan, sums, _rows(varying(state.scaling, values), place.astype(np.float64), weights))
    return sums


def step(params: MultinomialParams, state: MultinomialState, sums: Sums) -> MultinomialState:
    """The next weights: a Newton step, or half-way back to the best so far where the objective grew."""
    records, plan = counted(sums), layout(params, state)
    classes, size = len(state.alive), len(params.columns) + 1
    if state.scaling is None:
        alive = tuple(np.flatnonzero(sums["class"]).tolist())
        if len(alive) < 2:
            raise Refused("there is one class only", clause="target", seen=alive, needed="two or more")
        zero, scaling = (0.0,) * (len(alive) * size), scaling_from(params.limits, sums)
        return replace(state, rounds=1, records=records, scaling=scaling, alive=alive, weights=zero, best=zero)
    loss, gradient, uppers = (plan[name].real(sums[name]) for name in ("loss", "gradient", "hessian"))
    hessian = _hessian(uppers.reshape(triangle(classes), -1), classes, size)
    ridge = np.tile(ridges(size, params.ridge), classes)
    path = next_path(state.path, float(loss[0]), gradient, hessian, ridge=ridge, tolerance=params.tolerance)
    return replace(state, rounds=state.rounds + 1, records=records, weights=path.weights, best=path.best,
                   objective=path.objective, converged=path.converged)  # fmt: skip


def done(params: MultinomialParams, state: MultinomialState) -> bool:
    return state.converged or state.rounds >= params.rounds


def original_weights(params: MultinomialParams, state: MultinomialState) -> Reals:
    """(classes, 1 + columns), intercepts first, in the units of the records; a class without records has NEVER."""
    scaling, found = known(state), np.zeros((len(params.target.levels), len(params.columns) + 1))
    found[:, 0] = NEVER
    for place, row in zip(state.alive, np.reshape(state.weights, (len(state.alive), -1)), strict=True):
        found[place] = original(params.features, scaling, row)
    return found


def scores(params: MultinomialParams, state: MultinomialState, table: Table) -> Reals:
    """W z of each record, (records, classes): the logarithm of its chances but for what all classes share."""
    weights = np.reshape(state.weights, (len(state.alive), -1))
    found = np.full((len(table), len(params.target.levels)), NEVER)
    found[:, state.alive] = portable.product(scale(known(state), table.values), weights[:, 1:].T) + weights[:, 0]
    return found


def fitted(params: MultinomialParams, state: MultinomialState) -> Fitted:
    """`weights` (classes, 1 + columns): intercepts first, in the units of the records."""
    return Fitted(params.columns, state.records, {"weights": original_weights(params, state)}, params.target.levels)


def _classes(params: MultinomialParams, table: Table) -> Integers:
    found = [int((table.target == place).sum()) for place in range(len(params.target.levels))]
    return np.array(found, dtype=np.int64)


def _rows(z: Reals, target: Reals, weights: Reals) -> dict[str, Reals]:
    classes = len(weights)
    margins = portable.product(z, weights.T)
    chances = portable.softmax(margins)
    mine = (target[:, None] == np.arange(classes)).astype(np.float64)
    squares = products(z, z)
    curves = [chances[:, k] * ((k == m) - chances[:, m]) for k, m in combinations_with_replacement(range(classes), 2)]
    return {
        "records": np.ones((len(z), 1)),
        "loss": portable.class_loss(margins, target)[:, None],
        "gradient": ((chances - mine)[:, :, None] * z[:, None, :]).reshape(len(z), -1),
        "hessian": np.concatenate([curve[:, None] * squares for curve in curves], axis=1),
    }


def _hessian(uppers: Reals, classes: int, size: int) -> Reals:
    """All blocks in their places, and 1 more in each for what is the same in all classes, where the column varies."""
    hessian = np.zeros((classes, size, classes, size))
    blocks = [symmetric(upper, size) for upper in uppers]
    varies = np.diag((np.diagonal(blocks[0]) > 0.0).astype(np.float64))
    for (k, m), block in zip(combinations_with_replacement(range(classes), 2), blocks, strict=True):
        hessian[k, :, m, :] = hessian[m, :, k, :] = block + varies
    return hessian.reshape(classes * size, classes * size)


MULTINOMIAL = Algorithm(
    name="multinomial", params=MultinomialParams, state=MultinomialState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"weights": ("classes", "1 + columns")},
)  # fmt: skip
