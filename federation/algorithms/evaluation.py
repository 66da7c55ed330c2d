"""How good a classifier is on all members' held-out records: one sum, and nobody shows its own figures.

Each record has a score w . z (log-odds) and a label. Added up: the four cells of the confusion table at a chance of
one half, the log-loss, and how many records of either label fall into each of `bins` equal ranges of the chance, from
which the area under the ROC curve is known to within its largest bin. Works for any model that gives log-odds.

    table = evaluation_table(scores, labels)
    report = report_of(state)          # accuracy, log-loss, area under the curve
    rows = calibration(state)          # how often a chance of 0.7 to 0.8 came true
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.planner import Limits
from federation.tables import Columns, Table, column
from federation.vectors import Layout, Reals

LARGEST = 64.0  # log-odds beyond this count as this: the chance of error is under 2^-92


@dataclass(frozen=True)
class EvaluationParams:
    """Limits of the sum, and into how many ranges chances are counted."""

    members: int
    records: int
    bins: int = 64
    width: Literal[32, 64] = 64
    scale: int | None = 32

    @property
    def rounds(self) -> int:
        """One sum."""
        return 1

    @property
    def limits(self) -> Limits:
        return Limits(self.members, self.records, self.width, self.scale)


@dataclass(frozen=True)
class EvaluationState:
    """The four cells, (true negatives, false positives, false negatives, true positives), and what was added beside."""

    cells: tuple[int, ...] = ()
    log_loss: float = 0.0
    negatives: tuple[int, ...] = ()
    positives: tuple[int, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Figures over all held-out records. `area` counts two records in one bin as a tie; None with one label only."""

    records: int
    accuracy: float
    log_loss: float
    area: float | None


def evaluation_table(scores: Reals, labels: Reals) -> Table:
    """Log-odds (records,) and labels 0 or 1 as the table that `local` reads. Log-odds are cut at +-64."""
    return Table(np.clip(scores, -LARGEST, LARGEST)[:, None], labels)


def prepare(params: EvaluationParams, columns: Columns) -> Table:
    return evaluation_table(*(column(columns, name).astype(np.float64) for name in ("score", "label")))


def start(params: EvaluationParams) -> EvaluationState:
    return EvaluationState()


def layout(params: EvaluationParams, state: EvaluationState) -> Layout:
    limits = params.limits
    return limits.layout(
        limits.counts("cells", 4),
        limits.reals("loss", 1, LARGEST + 1.0),
        limits.counts("negatives", params.bins),
        limits.counts("positives", params.bins),
    )


def local(params: EvaluationParams, state: EvaluationState, table: Table) -> Sums:
    plan = layout(params, state)
    sums = zeros(plan)
    for values, labels in slices(table, numbers=4):
        scores, true = values[:, 0], labels > 0
        add(plan, sums, {"loss": portable.log_loss(scores, labels)[:, None]})
        bins = np.minimum((portable.sigmoid(scores) * params.bins).astype(np.int64), params.bins - 1)
        sums["cells"] += np.bincount(2 * true + (scores > 0), minlength=4)
        sums["negatives"] += np.bincount(bins[~true], minlength=params.bins)
        sums["positives"] += np.bincount(bins[true], minlength=params.bins)
    return sums


def step(params: EvaluationParams, state: EvaluationState, sums: Sums) -> EvaluationState:
    cells, negatives, positives = (tuple(sums[name].tolist()) for name in ("cells", "negatives", "positives"))
    loss = layout(params, state)["loss"].real(sums["loss"])
    return EvaluationState(cells, float(loss[0]), negatives, positives)


def done(params: EvaluationParams, state: EvaluationState) -> bool:
    return bool(state.cells)


def report_of(state: EvaluationState) -> Evaluation:
    """The figures; Refused before the sum is there, or over no records."""
    records = sum(state.cells)
    if records < 1:
        raise Refused("nothing was evaluated", clause="records", seen=records, needed="at least one")
    right = state.cells[0] + state.cells[3]
    return Evaluation(records, right / records, state.log_loss / records, _area(state))


@dataclass(frozen=True)
class Reliability:
    """Of the records with a chance from `low` to `high`: how many, and the share for which it came true."""

    low: float
    high: float
    records: int
    share: float | None


def calibration(state: EvaluationState) -> tuple[Reliability, ...]:
    """The reliability table of the chance of 1; Refused before the sum is there."""
    return reliability(state.negatives, state.positives)


def reliability(wrong: Sequence[int], right: Sequence[int]) -> tuple[Reliability, ...]:
    """A row for each of equal ranges of the chance, from how often it did not come true there and how often it did."""
    if not right:
        raise Refused("nothing was evaluated", clause="records", seen=0, needed="at least one")
    rows, bins = enumerate(zip(wrong, right, strict=True)), len(right)
    return tuple(
        Reliability(i / bins, (i + 1) / bins, no + yes, yes / (no + yes) if no + yes else None) for i, (no, yes) in rows
    )


def calibration_error(rows: Sequence[Reliability]) -> float:
    """How far shares are from the middles of their ranges, records counting alike (Naeini et al. 2015)."""
    apart = [row.records * abs(row.share - (row.low + row.high) / 2) for row in rows if row.share is not None]
    return math.fsum(apart) / max(1, sum(row.records for row in rows))


def fitted(params: EvaluationParams, state: EvaluationState) -> Fitted:
    """`cells` (4,) and the sum of the log-loss (1,)."""
    arrays = {"cells": np.array(state.cells, dtype=np.float64), "loss": np.array([state.log_loss])}
    return Fitted(("score",), sum(state.cells), arrays)


def _area(state: EvaluationState) -> float | None:
    pairs = sum(state.negatives) * sum(state.positives)
    if pairs == 0:
        return None
    below, twice = 0, 0
    for negative, positive in zip(state.negatives, state.positives, strict=True):
        twice += positive * (2 * below + negative)
        below += negative
    return twice / (2 * pairs)


EVALUATION = Algorithm(
    name="evaluation", params=EvaluationParams, state=EvaluationState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"cells": ("cells",), "loss": ("columns",)},
)  # fmt: skip
