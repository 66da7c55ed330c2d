"""Stores in temporary folders, a live gateway over one, and data anyone can make again."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI

from node.store.blocks import BlockStore

Serve = Callable[[APIRouter], str]


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is room: what is tested is the order of writes, and syncing a busy disk takes minutes."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < 2 << 30:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


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
