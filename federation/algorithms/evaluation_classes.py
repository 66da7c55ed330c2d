"""How good a classifier with several classes is on all members' held-out records: one sum, as `evaluation` for two.

Each record has a score for each class (logarithms of chances but for what all classes share) and a class. Added up: the
confusion table at the largest score (the first of equals), the log-loss, and how often the largest chance was right, by
`bins` equal ranges of it. Works for any model that gives such scores.

    table = class_table(scores, classes)
    report = report_of(params, state)          # accuracy, log-loss, confusion
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.evaluation import LARGEST, Reliability, reliability
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.planner import Limits
from federation.tables import Classes, Columns, Table, column
from federation.vectors import Integers, Layout, Reals


@dataclass(frozen=True)
class ClassEvaluationParams:
    """Limits of the sum, the classes, and into how many ranges chances are counted."""

    target: Classes
    members: int
    records: int
    bins: int = 10
    width: Literal[32, 64] = 64
    scale: int | None = None

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise Refused("a plan that cannot run", clause="plan", seen=self.bins, needed="a bin or more")

    @property
    def rounds(self) -> int:
        """One sum."""
        return 1

    @property
    def limits(self) -> Limits:
        return Limits(self.members, self.records, self.width, self.scale)


@dataclass(frozen=True)
class ClassEvaluationState:
    """`confusion`: how many records of the row's class were taken for the column's. By ranges of the largest chance:
    how often it was `wrong` and `right`."""

    confusion: tuple[tuple[int, ...], ...] = ()
    log_loss: float = 0.0
    wrong: tuple[int, ...] = ()
    right: tuple[int, ...] = ()


@dataclass(frozen=True)
class ClassEvaluation:
    """Figures over all held-out records; `recall` and `precision` of each class, None where nobody is or is taken."""

    records: int
    accuracy: float
    log_loss: float
    confusion: tuple[tuple[int, ...], ...]
    recall: tuple[float | None, ...]
    precision: tuple[float | None, ...]


def class_table(scores: Reals, classes: Reals) -> Table:
    """Scores (records, classes) and each record's class by its place. Scores are cut at 64 under the largest."""
    return Table(np.maximum(scores - scores.max(axis=1, keepdims=True), -LARGEST), classes)


def prepare(params: ClassEvaluationParams, columns: Columns) -> Table:
    """From the columns `score LEVEL` of each class and the target's."""
    names = [f"score {level}" for level in params.target.levels]
    scores = np.column_stack([column(columns, name).astype(np.float64) for name in names])
    return class_table(scores, params.target.encode(column(columns, params.target.name)))


def start(params: ClassEvaluationParams) -> ClassEvaluationState:
    return ClassEvaluationState()


def layout(params: ClassEvaluationParams, state: ClassEvaluationState) -> Layout:
    limits, classes = params.limits, len(params.target.levels)
    return limits.layout(
        limits.counts("confusion", classes * classes),
        limits.reals("loss", 1, LARGEST + classes),
        limits.counts("wrong", params.bins),
        limits.counts("right", params.bins),
    )


def local(params: ClassEvaluationParams, state: ClassEvaluationState, table: Table) -> Sums:
    plan, classes = layout(params, state), len(params.target.levels)
    sums = zeros(plan)
    for scores, target in slices(table, numbers=classes):
        true, taken = target.astype(np.int64), scores.argmax(axis=1)
        add(plan, sums, {"loss": portable.class_loss(scores, target)[:, None]})
        sums["confusion"] += _count(true * classes + taken, classes * classes)
        bins = np.minimum((portable.softmax(scores).max(axis=1) * params.bins).astype(np.int64), params.bins - 1)
        sums["wrong"] += _count(bins[true != taken], params.bins)
        sums["right"] += _count(bins[true == taken], params.bins)
    return sums


def step(params: ClassEvaluationParams, state: ClassEvaluationState, sums: Sums) -> ClassEvaluationState:
    size = len(params.target.levels)
    confusion = tuple(tuple(row) for row in sums["confusion"].reshape(size, size).tolist())
    loss = layout(params, state)["loss"].real(sums["loss"])
    return ClassEvaluationState(confusion, float(loss[0]), *(tuple(sums[name].tolist()) for name in ("wrong", "right")))


def done(params: ClassEvaluationParams, state: ClassEvaluationState) -> bool:
    return bool(state.confusion)


def report_of(params: ClassEvaluationParams, state: ClassEvaluationState) -> ClassEvaluation:
    """The figures; Refused before the sum is there, or over no records."""
    records = sum(map(sum, state.confusion))
    if records < 1:
        raise Refused("nothing was evaluated", clause="records", seen=records, needed="at least one")
    hits = [state.confusion[k][k] for k in range(len(state.confusion))]
    real, taken = [sum(row) for row in state.confusion], [sum(row) for row in zip(*state.confusion, strict=True)]
    recall, precision = (_shares(hits, of) for of in (real, taken))
    return ClassEvaluation(records, sum(hits) / records, state.log_loss / records, state.confusion, recall, precision)


def calibration(state: ClassEvaluationState) -> tuple[Reliability, ...]:
    """The reliability table of the largest chance; Refused before the sum is there."""
    return reliability(state.wrong, state.right)


def fitted(params: ClassEvaluationParams, state: ClassEvaluationState) -> Fitted:
    """`confusion` (classes, classes) and the sum of the log-loss (1,)."""
    arrays = {"confusion": np.array(state.confusion, dtype=np.float64), "loss": np.array([state.log_loss])}
    return Fitted(("score",), sum(map(sum, state.confusion)), arrays, params.target.levels)


def _count(places: Integers, size: int) -> Integers:
    return np.bincount(places, minlength=size).astype(np.int64)


def _shares(hits: list[int], of: list[int]) -> tuple[float | None, ...]:
    return tuple(hit / all_ if all_ else None for hit, all_ in zip(hits, of, strict=True))


CLASS_EVALUATION = Algorithm(
    name="class-evaluation", params=ClassEvaluationParams, state=ClassEvaluationState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"confusion": ("classes", "classes"), "loss": ("columns",)},
)  # fmt: skip
