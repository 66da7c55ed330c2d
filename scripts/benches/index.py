"""How fast a new node indexes an alliance's history: 10,000 real events from Anvil into an empty SQLite database.

Beside it, in the same run, the plain `eth_getLogs` of the same blocks, fetched and parsed but neither checked nor kept.

    python -m scripts.benches.index
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node.chain.client import Chain
from node.chain.deploy import Founder, deploy
from node.chain.embedded import binary
from node.db import Database, events
from node.follow import Follower
from node.keyring import Keyring
from node.model import Digest, Directory, Role, Version

EVENTS, A_BLOCK, RUNS, GOAL = 10_000, 10, 3, 3000
ACCOUNT = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")  # Anvil's first


def run() -> dict[str, Any]:
    """Events a second, median of RUNS, each into a database of its own."""
    with tempfile.TemporaryDirectory() as name, _anvil() as url:
        folder, chain = Path(name), Chain.connect(url)
        directory = _history(url, chain, folder)
        indexed = [_index(chain, directory, folder / f"{i}.db") for i in range(RUNS)]
        fetched = [_fetch(url, chain, directory) for _ in range(RUNS)]
    ours, plain = (EVENTS / statistics.median(times) for times in (indexed, fetched))
    result = {
        "name": "index_events_s",
        "value": round(ours),
        "unit": "events/s",
        "against": {"eth_getLogs alone": round(plain)},
        "ratio": round(ours / plain, 3),
        "goal": GOAL,
        "holds": ours >= GOAL,
    }
    return {"bench": "index", "runs": RUNS, "results": [result]}


def _index(chain: Chain, directory: Directory, path: Path) -> float:
    """Seconds to follow from an empty database to the head, all of it verified."""
    with Database.open(f"sqlite:///{path}") as db:
        follower = Follower(db, chain, directory, depth=0)
        began = time.perf_counter()
        seen = follower.step(seconds=300)
        took = time.perf_counter() - began
        with db.reading() as tx:
            found = sum(1 for _ in events.read(tx, contracts=["Datasets"]))
    if not (seen.caught_up and seen.final == seen.head and found == EVENTS):
        raise SystemExit(f"index: {found} of {EVENTS} events, {seen}")
    return took


def _fetch(url: str, chain: Chain, directory: Directory) -> float:
    """Seconds for the same logs in ranges as large as ours."""
    head, addresses = chain.block("latest").number, [entry.at for entry in directory.entries]
    began, found = time.perf_counter(), 0
    for first in range(directory.born, head + 1, 2000):
        where = {"address": addresses, "fromBlock": hex(first), "toBlock": hex(min(first + 1999, head))}
        found += len(_ask(url, [("eth_getLogs", [where])])[0])
    took = time.perf_counter() - began
    if found < EVENTS:
        raise SystemExit(f"index: eth_getLogs gave {found} of {EVENTS}")
    return took


def _history(url: str, chain: Chain, folder: Path) -> Directory:
    """An alliance of one that has published EVENTS datasets, A_BLOCK in each block."""
    ring = Keyring.create(folder / "keys", b"bench", account_key=ACCOUNT, scrypt_n=2)
    directory = deploy(chain, ring, [Founder(ring.address, Role.MEMBER, _word(1))], delay=1)
    at, content = directory.address("Datasets"), Version(_word(1), _word(2), _word(3), uses=3, budget=0)
    nonce = chain.nonce(ring.address)
    _ask(url, [("evm_setAutomine", [False]), ("anvil_impersonateAccount", [ring.address])])  # no time for signing
    for first in range(0, EVENTS, A_BLOCK):
        calls = []
        for i in range(first, first + A_BLOCK):
            data = "0x" + chain.encode("Datasets", "publish", _word(i), content).hex()
            fields = {"from": ring.address, "to": at, "data": data, "gas": hex(200_000), "nonce": hex(nonce + i)}
            calls.append(("eth_sendTransaction", [fields]))
        _ask(url, [*calls, ("evm_mine", [])])
    return directory


def _ask(url: str, calls: list[tuple[str, list[Any]]]) -> list[Any]:
    body = [{"jsonrpc": "2.0", "id": i, "method": m, "params": p} for i, (m, p) in enumerate(calls)]
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        answers = json.load(response)
    if any("error" in answer for answer in answers):
        raise SystemExit(f"index: {next(a['error'] for a in answers if 'error' in a)}")
    return [answer["result"] for answer in sorted(answers, key=lambda answer: answer["id"])]


@contextmanager
def _anvil() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--silent", "--gas-price", "0", "--base-fee", "0", "--prune-history", "256"]
    process = subprocess.Popen([str(binary()), "--port", str(port), *options], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url)
        yield url
    finally:
        process.kill()
        process.wait(20)


def _await(url: str) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            _ask(url, [("eth_chainId", [])])
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _word(number: int) -> Digest:
    return Digest(f"0x{number:064x}")


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
