"""A real Anvil with an alliance on it, to be bent by the tests: reorgs, kill -9, mining by hand; and a liar."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from node.chain.client import Chain
from node.chain.deploy import Founder, deploy
from node.chain.embedded import binary
from node.keyring import Keyring
from node.model import Address, Digest, Directory, Role, Version

PASSPHRASE = b"correct horse"
FEELESS = ("--gas-price", "0", "--base-fee", "0")
ALICE = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""Anvil's first development account."""


class Anvil:
    """One Anvil on a port of its own; its state survives `stop`, as far as it was written `kill`."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [binary(), "--port", str(self.port), "--silent", "--no-cors", "--prune-history", "256"]
        self._command += ["--cache-path", folder / "cache", "--state", folder / "state.json", "--state-interval", "1"]
        self._command += options
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.ask("eth_chainId")
                return
            except OSError:
                threading.Event().wait(0.05)
        raise AssertionError("Anvil did not start")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(20)

    def ask(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            answer = json.load(response)
        assert "error" not in answer, answer
        return answer["result"]

    def mine(self, blocks: int) -> None:
        self.ask("anvil_mine", hex(blocks))

    def reorg(self, depth: int) -> None:
        """Replace the last `depth` blocks by empty ones; their transactions are dropped for good."""
        self.ask("anvil_reorg", depth, [])


@contextmanager
def anvil(folder: Path, *options: str) -> Iterator[Anvil]:
    running = Anvil(folder, *options)
    try:
        yield running
    finally:
        running.kill()


@dataclass
class Alliance:
    """Contracts on a chain, and their only member's keyring."""

    anvil: Anvil
    chain: Chain
    directory: Directory
    keyring: Keyring

    def publish(self, number: int) -> tuple[Address, bytes]:
        """Where to send, and the bytes that publish a dataset with that salt."""
        return self.directory.address("Datasets"), self.chain.encode("Datasets", "publish", word(number), VERSION)

    def published(self) -> list[str]:
        """Ids of all datasets published, as the chain says now."""
        head = self.chain.block("latest").number
        said = self.chain.events(self.directory, self.directory.born, head)
        return [event.said.id for event in said if event.contract == "Datasets"]

    def quiet(self) -> None:
        """Wait until Anvil mines no more: a reorg asked for while it mines leaves it with a block missing."""
        head = -1
        while head != (head := self.chain.block("latest").number):
            threading.Event().wait(0.2)

    def say(self, count: int) -> None:
        """So many events, a block each, sent without the outbox."""
        nonce = self.chain.nonce(self.keyring.address)
        for i in range(nonce, nonce + count):
            at, data = self.publish(i + 1_000_000)
            fields = {"chainId": 31337, "nonce": i, "to": at, "value": 0, "data": data, "gas": 300_000}
            signed = self.keyring.sign_transaction(fields | self.chain.fees().fields())
            self.chain.send(signed.raw)
        while self.chain.nonce(self.keyring.address) < nonce + count:
            threading.Event().wait(0.005)  # Anvil answers before it mines


def word(number: int) -> Digest:
    return Digest(f"0x{number:064x}")


VERSION = Version(commitment=word(1), envelope=word(2), policy=word(3), uses=3, budget=1000)


def keyring(folder: Path, account_key: bytes = ALICE) -> Keyring:
    return Keyring.create(folder, PASSPHRASE, account_key=account_key, scrypt_n=2)


def found(running: Anvil, folder: Path) -> Alliance:
    """An alliance of one."""
    chain, ring = Chain.connect(running.url), keyring(folder)
    directory = deploy(chain, ring, [Founder(ring.address, Role.MEMBER, word(1))], delay=1)
    return Alliance(running, chain, directory, ring)


Bend = Callable[[str, list[Any], Any], Any]
"""(method, params, honest result) -> what the endpoint says instead."""


class Liar:
    """An endpoint in front of an honest one that bends what it says; `bend` may be changed at any time."""

    def __init__(self, honest: Anvil) -> None:
        self.bend: Bend | None = None
        self._honest = honest
        liar = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.dumps(liar._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, asked: Any) -> Any:
        if isinstance(asked, list):
            return [self._answer(one) for one in asked]
        body = json.dumps(asked).encode()
        request = urllib.request.Request(self._honest.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            answer = json.load(response)
        if self.bend and "result" in answer:
            answer["result"] = self.bend(asked["method"], asked.get("params", []), answer["result"])
        return answer
