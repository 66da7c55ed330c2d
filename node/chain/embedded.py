"""The embedded chain: one Anvil of the node's own, on loopback, without fees, outliving the command that starts it.

For trying and for tests; an alliance runs its own chain. Blocks come on demand. Its state is one file, written every
two seconds and on `down`: a SIGKILL goes back at most that far. It holds a lock for as long as it runs, so that a
process id used again by another program is never taken for it.

    running = up(folder)            # Running(url="http://127.0.0.1:8545", ...)
    down(folder)
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from node.errors import Misuse, Retry

CHAIN_ID = 31337
PORT = 8545
SECONDS = 20.0
INTERVAL = 2
"""Seconds between two writes of the state."""

KEPT = 256
"""Blocks whose state stays in memory; without a bound Anvil fills the disk."""


@dataclass(frozen=True, slots=True)
class Running:
    """An Anvil that runs. `restored`: its state file was broken, and the last good copy (or nothing) took its place."""

    url: str
    port: int
    pid: int
    restored: bool


def up(folder: Path, *, port: int = PORT, seconds: float = SECONDS) -> Running:
    """Start the embedded chain, or find it running. `port` 0 takes a free one.

    Retry where there is no Anvil, the port is taken, or it does not answer within `seconds`.
    """
    until = time.monotonic() + seconds
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            with _lock(folder) as lock:
                if lock is not None:
                    return _begin(folder, port, lock, until)
            # One that another command started, perhaps this very moment.
            if (running := _noted(folder)) and _answers(running.port):
                return running
            if time.monotonic() > until:
                raise Retry("a chain holds the folder's lock and does not answer", clause="deadline", seen=folder)
            time.sleep(0.02)
    except OSError as exc:
        raise Retry("the embedded chain's folder cannot be used", clause="folder", seen=exc, needed=folder) from exc


def status(folder: Path) -> Running | None:
    """What runs in `folder`, or None."""
    if not folder.is_dir():
        return None
    with _lock(folder) as lock:
        return None if lock is not None else _noted(folder)


def down(folder: Path, *, seconds: float = SECONDS) -> bool:
    """Stop it, its state written; False where nothing ran. Retry where it does not end within `seconds`."""
    running = status(folder)
    if running is None:
        return False
    os.killpg(running.pid, signal.SIGTERM)
    until = time.monotonic() + seconds
    while status(folder):
        if time.monotonic() > until:
            raise Retry(
                "the embedded chain does not stop", clause="deadline", seen=running.pid, needed=f"{seconds:g} s"
            )
        time.sleep(0.02)
    keep(folder)
    return True


def keep(folder: Path) -> bool:
    """Keep the state file as the last good copy, where it is whole; a running node does so now and then."""
    copy = folder / "state.copy"
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(folder / "state.json", copy)
        if _is_whole(copy):
            os.replace(copy, folder / "state.good.json")
            return True
    return False


def binary() -> Path:
    """Anvil's program: HANSE_ANVIL, what npm installed beside this checkout or the current folder, or on PATH."""
    if named := os.environ.get("HANSE_ANVIL"):
        if not os.access(named, os.X_OK):
            raise Misuse("HANSE_ANVIL is no program", clause="HANSE_ANVIL", seen=named)
        return Path(named)
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        for found in sorted(root.glob("node_modules/@foundry-rs/anvil-*/bin/anvil*")):
            return found
    if on_path := shutil.which("anvil"):
        return Path(on_path)
    hint = "run scripts/setup, or `npm install @foundry-rs/anvil`, or set HANSE_ANVIL"
    raise Retry("Anvil is not installed", clause="anvil", needed="@foundry-rs/anvil 1.7.1", hint=hint)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[IO[bytes] | None]:
    """The folder's lock, None where a chain (or who is just starting one) holds it. Anvil inherits and so keeps it."""
    with (folder / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file


def _begin(folder: Path, port: int, lock: IO[bytes], until: float) -> Running:
    restored = _mend(folder)
    port = _free(port)
    shutil.rmtree(folder / "cache", ignore_errors=True)  # what a killed one left behind
    started = _start(folder, port, lock)
    running = Running(f"http://127.0.0.1:{port}", port, started.pid, restored)
    _await(folder, port, started, until)
    _write(folder / "running.json", json.dumps(asdict(running)).encode())
    return running


def _start(folder: Path, port: int, lock: IO[bytes]) -> subprocess.Popen[bytes]:
    options = {
        "--host": "127.0.0.1",
        "--port": port,
        "--chain-id": CHAIN_ID,
        "--state": folder / "state.json",
        "--state-interval": INTERVAL,
        "--prune-history": KEPT,
        "--cache-path": folder / "cache",
        "--gas-price": 0,
        "--base-fee": 0,
    }
    command = [str(binary()), *(str(part) for option in options.items() for part in option), "--no-cors", "--silent"]
    with (folder / "anvil.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )


def _await(folder: Path, port: int, started: subprocess.Popen[bytes], until: float) -> None:
    while not _answers(port):
        if started.poll() is not None:
            said = (folder / "anvil.log").read_bytes()[-500:].decode(errors="replace").strip()
            raise Retry("the embedded chain ended at once", clause="anvil", seen=said or f"exit {started.returncode}")
        if time.monotonic() > until:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            raise Retry("the embedded chain did not answer in time", clause="deadline", seen=port)
        time.sleep(0.02)


def _answers(port: int) -> bool:
    from http.client import HTTPConnection, HTTPException

    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []})
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read(1000))
        return bool(answer.get("result") == hex(CHAIN_ID))
    except (OSError, HTTPException, ValueError, AttributeError):
        return False  # not yet
    finally:
        connection.close()


def _free(port: int) -> int:
    """`port`, or a free one for 0; Retry where another program has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            hint = "stop that program, or choose another port"
            raise Retry("another program has the chain's port", clause="port", seen=port, hint=hint) from exc
        return int(probe.getsockname()[1])


def _mend(folder: Path) -> bool:
    """Before a start: keep a good state, replace a broken one by the last good copy. Whether it was broken."""
    state, good = folder / "state.json", folder / "state.good.json"
    (folder / "running.json").unlink(missing_ok=True)
    if not state.exists() or keep(folder):
        return False
    os.replace(state, folder / "state.broken.json")
    if good.exists():
        shutil.copyfile(good, state)
    return True


def _is_whole(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:
        return False


def _noted(folder: Path) -> Running | None:
    try:
        return Running(**json.loads((folder / "running.json").read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # not written yet


def _write(path: Path, data: bytes) -> None:
    aside = path.with_suffix(".new")
    aside.write_bytes(data)
    os.replace(aside, path)
