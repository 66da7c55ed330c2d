"""The sums behind `statistics`: how records are counted, and how the counts zoom in on quantiles.

Round 0 adds up, for each feature: present values, their sum and sum of squares, how many fall into each of `bins` equal
parts of the declared range, or have each level; for each asked-for pair of features with levels every combination; and
for each pair of numeric features what a correlation over the records that have both takes. Each round after it zooms:
for each quantile the part it lies in is counted in `bins` parts again, until the part is range / bins^(1 + zooms) wide.
Quantiles 0 and 1 are the least and the largest; with 2 bins this is bisection. No zoom goes into a part with fewer than
`minimum` records. Sums are exact integers; a record's square is rounded at 2^-49 of the declared range's square.
Not here: the report (`statistics`).

    params = StatisticsParams(features, members=4, records=1000, minimum=5)
    state = step(params, start(params), local(params, start(params), table))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from federation.algorithms import Sums
from federation.algorithms.scaling import counted
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.planner import Limits
from federation.tables import Columns, Feature, Table, encode
from federation.vectors import Block, Integers, Layout, Reals

FINEST = 1 << 48  # parts of a range, at most: beyond them doubles have nothing to tell apart


@dataclass(frozen=True)
class Pair:
    """Two features with levels, whose combinations are counted."""

    row: str
    column: str


@dataclass(frozen=True)
class StatisticsParams:
    """The plan. `quantiles` between 0 and 1, `bins` a power of two, `minimum` the fewest records of a figure."""

    features: tuple[Feature, ...]
    members: int
    records: int
    minimum: int = 5
    quantiles: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    bins: int = 64
    zooms: int = 3
    pairs: tuple[Pair, ...] = ()
    correlations: bool = True
    width: Literal[32, 64] = 64
    scale: int | None = None

    def __post_init__(self) -> None:
        if not self.features or any(feature.indicator for feature in self.features) or self.minimum < 1:
            raise Refused("a plan that cannot run", clause="plan", seen=self.minimum,
                          needed="features, none with an indicator (holes are counted), minimum >= 1")  # fmt: skip
        if self.bins < 2 or self.bins & (self.bins - 1) or self.zooms < 0 or self.parts > FINEST:
            raise Refused("parts that cannot be counted", clause="bins", seen=(self.bins, self.zooms),
                          needed=f"a power of two, and bins^(1 + zooms) <= {FINEST}")  # fmt: skip
        if not self.quantiles or not all(0.0 <= one <= 1.0 for one in self.quantiles):
            raise Refused("no quantile", clause="quantiles", seen=self.quantiles, needed="0 to 1")
        named = {feature.name for feature in self.features if feature.levels}
        if not {name for pair in self.pairs for name in (pair.row, pair.column)} <= named:
            raise Refused("a pair of features without levels", clause="pairs", seen=self.pairs, needed=sorted(named))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)

    @property
    def parts(self) -> int:
        """The finest parts of a range."""
        return int(self.bins ** (1 + self.zooms))

    @property
    def rounds(self) -> int:
        """The most sums."""
        return 1 + (self.zooms if self.numbers else 0)

    @property
    def numbers(self) -> tuple[Feature, ...]:
        return tuple(feature for feature in self.features if not feature.levels)

    @property
    def limits(self) -> Limits:
        return Limits(self.members, self.records, self.width, self.scale)


@dataclass(frozen=True)
class Zoom:
    """Where a quantile of a numeric feature (by its place among these) lies: in part `cell` of bins^depth, which holds
    `within` records after `below` others; `rank` is its own place from 1 on. `still`: no zoom goes further."""

    number: int
    quantile: float
    rank: int = 0
    depth: int = 0
    cell: int = 0
    below: int = 0
    within: int = 0
    still: bool = False


@dataclass(frozen=True)
class StatisticsState:
    """Sums as they are: a tuple entry for each lane of the block of that name."""

    rounds: int = 0
    records: int = 0
    present: tuple[int, ...] = ()
    sums: tuple[int, ...] = ()
    squares: tuple[int, ...] = ()
    histogram: tuple[int, ...] = ()
    levels: tuple[int, ...] = ()
    pairs: tuple[int, ...] = ()
    joint: tuple[tuple[int, ...], ...] = ()
    zooms: tuple[Zoom, ...] = ()


JOINT = ("joint", "joint_first", "joint_second", "joint_first_squares", "joint_second_squares", "joint_products")


def prepare(params: StatisticsParams, columns: Columns) -> Table:
    return encode(columns, params.features)


def start(params: StatisticsParams) -> StatisticsState:
    return StatisticsState()


def layout(params: StatisticsParams, state: StatisticsState) -> Layout:
    limits, numbers = params.limits, len(params.numbers)
    if state.rounds:
        return limits.layout(limits.counts("records"), limits.counts("zoom", len(_open(state)) * params.bins))
    blocks = [limits.counts("records"), limits.counts("present", len(params.features))]
    if numbers:
        blocks += [limits.reals("sum", numbers, 1.0), limits.reals("squares", numbers, 1.0),
                   limits.counts("histogram", numbers * params.bins)]  # fmt: skip
    if numbers < len(params.features):
        blocks.append(limits.counts("levels", sum(len(feature.levels) for feature in params.features)))
    if params.pairs:
        blocks.append(limits.counts("pairs", sum(rows * columns for rows, columns in _shapes(params))))
    return limits.layout(*blocks, *_joint_blocks(params))


def local(params: StatisticsParams, state: StatisticsState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan = layout(params, state)
    sums = zeros(plan)
    for values, _ in slices(table, numbers=table.values.shape[1]):
        sums["records"] += len(values)
        if state.rounds:
            _add_zooms(params, state, sums["zoom"], _numbers(params, values))
        else:
            _add_counts(params, sums, _numbers(params, values), _places(params, values))
    if not state.rounds and params.numbers:
        for values, _ in slices(table, numbers=2 * len(params.numbers) + len(JOINT) * len(number_pairs(params))):
            _add_moments(params, plan, sums, _numbers(params, values))
    return sums


def step(params: StatisticsParams, state: StatisticsState, sums: Sums) -> StatisticsState:
    after = replace(state, rounds=state.rounds + 1, records=counted(sums))
    if state.rounds:
        return replace(after, zooms=_zoomed(params, state, sums["zoom"].reshape(-1, params.bins)))
    kept = {block.name: tuple(sums[block.name].tolist()) for block in layout(params, state).blocks}
    first = replace(
        after, present=kept["present"], sums=kept.get("sum", ()), squares=kept.get("squares", ()),
        histogram=kept.get("histogram", ()), levels=kept.get("levels", ()), pairs=kept.get("pairs", ()),
        joint=tuple(kept[name] for name in JOINT if name in kept),
    )  # fmt: skip
    wanted = [Zoom(number, quantile) for number in range(len(params.numbers)) for quantile in params.quantiles]
    ranked = tuple(_ranked(one, params, first.present) for one in wanted)
    if not ranked:
        return first
    counts = np.reshape(first.histogram, (-1, params.bins))[[one.number for one in ranked if not one.still]]
    return replace(first, zooms=_zoomed(params, replace(first, zooms=ranked), counts))


def done(params: StatisticsParams, state: StatisticsState) -> bool:
    return state.rounds > 0 and not _open(state)


def number_pairs(params: StatisticsParams) -> list[tuple[int, int]]:
    """Places of each two numeric features, in the order of the joint blocks."""
    return list(combinations(range(len(params.numbers)), 2))


def _open(state: StatisticsState) -> list[Zoom]:
    return [zoom for zoom in state.zooms if not zoom.still]


def _joint_blocks(params: StatisticsParams) -> list[Block]:
    pairs = len(number_pairs(params))
    if not (pairs and params.correlations):
        return []
    limits = params.limits
    return [limits.counts("joint", pairs), *(limits.reals(name, pairs, 1.0) for name in JOINT[1:])]


def _shapes(params: StatisticsParams) -> list[tuple[int, int]]:
    levels = {feature.name: len(feature.levels) for feature in params.features}
    return [(levels[pair.row], levels[pair.column]) for pair in params.pairs]


def _numbers(params: StatisticsParams, values: Reals) -> Reals:
    places = {name: at for at, name in enumerate(name for feature in params.features for name in feature.columns)}
    return values[:, [places[feature.name] for feature in params.numbers]]


def _places(params: StatisticsParams, values: Reals) -> dict[str, NDArray[np.int64]]:
    """Which level each record has, -1 where it is missing, of each feature with levels."""
    found, at = {}, 0
    for feature in params.features:
        part = values[:, at : at + len(feature.columns)]
        at += len(feature.columns)
        if feature.levels:
            place = np.where(part.max(axis=1) > 0.0, part.argmax(axis=1) + 1, 0)
            found[feature.name] = np.where(np.isnan(part[:, 0]), -1, place)
    return found


def _grid(params: StatisticsParams, numbers: Reals) -> NDArray[np.int64]:
    """In which of the finest parts each value lies, -1 where it is missing."""
    known = np.where(np.isnan(numbers), -1.0, numbers)
    cells = np.minimum(np.floor((known + 1.0) / 2.0 * params.parts).astype(np.int64), params.parts - 1)
    return np.where(np.isnan(numbers), -1, cells)


def _shift(params: StatisticsParams, depth: int) -> int:
    """From the finest parts to those of a depth, in bits."""
    return (params.bins.bit_length() - 1) * (1 + params.zooms - depth)


def _add_counts(
    params: StatisticsParams, sums: dict[str, Integers], numbers: Reals, places: dict[str, NDArray[np.int64]]
) -> None:
    present = {f.name: ~np.isnan(column) for f, column in zip(params.numbers, numbers.T, strict=True)}
    present |= {name: place >= 0 for name, place in places.items()}
    sums["present"] += [int(present[feature.name].sum()) for feature in params.features]
    if params.numbers:
        cells = _grid(params, numbers) >> _shift(params, 1)
        sums["histogram"] += np.concatenate([_count(column, params.bins) for column in cells.T])
    if places:
        levels = [_count(places[f.name], len(f.levels)) for f in params.features if f.levels]
        sums["levels"] += np.concatenate(levels)
    if params.pairs:
        shapes = zip(params.pairs, _shapes(params), strict=True)
        combined = [_combined(places[pair.row], places[pair.column], shape) for pair, shape in shapes]
        sums["pairs"] += np.concatenate(combined)


def _count(places: NDArray[np.int64], size: int) -> Integers:
    return np.bincount(places[places >= 0], minlength=size).astype(np.int64)


def _combined(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> Integers:
    both = np.where((rows >= 0) & (columns >= 0), rows * shape[1] + columns, -1)
    return _count(both, shape[0] * shape[1])


def _add_moments(params: StatisticsParams, plan: Layout, sums: dict[str, Integers], numbers: Reals) -> None:
    present = ~np.isnan(numbers)
    known = np.where(present, numbers, 0.0)
    rows = {"sum": known, "squares": known * known}
    if "joint" in sums:
        first, second = np.array(number_pairs(params)).T
        both = (present[:, first] & present[:, second]).astype(np.float64)
        one, two = known[:, first] * both, known[:, second] * both
        rows |= dict(zip(JOINT, (both, one, two, one * one, two * two, one * two), strict=True))
    add(plan, sums, rows)


def _add_zooms(params: StatisticsParams, state: StatisticsState, counts: Integers, numbers: Reals) -> None:
    grid = _grid(params, numbers)
    for place, zoom in enumerate(_open(state)):
        cells = grid[:, zoom.number]
        inside = cells[(cells >> _shift(params, zoom.depth)) == zoom.cell]
        finer = (inside >> _shift(params, zoom.depth + 1)) & (params.bins - 1)
        counts[place * params.bins : (place + 1) * params.bins] += _count(finer, params.bins)


def _ranked(zoom: Zoom, params: StatisticsParams, present: tuple[int, ...]) -> Zoom:
    """The rank whose value it is: the smallest with a share of at least the quantile (Hyndman & Fan 1996, type 1)."""
    records = present[params.columns.index(params.numbers[zoom.number].name)]
    rank = max(1, ceil(Fraction(zoom.quantile) * records))
    return replace(zoom, rank=rank, within=records, still=records < params.minimum)


def _zoomed(params: StatisticsParams, state: StatisticsState, counts: Integers) -> tuple[Zoom, ...]:
    finer = iter(counts.tolist())
    return tuple(zoom if zoom.still else _finer(params, zoom, next(finer)) for zoom in state.zooms)


def _finer(params: StatisticsParams, zoom: Zoom, counts: list[int]) -> Zoom:
    below, cell = zoom.below, 0
    while below + counts[cell] < zoom.rank:
        below += counts[cell]
        cell += 1
    if counts[cell] < params.minimum:
        return replace(zoom, still=True)
    depth = zoom.depth + 1
    return replace(zoom, depth=depth, cell=zoom.cell * params.bins + cell, below=below, within=counts[cell],
                   still=depth > params.zooms)  # fmt: skip
