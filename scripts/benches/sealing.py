"""How fast files are sealed and opened, against AES-256-GCM alone on this machine; and a tree, a wrap, an unlocking.

The floor is measured in the same run, interleaved with what it is compared to, because the machine is shared.

    python scripts/benches/sealing.py
"""

from __future__ import annotations

import io
import json
import os
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node import merkle
from node.encryption import floe, wrap
from node.keyring import Keyring
from node.model import Address, DatasetId, GrantId
from node.signature import recover

SIZE = 1 << 28
KEY = bytes(32)


def run(runs: int = 5) -> dict[str, Any]:
    """Medians of `runs` runs, as the bench document; a few seconds."""
    return {"bench": "sealing", "runs": runs, "results": [*streams(runs), tree(runs), *keys(runs)]}


def streams(runs: int) -> list[dict[str, Any]]:
    """GiB/s over 256 MiB in memory: seal, open in sequence, open through the seekable reader."""
    plain = os.urandom(SIZE)
    sealed = b"".join(floe.seal(KEY, b"", io.BytesIO(plain), random=os.urandom))
    work: dict[str, Callable[[], object]] = {
        "floor": lambda: bare_aes(memoryview(plain)),
        "seal": lambda: [None for _ in floe.seal(KEY, b"", io.BytesIO(plain), random=os.urandom)],
        "open": lambda: floe.open_to(KEY, b"", io.BytesIO(sealed), Nowhere()),
        "open_seekable": lambda: read_all(floe.Opener(KEY, b"", io.BytesIO(sealed))),
    }
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(runs):
        for name, act in work.items():
            taken[name].append(SIZE / timed(act) / 2**30)
    floor, *rates = (round(statistics.median(values), 2) for values in taken.values())
    against = {"AES-256-GCM alone, 64 KiB, one buffer": floor}
    names = list(work)[1:]
    return [result(name, rate, "GiB/s", against=against, goal=2.5) for name, rate in zip(names, rates, strict=True)]


def tree(runs: int) -> dict[str, Any]:
    """Seconds for the root of 1,000,000 uint32 values in leaves of 256 bytes."""
    vector = os.urandom(4 * 10**6)
    return result("merkle_root_1e6_u32", median(lambda: merkle.vector_root(vector), runs), "s")


def keys(runs: int) -> list[dict[str, Any]]:
    """Seconds to wrap a file key, to open a wrap, and to unlock a keyring."""
    with tempfile.TemporaryDirectory() as folder:
        ring = Keyring.create(Path(folder), b"bench")
        unlocking = median(lambda: Keyring.open(Path(folder), b"bench"), runs)
        zero = "0x" + "00" * 32
        context = wrap.WrapContext(
            1, Address("0x" + "00" * 20), DatasetId(zero), 1, "bafy", GrantId(zero), ring.hpke.public.digest
        )
        public = wrap.PublicKey(ring.hpke.public.raw)
        wrapping = median(lambda: wrap.wrap(KEY, public, context, sign=ring.sign_digest), runs)
        record = wrap.wrap(KEY, public, context, sign=ring.sign_digest).encode()
        expected = wrap.Expected(context, ring.address, recover)
        opening = median(lambda: wrap.open_wrap(record, ring.hpke, expected), runs)
    return [result("wrap", wrapping, "s"), result("open_wrap", opening, "s"), result("keyring_open", unlocking, "s")]


def bare_aes(plain: memoryview) -> None:
    """The cipher and nothing else, in segments of FLOE's size into one buffer."""
    aead, step = AESGCM(KEY), floe.DEFAULT.plain
    out = memoryview(bytearray(step + 16))
    for number, start in enumerate(range(0, len(plain), step)):
        piece = plain[start : start + step]
        aead.encrypt_into(struct.pack(">IQ", 0, number), piece, None, out[: len(piece) + 16])


def read_all(reader: floe.Opener) -> None:
    buffer = bytearray(1 << 20)
    while reader.readinto(buffer):
        pass


class Nowhere:
    def write(self, data: memoryview, /) -> None:
        pass


def result(
    name: str, value: float, unit: str, *, against: dict[str, float] | None = None, goal: float | None = None
) -> dict[str, Any]:
    """One row; where there is a goal, a rate must reach it."""
    holds = None if goal is None else value >= goal
    ratio = round(value / min(against.values()), 3) if against else None
    return {"name": name, "value": value, "unit": unit, "against": against or {}, "ratio": ratio, "goal": goal,
            "holds": holds}  # fmt: skip


def median(work: Callable[[], object], runs: int) -> float:
    return round(statistics.median(timed(work) for _ in range(runs)), 6)


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
