"""How fast a member masks and deals and anybody unmasks, against the machine's floor and against Flower's SecAgg+.

The floor is the ChaCha20 keystream that cannot be avoided, on as many threads, interleaved with what it is compared
to; Flower's own functions (`flower`) take turns with ours too, the minute-long ones once. All in seconds on the clock;
a ratio is the median over neighbours in time, because the machine is shared: below 1 is faster than what it is against.

    python -m scripts.benches.securesum
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from federation.securesum import (
    Address,
    Keys,
    MemberState,
    Reveal,
    Roster,
    Round,
    Secrets,
    Share,
    ShareKey,
    aggregate,
    contribute,
    deal,
    draw,
    recover,
)
from federation.securesum.shares import Bundle, Entry, _weights, combine, digest, split
from federation.simulate import addresses, context_of, run_round
from federation.vectors import Block, Lanes, Layout, in_stretches, ring, to_bytes
from scripts.benches import flower
from scripts.benches.flower import Flower

CHUNK, STRETCH = 1 << 17, 1 << 20
SIZES = [(10**6, 10), (10**6, 50), (10**7, 10), (10**7, 50)]
UNMASKED = [(10**6, 0), (10**6, 5), (10**7, 0), (10**7, 5)]  # Flower would need minutes for the last two
FLOOR_GOAL, FLOWER_GOAL, UNMASK_GOAL, DEAL_GOAL = 1.5, 1 / 10, 1 / 20, 1 / 10


def run(runs: int = 5) -> dict[str, Any]:
    """Medians of `runs` runs, or of as many as a row says, as the bench document; minutes, most of them Flower's."""
    with flower.started() as peer:
        results = [row for count, neighbours in SIZES for row in masks(count, neighbours, runs, peer)]
        results += [mask_memory(), upload(peer)]
        results += [unmask(count, gone, runs, peer) for count, gone in UNMASKED]
        for members in (51, 101):
            results += [deal_row(members, runs, peer), combine_row(members, runs, peer)]
    return {"bench": "securesum", "runs": runs, "results": [*results, round_4(runs)]}


def member(neighbours: int) -> tuple[MemberState, dict[Address, Keys]]:
    """One member ready to contribute, and everybody's keys."""
    roster = Roster.of(addresses(neighbours + 1))
    drawn = {one: draw(context_of(0), one, os.urandom) for one in roster.members}
    keys = {one: pair[1] for one, pair in drawn.items()}
    share_keys = dict.fromkeys(roster.members, ShareKey.draw(os.urandom).public)
    state, _ = deal(drawn[roster.members[0]][0], roster, share_keys, os.urandom)
    return state, keys


def masks(count: int, neighbours: int, runs: int, peer: Flower | None) -> list[dict[str, Any]]:
    """`contribute` over both rings against floor; in Flower's ring, 2^32, from floats on against Flower's client too.

    Against Flower, ours is `encode_record` and `contribute`: all that a member does between its values and the bytes
    that leave. The ring 2^64 has no equal there; its rows show Flower's seconds without a goal.
    """
    state, keys = member(neighbours)
    values = np.random.default_rng(0).standard_normal(count, dtype=np.float32)
    plan = Layout(32, neighbours + 1, 1, (Block("w", count, 16, 8.0),))
    vectors: dict[int, Lanes] = {width: np.ones(count, dtype=ring(width)) for width in (32, 64)}
    taken: dict[str, list[float]] = {}
    for at in range(runs):
        for width, lanes in vectors.items():
            size = lanes.nbytes
            taken.setdefault(f"floor {width}", []).append(timed(lambda size=size: keystream(size, neighbours + 1)))
            taken.setdefault(f"ours {width}", []).append(timed(lambda lanes=lanes: contribute(state, keys, lanes)))
        if at == 0 or count * neighbours < 5 * 10**8:
            whole = timed(lambda: contribute(state, keys, plan.encode_record({"w": values})))
            taken.setdefault("whole", []).append(whole)
            if peer:
                taken.setdefault("flower", []).append(peer.ask("mask", count, neighbours))
    name = f"mask_{short(count)}_{neighbours}"
    rows = [against_floor(f"{name}_u{width}", taken, width, runs) for width in vectors]
    return [*rows, against_flower(f"{name}_u32_flower", taken["whole"], taken.get("flower", []), FLOWER_GOAL)]


def against_floor(name: str, taken: dict[str, list[float]], width: int, runs: int) -> dict[str, Any]:
    ours, floor = taken[f"ours {width}"], taken[f"floor {width}"]
    against = {"floor": statistics.median(floor)}
    if "flower" in taken:
        against["flower"] = statistics.median(taken["flower"])
    return result(name, statistics.median(ours), "s", against=against, ratio=paired(ours, floor), goal=FLOOR_GOAL,
                  runs=runs)  # fmt: skip


def against_flower(name: str, ours: list[float], theirs: list[float], goal: float) -> dict[str, Any]:
    """One row whose only goal is Flower; without Flower it has none."""
    value = statistics.median(ours)
    if not theirs:
        return result(name, value, "s", runs=len(ours))
    against = {"flower": statistics.median(theirs)}
    return result(name, value, "s", against=against, ratio=paired(ours, theirs), goal=goal, runs=len(theirs))


def keystream(size: int, keys: int) -> None:
    """`size` bytes under each of `keys` keys, in chunks that stay in cache, on as many threads, thrown away."""
    zeros = bytes(CHUNK)

    def stretch(begin: int) -> None:
        out, end = bytearray(CHUNK), min(begin + STRETCH, size)
        ciphers = [Cipher(algorithms.ChaCha20(bytes(32), bytes(16)), mode=None).encryptor() for _ in range(keys)]
        for start in range(begin, end, CHUNK):
            blank = zeros[: end - start]
            for cipher in ciphers:
                cipher.update_into(blank, out)

    in_stretches(stretch, size, STRETCH)


def mask_memory() -> dict[str, Any]:
    """How much a process grows at its peak while it makes and masks a vector of 1e7 lanes, in vectors."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
        value = child.submit(memory_grown, 10**7, 10).result()
    return result("mask_memory_1e7_u32", value, "vectors", goal=2, runs=1)


def memory_grown(count: int, neighbours: int) -> float:
    """Runs in a process of its own: the kernel's high-water mark of resident memory after, less what was resident."""
    state, keys = member(neighbours)
    contribute(state, keys, np.zeros(STRETCH, dtype=ring(32)))  # threads and buffers exist once
    before = resident("VmRSS")
    lanes: Lanes = np.zeros(count, dtype=ring(32))
    contribute(state, keys, lanes)
    return (resident("VmHWM") - before) / lanes.nbytes


def resident(field: str) -> int:
    """Bytes, from Linux."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


def upload(peer: Flower | None) -> dict[str, Any]:
    """Bytes that leave a member for each value in the ring 2^32."""
    count = 10**6
    state, keys = member(10)
    _, masked = contribute(state, keys, np.zeros(count, dtype=ring(32)))
    value = len(to_bytes(masked)) / count
    if peer is None:
        return result("upload_u32", value, "bytes a value", runs=1)
    theirs = peer.ask("upload", count, 10)
    return result(
        "upload_u32", value, "bytes a value", against={"flower": theirs}, ratio=value / theirs, goal=0.5, runs=1
    )


def unmask(count: int, gone: int, runs: int, peer: Flower | None) -> dict[str, Any]:
    """Secrets recovered and the sum made from public bytes, n = 51, ring 2^32, `gone` members dropped out late."""
    round, reveals, bundles = finished(51, gone)
    lanes: Lanes = np.ones(count, dtype=ring(32))
    contributions = dict.fromkeys(round.survivors, lanes)
    keys = len(round.survivors) * (1 + gone)
    runs = runs if count < 10**7 else min(runs, 3)
    floor, ours = [], []
    for _ in range(runs):
        floor.append(timed(lambda: keystream(lanes.nbytes, keys)))
        _weights.cache_clear()
        ours.append(timed(lambda: aggregate(round, contributions, opened(round, reveals, bundles))))
    against = {"floor": statistics.median(floor)}
    name = f"unmask_{short(count)}_51_drop{gone}"
    if peer is None or count > 10**6:
        return result(name, statistics.median(ours), "s", against=against, runs=runs)
    theirs = peer.ask("unmask", count, 51, gone)
    against["flower"] = theirs
    value = statistics.median(ours)
    return result(name, value, "s", against=against, ratio=value / theirs, goal=UNMASK_GOAL, runs=runs)


def opened(round: Round, reveals: list[Reveal], bundles: dict[Address, Bundle]) -> Secrets:
    return recover(round, reveals, bundles)


def finished(members: int, gone: int) -> tuple[Round, list[Reveal], dict[Address, Bundle]]:
    """What is public of a round after the reveals; the boxes of shares, which nobody opens any more, are left empty."""
    roster = Roster.of(addresses(members))
    drawn = {one: draw(context_of(0), one, os.urandom) for one in roster.members}
    survivors, dropped = roster.members[gone:], roster.members[:gone]
    shares = {one: split(drawn[one][0].scalar, roster, os.urandom) for one in dropped}
    bundles = {
        one: Bundle(context_of(0), one, tuple(Entry(m, digest(share), bytes(32), b"") for m, share in given.items()))
        for one, given in shares.items()
    }
    reveals = [
        Reveal(one, drawn[one][0].seed, tuple(Share(other, shares[other][one]) for other in dropped))
        for one in survivors
    ]
    return Round(context_of(0), roster, {one: pair[1] for one, pair in drawn.items()}, survivors), reveals, bundles


def deal_row(members: int, runs: int, peer: Flower | None) -> dict[str, Any]:
    """Both secrets of one member shared and sealed to all others, threshold floor(2n/3) + 1."""
    roster = roster_of(members)
    state, _ = draw(context_of(0), roster.members[0], os.urandom)
    share_keys = dict.fromkeys(roster.members, ShareKey.draw(os.urandom).public)
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(timed(lambda: deal(state, roster, share_keys, os.urandom)))
        theirs += [peer.ask("deal", members)] if peer else []
    return against_flower(f"deal_{members}", ours, theirs, DEAL_GOAL)


def combine_row(members: int, runs: int, peer: Flower | None) -> dict[str, Any]:
    """Both secrets of one member rebuilt from as many shares as it takes; weights not known yet."""
    roster = roster_of(members)
    given = [split(os.urandom(31).rjust(32, b"\0"), roster, os.urandom) for _ in range(2)]
    enough = [{roster.place(m): one[m] for m in roster.members[: roster.threshold]} for one in given]
    ours, theirs = [], []
    for _ in range(runs):
        _weights.cache_clear()
        ours.append(timed(lambda: [combine(shares) for shares in enough]))
        theirs += [peer.ask("combine", members)] if peer else []
    return against_flower(f"combine_{members}", ours, theirs, DEAL_GOAL)


def roster_of(members: int) -> Roster:
    return Roster(addresses(members), members * 2 // 3 + 1)


def round_4(runs: int) -> dict[str, Any]:
    """A whole round of 4 members and 277 lanes (logistic regression, 21 columns), all members in one process."""
    vectors = {one: np.zeros(277, dtype=ring(64)) for one in addresses(4)}
    value = statistics.median(
        timed(lambda: run_round(vectors, context=context_of(0), rand=os.urandom)) for _ in range(runs)
    )
    return result("round_4_277_u64", value, "s", goal=0.1, runs=runs)


def short(count: int) -> str:
    return f"1e{len(str(count)) - 1}"


def paired(ours: list[float], theirs: list[float]) -> float:
    """The median ratio of what was measured one after the other."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def result(
    name: str, value: float, unit: str, *, against: dict[str, float] | None = None, ratio: float | None = None,
    goal: float | None = None, runs: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One row; where there is a goal, the ratio to the peer (or, without a peer, the value) must not be over it.

    `runs`: how many, where the row has another number of them than the document says.
    """
    holds = None if goal is None else (value if ratio is None else ratio) <= goal
    row = {"name": name, "value": value, "unit": unit, "against": against or {}, "ratio": ratio, "goal": goal,
           "holds": holds}  # fmt: skip
    return row if runs is None else row | {"runs": runs}


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that `work` takes by `clock`."""
    start = clock()
    work()
    return clock() - start


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
