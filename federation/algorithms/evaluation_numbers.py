"""How good a regression is on all members' held-out records: one sum, as `evaluation` for classes.

Each record has a prediction and the true number, both taken into units of the target's declared range (-1 to 1). Added
up: |error|, error^2, the number and its square; from them the mean absolute error, the root of the mean square, and the
share of the spread that is explained (R^2). A prediction more than one range beyond the range is cut there and counted.

    table = number_table(params.target, predictions, numbers)
    report = report_of(params, state)          # r2, rmse, mae
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.planner import Limits
from federation.tables import Columns, Quantity, Table, column
from federation.vectors import Layout, Reals

FARTHEST = 3.0  # where a prediction is cut, in units of the range: one range beyond its ends


@dataclass(frozen=True)
class RegressionEvaluationParams:
    """Limits of the sum, and the target with its range."""

    target: Quantity
    members: int
    records: int
    width: Literal[32, 64] = 64
    scale: int | None = None

    @property
    def rounds(self) -> int:
        """One sum."""
        return 1

    @property
    def limits(self) -> Limits:
        return Limits(self.members, self.records, self.width, self.scale)


@dataclass(frozen=True)
class RegressionEvaluationState:
    """Sums as they are: of |error|, error^2, numbers and their squares; `cut` predictions."""

    records: int = 0
    cut: int = 0
    absolute: int = 0
    squared: int = 0
    numbers: int = 0
    squares: int = 0
    ended: bool = False


@dataclass(frozen=True)
class RegressionEvaluation:
    """Figures over all held-out records, in units of the target; `r2` is None where it does not vary."""

    records: int
    r2: float | None
    rmse: float
    mae: float
    cut: int


def number_table(target: Quantity, predictions: Reals, numbers: Reals) -> Table:
    """Predictions and true numbers, (records,) each, in units of the target; Refused for a prediction that is none."""
    if not np.isfinite(predictions).all():
        raise Refused("a prediction that is no number", clause="number", seen="not finite", needed="finite numbers")
    scaled = (predictions - target.middle) / target.half
    cut = np.clip(scaled, -FARTHEST, FARTHEST)
    true = np.clip((numbers - target.middle) / target.half, -1.0, 1.0)
    return Table(np.column_stack([cut, (cut != scaled).astype(np.float64)]), true)


def prepare(params: RegressionEvaluationParams, columns: Columns) -> Table:
    """From the column `prediction` and the target's."""
    predictions = column(columns, "prediction").astype(np.float64)
    return number_table(params.target, predictions, params.target.encode(column(columns, params.target.name)))


def start(params: RegressionEvaluationParams) -> RegressionEvaluationState:
    return RegressionEvaluationState()


def layout(params: RegressionEvaluationParams, state: RegressionEvaluationState) -> Layout:
    limits, worst = params.limits, FARTHEST + 1.0
    return limits.layout(
        limits.counts("records"),
        limits.counts("cut"),
        limits.reals("absolute", 1, worst),
        limits.reals("squared", 1, worst * worst),
        limits.reals("numbers", 1, 1.0),
        limits.reals("squares", 1, 1.0),
    )


def local(params: RegressionEvaluationParams, state: RegressionEvaluationState, table: Table) -> Sums:
    plan = layout(params, state)
    sums = zeros(plan)
    for values, true in slices(table, numbers=6):
        error = np.abs(values[:, 0] - true)
        rows = (np.ones(len(true)), values[:, 1], error, error * error, true, true * true)
        add(plan, sums, {block.name: row[:, None] for block, row in zip(plan.blocks, rows, strict=True)})
    return sums


def step(
    params: RegressionEvaluationParams, state: RegressionEvaluationState, sums: Sums
) -> RegressionEvaluationState:  # fmt: skip
    return RegressionEvaluationState(**{name: int(total[0]) for name, total in sums.items()}, ended=True)


def done(params: RegressionEvaluationParams, state: RegressionEvaluationState) -> bool:
    return state.ended


def report_of(params: RegressionEvaluationParams, state: RegressionEvaluationState) -> RegressionEvaluation:
    """The figures; Refused before the sum is there, or over no records."""
    if state.records < 1:
        raise Refused("nothing was evaluated", clause="records", seen=state.records, needed="at least one")
    absolute, squared, numbers, squares = _reals(params, state)
    spread = squares - numbers * numbers / state.records
    flat = spread <= Fraction(4 * state.records, 1 << params.limits.scale_for("squares", 1.0))
    return RegressionEvaluation(
        state.records, None if flat else float(1 - squared / spread),
        math.sqrt(squared / state.records) * params.target.half, float(absolute / state.records) * params.target.half,
        state.cut,
    )  # fmt: skip


def fitted(params: RegressionEvaluationParams, state: RegressionEvaluationState) -> Fitted:
    """`figures` (4,): the sums of |error|, error^2, numbers and their squares, in units of the range."""
    if not state.ended:
        raise Refused("no round has ended yet", clause="order", seen=0, needed="1 round")
    figures = np.array([float(one) for one in _reals(params, state)])
    return Fitted(("prediction",), state.records, {"figures": figures})


def _reals(params: RegressionEvaluationParams, state: RegressionEvaluationState) -> list[Fraction]:
    plan = layout(params, state)
    sums = {"absolute": state.absolute, "squared": state.squared, "numbers": state.numbers, "squares": state.squares}
    return [Fraction(total, 1 << plan[name].scale) for name, total in sums.items()]


REGRESSION_EVALUATION = Algorithm(
    name="regression-evaluation", params=RegressionEvaluationParams, state=RegressionEvaluationState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"figures": ("figures",)},
)  # fmt: skip
