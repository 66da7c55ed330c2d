"""What the demo starts: an embedded chain, a node a hospital in a process of its own, and a client for each.

    with started(folder, names) as people:
        people["Cleveland"].post("/requests", {...})

Everything stops when the block ends; `keep` leaves it running.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node import home, tokens
from node.chain import embedded
from node.db import Database
from node.errors import Conflict, HanseError, NotFinal, NotFound, Refused, Retry, Untrusted
from node.model import Address, Digest, Time, raw
from node.settings import Settings
from node.store import Cid
from node.tables import PARQUET

START_SECONDS = 240.0
REQUEST_SECONDS = 300.0
KINDS = {".csv": "text/csv", ".parquet": PARQUET}
PASSPHRASE = b"a demo's passphrase protects a demo"
_FAMILIES: dict[str, type[HanseError]] = {
    kind.code: kind for kind in (Refused, Conflict, NotFound, NotFinal, Retry, Untrusted)
}


@dataclass(frozen=True)
class Person:
    """A member of the demo: its node's home, address and URL, and a token for its API."""

    name: str
    home: Path
    account: Address
    url: str
    token: str

    def get(self, path: str) -> Any:
        return self._ask("GET", path)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self._ask("POST", path, json=body, params=query)

    def block(self, digest: Digest) -> bytes:
        """The public bytes of a digest, from the node's gateway. Untrusted where they are others."""
        import httpx2

        url = f"{self.url}/ipfs/{Cid.raw(raw(digest))}?format=raw"
        answer = httpx2.get(url, timeout=REQUEST_SECONDS)
        if not answer.is_success:
            raise Retry(f"{self.name}'s gateway says {answer.status_code}", clause="gateway", seen=url)
        seen = "0x" + hashlib.sha256(answer.content).hexdigest()
        if seen != digest:
            raise Untrusted(f"{self.name} serves other bytes", clause="digest", seen=seen, needed=digest)
        return bytes(answer.content)

    def upload(self, path: str, file: Path, **query: Any) -> Any:
        """POST a file as the body, streamed."""
        with file.open("rb") as stream:
            headers = {"Content-Type": KINDS[file.suffix], "Content-Length": str(file.stat().st_size)}
            return self._ask("POST", path, content=stream, headers=headers, params=query)

    def _ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any) -> Any:
        import httpx2

        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        try:
            answer = httpx2.request(method, self.url + path, headers=sent, timeout=REQUEST_SECONDS, **request)
        except httpx2.HTTPError as exc:
            raise Retry(f"{self.name}'s node does not answer: {exc}", clause="node", seen=self.url) from exc
        document = answer.json()
        if answer.is_success:
            return document
        kind = _FAMILIES.get(document.get("code", ""), Retry)
        details = {name: document.get(name) for name in ("clause", "seen", "needed", "hint")}
        raise kind(document.get("message", f"{self.name}'s node says {answer.status_code}"), **details)


@dataclass(frozen=True)
class Alliance:
    """What runs: the chain, the Consortium's address, the people, and the processes by name."""

    rpc: str
    consortium: Address
    people: dict[str, Person]
    processes: dict[str, int]

    def memory_mb(self) -> float | None:
        """Proportional set size of all processes and this one, in MB; None where the system does not tell."""
        sizes = [_pss_kb(pid) for pid in (*self.processes.values(), os.getpid())]
        return None if None in sizes else round(sum(size for size in sizes if size) / 1000, 1)


@contextmanager
def started(folder: Path, names: Sequence[str], *, keep: bool = False) -> Iterator[Alliance]:
    """Chain, contracts and nodes. `keep`: they go on running after the block."""
    with ExitStack() as stack:
        chain = embedded.up(folder / "chain", port=0)
        if not keep:
            stack.callback(embedded.down, folder / "chain")
        homes = _homes(folder, names, chain.url)
        consortium = home.found(homes[names[0]], PASSPHRASE, [home.founder_of(h) for h in homes.values()], delay=60)
        for path in homes.values():
            home.join(path, consortium)
        secrets = {name: _token(path) for name, path in homes.items()}
        nodes = {name: _node(path) for name, path in homes.items()}
        if not keep:
            stack.callback(_stop, list(nodes.values()))
        people = {name: _person(name, path, secrets[name]) for name, path in homes.items()}
        for name, person in people.items():
            _await(person, nodes[name])
        pids = {name: node.pid for name, node in nodes.items()} | {"chain": chain.pid}
        yield Alliance(chain.url, consortium, people, pids)


def as_soon_as_known(act: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """Do it as soon as the other node has seen what it depends on: a node follows the chain, it does not guess."""
    until = time.monotonic() + seconds
    while True:
        try:
            return act()
        except HanseError as exc:
            if exc.code != "not_found" or time.monotonic() > until:
                raise
            time.sleep(0.1)


def refused(act: Callable[[], Any]) -> dict[str, Any]:
    """The reason why it was refused; an error where it was not."""
    try:
        act()
    except Refused as no:
        return no.record()
    raise AssertionError("this should have been refused")


def eventually(holds: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    """Wait until it holds. Raises NotFinal, saying `what` was waited for."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise NotFinal(f"waited in vain for {what}", clause="deadline")
        time.sleep(0.1)


def _homes(folder: Path, names: Sequence[str], rpc: str) -> dict[str, Path]:
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    (folder / "passphrase").write_bytes(PASSPHRASE)
    (folder / "passphrase").chmod(0o600)

    def made(name: str) -> Path:
        others = tuple(f"http://127.0.0.1:{port}" for other, port in ports.items() if other != name)
        settings = Settings(
            folder / name.lower().replace(" ", "-"), name=name, rpc=rpc, listen=f"127.0.0.1:{ports[name]}",
            endpoints=(f"http://127.0.0.1:{ports[name]}",), peers=others, profile="development", poll=0.1,
        )  # fmt: skip
        home.create(settings, PASSPHRASE)
        return settings.home

    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(made, names), strict=True))


def _token(path: Path) -> str:
    with Database.open(Settings.load(path).database_url) as db:
        return tokens.create(db, label="demo", scopes=tokens.SCOPES, days=1, at=Time(int(time.time()))).secret


def _node(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "node.cli", "node", "run", "--home", str(path)]
    command += ["--passphrase-file", str(path.parent / "passphrase")]
    with (path / "node.log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _person(name: str, path: Path, token: str) -> Person:
    settings = Settings.load(path)
    account = home.founder_of(path).account
    return Person(name, path, account, settings.endpoints[0], token)


def _await(person: Person, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            said = (person.home / "node.log").read_text(errors="replace")[-2000:]
            raise Retry(f"{person.name}'s node ended at once: {said}", clause="node", seen=process.returncode)
        try:
            person.get("/health")
            return
        except Retry:
            time.sleep(0.1)
    raise Retry(f"{person.name}'s node did not start within {START_SECONDS:.0f} seconds", clause="node")


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now."""
    import socket

    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _pss_kb(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), None)
