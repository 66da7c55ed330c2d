"""A table in slices of one size in bytes: what a member needs beside its records does not grow with their number.

sums = zeros(layout)
for values, target in slices(table, numbers=100):         # about 100 numbers for each record
    add(layout, sums, {"gradient": rows})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from federation.tables import Table
from federation.vectors import Integers, Layout, Reals

CHUNK = 1 << 17  # numbers in one slice of rows: 1 MiB


def slices(table: Table, *, numbers: int) -> Iterator[tuple[Reals, Reals]]:
    """Values and target of a few records at a time, as many as make CHUNK numbers at `numbers` for each."""
    count = max(1, CHUNK // numbers)
    for first in range(0, len(table), count):
        yield table.values[first : first + count], table.target[first : first + count]


def add(layout: Layout, sums: Mapping[str, Integers], rows: Mapping[str, Reals]) -> None:
    """Add rows (records, length), quantised record by record, to the sums of their blocks."""
    for name, values in rows.items():
        sums[name][:] += layout[name].quantise(values).sum(axis=0)


def add_by(layout: Layout, sums: Mapping[str, Integers], place: NDArray[np.int64], rows: Mapping[str, Reals]) -> None:
    """As `add`, each record's row (records, columns) to the part of the block that its `place` (records,) names."""
    chosen = [(k, place == k) for k in np.unique(place).tolist()]
    for name, values in rows.items():
        whole, parts = layout[name].quantise(values), sums[name].reshape(-1, values.shape[1])
        for k, mine in chosen:
            parts[k] += whole[mine].sum(axis=0)


def zeros(layout: Layout) -> dict[str, Integers]:
    """A sum over no records."""
    return {block.name: np.zeros(block.length, dtype=np.int64) for block in layout.blocks}
