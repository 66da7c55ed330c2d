"""Stores in temporary folders, a live gateway over one, and data anyone can make again."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import uvicorn
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from fastapi import APIRouter, FastAPI

from node.store.blocks import BlockStore

Serve = Callable[[APIRouter], str]


@pytest.fixture
def store(tmp_path: Path) -> BlockStore:
    return BlockStore(tmp_path / "store")


@pytest.fixture
def other(tmp_path: Path) -> BlockStore:
    return BlockStore(tmp_path / "other")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a router on loopback by a real server; its base URL."""
    stops: list[Callable[[], None]] = []

    def start(router: APIRouter) -> str:
        app = FastAPI()
        app.include_router(router)
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the gateway did not start"
            time.sleep(0.01)

        def stop() -> None:
            server.should_exit = True
            thread.join(10)
            listener.close()

        stops.append(stop)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for stop in stops:
        stop()


def keystream(seed: str, size: int, step: int = 1 << 20) -> Iterator[bytes]:
    """The data of IPIP-499's vectors: ChaCha20 under the seed's SHA-256, nonce and counter 0."""
    cipher = Cipher(algorithms.ChaCha20(sha256(seed.encode()).digest(), bytes(16)), None).encryptor()
    for at in range(0, size, step):
        yield cipher.update(bytes(min(step, size - at)))


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)
