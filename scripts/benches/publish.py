"""Publishing and fetching 1 GiB, whole stories on a real chain, against what the parts alone allow in the same run.

`publish_mib_s`: from the file to the settled transaction. `fetch_mib_s`: from another member's running gateway over
HTTP into a file under its name, receipt on chain. The limit is one pass each of SHA-256, FLOE and write + fsync over
the same bytes, one after the other. `publish_memory_mb`: growth of the process's peak over what it has after a small
publication. Each story runs in a process of its own; the file's bytes are in the page cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from node.demo.processes import PASSPHRASE, Alliance, as_soon_as_known, started
from node.encryption import floe

SIZE = 1 << 30
MIB = 1 << 20
RUNS = 3
SECONDS = 600
GOAL, MEMORY_GOAL = 0.6, 200.0
KEY = bytes(range(32))


def run() -> dict[str, Any]:
    """Medians of three runs; a minute or two, 6 GiB of disk."""
    with tempfile.TemporaryDirectory(prefix="hanse-bench-") as folder:
        source = Path(folder) / "source"
        source.write_bytes(b"")
        _fill(source, SIZE)
        with started(Path(folder) / "alliance", ("alice", "bob")) as alliance:
            measured = [_once(alliance, source, Path(folder), number) for number in range(RUNS)]
    middle = {name: statistics.median(one[name] for one in measured) for name in measured[0]}
    return {"bench": "publish", "runs": RUNS, "results": _rows(middle)}


def _rows(found: dict[str, float]) -> list[dict[str, Any]]:
    publish = _rate("publish_mib_s", found["publish_s"], found["sha_s"] + found["seal_s"] + found["write_s"])
    fetch = _rate("fetch_mib_s", found["fetch_s"], found["sha_s"] + found["open_s"] + found["write_s"])
    memory = {"name": "publish_memory_mb", "value": found["publish_mb"], "unit": "MB", "against": {}, "ratio": None,
              "goal": MEMORY_GOAL, "holds": found["publish_mb"] < MEMORY_GOAL}  # fmt: skip
    parts = {name: round(SIZE / MIB / found[f"{name}_s"], 1) for name in ("sha", "seal", "open", "write")}
    publish["against"] |= {f"{name} alone": rate for name, rate in parts.items() if name != "open"}
    fetch["against"] |= {f"{name} alone": rate for name, rate in parts.items() if name != "seal"}
    return [publish, fetch, memory]


def _rate(name: str, took: float, limit: float) -> dict[str, Any]:
    value, most = SIZE / MIB / took, SIZE / MIB / limit
    return {"name": name, "value": round(value, 1), "unit": "MiB/s", "against": {"the parts together": round(most, 1)},
            "ratio": round(value / most, 3), "goal": GOAL, "holds": value / most >= GOAL}  # fmt: skip


def _once(alliance: Alliance, source: Path, folder: Path, number: int) -> dict[str, float]:
    alice, bob = alliance.people["alice"], alliance.people["bob"]
    found = _parts(source, folder)
    published = _child("publish", alice.home, str(source), str(number))
    terms = {"dataset": published["dataset"], "purposes": ["research"], "days": 30}
    asked = as_soon_as_known(lambda: bob.post("/requests", terms))
    as_soon_as_known(lambda: alice.post(f"/requests/{asked['id']}/grant"))
    destination = folder / f"fetched-{number}"
    fetched = _child("fetch", bob.home, asked["id"], str(destination))
    if not _same(source, destination):
        raise AssertionError("what was fetched is not what was published")
    destination.unlink()
    return found | {"publish_s": published["s"], "publish_mb": published["mb"], "fetch_s": fetched["s"]}


def _parts(source: Path, folder: Path) -> dict[str, float]:
    """Seconds of each part alone over the whole file."""
    return {
        "sha_s": _timed(lambda: _hash(source)),
        "seal_s": _timed(lambda: _seal(source)),
        "open_s": _opening(source, folder / "sealed"),
        "write_s": _timed(lambda: _write(source, folder / "copy")),
    }


def _hash(source: Path) -> None:
    with source.open("rb", buffering=0) as file:
        hashlib.file_digest(file, "sha256")


def _seal(source: Path) -> None:
    with source.open("rb", buffering=0) as file:
        for _ in floe.seal(KEY, b"", file, random=os.urandom):
            pass


def _opening(source: Path, sealed: Path) -> float:
    with source.open("rb", buffering=0) as file, sealed.open("wb") as out:
        out.writelines(floe.seal(KEY, b"", file, random=os.urandom))
    with sealed.open("rb", buffering=0) as file:
        took = _timed(lambda: floe.open_to(KEY, b"", file, _Nowhere()))
    sealed.unlink()
    return took


class _Nowhere:
    def write(self, data: memoryview) -> int:
        return len(data)


def _write(source: Path, copy: Path) -> None:
    with source.open("rb", buffering=0) as file, copy.open("wb", buffering=0) as out:
        while piece := file.read(MIB):
            out.write(piece)
        os.fsync(out.fileno())
    copy.unlink()


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // (64 * MIB)):
            file.write(os.urandom(64 * MIB))


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        return hashlib.file_digest(first, "sha256").digest() == hashlib.file_digest(second, "sha256").digest()


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _child(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "scripts.benches.publish", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise AssertionError(done.stderr.decode(errors="replace")[-3000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _publish(home: str, source: str, number: str) -> dict[str, Any]:
    from node.publish import publish
    from node.wiring import Node

    with Node.open(Path(home), passphrase=PASSPHRASE) as node:
        small = Path(home) / f"small-{number}"
        _fill(small, 64 * MIB)
        publish(node, small, title=f"small {number}", key=f"small {number}")
        before, began = _peak_mb(), time.perf_counter()
        made = publish(node, Path(source), title=f"large {number}", key=f"large {number}")
        return {"dataset": made.dataset, "s": time.perf_counter() - began, "mb": _peak_mb() - before}


def _fetch(home: str, grant: str, destination: str) -> dict[str, Any]:
    from node.fetch import fetch
    from node.model import GrantId
    from node.wiring import Node

    with Node.open(Path(home), passphrase=PASSPHRASE) as node:
        began = time.perf_counter()
        fetch(node, GrantId(grant), Path(destination), purposes=("research",))
        return {"s": time.perf_counter() - began}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    story = {"publish": _publish, "fetch": _fetch}[sys.argv[1]]
    print(json.dumps(story(*sys.argv[2:])))
