"""Real development chains on free loopback ports: Anvil, Hardhat's node, Ganache 7.9.2.

with anvil("--hardfork", "berlin") as rpc: ...
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.chain.embedded import binary
from node.development_keys import HARDHAT_MNEMONIC

ROOT = Path(__file__).resolve().parents[2]
ZERO_FEES = ("--gas-price", "0", "--base-fee", "0")


def ask(rpc: str, method: str, *params: Any) -> Any:
    """One plain JSON-RPC call, apart from the edge under test."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(rpc, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    assert "error" not in answer, answer["error"]
    return answer["result"]


def advance(rpc: str, seconds: int) -> None:
    """Let chain time pass."""
    ask(rpc, "evm_increaseTime", seconds)
    ask(rpc, "evm_mine")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def anvil(*options: str, port: int | None = None) -> Any:
    port = port or free_port()
    fixed = ["--port", str(port), "--no-cors", "--silent", "--prune-history", "256"]
    return _running([str(binary()), *fixed, *options], port, seconds=20)


def hardhat() -> Any:
    port = free_port()
    command = _npm("hardhat"), "node", "--hostname", "127.0.0.1", "--port", str(port)
    return _running(command, port, seconds=120)


def ganache() -> Any:
    port = free_port()
    options = {
        "--server.host": "127.0.0.1",
        "--server.port": str(port),
        "--chain.chainId": "1337",
        "--chain.hardfork": "shanghai",
        "--wallet.mnemonic": HARDHAT_MNEMONIC,
    }
    command = [_npm("ganache"), "--logging.quiet", *(part for option in options.items() for part in option)]
    return _running(command, port, seconds=120)


def _npm(name: str) -> str:
    path = ROOT / "node_modules" / ".bin" / name
    if not path.exists() or not shutil.which("node"):
        pytest.skip(f"left out: {name} is not installed, so its chain is not tried (scripts/setup --dev)")
    return str(path)


@contextmanager
def _running(command: Sequence[str], port: int, *, seconds: float) -> Iterator[str]:
    rpc = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        _await(rpc, process, seconds)
        yield rpc
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _await(rpc: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            ask(rpc, "eth_chainId")
            return
        except OSError:
            assert process.poll() is None, f"{rpc} ended with {process.returncode} before it answered"
            assert time.monotonic() < until, f"{rpc} did not answer in {seconds} s"
            time.sleep(0.05)
