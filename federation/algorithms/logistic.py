"""Logistic regression by Newton's method, equal to the same regression on all records pooled.

Minimise J(w) = sum of ln(1 + e^(-m)) over records + ridge/2 |w without intercept|^2, m = +-(w . z), z = (1, scaled x).
Each round every member adds up, record by record, with p = 1 / (1 + e^(-w . z)):
    gradient (p - y) z,   Hessian p (1 - p) z z^T (upper triangle),   loss -ln(chance of y),   1
and everybody takes w - H^-1 g, or half the way back where J grew. Round 0 finds the scaling (`scaling`).
Iteratively reweighted least squares: McCullagh & Nelder 1989, 2.5; across members: Wu et al. 2012 (GLORE).

    params = LogisticParams(features, target, members=4, records=1000)
    weights = original_weights(params, state)      # (intercept, then one for each column), in units of the records
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.newton import (
    NewtonParams,
    NewtonState,
    floats,
    next_path,
    products,
    ridges,
    scaled,
    symmetric,
    triangle,
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
from federation.algorithms.significance import Significance, of_minimum
from federation.algorithms.slices import add, slices, zeros
from federation.tables import Columns, Table, Target, encode
from federation.vectors import Layout, Reals


@dataclass(frozen=True)
class LogisticParams(NewtonParams):
    """The plan. `ridge` is 1 / C of scikit-learn."""

    target: Target
    rounds: int = field(default=25, kw_only=True)
    scale: int | None = field(default=32, kw_only=True)


@dataclass(frozen=True)
class LogisticState(NewtonState):
    """The `best` weights also gave `hessian` (upper triangle, no ridge in it)."""

    hessian: tuple[float, ...] = ()


def prepare(params: LogisticParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: LogisticParams) -> LogisticState:
    return LogisticState()


def layout(params: LogisticParams, state: LogisticState) -> Layout:
    """Scaling first; then bounds that follow from it and from the weights, so nothing can be over them."""
    limits, size = params.limits, len(params.columns) + 1
    if state.scaling is None:
        return limits.layout(*scaling_blocks(limits, size - 1))
    reach = (1.0, *state.scaling.reach)
    longest = max(reach)
    loss = 1.0 + math.fsum(abs(weight) * most for weight, most in zip(state.weights, reach, strict=True))
    return limits.layout(
        limits.counts("records"),
        limits.reals("loss", 1, loss),
        limits.reals("gradient", size, longest),
        limits.reals("hessian", triangle(size), longest * longest / 4.0),
    )


def local(params: LogisticParams, state: LogisticState, table: Table) -> Sums:
    """One member's integer sums. Every value is a function of its own record only, whatever stands beside it."""
    plan = layout(params, state)
    if state.scaling is None:
        return scaling_sums(plan, table)
    sums, weights = zeros(plan), np.array(state.weights)
    for values, labels in slices(table, numbers=triangle(len(weights))):
        add(plan, sums, _rows(scaled(state.scaling, values), labels, weights))
    return sums


def step(params: LogisticParams, state: LogisticState, sums: Sums) -> LogisticState:
    """The next weights: a Newton step, or half-way back to the best so far where the objective grew."""
    records = counted(sums)
    if state.scaling is None:
        zero = (0.0,) * (len(params.columns) + 1)
        scaling = scaling_from(params.limits, sums)
        return replace(state, rounds=1, records=records, scaling=scaling, weights=zero, best=zero)
    plan, size = layout(params, state), len(state.weights)
    loss, gradient, upper = (plan[name].real(sums[name]) for name in ("loss", "gradient", "hessian"))
    path = next_path(state.path, float(loss[0]), gradient, symmetric(upper, size), ridge=ridges(size, params.ridge),
                     tolerance=params.tolerance)  # fmt: skip
    hessian = floats(upper) if path.best == state.weights else state.hessian
    return replace(state, rounds=state.rounds + 1, records=records, weights=path.weights, best=path.best,
                   objective=path.objective, converged=path.converged, hessian=hessian)  # fmt: skip


def done(params: LogisticParams, state: LogisticState) -> bool:
    return state.converged or state.rounds >= params.rounds


def original_weights(params: LogisticParams, state: LogisticState) -> Reals:
    """Intercept, then a weight for each of `params.columns`, in the units of the records before any scaling."""
    return original(params.features, known(state), np.array(state.weights))


def significance(params: LogisticParams, state: LogisticState) -> Significance:
    """Standard errors and p-values in the units of the records, from the Hessian at the end.

    Refused where they would mean nothing: with a ridge, before convergence (as with labels that the columns tell apart
    without error), or with columns that are constant or depend on each other.
    """
    return of_minimum(params, state, state.hessian)


def scores(params: LogisticParams, state: LogisticState, table: Table) -> Reals:
    """w . z of each record: the log-odds of 1. `portable.sigmoid` makes them chances."""
    z = scale(known(state), table.values)
    return portable.dot(z, np.array(state.weights[1:])) + state.weights[0]


def fitted(params: LogisticParams, state: LogisticState) -> Fitted:
    """`weights` (1 + columns,): intercept first, in the units of the records."""
    return Fitted(params.columns, state.records, {"weights": original_weights(params, state)})


def _rows(z: Reals, labels: Reals, weights: Reals) -> dict[str, Reals]:
    margins = portable.dot(z, weights)
    chance = portable.sigmoid(margins)
    curve = chance * (1.0 - chance)
    return {
        "records": np.ones((len(z), 1)),
        "loss": portable.log_loss(margins, labels)[:, None],
        "gradient": (chance - labels)[:, None] * z,
        "hessian": products(curve[:, None] * z, z),
    }


LOGISTIC = Algorithm(
    name="logistic", params=LogisticParams, state=LogisticState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"weights": ("1 + columns",)},
)  # fmt: skip
