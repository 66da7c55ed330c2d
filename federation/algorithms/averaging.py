"""Federated averaging: members train on their own records, only the weighted mean of what they changed is known.

With the weights x of a round, member u trains on its n_u records and finds x + d_u; the sums are n_u d_u and n_u, and
    fedavg     x += r mean    (McMahan et al. 2017, algorithm 1)
    fedprox    the same; members add mu (y - x) to each gradient    (Li et al. 2020, eq. 2)
    fedadam    m = b1 m + (1 - b1) mean, v = b2 v + (1 - b2) mean^2, x += r m / (sqrt(v) + t)
               (Reddi et al. 2021, algorithm 2)
    scaffold   x += r mean; members add c - c_u to each gradient    (Karimireddy et al. 2020, algorithm 1, option I)
c_u is member u's gradient at the weights before, which it can find again, so that it keeps nothing between rounds; c is
their mean, from a second block of the sum. It wants short local training: over many steps c_u is no longer true.
Each change of a weight is cut at `clip`, a public bound; how many were cut is a sum too. What a member computes may
differ between processors; what everybody derives from the sum does not. Not equal to training on pooled records, by
nature. What is trained is plugged in (`Learner`): `neural` is one.

    algorithm = averaging("mlp", NeuralParams, prepare, learner)
    weights = weights_of(state)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Literal

import numpy as np
from numpy.typing import NDArray

from federation.algorithms import Algorithm, Params, Sums
from federation.errors import Refused
from federation.tables import Columns, Table
from federation.vectors import Block, Integers, Layout, Reals

DIGIT = 1 << 12  # the number of weights that were cut goes in two lanes, for rings of 32 bits
MOST, LEAST = 32, 8  # bits after the point


@dataclass(frozen=True)
class AveragingParams:
    """The plan's part that is the same for whatever is trained.

    Members pass `epochs` times over their records in steps of `batch` (0: all at once) at `rate`; `proximal` is mu of
    fedprox; `server_rate` r, `beta1`, `beta2` and `adaptivity` (b1, b2, t) are everybody's. `seed` fixes all draws.
    """

    members: int
    records: int
    rounds: int
    method: Literal["fedavg", "fedprox", "fedadam", "scaffold"] = "fedavg"
    rate: float = 0.1
    epochs: int = 1
    batch: int = 32
    proximal: float = 0.0
    server_rate: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.99
    adaptivity: float = 1e-3
    clip: float = 1.0
    seed: int = 0
    width: Literal[32, 64] = 32

    def __post_init__(self) -> None:
        numbers = (self.rounds, self.epochs, self.rate, self.server_rate, self.clip, self.adaptivity)
        if not (min(numbers) > 0 and self.batch >= 0 and 0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise Refused("a plan that cannot run", clause="plan", seen=(*numbers, self.batch, self.beta1, self.beta2),
                          needed="positive numbers, betas in [0, 1)")  # fmt: skip
        if (self.proximal > 0) != (self.method == "fedprox") or self.proximal < 0:
            raise Refused("proximal belongs to fedprox", clause="proximal", seen=(self.method, self.proximal),
                          needed="above 0 with fedprox, 0 without")  # fmt: skip

    @property
    def scale(self) -> int:
        """Bits after the point: the most that cannot wrap, at most 32; Refused under 8."""
        for scale in range(MOST, LEAST - 1, -1):
            if self.members * self.records * Block("delta", 1, scale, self.clip).most < 2 ** (self.width - 1):
                return scale
        raise Refused("no room for changes of weights", clause="overflow", seen=(self.members, self.records, self.clip),
                      needed=f"members * records * clip under 2^{self.width - 1 - LEAST}, or a wider ring")  # fmt: skip


@dataclass(frozen=True)
class Pull:
    """What a member adds to each gradient at y: proximal (y - x) + control, if there is any control."""

    proximal: float = 0.0
    control: Reals | None = None


@dataclass(frozen=True)
class Learner(Generic[Params]):
    """What is trained, over a flat vector of weights. All are functions of their arguments alone.

    `start` the first weights, the same on every processor. `train(params, x, table, seed, pull)` what a member's
    training changes and over how many records it ran. `gradient(params, x, table)` the mean gradient over all records
    of a table, for scaffold; None where that cannot be had.
    """

    averaging: Callable[[Params], AveragingParams]
    start: Callable[[Params], Reals]
    train: Callable[[Params, Reals, Table, int, Pull], tuple[Reals, int]]
    gradient: Callable[[Params, Reals, Table], Reals] | None = None


@dataclass(frozen=True)
class AveragingState:
    """Vectors are float64, little-endian. `before`, `control`: of scaffold; `first`, `second`: moments of fedadam.

    `clipped`: weights cut by all members in the last round.
    """

    weights: bytes
    rounds: int = 0
    records: int = 0
    clipped: int = 0
    before: bytes = b""
    control: bytes = b""
    first: bytes = b""
    second: bytes = b""


def pack(vector: Reals) -> bytes:
    return vector.astype("<f8").tobytes()


def unpack(raw: bytes) -> Reals:
    return np.frombuffer(raw, dtype="<f8").astype(np.float64)


def weights_of(state: AveragingState) -> Reals:
    """The flat vector that the next round starts from."""
    return unpack(state.weights)


def averaging(
    name: str, params: type[Params], prepare: Callable[[Params, Columns], Table], learner: Learner[Params]
) -> Algorithm[Params, AveragingState]:
    """The algorithm that trains `learner` in rounds."""

    def start(plan: Params) -> AveragingState:
        if learner.averaging(plan).method == "scaffold" and learner.gradient is None:
            raise Refused("scaffold needs gradients", clause="method", seen=name, needed="a learner that has them")
        return AveragingState(pack(learner.start(plan)))

    def layout(plan: Params, state: AveragingState) -> Layout:
        return _layout(learner.averaging(plan), len(state.weights) // 8)

    def local(plan: Params, state: AveragingState, table: Table) -> Sums:
        return _local(learner, plan, state, table)

    def step(plan: Params, state: AveragingState, sums: Sums) -> AveragingState:
        return _step(learner.averaging(plan), state, sums)

    def done(plan: Params, state: AveragingState) -> bool:
        return state.rounds >= learner.averaging(plan).rounds

    return Algorithm(
        name=name, params=params, state=AveragingState,
        prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    )  # fmt: skip


def _layout(plan: AveragingParams, size: int) -> Layout:
    control = (Block("control", size, plan.scale, plan.clip),) if plan.method == "scaffold" else ()
    delta = Block("delta", size, plan.scale, plan.clip)
    blocks = (Block("records", 1, 0, 1.0), Block("clipped", 2, 0, float(DIGIT)), delta, *control)
    return Layout(plan.width, plan.members, plan.records, blocks)


def _local(learner: Learner[Params], params: Params, state: AveragingState, table: Table) -> Sums:
    plan, weights = learner.averaging(params), weights_of(state)
    layout = _layout(plan, len(weights))
    if not len(table):
        return {block.name: np.zeros(block.length, dtype=np.int64) for block in layout.blocks}
    pull = Pull(plan.proximal, _control(learner, params, state, table))
    delta, records = learner.train(params, weights, table, plan.seed + state.rounds, pull)
    vectors = {"delta": delta}
    if learner.gradient is not None and plan.method == "scaffold":
        vectors["control"] = learner.gradient(params, weights, table)
    clipped = sum(int((np.abs(vector) > plan.clip).sum()) for vector in vectors.values())
    sums = {name: _weighted(layout[name], vector, plan.clip, records) for name, vector in vectors.items()}
    return {"records": np.array([records]), "clipped": np.array(divmod(clipped, DIGIT)), **sums}


def _control(learner: Learner[Params], params: Params, state: AveragingState, table: Table) -> Reals | None:
    if learner.gradient is None or not state.before:
        return None
    return unpack(state.control) - learner.gradient(params, unpack(state.before), table)


def _weighted(block: Block, vector: Reals, clip: float, records: int) -> Integers:
    """Rounded before it is multiplied: each record of the member brings the same integer."""
    if not np.isfinite(vector).all():
        raise Refused("the training left no numbers", clause="finite", seen=block.name, needed="a smaller rate")
    return block.quantise(np.clip(vector, -clip, clip)) * records


def _step(plan: AveragingParams, state: AveragingState, sums: Sums) -> AveragingState:
    records, layout = int(sums["records"][0]), _layout(plan, len(state.weights) // 8)
    if records < 1:
        raise Refused("nobody has records", clause="records", seen=records, needed="at least one")
    high, low = sums["clipped"].tolist()
    after = replace(state, rounds=state.rounds + 1, records=records, clipped=high * DIGIT + low)
    mean, weights = layout["delta"].real(sums["delta"]) / records, weights_of(state)
    if plan.method == "fedadam":
        return _adam(plan, after, weights, mean)
    if plan.method == "scaffold":
        control = layout["control"].real(sums["control"]) / records
        after = replace(after, before=state.weights, control=pack(control))
    return replace(after, weights=pack(weights + plan.server_rate * mean))


def _adam(plan: AveragingParams, state: AveragingState, weights: Reals, mean: Reals) -> AveragingState:
    """Without bias correction, as in the paper; the second moment starts at t^2."""
    first = unpack(state.first) if state.first else np.zeros(len(mean))
    second = unpack(state.second) if state.second else np.full(len(mean), plan.adaptivity * plan.adaptivity)
    first = plan.beta1 * first + (1.0 - plan.beta1) * mean
    second = plan.beta2 * second + (1.0 - plan.beta2) * (mean * mean)
    moved = weights + plan.server_rate * first / (np.sqrt(second) + plan.adaptivity)
    return replace(state, weights=pack(moved), first=pack(first), second=pack(second))


def uniform(seed: int, count: int) -> Reals:
    """`count` numbers in [0, 1) that follow from `seed` alone, on every processor: splitmix64 (Steele et al. 2014)."""
    return (_mixed(seed, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def shuffled(seed: int, count: int) -> NDArray[np.intp]:
    """0 to count - 1 in an order that follows from `seed` alone."""
    return np.argsort(_mixed(seed, count), kind="stable")


def _mixed(seed: int, count: int) -> NDArray[np.uint64]:
    golden = 0x9E3779B97F4A7C15
    begin = np.array([seed * 0xD1342543DE82EF95 % (1 << 64)], dtype=np.uint64)
    mixed: NDArray[np.uint64] = begin + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(golden)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
