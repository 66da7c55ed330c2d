"""How much a model leans on each feature: by how much its answers get worse when that feature tells nothing.

Permutation importance (Breiman 2001, section 10; for any model: Fisher, Rudin & Dominici 2019) shuffles a column over
all records, which nobody can do who holds only some of them. Here each record draws a stand-in for the feature from the
distribution of everybody's values, which one sum has counted in `bins` parts of the declared range (or levels, or
missing). The draw is a hash of the record's own values, the feature, the repeat and the plan's public seed: the same
record draws the same stand-in wherever it lies, so federated = pooled, bit for bit. Expectation as of the shuffle; a
stand-in is the middle of its part of the range. Features drawn from together would tell more than each alone: as with
every permutation, two columns that say the same are both called unimportant.

    counts = marginal_counts(features, table.values, bins)
    other = replaced(table, features, place, marginals, draw=drawn(table, "seed", place, repeat))
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from federation import portable
from federation.algorithms.answers import Answers
from federation.algorithms.evaluation import LARGEST
from federation.algorithms.evaluation_classes import class_table
from federation.algorithms.evaluation_numbers import FARTHEST
from federation.algorithms.judging import judged_numbers
from federation.tables import Feature, Table
from federation.vectors import Integers, Reals

_UNKNOWN = np.uint64(0x7FF8000000000000)  # every NaN counts as this one


def cells(feature: Feature, bins: int) -> int:
    """In how many ways a value of the feature is counted; the last is: missing."""
    return (len(feature.levels) or bins) + 1


def spans(features: Sequence[Feature]) -> list[slice]:
    """Where the columns of each feature lie in a table."""
    ends = np.cumsum([0, *(len(feature.columns) for feature in features)]).tolist()
    return [slice(first, after) for first, after in pairwise(ends)]


def marginal_counts(features: Sequence[Feature], values: Reals, bins: int) -> Integers:
    """How many records have each value of each feature, one feature after the other."""
    counts = [
        np.bincount(_cell(feature, values[:, span], bins), minlength=cells(feature, bins))
        for feature, span in zip(features, spans(features), strict=True)
    ]
    return np.concatenate(counts).astype(np.int64)


def by_feature(features: Sequence[Feature], counts: Sequence[int], bins: int) -> tuple[tuple[int, ...], ...]:
    """Counts of all features in a row, cut into those of each."""
    ends = np.cumsum([0, *(cells(feature, bins) for feature in features)]).tolist()
    return tuple(tuple(counts[first:after]) for first, after in pairwise(ends))


def drawn(table: Table, seed: str, place: int, repeat: int) -> NDArray[np.uint64]:
    """64 bits for each record from its own values and public things: FNV-1a over its columns, then splitmix64's end."""
    start = hashlib.sha256(f"importance/1:{place}:{repeat}:{seed}".encode()).digest()[:8]
    columns = np.column_stack([table.values, table.target]) + 0.0  # minus zero becomes zero
    bits = np.where(np.isnan(columns), _UNKNOWN, columns.view(np.uint64))
    total = np.full(len(table), int.from_bytes(start, "little"), dtype=np.uint64)
    for column in bits.T:
        total = (total ^ column ^ (column >> np.uint64(32))) * np.uint64(0x100000001B3)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        total = (total ^ (total >> np.uint64(shift))) * np.uint64(factor)
    mixed: NDArray[np.uint64] = total ^ (total >> np.uint64(31))
    return mixed


def replaced(
    table: Table, features: Sequence[Feature], place: int, marginal: Sequence[int], *, draw: NDArray[np.uint64]
) -> Table:
    """The table with one feature's columns drawn anew from `marginal`, its counts over all members' records."""
    feature, span = features[place], spans(features)[place]
    below = np.cumsum(np.array(marginal, dtype=np.uint64))
    rank = (draw >> np.uint64(32)) * below[-1] >> np.uint64(32)  # below 2^32 records: exact
    found = np.searchsorted(below, rank, side="right")
    values = table.values.copy()
    values[:, span] = stand_ins(feature, len(marginal) - 1)[found]
    return Table(values, table.target)


def stand_ins(feature: Feature, parts: int) -> Reals:
    """The columns that stand for each way a value is counted, (parts + 1, columns of the feature)."""
    if feature.levels:
        values = np.vstack([np.eye(parts)[:, 1:], np.full((1, parts - 1), np.nan)])
    else:
        values = np.append((2.0 * np.arange(parts) + 1.0) / parts - 1.0, np.nan)[:, None]
    missing = np.append(np.zeros(parts), 1.0)[:, None]
    return np.column_stack([values, missing]) if feature.indicator else values


def losses(answers: Answers, table: Table) -> Reals:
    """(records, 2): how far off each answer is, and whether it is wrong (0 for numbers, which are never quite right).

    Far off: -ln of the chance given to what came true, or |error| in halves of the target's range, cut as in
    `evaluation_numbers`.
    """
    scores, target = answers.scores(table), table.target
    if answers.kind == "chance":
        loss = portable.log_loss(np.clip(scores, -LARGEST, LARGEST), target)
        return np.column_stack([loss, (scores > 0) != (target > 0)])
    if answers.kind == "classes":
        loss = portable.class_loss(class_table(scores, target).values, target)
        return np.column_stack([loss, scores.argmax(axis=1) != target])
    made = judged_numbers(answers, scores, target)
    return np.column_stack([np.abs(made.values[:, 0] - made.target), np.zeros(len(target))])


def worst(answers: Answers) -> float:
    """No loss is larger."""
    if answers.kind in ("number", "rate"):
        return FARTHEST + 1.0
    return LARGEST + float(max(1, len(answers.classes)))


def _cell(feature: Feature, columns: Reals, bins: int) -> NDArray[np.int64]:
    """As what each record's value is counted."""
    first = columns[:, 0]
    if feature.levels:
        part = columns[:, : len(feature.levels) - 1]
        place = np.where(part.max(axis=1) > 0.0, part.argmax(axis=1) + 1, 0)
        return np.where(np.isnan(first), len(feature.levels), place).astype(np.int64)
    known = np.where(np.isnan(first), 0.0, first)
    inside = np.minimum(np.floor((known + 1.0) / 2.0 * bins), bins - 1)
    return np.where(np.isnan(first), bins, inside).astype(np.int64)
