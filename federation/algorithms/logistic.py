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
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.newton import Path, floats, next_path, products, scaled, symmetric, triangle
from federation.algorithms.scaling import Scaling, counted, original, scale, scaling_blocks, scaling_from, scaling_sums
from federation.algorithms.significance import Significance, wald
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.planner import Limits
from federation.tables import Columns, Feature, Table, Target, columns_of, encode
from federation.vectors import Layout, Reals


@dataclass(frozen=True)
class LogisticParams:
    """The plan. `ridge` is 1 / C of scikit-learn, `rounds` the most sums, `scale` the bits after the point, None for as
    many as are safe (`planner`)."""

    features: tuple[Feature, ...]
    target: Target
    members: int
    records: int
    ridge: float = 1.0
    tolerance: float = 1e-6
    rounds: int = 25
    width: Literal[32, 64] = 64
    scale: int | None = 32

    def __post_init__(self) -> None:
        if not (self.features and self.ridge >= 0 and self.tolerance > 0 and self.rounds >= 2):
            raise Refused("a plan that cannot run", clause="plan", seen=(self.ridge, self.tolerance, self.rounds),
                          needed="features, ridge >= 0, tolerance > 0, rounds >= 2")  # fmt: skip

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return columns_of(self.features)

    @property
    def limits(self) -> Limits:
        return Limits(self.members, self.records, self.width, self.scale)


@dataclass(frozen=True)
class LogisticState:
    """`weights` (intercept first, for scaled columns) come next; `best` were tried and gave `objective`, and
    `hessian` (upper triangle, no ridge in it)."""

    rounds: int = 0
    records: int = 0
    scaling: Scaling | None = None
    weights: tuple[float, ...] = ()
    best: tuple[float, ...] = ()
    objective: float | None = None
    converged: bool = False
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
    plan, weights = layout(params, state), np.array(state.weights)
    loss, gradient, upper = (plan[name].real(sums[name]) for name in ("loss", "gradient", "hessian"))
    ridge = np.full(len(weights), params.ridge)
    ridge[0] = 0.0
    path = next_path(
        Path(state.weights, state.best, state.objective), float(loss[0]) + math.fsum(ridge * weights * weights) / 2.0,
        gradient + ridge * weights, symmetric(upper, len(weights)) + np.diag(ridge),
        tolerance=params.tolerance,
    )  # fmt: skip
    hessian = floats(upper) if path.best == state.weights else state.hessian
    return replace(state, rounds=state.rounds + 1, records=records, weights=path.weights, best=path.best,
                   objective=path.objective, converged=path.converged, hessian=hessian)  # fmt: skip


def done(params: LogisticParams, state: LogisticState) -> bool:
    return state.converged or state.rounds >= params.rounds


def original_weights(params: LogisticParams, state: LogisticState) -> Reals:
    """Intercept, then a weight for each of `params.columns`, in the units of the records before any scaling."""
    return original(params.features, _scaling(state), np.array(state.weights))


def significance(params: LogisticParams, state: LogisticState) -> Significance:
    """Standard errors and p-values in the units of the records, from the Hessian at the end.

    Refused where they would mean nothing: with a ridge, before convergence (as with labels that the columns tell apart
    without error), or with columns that are constant or depend on each other.
    """
    if params.ridge > 0:
        raise Refused("with a ridge the weights are drawn to 0, and their errors are not known", clause="ridge",
                      seen=params.ridge, needed=0)  # fmt: skip
    if not state.converged:
        raise Refused("the weights have not settled", clause="converged", seen=state.rounds, needed="more rounds")
    return wald(params.features, _scaling(state), state.weights, state.hessian)


def scores(params: LogisticParams, state: LogisticState, table: Table) -> Reals:
    """w . z of each record: the log-odds of 1. `portable.sigmoid` makes them chances."""
    z = scale(_scaling(state), table.values)
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


def _scaling(state: LogisticState) -> Scaling:
    if state.scaling is None:
        raise Refused("no round has ended yet", clause="order", seen=state.rounds, needed="at least 2 rounds")
    return state.scaling


LOGISTIC = Algorithm(
    name="logistic", params=LogisticParams, state=LogisticState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"weights": ("1 + columns",)},
)  # fmt: skip
