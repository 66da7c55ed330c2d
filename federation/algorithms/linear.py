"""Linear regression, with or without a ridge: two sums, whatever the number of members.

Minimise sum of (y - w . z)^2 over records + ridge |w without intercept|^2, z = (1, scaled x). Round 0 finds the scaling
(`scaling`); in round 1 every member adds up, record by record,
    z z^T (upper triangle),   y z,   y^2,   1            with y in [-1, 1] by the target's declared range,
and everybody solves (sum z z^T + ridge) w = sum y z. Hoerl & Kennard 1970; the residuals follow from the same sums.

    params = RidgeParams(features, Quantity("price", 0, 1000), members=4, records=1000)
    weights = original_weights(params, state)      # (intercept, then one for each column), in units of the records
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.newton import floats, products, ridges, solve, symmetric, triangle, varying
from federation.algorithms.plans import FeatureParams
from federation.algorithms.scaling import (
    Scaling,
    counted,
    known,
    original,
    scale,
    scaling_blocks,
    scaling_from,
    scaling_sums,
)
from federation.algorithms.significance import Significance, require_no_ridge, wald
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.tables import Columns, Quantity, Table, encode
from federation.vectors import Layout, Reals


@dataclass(frozen=True)
class RidgeParams(FeatureParams):
    """The plan. `ridge` is `alpha` of scikit-learn's Ridge on standardised columns; 0 is ordinary least squares."""

    rounds: ClassVar[int] = 2  # sums

    target: Quantity
    ridge: float = 1.0

    def __post_init__(self) -> None:
        if not (self.features and self.ridge >= 0):
            raise Refused("a plan that cannot run", clause="plan", seen=self.ridge, needed="features, ridge >= 0")


@dataclass(frozen=True)
class RidgeState:
    """`weights` (intercept first) are for scaled columns and the target in [-1, 1], `gram` the upper triangle of
    sum z z^T, `residual` the sum of squared errors, `spread` that of (y - mean)^2."""

    rounds: int = 0
    records: int = 0
    scaling: Scaling | None = None
    weights: tuple[float, ...] = ()
    gram: tuple[float, ...] = ()
    residual: float = 0.0
    spread: float = 0.0


def prepare(params: RidgeParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: RidgeParams) -> RidgeState:
    return RidgeState()


def layout(params: RidgeParams, state: RidgeState) -> Layout:
    limits, size = params.limits, len(params.columns) + 1
    if state.scaling is None:
        return limits.layout(*scaling_blocks(limits, size - 1))
    longest = max(1.0, *state.scaling.reach)
    return limits.layout(
        limits.counts("records"),
        limits.reals("gram", triangle(size), longest * longest),
        limits.reals("moment", size, longest),
        limits.reals("squares", 1, 1.0),
    )


def local(params: RidgeParams, state: RidgeState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan = layout(params, state)
    if state.scaling is None:
        return scaling_sums(plan, table)
    sums = zeros(plan)
    for values, target in slices(table, numbers=triangle(len(params.columns) + 1)):
        z = varying(state.scaling, values)
        y = np.clip((target - params.target.middle) / params.target.half, -1.0, 1.0)  # in range, but for a rounding
        rows = {"records": np.ones((len(z), 1)), "gram": products(z, z), "moment": y[:, None] * z}
        add(plan, sums, rows | {"squares": (y * y)[:, None]})
    return sums


def step(params: RidgeParams, state: RidgeState, sums: Sums) -> RidgeState:
    records = counted(sums)
    if state.scaling is None:
        return replace(state, rounds=1, records=records, scaling=scaling_from(params.limits, sums))
    plan = layout(params, state)
    upper, moment, squares = (plan[name].real(sums[name]) for name in ("gram", "moment", "squares"))
    gram = symmetric(upper, len(moment))
    weights = solve(gram + np.diag(ridges(len(moment), params.ridge)), moment)
    missed = 2.0 * moment - portable.dot(gram, weights)  # |y - Zw|^2 = y.y - w . (2 Z'y - Z'Z w)
    residual = max(0.0, math.fsum([squares[0], *(-weights * missed)]))
    spread = max(0.0, float(squares[0] - moment[0] * moment[0] / records))
    return replace(state, rounds=2, records=records, weights=floats(weights), gram=floats(upper), residual=residual,
                   spread=spread)  # fmt: skip


def done(params: RidgeParams, state: RidgeState) -> bool:
    return bool(state.weights)


def original_weights(params: RidgeParams, state: RidgeState) -> Reals:
    """Intercept, then a weight for each of `params.columns`, in the units of the records."""
    return original(params.features, _scaling(state), _target_weights(params, state))


def predictions(params: RidgeParams, state: RidgeState, table: Table) -> Reals:
    """The target of each record, in its units."""
    weights = _target_weights(params, state)
    found: Reals = portable.dot(scale(_scaling(state), table.values), weights[1:]) + weights[0]
    return found


def significance(params: RidgeParams, state: RidgeState) -> Significance:
    """Standard errors and p-values (Student's); Refused with a ridge, for constant columns, or without records left."""
    require_no_ridge(params.ridge)
    freedom = state.records - len(state.weights)
    if freedom < 1:
        raise Refused("no records are left to estimate the noise from", clause="records", seen=state.records,
                      needed=f"more than {len(state.weights)}")  # fmt: skip
    noise = state.residual / freedom * params.target.half**2
    weights = floats(_target_weights(params, state))
    return wald(params.features, _scaling(state), weights, state.gram, noise=noise, freedom=freedom)


def fitted(params: RidgeParams, state: RidgeState) -> Fitted:
    """`weights` (1 + columns,): intercept first, in the units of the records."""
    return Fitted(params.columns, state.records, {"weights": original_weights(params, state)})


def _target_weights(params: RidgeParams, state: RidgeState) -> Reals:
    weights: Reals = np.array(state.weights) * params.target.half
    weights[0] += params.target.middle
    return weights


def _scaling(state: RidgeState) -> Scaling:
    return known(state, ended=bool(state.weights))


RIDGE = Algorithm(
    name="ridge", params=RidgeParams, state=RidgeState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"weights": ("1 + columns",)},
)  # fmt: skip
