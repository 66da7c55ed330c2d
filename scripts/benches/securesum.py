"""How fast a member masks, deals and sums, against the floor of the machine: the ChaCha20 keystream it cannot avoid.

The floor is measured in the same run, interleaved with what it is compared to, and both in processor seconds of their
one thread, because the machine is shared; dealing and rounds are in seconds on the clock.

    python scripts/benches/securesum.py
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from federation.securesum import Mask, Roster, ShareKey, add_keystreams, deal, draw
from federation.simulate import addresses, context_of, run_round
from federation.vectors import ring

CHUNK = 1 << 18
MASKS = [(10**6, 10, 32), (10**6, 10, 64), (10**7, 10, 32), (10**7, 10, 64), (10**7, 50, 32)]


def run(runs: int = 5) -> dict[str, Any]:
    """Medians of `runs` runs, as the bench document; a few seconds."""
    results = [mask(lanes, neighbours, width, runs) for lanes, neighbours, width in MASKS]
    return {"bench": "securesum", "runs": runs, "results": [*results, deal_51(runs), round_4(runs)]}


def mask(count: int, neighbours: int, width: int, runs: int) -> dict[str, Any]:
    """One own mask and one for each neighbour over `count` lanes, against the bare keystream of as many bytes."""
    lanes = np.zeros(count, dtype=ring(width))
    masks = [Mask(os.urandom(32), 1 if i % 2 else -1) for i in range(neighbours + 1)]
    steps = (lambda: add_keystreams(lanes, masks), lambda: keystream(lanes.nbytes, masks))
    pairs = [tuple(timed(step, time.process_time) for step in steps) for _ in range(runs)]
    value, floor = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(masked / bare for masked, bare in pairs)  # of neighbours in time: the load is the same
    name = f"mask_1e{len(str(count)) - 1}_{neighbours}_u{width}"
    return result(name, value, "cpu s", against={"chacha20 keystream": floor}, ratio=ratio, goal=1.5)


def keystream(size: int, masks: list[Mask]) -> None:
    """`size` bytes under every key, in chunks that stay in cache, thrown away."""
    zeros, out = bytes(CHUNK), bytearray(CHUNK)
    for one in masks:
        cipher = Cipher(algorithms.ChaCha20(one.key, bytes(16)), mode=None).encryptor()
        for start in range(0, size, CHUNK):
            cipher.update_into(zeros[: size - start], out)


def deal_51(runs: int) -> dict[str, Any]:
    """Both secrets of one member shared and sealed to 50 others, threshold 35."""
    roster = Roster.of(addresses(51))
    public = ShareKey.draw(os.urandom).public
    state, _ = draw(context_of(0), roster.members[0], os.urandom)
    share_keys = dict.fromkeys(roster.members, public)
    value = statistics.median(timed(lambda: deal(state, roster, share_keys, os.urandom)) for _ in range(runs))
    return result("deal_51", value, "s")


def round_4(runs: int) -> dict[str, Any]:
    """A whole round of 4 members and 277 lanes (logistic regression, 21 columns), all members in one process."""
    vectors = {member: np.zeros(277, dtype=ring(64)) for member in addresses(4)}
    value = statistics.median(
        timed(lambda: run_round(vectors, context=context_of(0), rand=os.urandom)) for _ in range(runs)
    )
    return result("round_4_277_u64", value, "s", goal=0.1)


def result(
    name: str, value: float, unit: str, *, against: dict[str, float] | None = None, ratio: float | None = None,
    goal: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One row; where there is a goal, the ratio to the peer (or, without a peer, the value) must not be over it."""
    holds = None if goal is None else (value if ratio is None else ratio) <= goal
    return {"name": name, "value": value, "unit": unit, "against": against or {}, "ratio": ratio, "goal": goal,
            "holds": holds}  # fmt: skip


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that `work` takes by `clock`."""
    start = clock()
    work()
    return clock() - start


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
