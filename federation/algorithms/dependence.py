"""What a model answers on average when one feature is set to a value in every record, for a grid of values.

Partial dependence (Friedman 2001, 8.2). The grid is public: all levels of a feature with levels, else `points` values
between the 2nd and 98th percentile of everybody's values, as `importance` has counted them. Each record's answer is a
function of that record alone, so federated = pooled, bit for bit. As always with it: where features move together, the
average runs over records that cannot exist.

    grids = [grid(feature, counts, points) for ...]
    means = rows(answers, table, grids)          # (records, points of all features * outputs)
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from federation.algorithms.answers import Answers, values_of
from federation.algorithms.evaluation_numbers import FARTHEST
from federation.algorithms.importance import spans, stand_ins
from federation.tables import Feature, Quantity, Table
from federation.vectors import Reals

TAIL = Fraction(1, 50)


def ends(counts: Sequence[int]) -> tuple[int, int]:
    """The parts of the range in which the 2nd and the 98th percentile of what is present lie."""
    present = counts[:-1]
    below, total = np.cumsum(present).tolist(), sum(present)
    if not total:
        return 0, len(present) - 1
    low = next(i for i, seen in enumerate(below) if seen >= max(1, TAIL * total))
    high = next(i for i, seen in enumerate(below) if seen >= (1 - TAIL) * total)
    return low, high


def grid(feature: Feature, counts: Sequence[int], points: int) -> Reals:
    """The feature's columns at each of its values, (points, columns)."""
    if feature.levels:
        return stand_ins(feature, len(feature.levels))[:-1]
    parts = len(counts) - 1
    low, high = ((2.0 * part + 1.0) / parts - 1.0 for part in ends(counts))
    values = np.array([low + (high - low) * i / (points - 1) for i in range(points)])[:, None]
    return np.column_stack([values, np.zeros(points)]) if feature.indicator else values


def labels(feature: Feature, columns: Reals) -> tuple[str, ...]:
    """What the rows of a grid mean, in the units of the records."""
    if feature.levels:
        return feature.levels
    return tuple(f"{value:.6g}" for value in (columns[:, 0] * feature.half + feature.middle).tolist())


def outputs(answers: Answers) -> int:
    """Numbers that one answer is made of."""
    return max(1, len(answers.classes))


def bound(answers: Answers) -> float:
    """No output is larger."""
    return 1.0 if answers.kind in ("chance", "classes") else FARTHEST


def rows(answers: Answers, table: Table, grids: Sequence[Reals]) -> Reals:
    """Each record's answers at each value of each feature: chances, or numbers in halves of the target's range."""
    found = []
    for span, values in zip(spans(answers.features), grids, strict=True):
        for value in values:
            changed = table.values.copy()
            changed[:, span] = value
            found.append(_outputs(answers, answers.scores(Table(changed, table.target))))
    return np.concatenate(found, axis=1)


def in_units(answers: Answers, mean: float) -> float:
    """An average output as people read it."""
    target = answers.target
    return target.middle + mean * target.half if isinstance(target, Quantity) else mean


def _outputs(answers: Answers, scores: Reals) -> Reals:
    values = values_of(answers, scores)
    if answers.kind in ("chance", "classes"):
        return values if values.ndim == 2 else values[:, None]
    target = answers.target
    assert isinstance(target, Quantity)
    return np.clip((values - target.middle) / target.half, -FARTHEST, FARTHEST)[:, None]
