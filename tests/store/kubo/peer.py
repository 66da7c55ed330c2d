"""A real Kubo: built once through Go into `.cache/`, run on loopback in a folder of its own, without the network.

with running(folder, offline=True) as kubo: kubo.run("cat", cid)
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "kubo"


class NoKubo(Exception):
    """Why there is none to be had here."""


def binary() -> Path:
    """The `ipfs` of go.mod, built at the first call (minutes), or the one on PATH where there is no Go."""
    if not shutil.which("go"):
        if found := shutil.which("ipfs"):
            return Path(found)
        raise NoKubo("neither Go nor an ipfs command is installed")
    name = sha256((HERE / "go.mod").read_bytes() + (HERE / "go.sum").read_bytes()).hexdigest()[:16]
    target = CACHE / name / "ipfs"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _build(target)
    return target


def _build(target: Path) -> None:
    fresh = target.with_suffix(".new")
    command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(fresh), "github.com/ipfs/kubo/cmd/ipfs"]
    built = subprocess.run(command, cwd=HERE, env=os.environ | {"CGO_ENABLED": "0"}, capture_output=True, text=True)
    if built.returncode:
        raise NoKubo(f"go build failed: {(built.stderr.strip().splitlines() or ['?'])[-1][:200]}")
    fresh.rename(target)


@dataclass(frozen=True)
class Kubo:
    binary: Path
    folder: Path

    def run(self, *command: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            [self.binary, *command], env=self._environment(), input=given, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def configure(self, key: str, value: object) -> None:
        self.run("config", "--json", key, json.dumps(value))

    @property
    def rpc(self) -> str:
        _, _, host, _, port = (self.folder / "api").read_text().strip().split("/")
        return f"http://{host}:{port}"

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "IPFS_PATH": str(self.folder)}

    @contextmanager
    def daemon(self, *options: str) -> Iterator[None]:
        with (self.folder / "daemon.log").open("wb") as log:
            process = subprocess.Popen(
                [self.binary, "daemon", *options], env=self._environment(), stdout=log, stderr=subprocess.STDOUT
            )
            try:
                self._wait(process)
                yield
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        log = self.folder / "daemon.log"
        while b"Daemon is ready" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def fresh(folder: Path) -> Kubo:
    """A new repository: no bootstrap peers, no mDNS, loopback ports chosen by the system."""
    kubo = Kubo(binary(), folder)
    kubo.run("init", "--empty-repo", "--profile=test")
    return kubo
