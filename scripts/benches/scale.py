"""What a round costs one member as the members grow: with the neighbour graph, and with everybody as its neighbour.

Both are measured with the same calls, interleaved, in seconds on the clock: keys drawn and dealt, the neighbours'
shares opened, 100,000 lanes of Z_2^32 masked, the reveal answered. 5 % corrupt, 10 % dropping, failure 2^-40 set the
degree. Up to 64 members the graph is complete, as on chain. And one round of 1,000 members, its sum compared.

    python -m scripts.benches.scale
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.securesum import (
    Address,
    Graph,
    Keys,
    Mask,
    MemberState,
    Roster,
    Round,
    ShareKey,
    accept,
    add_keystreams,
    contribute,
    deal,
    degree_for,
    draw,
    pair_key,
    reveal,
)
from federation.securesum.keys import seal, sign
from federation.securesum.round import MAX_MEMBERS
from federation.securesum.shares import split
from federation.simulate import Absent, addresses, context_of
from federation.simulate_graph import Corrupt, run_graph_round
from federation.vectors import Lanes, ring
from scripts.benches.securesum import result, timed

MEMBERS = (32, 64, 128, 256, 512, 1000)
LANES = 100_000
BEACON = bytes(32)


def run(runs: int = 3) -> dict[str, Any]:
    """Medians of `runs` runs, as the bench document; some minutes."""
    return {"bench": "scale", "runs": runs, "results": [*(member_cost(n, runs) for n in MEMBERS), sum_1000()]}


def member_cost(n: int, runs: int) -> dict[str, Any]:
    """Seconds of one member's whole round among `n`; the goal is to cost no more than the complete graph does."""
    part = neighbourhood(n)
    pairs = []
    for _ in range(runs):
        pairs.append((timed(lambda: whole_round(part)), timed(lambda: complete_round(n, part))))
    value, complete = (statistics.median(column) for column in zip(*pairs, strict=True))
    against = {"complete graph": complete}
    goal = 1.0 if n > MAX_MEMBERS else None  # up to there it is the complete graph
    return result(f"member_cost_{n}", value, "s", against=against, ratio=value / complete, goal=goal, runs=runs)


@dataclass(frozen=True)
class Neighbourhood:
    """What one member meets: its roster, the neighbours' keys and bundles with their rosters, its key for shares."""

    me: Address
    roster: Roster
    share_key: ShareKey
    keys: dict[Address, Keys]
    bundles: dict[Address, tuple[bytes, Roster]]


def neighbourhood(n: int) -> Neighbourhood:
    """The first of `n` members, with neighbours whose shares are sealed in earnest (all to one key)."""
    graph = graph_of(n)
    me, share_key = graph.members[0], ShareKey.draw(os.urandom)
    public = dict.fromkeys(graph.members, share_key.public)
    keys, bundles = {}, {}
    for dealer in graph.roster_of(me).members:
        if dealer != me:
            state, keys[dealer] = draw(context_of(0), dealer, os.urandom)
            bundle = deal(state, graph.roster_of(dealer), public, os.urandom)[1]
            bundles[dealer] = (bundle.encode(), graph.roster_of(dealer))
    return Neighbourhood(me, graph.roster_of(me), share_key, keys, bundles)


def graph_of(n: int) -> Graph | Roster:
    """The graph for `n`, or up to 64 the roster of all."""
    if n <= MAX_MEMBERS:
        return Roster.of(addresses(n))
    return Graph(addresses(n), *degree_for(n, corrupt=n // 20, dropping=n // 10), BEACON)


def whole_round(part: Neighbourhood) -> MemberState:
    """One member's steps, among neighbours of whom one drops out."""
    public = dict.fromkeys(part.roster.members, part.share_key.public)
    state, mine = draw(context_of(0), part.me, os.urandom)
    state, _ = deal(state, part.roster, public, os.urandom)
    for dealer, (raw, among) in part.bundles.items():
        state = accept(state, dealer, raw, part.share_key, among=among)
    keys = {part.me: mine, **part.keys}
    state, _ = contribute(state, keys, np.ones(LANES, dtype=ring(32)))
    gone = max(part.keys)
    survivors = tuple(sorted(keys.keys() - {gone}))
    return reveal(state, Round(context_of(0), part.roster, keys, survivors))[0]


@dataclass(frozen=True)
class Everybody:
    """The roster that no bundle has room for: `split` asks for no more."""

    members: tuple[Address, ...]
    threshold: int


def complete_round(n: int, part: Neighbourhood) -> None:
    """The same work with all others as neighbours: both secrets split, n - 1 boxes sealed and as many opened, n masks.

    Bundles of n - 1 boxes are neither written nor parsed, which would cost more still.
    """
    everybody = Everybody(addresses(n), n * 2 // 3 + 1)
    state, _ = draw(context_of(0), part.me, os.urandom)
    other, point = next((one, keys.point) for one, keys in part.keys.items())
    masks, info = [Mask(state.seed, 1)], b"info"
    shares = [split(secret, everybody, os.urandom) for secret in (state.scalar, state.seed)]  # type: ignore[arg-type]
    for holder in everybody.members[1:]:
        box = seal(shares[0][holder] + shares[1][holder], part.share_key.public, info)
        part.share_key.open(box, info)
        key = pair_key(state.context, mine=part.me, scalar=state.scalar, other=other, point=point)
        masks.append(Mask(key, sign(part.me, holder)))
    lanes: Lanes = np.ones(LANES, dtype=ring(32))
    add_keystreams(lanes, masks)


def sum_1000() -> dict[str, Any]:
    """1 where the sum of 1,000 members is exact: 50 corrupt ones vanish or answer falsely, 100 drop out on the way."""
    graph = Graph(addresses(1000), *degree_for(1000, corrupt=50, dropping=100), os.urandom(32))
    given = {one: np.frombuffer(os.urandom(400), dtype=ring(32)) for one in graph.members}
    picked = random.sample(graph.members, 150)
    bad, gone = picked[:50], picked[50:]
    absent = Absent(*(frozenset(gone[stage::3]) for stage in range(3)))
    corrupt = Corrupt(vanish=frozenset(bad[::2]), falsify=frozenset(bad[1::2]))
    outcome, _ = run_graph_round(
        given, graph, context=context_of(1), rand=os.urandom, clock=time.perf_counter, absent=absent, corrupt=corrupt
    )  # fmt: skip
    counted = set(graph.members) - absent.keys - absent.contribution - corrupt.vanish
    plain = np.add.reduce([given[one] for one in counted], dtype=ring(32))
    value = int((outcome.total == plain).all())
    return {**result("sum_1000_exact", value, "1 = exact", runs=1), "goal": 1, "holds": value == 1}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
