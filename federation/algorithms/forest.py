"""The trees of finished steps, and what they say of a table, remembered while the table lives.

Without that every sum would walk all trees again for every record. It is memory only: what is remembered is a function
of the arguments, is not written anywhere, and goes when the table goes. Nobody writes to a table's arrays.

    known = seen(cuts, records, base, steps, table.values)
    known.margins                    # (records, margins) after all steps
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from federation.algorithms.binning import Cuts, bins_of, codes
from federation.algorithms.trees import Shape, Tree, answers
from federation.vectors import Reals


@dataclass(frozen=True)
class Step:
    """One tree for each margin."""

    trees: tuple[Tree, ...]


@dataclass(frozen=True)
class Seen:
    """What is known of one table: each record's codes, its lanes in a histogram, its margins after `steps`."""

    cuts: Cuts
    records: int
    coded: NDArray[np.int32]
    lanes: NDArray[np.int32]
    base: tuple[float, ...]
    steps: tuple[Step, ...]
    margins: Reals


_SEEN: dict[int, Seen] = {}


def seen(cuts: Cuts, records: int, base: tuple[float, ...], steps: tuple[Step, ...], values: Reals) -> Seen:
    """The same whether it is remembered or not."""
    key, known = id(values), _SEEN.get(id(values))
    if known is None:
        weakref.finalize(values, _SEEN.pop, key, None)
    if known is None or not _leads_to(known, cuts, records, base, steps):
        coded = codes(values)
        lanes = Shape.of(cuts, records).lanes(bins_of(cuts, coded))
        known = Seen(cuts, records, coded, lanes, base, (), np.tile(np.array(base), (len(values), 1)))
    margins = known.margins
    for one in steps[len(known.steps) :]:
        margins = margins + answers_of(one, known.coded)
    _SEEN[key] = known = replace(known, steps=steps, margins=margins)
    return known


def _leads_to(known: Seen, cuts: Cuts, records: int, base: tuple[float, ...], steps: tuple[Step, ...]) -> bool:
    before = steps[: len(known.steps)]
    return (known.cuts, known.records, known.base, known.steps) == (cuts, records, base, before)


def answers_of(one: Step, coded: NDArray[np.int32]) -> Reals:
    """What one step adds to each margin, (records, margins)."""
    return np.column_stack([answers(tree, coded) for tree in one.trees])
