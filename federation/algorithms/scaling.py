"""Means and deviations over all members' records from one sum, and what they do to a table.

For each column with the present values u in [-1, 1]: count c, S1 = sum of u, S2 = sum of u^2, and N records in all.
A missing value is taken to be the mean S1 / c, so it is 0 after scaling, and
variance = (S2 - S1^2 / c) / N, as scikit-learn's SimpleImputer and StandardScaler find it on pooled records.
S1 and S2 are exact integers and the division is done in rationals, so nothing cancels.

    scaling = scaling_from(limits, sums)
    z = scale(scaling, table.values)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.planner import Limits
from federation.tables import Feature, Table, halves, middles
from federation.vectors import Block, Integers, Layout, Reals


@dataclass(frozen=True)
class Scaling:
    """Mean and deviation of each column, in units of the table (so within [-1, 1]).

    `constant` are the places of the columns that hardly vary or are never present: their deviation counts as 1.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    constant: tuple[int, ...] = ()

    @property
    def reach(self) -> tuple[float, ...]:
        """The largest magnitude a scaled value of each column can have."""
        pairs = zip(self.mean, self.deviation, strict=True)
        return tuple((1.0 + abs(mean)) / deviation for mean, deviation in pairs)


class Scaled(Protocol):
    """A state that begins with a scaling."""

    @property
    def rounds(self) -> int: ...

    @property
    def scaling(self) -> Scaling | None: ...


def known(state: Scaled, *, ended: bool = True) -> Scaling:
    """The scaling of a state; Refused before there is one, or where the training has not `ended`."""
    if state.scaling is None or not ended:
        raise Refused("no round has ended yet", clause="order", seen=state.rounds, needed="at least 2 rounds")
    return state.scaling


def scaling_blocks(limits: Limits, columns: int) -> tuple[Block, ...]:
    """What `scaling_sums` fills: records, and per column present values, their sum and the sum of their squares."""
    return (
        limits.counts("records"),
        limits.counts("present", columns),
        limits.reals("sum", columns, 1.0),
        limits.reals("squares", columns, 1.0),
    )


def scaling_sums(layout: Layout, table: Table) -> dict[str, Integers]:
    """A member's part, record by record; blocks of other names stay 0."""
    sums = zeros(layout)
    for values, _ in slices(table, numbers=table.values.shape[1]):
        present = ~np.isnan(values)
        known = np.where(present, values, 0.0)
        add(layout, sums, {"records": np.ones((len(values), 1)), "present": present, "sum": known,
                           "squares": known * known})  # fmt: skip
    return sums


def counted(sums: Mapping[str, Integers]) -> int:
    """How many records a sum ran over; Refused if none."""
    records = int(sums["records"][0])
    if records < 1:
        raise Refused("nobody has records", clause="records", seen=records, needed="at least one")
    return records


def scaling_from(limits: Limits, sums: Mapping[str, Integers]) -> Scaling:
    """Means and deviations; a column that hardly varies (variance under 2^(4 - scale)) or is never present keeps 1."""
    scale = limits.scale_for("sum", 1.0)
    records, columns = int(sums["records"][0]), zip(sums["present"], sums["sum"], sums["squares"], strict=True)
    moments = [_moments(records, scale, *(int(value) for value in column)) for column in columns]
    constant = tuple(i for i, (_, deviation) in enumerate(moments) if deviation is None)
    return Scaling(tuple(mean for mean, _ in moments), tuple(deviation or 1.0 for _, deviation in moments), constant)


def _moments(records: int, scale: int, present: int, total: int, squares: int) -> tuple[float, float | None]:
    if present == 0:
        return 0.0, None
    mean = Fraction(total, present << scale)
    variance = (Fraction(squares, 1 << scale) - mean * mean * present) / records
    return float(mean), math.sqrt(variance) if variance > Fraction(16, 1 << scale) else None


def scale(scaling: Scaling, values: Reals) -> Reals:
    """(u - mean) / deviation, and 0 where u is missing."""
    scaled = (values - np.array(scaling.mean)) / np.array(scaling.deviation)
    return np.where(np.isnan(scaled), 0.0, scaled)


def original(features: Sequence[Feature], scaling: Scaling, weights: Reals) -> Reals:
    """Weights for scaled columns, intercept first, as weights for the records before any scaling, (1 + columns,)."""
    half, centre = halves(features), middles(features)
    slopes = weights[1:] / (np.array(scaling.deviation) * half)
    centre = centre + np.array(scaling.mean) * half
    return np.concatenate([[weights[0] - math.fsum(slopes * centre)], slopes])
