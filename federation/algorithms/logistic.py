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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.scaling import Scaling, scale, scaling_blocks, scaling_from, scaling_sums
from federation.errors import Refused
from federation.tables import Columns, Feature, Table, Target, encode
from federation.vectors import Block, Layout, Reals

CHUNK = 1 << 17  # numbers in one slice of the Hessian's rows


@dataclass(frozen=True)
class LogisticParams:
    """The plan. `ridge` is 1 / C of scikit-learn, `scale` bits after the point, `rounds` the most sums."""

    features: tuple[Feature, ...]
    target: Target
    members: int
    records: int
    ridge: float = 1.0
    tolerance: float = 1e-6
    rounds: int = 25
    width: Literal[32, 64] = 64
    scale: int = 32

    def __post_init__(self) -> None:
        if not (self.features and self.ridge >= 0 and self.tolerance > 0 and self.rounds >= 2):
            raise Refused("a plan that cannot run", clause="plan", seen=(self.ridge, self.tolerance, self.rounds),
                          needed="features, ridge >= 0, tolerance > 0, rounds >= 2")  # fmt: skip

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return tuple(name for feature in self.features for name in feature.columns)


@dataclass(frozen=True)
class LogisticState:
    """`weights` (intercept first, for scaled columns) come next; `best` were tried and gave `objective`."""

    rounds: int = 0
    records: int = 0
    scaling: Scaling | None = None
    weights: tuple[float, ...] = ()
    best: tuple[float, ...] = ()
    objective: float | None = None
    converged: bool = False


def prepare(params: LogisticParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: LogisticParams) -> LogisticState:
    return LogisticState()


def layout(params: LogisticParams, state: LogisticState) -> Layout:
    """Scaling first; then bounds that follow from it and from the weights, so nothing can be over them."""
    columns = len(params.columns)
    if state.scaling is None:
        blocks = scaling_blocks(columns, params.scale)
    else:
        reach = (1.0, *state.scaling.reach)
        longest, size = max(reach), columns + 1
        loss = 1.0 + math.fsum(abs(weight) * most for weight, most in zip(state.weights, reach, strict=True))
        blocks = (
            Block("records", 1, 0, 1.0),
            Block("loss", 1, params.scale, loss),
            Block("gradient", size, params.scale, longest),
            Block("hessian", size * (size + 1) // 2, params.scale, longest * longest / 4.0),
        )
    return Layout(params.width, params.members, params.records, blocks)


def local(params: LogisticParams, state: LogisticState, table: Table) -> Sums:
    """One member's integer sums. Every value is a function of its own record only, whatever stands beside it."""
    plan = layout(params, state)
    if state.scaling is None:
        return scaling_sums(plan, table.values)
    sums = {block.name: np.zeros(block.length, dtype=np.int64) for block in plan.blocks}
    for z, labels in _slices(scale(state.scaling, table.values), table.target):
        for name, rows in _rows(z, labels, np.array(state.weights)).items():
            sums[name] += plan[name].quantise(rows).sum(axis=0)
    return sums


def step(params: LogisticParams, state: LogisticState, sums: Sums) -> LogisticState:
    """The next weights: a Newton step, or half-way back to the best so far where the objective grew."""
    records = int(sums["records"][0])
    if records < 1:
        raise Refused("nobody has records", clause="records", seen=records, needed="at least one")
    if state.scaling is None:
        scaling = scaling_from(params.scale, sums)
        zero = (0.0,) * (len(params.columns) + 1)
        return replace(state, rounds=1, records=records, scaling=scaling, weights=zero, best=zero)
    after = replace(state, rounds=state.rounds + 1, records=records)
    objective, gradient, hessian = _derivatives(params, state, sums)
    if state.objective is not None and objective > state.objective * (1.0 + 2.0**-30):
        middle = (np.array(state.weights) + np.array(state.best)) / 2.0
        return replace(after, weights=_floats(middle))
    move = portable.solve(hessian, gradient)
    moved = _floats(np.array(state.weights) - move)
    settled = bool(np.abs(move).max() < params.tolerance)
    return replace(after, weights=moved, best=state.weights, objective=objective, converged=settled)


def done(params: LogisticParams, state: LogisticState) -> bool:
    return state.converged or state.rounds >= params.rounds


def original_weights(params: LogisticParams, state: LogisticState) -> Reals:
    """Intercept, then a weight for each of `params.columns`, in the units of the records before any scaling."""
    scaling = _scaling(state)
    halves = np.array([half for feature in params.features for half in _halves(feature)])
    middles = np.array([middle for feature in params.features for middle in _middles(feature)])
    slopes = np.array(state.weights[1:]) / (np.array(scaling.deviation) * halves)
    centre = middles + np.array(scaling.mean) * halves
    return np.concatenate([[state.weights[0] - math.fsum(slopes * centre)], slopes])


def scores(params: LogisticParams, state: LogisticState, table: Table) -> Reals:
    """w . z of each record: the log-odds of 1. `portable.sigmoid` makes them chances."""
    z = scale(_scaling(state), table.values)
    return portable.dot(z, np.array(state.weights[1:])) + state.weights[0]


def fitted(params: LogisticParams, state: LogisticState) -> Fitted:
    """`weights` (1 + columns,): intercept first, in the units of the records."""
    return Fitted(params.columns, state.records, {"weights": original_weights(params, state)})


def _slices(z: Reals, labels: Reals) -> Iterator[tuple[Reals, Reals]]:
    size = z.shape[1] + 1
    with_one = np.column_stack([np.ones(len(z)), z])
    count = max(1, CHUNK // (size * (size + 1) // 2))
    for first in range(0, len(z), count):
        yield with_one[first : first + count], labels[first : first + count]


def _rows(z: Reals, labels: Reals, weights: Reals) -> dict[str, Reals]:
    margins = portable.dot(z, weights)
    chance = portable.sigmoid(margins)
    first, second = np.triu_indices(z.shape[1])
    curve = chance * (1.0 - chance)
    return {
        "records": np.ones((len(z), 1)),
        "loss": portable.log_loss(margins, labels)[:, None],
        "gradient": (chance - labels)[:, None] * z,
        "hessian": (curve[:, None] * z)[:, first] * z[:, second],
    }


def _derivatives(params: LogisticParams, state: LogisticState, sums: Sums) -> tuple[float, Reals, Reals]:
    plan = layout(params, state)
    loss, gradient, upper = (plan[name].real(sums[name]) for name in ("loss", "gradient", "hessian"))
    weights, size = np.array(state.weights), len(gradient)
    ridge = np.full(size, params.ridge)
    ridge[0] = 0.0
    hessian = np.zeros((size, size))
    hessian[np.triu_indices(size)] = upper
    hessian.T[np.triu_indices(size)] = upper
    hessian[np.diag_indices(size)] += ridge
    penalty = math.fsum(ridge * weights * weights) / 2.0
    return float(loss[0]) + penalty, gradient + ridge * weights, hessian


def _scaling(state: LogisticState) -> Scaling:
    if state.scaling is None:
        raise Refused("no round has ended yet", clause="order", seen=state.rounds, needed="at least 2 rounds")
    return state.scaling


def _halves(feature: Feature) -> list[float]:
    return [feature.half] * (len(feature.columns) - feature.indicator) + [1.0] * feature.indicator


def _middles(feature: Feature) -> list[float]:
    return [feature.middle] * (len(feature.columns) - feature.indicator) + [0.0] * feature.indicator


def _floats(values: Reals) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


LOGISTIC = Algorithm(
    name="logistic", params=LogisticParams, state=LogisticState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"weights": ("1 + columns",)},
)  # fmt: skip
