"""Bins from the quantiles of all members' records together, found by sums of counts.

A value in [-1, 1] is a code of 20 bits: on which of 2^20 equal steps it lies. The first sum counts 32 ranges a column;
each next one counts 32 ranges inside every range that holds a wanted rank. So four sums find, for each k, the first
step below which at least k/bins of the records lie: the same edges however records are spread over members, where
local quantiles would differ (the reason other federated boosting falls behind pooled, FederBoost: Tian et al. 2020).
A range of fewer than `least` records is not looked into. Not here: anything about targets.

    cuts = start_cuts(columns)
    while wanted(cuts): cuts = narrow(cuts, sums["counts"], bins, least)
    bins = bins_of(cuts, codes(table.values))       # a last bin in each column for what is missing
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from federation.vectors import Integers, Reals

Number = TypeVar("Number", float, Reals)

DIGIT = 5  # bits that one sum finds
LEVELS = 4
BITS = DIGIT * LEVELS
MISSING = -1


@dataclass(frozen=True)
class Cut:
    """One column. `present` records have it; ranges still wanted, by number, and how many records lie before each.

    `edges`, in codes, are what is found: a record is in the bin whose number is how many edges its code has reached.
    """

    present: int = 0
    ranges: tuple[int, ...] = (0,)
    before: tuple[int, ...] = (0,)
    edges: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cuts:
    """All columns after `level` sums."""

    level: int
    columns: tuple[Cut, ...]


def start_cuts(columns: int) -> Cuts:
    return Cuts(0, (Cut(),) * columns)


def wanted(cuts: Cuts) -> int:
    """Counts that the coming sum has; 0 when all edges are found."""
    return sum(len(cut.ranges) for cut in cuts.columns) << DIGIT


def codes(values: Reals) -> NDArray[np.int32]:
    """Each value's step, 0 to 2^20 - 1, and MISSING for NaN. Exact on every processor."""
    steps = np.minimum(np.floor((values + 1.0) * 2.0 ** (BITS - 1)), 2.0**BITS - 1.0)
    return np.where(np.isnan(steps), MISSING, np.nan_to_num(steps)).astype(np.int32)


def edge_value(edge: Number) -> Number:
    """The value in [-1, 1] at which a code reaches `edge`."""
    return edge / 2.0 ** (BITS - 1) - 1.0


def counts(cuts: Cuts, coded: NDArray[np.int32]) -> Integers:
    """A member's records in each wanted range, (wanted,)."""
    shift = BITS - DIGIT * (cuts.level + 1)
    parts = [
        _counts(cut, column[column != MISSING] >> shift) for cut, column in zip(cuts.columns, coded.T, strict=True)
    ]
    return np.concatenate(parts).astype(np.int64)


def _counts(cut: Cut, steps: NDArray[np.int32]) -> NDArray[np.intp]:
    ranges = np.array(cut.ranges, dtype=np.int64)
    if not len(ranges):
        return np.zeros(0, dtype=np.intp)
    place = np.minimum(np.searchsorted(ranges, steps >> DIGIT), len(ranges) - 1)
    inside = ranges[place] == steps >> DIGIT
    return np.bincount((place[inside] << DIGIT) + (steps[inside] & ((1 << DIGIT) - 1)), minlength=len(ranges) << DIGIT)


def narrow(cuts: Cuts, counted: Integers, bins: int, least: int) -> Cuts:
    """Edges and the ranges to look into next, from the sum of all members' `counts`."""
    columns, first = [], 0
    for cut in cuts.columns:
        size = len(cut.ranges) << DIGIT
        columns.append(_narrow(cut, cuts.level, counted[first : first + size].reshape(-1, 1 << DIGIT), bins, least))
        first += size
    return Cuts(cuts.level + 1, tuple(columns))


def _narrow(cut: Cut, level: int, counted: Integers, bins: int, least: int) -> Cut:
    present = int(counted.sum()) if level == 0 else cut.present
    last = level + 1 == LEVELS
    ranges, before, edges = [], [], set(cut.edges)
    for number, below, count in _parts(cut, counted):
        if not _holds_rank(below, count, present, bins):
            continue
        if last or count < least:
            edges |= {(number + 1) << (BITS - DIGIT * (level + 1))} if below + count < present else set()
        else:
            ranges.append(number)
            before.append(below)
    return replace(cut, present=present, ranges=tuple(ranges), before=tuple(before), edges=tuple(sorted(edges)))


def _parts(cut: Cut, counted: Integers) -> Iterator[tuple[int, int, int]]:
    """Each range one digit finer: its number, the records before it, its records."""
    for outer, below, row in zip(cut.ranges, cut.before, counted.tolist(), strict=True):
        for digit, count in enumerate(row):
            yield (outer << DIGIT) + digit, below, count
            below += count


def _holds_rank(below: int, count: int, present: int, bins: int) -> bool:
    """Whether one of the ranks ceil(present k / bins), 0 < k < bins, is among records below + 1 to below + count."""
    k = below * bins // present + 1 if present else bins
    return k < bins and -(-present * k // bins) <= below + count


def bins_of(cuts: Cuts, coded: NDArray[np.int32]) -> NDArray[np.int32]:
    """The bin of each value, (records, columns); what is missing has the bin after the column's last."""
    columns = [_bins(cut, column) for cut, column in zip(cuts.columns, coded.T, strict=True)]
    return np.column_stack(columns).astype(np.int32)


def _bins(cut: Cut, column: NDArray[np.int32]) -> NDArray[np.intp]:
    found = np.searchsorted(np.array(cut.edges, dtype=np.int32), column, side="right")
    return np.where(column == MISSING, len(cut.edges) + 1, found)
