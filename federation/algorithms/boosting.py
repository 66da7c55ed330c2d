"""Histogram gradient boosting, equal to the same boosting on all records pooled: same sums, same trees, same answers.

Trees are fitted one after another to the slope g and curvature h of the loss at the margins F so far (Friedman 2001;
the second-order form of Chen & Guestrin 2016, eq. 7):
    squares    g = F - y         h = 1                y, F within the target's range scaled to [-1, 1]
    logistic   g = p - y         h = p (1 - p)        p = 1 / (1 + e^-F)
    softmax    g_k = p_k - y_k   h_k = p_k (1 - p_k)  one tree a class and step
g and h of a record become integers before anything is added, and one sum holds the histograms of a whole level: every
bin of every column for every live node of every class. Edges of bins are quantiles of all members' records (`binning`),
so that horizontal boosting has no gap to pooled boosting (FederBoost: Tian et al. 2020, section 4). Rounds: 4 for the
edges, then one a level. What sums show: the record counts of narrow ranges, and slopes of small nodes; where that is
too much, `least` and `min_child_weight` are to be raised, or noise added (`privacy`).

    params = BoostingParams(features, target=Classes("y", ("benign", "malignant")), members=4, records=1000)
    margins = scores(params, state, table)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.binning import (
    BITS,
    LEVELS,
    Cuts,
    codes,
    counts,
    edge_value,
    narrow,
    start_cuts,
    wanted,
)
from federation.algorithms.forest import Step, answers_of, seen
from federation.algorithms.trees import LEAF, Growth, Shape, Tree, grow, histogram, places
from federation.errors import Refused
from federation.tables import Classes, Columns, Feature, Quantity, Table, columns_of, encode
from federation.vectors import Block, Integers, Layout, Reals

EXACT = 1 << 53  # sums below are the same in doubles
FULL = 1 << 31  # leaves of a tree without a limit


@dataclass(frozen=True)
class BoostingParams:
    """The plan. `target`: classes, or a quantity for a regression.

    `steps` trees a class, each at most `depth` levels and `leaves` leaves (0: no limit). `ridge` is lambda,
    `min_gain` gamma of XGBoost. `bins`: most bins of a column; `least`: records under which no range is looked into.
    """

    features: tuple[Feature, ...]
    target: Classes | Quantity
    members: int
    records: int
    steps: int = 100
    depth: int = 4
    leaves: int = 0
    rate: float = 0.1
    ridge: float = 1.0
    min_child_weight: float = 1.0
    min_gain: float = 0.0
    bins: int = 64
    least: int = 3
    width: Literal[32, 64] = 64
    scale: int = 20

    def __post_init__(self) -> None:
        sizes = (self.steps, self.depth, self.bins, self.leaves, self.least)
        if not (self.features and min(self.steps, self.depth) >= 1 and self.bins >= 2 and min(sizes) >= 0):
            raise Refused("a plan that cannot run", clause="plan", seen=sizes,
                          needed="features, a step, a level, two bins")  # fmt: skip
        reals = (self.rate, self.ridge, self.min_child_weight, self.min_gain)
        if not (self.rate > 0 and self.min_child_weight > 0 and min(reals) >= 0):
            raise Refused("a plan that cannot run", clause="plan", seen=reals, needed="rate, min_child_weight > 0")
        if self.records << (self.scale + 1) >= EXACT:
            raise Refused("one member's sums would not be exact", clause="exact", seen=(self.records, self.scale),
                          needed="records * 2^(scale + 1) < 2^53")  # fmt: skip

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return columns_of(self.features)

    @property
    def loss(self) -> Literal["squares", "logistic", "softmax"]:
        if isinstance(self.target, Quantity):
            return "squares"
        return "logistic" if len(self.levels) == 2 else "softmax"

    @property
    def levels(self) -> tuple[str, ...]:
        """Of the target; none of a quantity."""
        return self.target.levels if isinstance(self.target, Classes) else ()

    @property
    def margins(self) -> int:
        """Trees of one step: one a class, or one."""
        return len(self.levels) if self.loss == "softmax" else 1

    @property
    def rounds(self) -> int:
        """The most sums."""
        return LEVELS + self.steps * self.depth


@dataclass(frozen=True)
class BoostingState:
    """`base` margins come before the first tree. The trees of `growing` get a level with the coming sum."""

    cuts: Cuts
    rounds: int = 0
    records: int = 0
    base: tuple[float, ...] = ()
    steps: tuple[Step, ...] = ()
    growing: tuple[Tree, ...] = ()
    level: int = 0
    stalled: bool = False


def prepare(params: BoostingParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: BoostingParams) -> BoostingState:
    return BoostingState(start_cuts(len(params.columns)))


def layout(params: BoostingParams, state: BoostingState) -> Layout:
    """Counts while edges are looked for; then histograms of every live node."""
    if wanted(state.cuts):
        classes, scale = (len(params.levels), 0) if params.levels else (1, params.scale)
        first = (Block("target", classes, scale, 1.0),) if state.cuts.level == 0 else ()
        blocks = (Block("records", 1, 0, 1.0), *first, Block("counts", wanted(state.cuts), 0, 1.0))
    else:
        lanes = sum(len(tree.live) for tree in state.growing) * _shape(state).bins
        slope, curve = (2.0, 1.0) if params.loss == "squares" else (1.0, 0.25)
        blocks = (Block("gradient", lanes, params.scale, slope), Block("hessian", lanes, params.scale, curve))
    return Layout(params.width, params.members, params.records, blocks)


def local(params: BoostingParams, state: BoostingState, table: Table) -> Sums:
    """One member's integer sums. Every value is a function of its own record only, whatever stands beside it."""
    plan = layout(params, state)
    if wanted(state.cuts):
        sums = {"records": np.array([len(table)]), "counts": counts(state.cuts, codes(table.values))}
        return sums if state.cuts.level else {**sums, "target": _targets(params, plan, table)}
    shape, known = _shape(state), seen(state.cuts, state.records, state.base, state.steps, table.values)
    slopes, curves = _slopes(params, known.margins, _target(params, table))
    found = {"gradient": list[Integers](), "hessian": list[Integers]()}
    for tree, slope, curve in zip(state.growing, slopes.T, curves.T, strict=True):
        slots, live = _slots(tree)[places(tree, known.coded)], len(tree.live)
        for name, reals in (("gradient", slope), ("hessian", curve)):
            found[name].append(histogram(slots, known.lanes, plan[name].quantise(reals), live, shape.bins))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def step(params: BoostingParams, state: BoostingState, sums: Sums) -> BoostingState:
    """Narrower ranges, or trees one level deeper; after the last level of a step the trees of the next begin."""
    after = replace(state, rounds=state.rounds + 1)
    if wanted(state.cuts):
        return _after_counts(params, after, sums)
    lanes = (-1, _shape(state).bins)
    growing = grow(state.growing, _shape(state), sums["gradient"].reshape(lanes), sums["hessian"].reshape(lanes),
                   _growth(params, state.level))  # fmt: skip
    if any(tree.live for tree in growing):
        return replace(after, growing=tuple(growing), level=state.level + 1)
    stalled = all(tree.leaves == 1 for tree in growing)  # no sum of a further step would differ
    return replace(after, steps=(*state.steps, Step(tuple(growing))), growing=(Tree(),) * params.margins, level=0,
                   stalled=stalled)  # fmt: skip


def done(params: BoostingParams, state: BoostingState) -> bool:
    return state.stalled or len(state.steps) >= params.steps


def scores(params: BoostingParams, state: BoostingState, table: Table) -> Reals:
    """Margins F, (records, margins): log-odds of the second level, one for each level, or the target in [-1, 1]."""
    if not state.growing:
        raise Refused("no tree has begun yet", clause="order", seen=state.rounds, needed=f"{LEVELS} rounds")
    coded = codes(table.values)
    margins = np.tile(np.array(state.base), (len(table), 1))
    for one in state.steps:
        margins += answers_of(one, coded)
    return margins


def chances(params: BoostingParams, state: BoostingState, table: Table) -> Reals:
    """Of each level of the target, (records, levels)."""
    margins = scores(params, state, table)
    if params.loss == "softmax":
        return portable.softmax(margins)
    chance = portable.sigmoid(margins[:, 0])
    return np.column_stack([1.0 - chance, chance])


def values(params: BoostingParams, state: BoostingState, table: Table) -> Reals:
    """A regression's answers in the units of the target, within its range, (records,)."""
    if isinstance(params.target, Classes):
        raise Refused("classes have chances, no values", clause="target", seen=params.target.name, needed="a quantity")
    return params.target.middle + params.target.half * np.clip(scores(params, state, table)[:, 0], -1.0, 1.0)


def fitted(params: BoostingParams, state: BoostingState) -> Fitted:
    """All trees, step after step, nodes filled up with leaves. `edge` is of values scaled to [-1, 1] by the ranges of

    their features, 2 where all that is present goes left; `base` and `value` add up to margins (see `scores`).
    """
    trees = [tree for one in state.steps for tree in one.trees]
    if not trees:
        raise Refused("no tree has grown yet", clause="order", seen=state.rounds, needed=f"more than {LEVELS} rounds")
    most = max(len(tree.column) for tree in trees)
    arrays = {
        name: np.array([_filled(getattr(tree, name), most, blank) for tree in trees], dtype=np.float64)
        for name, blank in (("column", LEAF), ("edge", 0), ("missing_left", 0), ("left", 0), ("value", 0))
    }
    arrays["edge"] = np.where(arrays["edge"] < 1 << BITS, edge_value(arrays["edge"]), 2.0)
    return Fitted(params.columns, state.records, {"base": np.array(state.base), **arrays}, params.levels)


def _filled(cells: tuple[float, ...], most: int, blank: float) -> tuple[float, ...]:
    return cells + (blank,) * (most - len(cells))


def _target(params: BoostingParams, table: Table) -> Reals:
    """The place of the class, or the quantity scaled to [-1, 1] by its range."""
    if isinstance(params.target, Classes):
        return table.target
    scaled: Reals = np.clip((table.target - params.target.middle) / params.target.half, -1.0, 1.0)
    return scaled


def _targets(params: BoostingParams, plan: Layout, table: Table) -> Integers:
    if params.levels:
        return np.bincount(table.target.astype(np.int64), minlength=len(params.levels)).astype(np.int64)
    total: Integers = plan["target"].quantise(_target(params, table)).sum(keepdims=True)
    return total


def _after_counts(params: BoostingParams, state: BoostingState, sums: Sums) -> BoostingState:
    records = int(sums["records"][0])
    if records < 1:
        raise Refused("nobody has records", clause="records", seen=records, needed="at least one")
    cuts = narrow(state.cuts, sums["counts"], params.bins, params.least)
    base = _base(params, sums["target"], records) if state.cuts.level == 0 else state.base
    begun = state if wanted(cuts) else replace(state, growing=(Tree(),) * params.margins)
    if not wanted(cuts) and not Shape.of(cuts, records).columns:
        raise Refused("every column is constant", clause="columns", seen=len(cuts.columns), needed="one that varies")
    return replace(begun, cuts=cuts, records=records, base=base)


def _base(params: BoostingParams, target: Integers, records: int) -> tuple[float, ...]:
    """The constant margins of least loss. A class that nobody has counts as one record."""
    if params.loss == "squares":
        return (int(target[0]) / (records << params.scale),)
    logs = portable.log(np.maximum(target, 1).astype(np.float64) / records)
    return tuple(float(one) for one in (logs if params.loss == "softmax" else logs[1:] - logs[:1]))


def _shape(state: BoostingState) -> Shape:
    return Shape.of(state.cuts, state.records)


def _growth(params: BoostingParams, level: int) -> Growth:
    return Growth(math.ldexp(1.0, -params.scale), params.rate, params.ridge, params.min_child_weight, params.min_gain,
                  params.leaves or FULL, last=level + 1 >= params.depth)  # fmt: skip


def _slots(tree: Tree) -> NDArray[np.intp]:
    """Of each node its place among the live, -1 for the others."""
    slots = np.full(len(tree.column), -1, dtype=np.intp)
    slots[list(tree.live)] = np.arange(len(tree.live))
    return slots


def _slopes(params: BoostingParams, margins: Reals, target: Reals) -> tuple[Reals, Reals]:
    """g and h of each record and margin."""
    if params.loss == "squares":
        slope = np.clip(margins, -1.0, 1.0) - target[:, None]  # an answer outside the range is never the better one
        return slope, np.ones_like(slope)
    if params.loss == "logistic":
        chance, label = portable.sigmoid(margins), target[:, None]
    else:
        chance, label = portable.softmax(margins), (target[:, None] == np.arange(params.margins)).astype(np.float64)
    return chance - label, chance * (1.0 - chance)


BOOSTING = Algorithm(
    name="boosting", params=BoostingParams, state=BoostingState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done, fitted=fitted,
    shapes={"base": ("margins",), "column": ("trees", "nodes"), "edge": ("trees", "nodes"),
            "missing_left": ("trees", "nodes"), "left": ("trees", "nodes"), "value": ("trees", "nodes")},
)  # fmt: skip
