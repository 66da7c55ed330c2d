"""What all members' records look like together: counts, missing rates, means, variances, least and largest, quantiles,
histograms, contingency tables, correlations, from the sums of `tally`, divided in rationals so that nothing cancels.

Small cells are left out: None stands for every figure over fewer records than the plan's minimum, and for what is not
defined (the variance of one value, the correlation with a constant). This is a report's courtesy: the sums themselves
are there for whoever follows the training, and a cell left out may follow from a row's total. Where a count of one is a
secret, the plan needs wider cells, or noise.

    report = describe(params, state)
    report.numbers[0].mean, report.numbers[0].quantiles[2].middle, report.levels[0].counts
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from federation.algorithms import Algorithm, Fitted
from federation.algorithms.tally import (
    StatisticsParams,
    StatisticsState,
    Zoom,
    done,
    layout,
    local,
    number_pairs,
    prepare,
    start,
    step,
)
from federation.errors import Refused
from federation.tables import Feature


@dataclass(frozen=True)
class Quantile:
    """It lies between `low` and `high`, both None if less than the minimum of values are known."""

    quantile: float
    low: float | None
    high: float | None

    @property
    def middle(self) -> float | None:
        return None if self.low is None or self.high is None else (self.low + self.high) / 2.0


@dataclass(frozen=True)
class Numbers:
    """A numeric feature. `missing` is a share, `total` the sum; `variance` is divided by present - 1; `histogram` over
    equal parts of the range."""

    name: str
    present: int | None
    missing: float | None
    total: float | None
    mean: float | None
    variance: float | None
    quantiles: tuple[Quantile, ...]
    histogram: tuple[int | None, ...]


@dataclass(frozen=True)
class Levels:
    """A feature with levels, and how many records have each."""

    name: str
    present: int | None
    missing: float | None
    levels: tuple[str, ...]
    counts: tuple[int | None, ...]


@dataclass(frozen=True)
class Contingency:
    """How many records have each combination: a row for each level of `row`."""

    row: str
    column: str
    counts: tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True)
class Description:
    """`present` for each feature; `correlations` (Pearson's, over records that have both) for each two in `numbers`."""

    records: int
    present: tuple[int | None, ...]
    numbers: tuple[Numbers, ...]
    levels: tuple[Levels, ...]
    pairs: tuple[Contingency, ...]
    correlations: tuple[tuple[float | None, ...], ...]


def describe(params: StatisticsParams, state: StatisticsState) -> Description:
    """The report; Refused before the first sum."""
    if not state.rounds:
        raise Refused("no round has ended yet", clause="order", seen=state.rounds, needed="a round")
    present = dict(zip(params.columns, state.present, strict=True))
    numbers = tuple(_numbers(params, state, place, present[f.name]) for place, f in enumerate(params.numbers))
    return Description(
        state.records, tuple(_cell(params, one) for one in state.present), numbers, _levels(params, state, present),
        _pairs(params, state), _correlations(params, state),
    )  # fmt: skip


def fitted(params: StatisticsParams, state: StatisticsState) -> Fitted:
    """For each feature `present`, `mean`, `variance` (columns,) and `quantiles` (columns, quantiles), 0 for features
    with levels; `present` is -1 and the rest 0 for figures over fewer records than the minimum."""
    report = describe(params, state)
    present = np.array([-1.0 if one is None else float(one) for one in report.present])
    mean, variance = np.zeros(len(present)), np.zeros(len(present))
    quantiles = np.zeros((len(present), len(params.quantiles)))
    for number in report.numbers:
        place = params.columns.index(number.name)
        mean[place], variance[place] = number.mean or 0.0, number.variance or 0.0
        quantiles[place] = [one.middle or 0.0 for one in number.quantiles]
    arrays = {"present": present, "mean": mean, "variance": variance, "quantiles": quantiles}
    return Fitted(params.columns, state.records, arrays)


def _cell(params: StatisticsParams, count: int) -> int | None:
    """0 is no small cell: there is nobody to be seen in it."""
    return None if 0 < count < params.minimum else count


def _missing(params: StatisticsParams, state: StatisticsState, present: int) -> float | None:
    known = _cell(params, present) is not None and _cell(params, state.records - present) is not None
    return (state.records - present) / state.records if known else None


def _numbers(params: StatisticsParams, state: StatisticsState, place: int, present: int) -> Numbers:
    feature, scale = params.numbers[place], params.limits.scale_for("sum", 1.0)
    total = mean = variance = None
    if present >= params.minimum:
        share = Fraction(state.sums[place], present << scale)
        mean = feature.middle + float(share) * feature.half
        total = present * feature.middle + float(share * present) * feature.half
        spread = Fraction(state.squares[place], 1 << scale) - share * share * present
        variance = max(0.0, float(spread / (present - 1))) * feature.half**2 if present > 1 else None
    zooms = [zoom for zoom in state.zooms if zoom.number == place]
    histogram = state.histogram[place * params.bins : (place + 1) * params.bins]
    return Numbers(feature.name, _cell(params, present), _missing(params, state, present), total, mean, variance,
                   tuple(_quantile(params, feature, zoom) for zoom in zooms),
                   tuple(_cell(params, count) for count in histogram))  # fmt: skip


def _quantile(params: StatisticsParams, feature: Feature, zoom: Zoom) -> Quantile:
    if zoom.within < params.minimum:
        return Quantile(zoom.quantile, None, None)
    parts = params.bins**zoom.depth
    low, high = (feature.low + (feature.high - feature.low) * (edge / parts) for edge in (zoom.cell, zoom.cell + 1))
    return Quantile(zoom.quantile, low, high)


def _levels(params: StatisticsParams, state: StatisticsState, present: dict[str, int]) -> tuple[Levels, ...]:
    found, at = [], 0
    for feature in params.features:
        if feature.levels:
            counts = state.levels[at : at + len(feature.levels)]
            at += len(feature.levels)
            known = present[feature.name]
            found.append(Levels(feature.name, _cell(params, known), _missing(params, state, known), feature.levels,
                                tuple(_cell(params, count) for count in counts)))  # fmt: skip
    return tuple(found)


def _pairs(params: StatisticsParams, state: StatisticsState) -> tuple[Contingency, ...]:
    levels = {feature.name: len(feature.levels) for feature in params.features}
    found, at = [], 0
    for pair in params.pairs:
        rows, columns = levels[pair.row], levels[pair.column]
        cells = [_cell(params, count) for count in state.pairs[at : at + rows * columns]]
        at += rows * columns
        table = tuple(tuple(cells[row * columns : (row + 1) * columns]) for row in range(rows))
        found.append(Contingency(pair.row, pair.column, table))
    return tuple(found)


def _correlations(params: StatisticsParams, state: StatisticsState) -> tuple[tuple[float | None, ...], ...]:
    size = len(params.numbers)
    if not params.correlations or not size:
        return ()
    table: list[list[float | None]] = [[1.0 if i == j else None for j in range(size)] for i in range(size)]
    for (i, j), joint in zip(number_pairs(params), zip(*state.joint, strict=True), strict=False):
        table[i][j] = table[j][i] = _correlation(params, *joint)
    return tuple(tuple(row) for row in table)


def _correlation(
    params: StatisticsParams, records: int, first: int, second: int, firsts: int, seconds: int, both: int
) -> float | None:  # fmt: skip
    if records < max(2, params.minimum):
        return None
    unit = 1 << params.limits.scale_for("joint_first", 1.0)  # one unit of a sum; squares and products have it once too
    spreads = [records * unit * square - total * total for square, total in ((firsts, first), (seconds, second))]
    if min(spreads) <= 4 * records * records * unit:  # what rounding the records may leave of a constant
        return None
    found = float(Fraction(records * unit * both - first * second)) / math.sqrt(spreads[0]) / math.sqrt(spreads[1])
    return min(1.0, max(-1.0, found))


STATISTICS = Algorithm(
    name="statistics", params=StatisticsParams, state=StatisticsState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted,
    shapes={"present": ("columns",), "mean": ("columns",), "variance": ("columns",),
            "quantiles": ("columns", "quantiles")},
)  # fmt: skip
