"""k-means: Lloyd's iterations from a seeding that is itself made of secure sums: nobody draws or shows a record.

Seeding (Var-Part: Su & Dy 2007): all records are one cluster; as long as there are fewer than k, the cluster with the
largest sum of squared distances is split at its mean along its most varying column. One sum a split: for each cluster
so far its records, and per column the sum and the sum of squares. The seeds are the means of the k parts.
Then Lloyd 1982: each record goes to the nearest centre (the first of equals), and for each centre records and their sum
are added up, and everybody's squared distances; until no centre moves. Where a centre has no records left it stays.
Distances are in units of the declared ranges (the table's); a missing value is the mean over all present ones.

    params = KMeansParams(features, clusters=3, members=4, records=1000)
    centres = original_centres(params, state)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.plans import FeatureParams
from federation.algorithms.scaling import Scaling, counted, scaling_blocks, scaling_from, scaling_sums
from federation.algorithms.slices import add, add_by, slices, zeros
from federation.errors import Refused
from federation.tables import Columns, Table, encode, halves, middles
from federation.vectors import Layout, Reals


@dataclass(frozen=True)
class KMeansParams(FeatureParams):
    """The plan. `rounds` is the most sums: one for means, one for each cluster of the seeding, then Lloyd's."""

    clusters: int
    rounds: int = 300

    def __post_init__(self) -> None:
        if not (self.features and self.clusters >= 1 and self.rounds > self.clusters):
            raise Refused("a plan that cannot run", clause="plan", seen=(self.clusters, self.rounds),
                          needed="features, a cluster or more, more rounds than clusters")  # fmt: skip


@dataclass(frozen=True)
class Split:
    """The records of part `part` whose column `column` is over `at` become a part of their own, the next."""

    part: int
    column: int
    at: float


@dataclass(frozen=True)
class KMeansState:
    """`centres` (clusters rows, units of the table) come next, once there are all; `inertia` is the sum of squared
    distances to the centres before, `counts` their records, `settled` if none moved since."""

    rounds: int = 0
    records: int = 0
    scaling: Scaling | None = None
    splits: tuple[Split, ...] = ()
    centres: tuple[tuple[float, ...], ...] = ()
    counts: tuple[int, ...] = ()
    inertia: float = 0.0
    settled: bool = False


def prepare(params: KMeansParams, columns: Columns) -> Table:
    return encode(columns, params.features)


def start(params: KMeansParams) -> KMeansState:
    return KMeansState()


def layout(params: KMeansParams, state: KMeansState) -> Layout:
    limits, columns = params.limits, len(params.columns)
    if state.scaling is None:
        return limits.layout(*scaling_blocks(limits, columns))
    parts = len(state.centres) or len(state.splits) + 1
    blocks = (limits.counts("records"), limits.counts("count", parts), limits.reals("sum", parts * columns, 1.0))
    if state.centres:
        return limits.layout(*blocks, limits.reals("inertia", 1, 4.0 * columns))
    return limits.layout(*blocks, limits.reals("squares", parts * columns, 1.0))


def local(params: KMeansParams, state: KMeansState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan = layout(params, state)
    if state.scaling is None:
        return scaling_sums(plan, table)
    sums, centres = zeros(plan), np.array(state.centres)
    for values, _ in slices(table, numbers=plan["count"].length + len(params.columns)):
        filled, one = np.where(np.isnan(values), np.array(state.scaling.mean), values), np.ones((len(values), 1))
        add(plan, sums, {"records": one})
        if state.centres:
            apart = distances(filled, centres)
            add(plan, sums, {"inertia": apart.min(axis=1, keepdims=True)})
            add_by(plan, sums, apart.argmin(axis=1), {"count": one, "sum": filled})
        else:
            add_by(plan, sums, _parts(state, filled), {"count": one, "sum": filled, "squares": filled * filled})
    return sums


def step(params: KMeansParams, state: KMeansState, sums: Sums) -> KMeansState:
    """Means, then a split more, then centres that move."""
    after = replace(state, rounds=state.rounds + 1, records=counted(sums))
    if state.scaling is None:
        scaling = scaling_from(params.limits, sums)
        after = replace(after, scaling=scaling)
        return replace(after, centres=(scaling.mean,)) if params.clusters == 1 else after
    if state.centres:
        return _moved(params, after, sums)
    return _split(params, after, sums)


def done(params: KMeansParams, state: KMeansState) -> bool:
    return state.settled or state.rounds >= params.rounds


def original_centres(params: KMeansParams, state: KMeansState) -> Reals:
    """(clusters, columns), in units of the records; Refused before the seeding has ended."""
    if not state.centres:
        raise Refused("no seeding has ended yet", clause="order", seen=state.rounds, needed=params.clusters)
    return np.array(state.centres) * halves(params.features) + middles(params.features)


def nearest(params: KMeansParams, state: KMeansState, table: Table) -> NDArray[np.int64]:
    """The place of each record's centre, (records,)."""
    mean = state.scaling.mean if state.scaling else ()
    filled = np.where(np.isnan(table.values), np.array(mean), table.values)
    return np.asarray(distances(filled, np.array(state.centres)).argmin(axis=1))


def distances(values: Reals, centres: Reals) -> Reals:
    """Squared, (records, centres), each record by itself."""
    total = np.zeros((len(values), len(centres)))
    for column, place in zip(values.T, centres.T, strict=True):
        apart = column[:, None] - place
        total += apart * apart
    return total


def fitted(params: KMeansParams, state: KMeansState) -> Fitted:
    """`centres` (clusters, columns) in units of the records, and `counts` (clusters,)."""
    centres = original_centres(params, state)
    counts = np.array(state.counts or (0,) * params.clusters, dtype=np.float64)
    return Fitted(params.columns, state.records, {"centres": centres, "counts": counts})


def _parts(state: KMeansState, values: Reals) -> NDArray[np.int64]:
    part = np.zeros(len(values), dtype=np.int64)
    for new, split in enumerate(state.splits, start=1):
        part[(part == split.part) & (values[:, split.column] > split.at)] = new
    return part


def _split(params: KMeansParams, state: KMeansState, sums: Sums) -> KMeansState:
    """One split more, or, once there are all parts, their means as the first centres."""
    means, squares = _means(params, state, sums), _spreads(params, sums)
    if len(means) == params.clusters:
        return replace(state, centres=means, counts=tuple(sums["count"].tolist()))
    part = max(range(len(means)), key=lambda k: sum(squares[k]))
    column = max(range(len(params.columns)), key=lambda j: squares[part][j])
    if not squares[part][column] > 0:
        raise Refused("there are fewer different records than clusters", clause="clusters", seen=len(means),
                      needed=params.clusters)  # fmt: skip
    return replace(state, splits=(*state.splits, Split(part, column, means[part][column])))


def _moved(params: KMeansParams, state: KMeansState, sums: Sums) -> KMeansState:
    means, counts = _means(params, state, sums), tuple(sums["count"].tolist())
    inertia = float(layout(params, state)["inertia"].real(sums["inertia"])[0])
    return replace(state, centres=means, counts=counts, inertia=inertia, settled=means == state.centres)


def _means(params: KMeansParams, state: KMeansState, sums: Sums) -> tuple[tuple[float, ...], ...]:
    """Of each part; where it is empty, the centre it had."""
    scale, columns = params.limits.scale_for("sum", 1.0), len(params.columns)
    totals = sums["sum"].reshape(-1, columns).tolist()
    return tuple(
        tuple(float(Fraction(one, count << scale)) for one in total) if count else state.centres[k]
        for k, (count, total) in enumerate(zip(sums["count"].tolist(), totals, strict=True))
    )


def _spreads(params: KMeansParams, sums: Sums) -> list[list[Fraction]]:
    """Sum of squared distances from the mean, of each part and column, exactly; what rounding may leave is 0."""
    scale, columns = params.limits.scale_for("sum", 1.0), len(params.columns)
    totals, squares = (sums[name].reshape(-1, columns).tolist() for name in ("sum", "squares"))
    return [
        [_spread(count, total, square, scale) for total, square in zip(*rows, strict=True)]
        for count, *rows in zip(sums["count"].tolist(), totals, squares, strict=True)
    ]


def _spread(count: int, total: int, square: int, scale: int) -> Fraction:
    if not count:
        return Fraction(0)
    found = Fraction(square, 1 << scale) - Fraction(total * total, count << (2 * scale))
    return found if found > Fraction(4 * count, 1 << scale) else Fraction(0)


KMEANS = Algorithm(
    name="k-means", params=KMeansParams, state=KMeansState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"centres": ("clusters", "columns"), "counts": ("clusters",)},
)  # fmt: skip
