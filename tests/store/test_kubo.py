"""Kubo's RPC when it lies or fails: a real HTTP server with the ways in which it was seen to break."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from node.errors import Misuse, NotFound, Refused, Retry, Untrusted
from node.store.cid import RAW, Cid, of
from node.store.kubo import KuboStore, _multiaddr

BLOCK = b"a block of some bytes"
CID = of(RAW, BLOCK)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n"


class Rpc:
    """Answers every call with the same bytes, and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.heads = answer, list[str]()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                with contextlib.suppress(OSError), line, line.makefile("rb") as reader:
                    self.heads.append(b"".join(iter(reader.readline, b"\r\n")).decode())
                    line.sendall(self.answer)


@pytest.fixture
def rpc() -> Iterator[Callable[[bytes], Rpc]]:
    started: list[Rpc] = []

    def start(answer: bytes) -> Rpc:
        started.append(Rpc(answer))
        return started[-1]

    yield start
    for each in started:
        each.listener.close()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def error(message: bytes) -> bytes:
    body = b'{"Message":"%s","Code":0,"Type":"error"}' % message
    head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ok(b"other bytes"), Untrusted),
        (ok(b""), Untrusted),
        # An error in mid-stream: a clean end and a trailer, which the client does not look at.
        (CHUNKED + b"5\r\na blo\r\n0\r\nX-Stream-Error: disk\r\n\r\n", Untrusted),
        (CHUNKED + b"5\r\na bl", Retry),
        (ok(BLOCK)[:-3], Retry),
        (ok(bytes(3 << 20)), Untrusted),
        (b"", Retry),
        (b"not HTTP at all\r\n\r\n", Retry),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", Retry),
        (error(b"block was not found locally (offline): ipld: could not find bafk"), NotFound),
        (error(b"disk on fire"), Retry),
    ],
)
def test_a_block_that_does_not_come_as_it_should(
    rpc: Callable[[bytes], Rpc], answer: bytes, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        KuboStore(rpc(answer).url).get_block(CID)


def test_a_good_answer_and_who_asks(rpc: Callable[[bytes], Rpc]) -> None:
    daemon = rpc(ok(BLOCK))
    assert KuboStore(daemon.url, authorization="Bearer word").get_block(CID) == BLOCK
    (head,) = daemon.heads
    assert head.startswith("POST /api/v0/block/get?")
    assert "offline=true" in head
    assert f"arg={CID}" in head
    assert "\nAuthorization: Bearer word" in head


def test_nobody_there() -> None:
    with pytest.raises(Retry, match="RPC failed"):
        KuboStore("http://127.0.0.1:1").has(CID)


@pytest.mark.parametrize(
    "answer",
    [
        ok(b'{"Stats":{"BlockCount":2,"BlockBytesCount":5}}'),
        ok(b'{"Stats":{"BlockCount":0,"BlockBytesCount":0}}'),
        ok(b"{}"),
        ok(b"nonsense"),
        ok(b'{"Stats":7}'),
        ok(b"[1]"),
        error(b"no space left on device"),
    ],
)
def test_an_upload_is_not_done_until_kubo_counts_every_block(rpc: Callable[[bytes], Rpc], answer: bytes) -> None:
    with pytest.raises(Retry):
        KuboStore(rpc(answer).url).put_block(BLOCK)


def test_a_pin_is_not_done_until_kubo_lists_it(rpc: Callable[[bytes], Rpc]) -> None:
    with pytest.raises(Retry, match="did not keep the pin"):
        KuboStore(rpc(ok(b'{"Pins":[]}')).url).pin(CID, "name")


def test_what_kubo_cannot_do_is_refused(rpc: Callable[[bytes], Rpc]) -> None:
    store = KuboStore(rpc(ok(b"{}")).url)
    for options in ({"dry_run": True}, {"grace_seconds": 60.0}):
        with pytest.raises(Refused, match="at once"):
            store.collect(**options)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="sha2-256"):
        store.get_block(Cid.parse("bafkqaaa"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:5001", "/ip4/127.0.0.1/tcp/5001/http"),
        ("http://localhost:5001/", "/dns/localhost/tcp/5001/http"),
        ("https://ipfs.example", "/dns/ipfs.example/tcp/443/https"),
        ("http://[::1]:5001", "/ip6/::1/tcp/5001/http"),
    ],
)
def test_addresses(url: str, address: str) -> None:
    assert _multiaddr(url) == address
    KuboStore(url)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:5001", "/ip4/127.0.0.1/tcp/5001", "ftp://x", "http://u:p@x", "http://x/y"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(Misuse, match="not a Kubo"):
        KuboStore(url)
