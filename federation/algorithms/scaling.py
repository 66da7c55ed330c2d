"""Means and deviations over all members' records from one sum, and what they do to a table.

For each column with the present values u in [-1, 1]: count c, S1 = sum of u, S2 = sum of u^2, and N records in all.
A missing value is taken to be the mean S1 / c, so it is 0 after scaling, and
variance = (S2 - S1^2 / c) / N, as scikit-learn's SimpleImputer and StandardScaler find it on pooled records.
S1 and S2 are exact integers and the division is done in rationals, so nothing cancels.

    scaling = scaling_from(blocks, sums)
    z = scale(scaling, table.values)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from federation.vectors import Block, Integers, Layout, Reals


@dataclass(frozen=True)
class Scaling:
    """Mean and deviation of each column, in units of the table (so within [-1, 1])."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def reach(self) -> tuple[float, ...]:
        """The largest magnitude a scaled value of each column can have."""
        pairs = zip(self.mean, self.deviation, strict=True)
        return tuple((1.0 + abs(mean)) / deviation for mean, deviation in pairs)


def scaling_blocks(columns: int, scale: int) -> tuple[Block, ...]:
    """What `scaling_sums` fills: records, and per column present values, their sum and the sum of their squares."""
    return (
        Block("records", 1, 0, 1.0),
        Block("present", columns, 0, 1.0),
        Block("sum", columns, scale, 1.0),
        Block("squares", columns, scale, 1.0),
    )


def scaling_sums(layout: Layout, values: Reals) -> dict[str, Integers]:
    """A member's part, record by record."""
    present = ~np.isnan(values)
    known = np.where(present, values, 0.0)
    rows = {"records": np.ones((len(values), 1)), "present": present, "sum": known, "squares": known * known}
    return {name: layout[name].quantise(row).sum(axis=0) for name, row in rows.items()}


def scaling_from(scale: int, sums: Mapping[str, Integers]) -> Scaling:
    """Means and deviations; a column that hardly varies (variance under 2^(4 - scale)) or is never present keeps 1."""
    records, columns = int(sums["records"][0]), zip(sums["present"], sums["sum"], sums["squares"], strict=True)
    moments = [_moments(records, scale, *(int(value) for value in column)) for column in columns]
    return Scaling(tuple(mean for mean, _ in moments), tuple(deviation for _, deviation in moments))


def _moments(records: int, scale: int, present: int, total: int, squares: int) -> tuple[float, float]:
    if present == 0:
        return 0.0, 1.0
    mean = Fraction(total, present << scale)
    variance = (Fraction(squares, 1 << scale) - mean * mean * present) / records
    return float(mean), math.sqrt(variance) if variance > Fraction(16, 1 << scale) else 1.0


def scale(scaling: Scaling, values: Reals) -> Reals:
    """(u - mean) / deviation, and 0 where u is missing."""
    scaled = (values - np.array(scaling.mean)) / np.array(scaling.deviation)
    return np.where(np.isnan(scaled), 0.0, scaled)
