"""Decision trees grown level by level from integer histograms: the same sums give the same tree on every processor.

A node with the sums G of gradients and H of second derivatives over its records is worth G^2 / (H + ridge) and answers
-rate G / (H + ridge); the split that adds most worth is taken (Chen & Guestrin 2016, eq. 6 and 7). Of equals it is the
first column's, there the lowest edge's, there the one with missing values on the right. Values that are missing go
where they add most; where a column had none, they would follow the heavier side. Only + - * / of IEEE 754 on integers
as they are summed. Not here: where the sums come from (`boosting`), what the columns mean.

    shape = Shape.of(cuts, records)
    trees = grow(trees, shape, gradient, hessian, growth)      # one level of all trees
    value = answers(tree, codes)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federation.algorithms.binning import BITS, MISSING, Cuts
from federation.vectors import Integers, Reals

Places: TypeAlias = NDArray[np.intp]

LEAF = -1
CHUNK = 1 << 18  # values counted at once


@dataclass(frozen=True)
class Tree:
    """Nodes from the root on. Node i is a leaf if `column[i]` is LEAF; else a code under `edge[i]` goes to `left[i]`,

    any other to the node after that. `value`: what each node answers as a leaf. `live`: nodes that may be split yet.
    """

    column: tuple[int, ...] = (LEAF,)
    edge: tuple[int, ...] = (0,)
    missing_left: tuple[bool, ...] = (False,)
    left: tuple[int, ...] = (0,)
    value: tuple[float, ...] = (0.0,)
    live: tuple[int, ...] = (0,)

    @property
    def leaves(self) -> int:
        return (len(self.column) + 1) // 2


@dataclass(frozen=True)
class Growth:
    """How trees grow. Sums times `unit` are reals; `last`: no level comes after this one."""

    unit: float
    rate: float
    ridge: float
    min_child_weight: float
    min_gain: float
    max_leaves: int
    last: bool


@dataclass(frozen=True)
class Shape:
    """Where each column's bins lie in a histogram. Columns in which nothing can be split have none.

    `columns` their numbers; `edges` of each; `holes`: whether somebody's value is missing.
    """

    columns: tuple[int, ...]
    edges: tuple[tuple[int, ...], ...]
    holes: tuple[bool, ...]

    @classmethod
    def of(cls, cuts: Cuts, records: int) -> Shape:
        """The columns that have an edge, or holes beside values."""
        holes = [0 < cut.present < records for cut in cuts.columns]
        used = [j for j, cut in enumerate(cuts.columns) if cut.edges or holes[j]]
        return cls(tuple(used), tuple(cuts.columns[j].edges for j in used), tuple(holes[j] for j in used))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bins of each column, the one for missing values included where there are any."""
        return tuple(len(edges) + 1 + hole for edges, hole in zip(self.edges, self.holes, strict=True))

    @property
    def bins(self) -> int:
        """Lanes that one node has."""
        return sum(self.sizes)

    def lanes(self, bins: NDArray[np.int32]) -> NDArray[np.int32]:
        """Where in a node's histogram each value of a table counts, (records, columns that have bins)."""
        first = np.cumsum([0, *self.sizes[:-1]]).astype(np.int32)
        return bins[:, list(self.columns)] + first


@dataclass(frozen=True)
class _Splits:
    """The best split of each live node: its gain and place, and the sums (G, H) on either side."""

    gain: NDArray[np.floating[Any]]
    column: NDArray[np.intp]
    bin: NDArray[np.intp]
    missing_left: NDArray[np.bool_]
    left: Reals
    right: Reals


def histogram(slots: NDArray[np.intp], lanes: NDArray[np.int32], values: Integers, live: int, bins: int) -> Integers:
    """Sums of `values` in each bin of each of `live` nodes, (live * bins,), exact while they stay under 2^53.

    `slots`: the live node of each record, -1 for none; `lanes` (records, columns): see `Shape.lanes`.
    """
    found = np.zeros(live * bins)
    rows = np.flatnonzero(slots >= 0)
    size = max(1, CHUNK // lanes.shape[1])
    for first in range(0, len(rows), size):
        some = rows[first : first + size]
        flat = (slots[some, None] * bins + lanes[some]).ravel()
        found += np.bincount(
            flat, weights=np.repeat(values[some].astype(np.float64), lanes.shape[1]), minlength=len(found)
        )
    return found.astype(np.int64)


def grow(trees: Sequence[Tree], shape: Shape, gradient: Integers, hessian: Integers, growth: Growth) -> list[Tree]:
    """Each tree one level deeper, from the histograms (live nodes of all trees in a row, shape.bins)."""
    splits = _best(shape, gradient, hessian, growth)
    grown, first = [], 0
    for tree in trees:
        rows = np.arange(first, first + len(tree.live))
        grown.append(_grow(tree, shape, splits, rows, growth))
        first += len(rows)
    return grown


def _best(shape: Shape, gradient: Integers, hessian: Integers, growth: Growth) -> _Splits:
    """Over all columns and edges at once: arrays are (live, columns, bins, side of missing)."""
    (present, missing), valid = _padded(shape, gradient, hessian), _valid(shape)
    below = np.cumsum(present, axis=3)
    left: Reals = np.stack([below, below + missing[..., None]], axis=-1) * growth.unit
    total: Reals = left[:, :, :1, -1:, 1:]  # all bins of any column, and what is missing there
    right: Reals = total - left
    allowed = valid & (left[1] >= growth.min_child_weight) & (right[1] >= growth.min_child_weight)
    added = _worth(left, growth) + _worth(right, growth) - _worth(total, growth)
    gains = np.where(allowed, added, -np.inf)
    flat = gains.reshape(len(gains), -1)
    place = flat.argmax(axis=1)
    column, bin_, side = np.unravel_index(place, gains.shape[1:])
    at = (slice(None), np.arange(len(flat)), column, bin_, side)
    return _Splits(flat[at[1], place], column, bin_, side == 1, left[at], right[at])


def _padded(shape: Shape, gradient: Integers, hessian: Integers) -> tuple[Integers, Integers]:
    """Both histograms as (2, live, columns, most bins) and what is missing as (2, live, columns)."""
    both = np.stack([gradient, hessian])
    width = max(len(edges) for edges in shape.edges) + 1
    present = np.zeros((*both.shape[:2], len(shape.columns), width), dtype=np.int64)
    missing = np.zeros(present.shape[:3], dtype=np.int64)
    first = 0
    for j, (edges, hole) in enumerate(zip(shape.edges, shape.holes, strict=True)):
        after = first + len(edges) + 1
        present[:, :, j, : len(edges) + 1] = both[:, :, first:after]
        if hole:
            missing[:, :, j] = both[:, :, after]
        first = after + hole
    return present, missing


def _valid(shape: Shape) -> NDArray[np.bool_]:
    """(columns, bins, side of missing): after a bin there is an edge, or all that is present ends."""
    width = max(len(edges) for edges in shape.edges) + 1
    valid = np.zeros((len(shape.columns), width, 2), dtype=bool)
    for j, (edges, hole) in enumerate(zip(shape.edges, shape.holes, strict=True)):
        valid[j, : len(edges) + hole, 0] = True
        valid[j, : len(edges) if hole else 0, 1] = True
    return valid


def _worth(sums: Reals, growth: Growth) -> NDArray[np.floating[Any]]:
    below = sums[1] + growth.ridge
    return np.where(below > 0.0, sums[0] * sums[0] / np.where(below > 0.0, below, 1.0), 0.0)


def _grow(tree: Tree, shape: Shape, splits: _Splits, rows: NDArray[np.intp], growth: Growth) -> Tree:
    """Splits in the order of their gain, while leaves are left; of equals the earlier node."""
    nodes = {name: list(getattr(tree, name)) for name in ("column", "edge", "missing_left", "left", "value")}
    live = list[int]()
    order = sorted(range(len(rows)), key=lambda i: (-splits.gain[rows[i]], i))
    for i in order[: growth.max_leaves - tree.leaves]:
        if splits.gain[rows[i]] > growth.min_gain:
            live += _split(nodes, tree.live[i], shape, splits, int(rows[i]), growth)
    return replace(tree, **{name: tuple(cells) for name, cells in nodes.items()},
                   live=() if growth.last else tuple(live))  # fmt: skip


def _split(nodes: dict[str, list[Any]], at: int, shape: Shape, splits: _Splits, row: int, growth: Growth) -> list[int]:
    """Write one split down; the children that may be split yet."""
    used, first = int(splits.column[row]), len(nodes["column"])
    edges, side = shape.edges[used], int(splits.bin[row])
    weights = float(splits.left[1, row]), float(splits.right[1, row])
    nodes["column"][at] = shape.columns[used]
    nodes["edge"][at] = edges[side] if side < len(edges) else 1 << BITS
    nodes["missing_left"][at] = bool(splits.missing_left[row]) if shape.holes[used] else weights[0] >= weights[1]
    nodes["left"][at] = first
    for sums in (splits.left[:, row], splits.right[:, row]):
        for name, blank in (("column", LEAF), ("edge", 0), ("missing_left", False), ("left", 0)):
            nodes[name].append(blank)
        nodes["value"].append(float(-growth.rate * sums[0] / (sums[1] + growth.ridge)))
    return [first + i for i, weight in enumerate(weights) if weight >= 2.0 * growth.min_child_weight]


def places(tree: Tree, coded: NDArray[np.int32]) -> Places:
    """The node in which each record of `codes` (records, columns) ends."""
    at = np.zeros(len(coded), dtype=np.intp)
    for moving, _, there in descent(tree, coded):
        at[moving] = there
    return at


def descent(tree: Tree, coded: NDArray[np.int32]) -> Iterator[tuple[Places, Places, Places]]:
    """Down the tree, level by level: which records of `codes` move, and from which nodes to which."""
    column, edge, left = (np.array(cells, dtype=np.intp) for cells in (tree.column, tree.edge, tree.left))
    to_left, moving, here = np.array(tree.missing_left), np.arange(len(coded)), np.zeros(len(coded), dtype=np.intp)
    if column[0] == LEAF:
        return
    while len(moving):
        code = coded[moving, column[here]]
        goes_left = np.where(code == MISSING, to_left[here], code < edge[here])
        there = left[here] + ~goes_left
        yield moving, here, there
        further = column[there] != LEAF
        moving, here = moving[further], there[further]


def answers(tree: Tree, coded: NDArray[np.int32]) -> Reals:
    """What the tree adds to each record's margin, (records,)."""
    return np.array(tree.value)[places(tree, coded)]
