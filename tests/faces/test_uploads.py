"""Uploads: declared length and digest hold, nothing stays behind, and memory does not grow with the file."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from node.api.limits import Limits, TooSlow
from tests.faces.conftest import token
from tests.faces.test_commands import running_node
from tests.stories.alliance import Person

pytestmark = pytest.mark.xdist_group("faces")  # one alliance for all of them

SIZE = 256 << 20
GROWTH = 64 << 20
PIECE = b"0123456789abcdef" * 65_536


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def left_behind(person: Person) -> list[Path]:
    folder = person.home / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def test_a_digest_that_holds_is_taken(client: httpx2.Client, alice: Person) -> None:
    data = b"some bytes of a file"
    answer = client.post("/datasets?title=digest", content=data, headers={"Content-Digest": digest(data)})
    assert (answer.status_code, answer.json()["size"]) == (200, len(data))
    assert left_behind(alice) == []


@pytest.mark.parametrize("header", ["sha-256=:" + "A" * 43 + "=:", "sha-256=nonsense", "md5=:AAAA:"])
def test_a_digest_that_does_not_hold_publishes_nothing(client: httpx2.Client, alice: Person, header: str) -> None:
    before = len(client.get("/datasets").json())
    answer = client.post("/datasets?title=wrong", content=b"bytes", headers={"Content-Digest": header})
    assert (answer.status_code, answer.json()["code"]) == (422, "usage")
    assert len(client.get("/datasets").json()) == before
    assert left_behind(alice) == []


def test_a_body_without_a_length_is_refused(client: httpx2.Client) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"

    answer = client.post("/datasets?title=chunked", content=pieces())
    assert (answer.status_code, answer.json()["clause"]) == (422, "content-length")


def test_a_body_that_ends_early_leaves_nothing(alice: Person, client: httpx2.Client) -> None:
    before = len(client.get("/datasets").json())
    host, port = alice.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        allowed = f"Authorization: Bearer {token(alice, 'operate')}"
        head = f"POST /datasets?title=short HTTP/1.1\r\nHost: {host}\r\n{allowed}\r\nContent-Length: 1000\r\n\r\n"
        wire.sendall(f"{head}only this".encode())
    assert len(client.get("/datasets").json()) == before
    for _ in range(100):
        if not left_behind(alice):
            break
        client.get("/health")
    assert left_behind(alice) == []


def test_nothing_is_read_before_the_token_is_checked(alice: Person) -> None:
    """The answer comes while the body has not been sent."""
    host, port = alice.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(f"POST /datasets?title=x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000000\r\n\r\n".encode())
        assert wire.recv(100).startswith(b"HTTP/1.1 401")


def test_other_bodies_are_capped(client: httpx2.Client) -> None:
    answer = client.post("/requests", content=b" " * 70_000, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["clause"]) == (413, "size")

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 8192

    streamed = client.post("/requests", content=pieces(), headers={"Content-Type": "application/json"})
    assert (streamed.status_code, streamed.json()["clause"]) == (413, "size")


@pytest.mark.parametrize("path", ["/datasets", "/requests"])
def test_a_body_that_stalls_is_given_up(path: str) -> None:
    """The middleware in front of an application that reads the body, and a client that sends half of it."""
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while (await receive())["more_body"]:
                pass
        except TooSlow as exc:
            told.append(exc)

    async def client() -> dict[str, Any]:
        if not sent:
            await asyncio.sleep(3600)
        return sent.pop()

    sent = [{"type": "http.request", "body": b"half", "more_body": True}]
    limits = Limits(app, uploads={"/datasets"}, seconds=0.05)
    asyncio.run(limits({"type": "http", "path": path, "headers": []}, client, client))
    assert [(exc.status_code, exc.detail["clause"]) for exc in told] == [(408, "deadline")]


@pytest.mark.long
def test_a_large_upload_grows_memory_by_less_than_64_mib(carol: Person, tmp_path: Path) -> None:
    """The whole way: upload, seal, store, commit, in a node of its own whose peak memory the kernel keeps."""
    headers = {"Authorization": f"Bearer {token(carol, 'operate')}"}

    def pieces(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield PIECE

    with running_node(carol, tmp_path) as (url, pid), httpx2.Client(base_url=url, timeout=300) as client:
        reached = []
        for count in (1, SIZE // len(PIECE)):
            length = {"Content-Length": str(count * len(PIECE))}
            answer = client.post(f"/datasets?title={count}", content=pieces(count), headers=headers | length)
            assert (answer.status_code, answer.json()["size"]) == (200, count * len(PIECE))
            reached.append(peak(pid))
        assert reached[1] - reached[0] < GROWTH, reached


def peak(pid: int) -> int:
    """Most memory ever resident, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
