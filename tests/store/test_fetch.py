"""Fetching trusts nobody: honest gateways deliver, hostile ones are named, private addresses are not called."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from node import web
from node.errors import HanseError, Misuse, Refused, Retry, Untrusted
from node.store import Cid, Stored, dag
from node.store import fetch as edge
from node.store.blocks import BlockStore
from node.store.cid import DAG_PB, RAW, of
from node.store.dag import Profile
from node.store.fetch import fetch
from node.store.gateway import gateway_router
from tests.store.conftest import Serve
from tests.store.making import noise
from tests.store.test_dag import file_block

TINY = Profile("tiny", 1000, 4)
Answer = Callable[[str, bytes | None], bytes | Iterator[bytes]]


def bring(
    cid: Cid, gateways: list[str], into: BlockStore, *, limit_bytes: int = 1 << 30, seconds: float = 20
) -> Stored:
    return fetch(cid, gateways, into, limit_bytes=limit_bytes, deadline_seconds=seconds, allow_loopback=True)


@pytest.fixture
def file(store: BlockStore) -> Stored:
    return store.put_file([noise(20_500)], profile=TINY)


def test_a_file_comes_over(store: BlockStore, other: BlockStore, file: Stored, serve: Serve) -> None:
    assert bring(file.cid, [serve(gateway_router(store))], other) == file
    other.pin(file.cid, "fetched")
    assert other.open(file.cid).read() == noise(20_500)


def test_progress_and_a_small_document(store: BlockStore, other: BlockStore, file: Stored, serve: Serve) -> None:
    base, seen = serve(gateway_router(store)), list[int]()
    fetch(file.cid, [base], other, limit_bytes=99_999, deadline_seconds=20, allow_loopback=True, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 20_500
    document = store.put_block(b"terms")
    assert bring(document, [base], other) == Stored(document, 5, 1)


def test_what_is_here_is_not_asked_for(store: BlockStore, other: BlockStore, file: Stored) -> None:
    store.pin(file.cid, "here")
    assert bring(file.cid, ["http://127.0.0.1:1"], store) == file


class Gateway:
    """A real HTTP server that answers as it is told: `answer(cid, honest bytes or None) -> bytes on the wire`."""

    def __init__(self, blocks: dict[str, bytes], answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.blocks, self.answer, self.asked = blocks, answer, list[str]()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.stopped, self.tls = False, tls
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):  # the client hangs up on what it does not like
            self._talk(self.tls.wrap_socket(line, server_side=True) if self.tls else line)

    def _talk(self, line: socket.socket) -> None:
        reader = line.makefile("rb")
        while request := reader.readline():
            while reader.readline().strip():
                pass
            name = request.split()[1].decode().removeprefix("/ipfs/").partition("?")[0]
            self.asked.append(name)
            sent = self.answer(name, self.blocks.get(name))
            for part in [sent] if isinstance(sent, bytes) else sent:
                line.sendall(part)
                if self.stopped:
                    return
            if not isinstance(sent, bytes) or b"Content-Length" not in sent:
                return


def ok(body: bytes, length: int | None = None, extra: bytes = b"") -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (size, extra, body)


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def honest(name: str, block: bytes | None) -> bytes:
    return NOT_FOUND if block is None else ok(block)


@pytest.fixture
def gateway(store: BlockStore, file: Stored) -> Iterator[Callable[..., Gateway]]:
    blocks = {str(cid): block for cid, block in dag.walk(store.get_block, file.cid)}
    started: list[Gateway] = []

    def start(answer: Answer = honest, **more: bytes) -> Gateway:
        started.append(Gateway(blocks | more, answer))
        return started[-1]

    yield start
    for each in started:
        each.stopped = True
        each.listener.close()


def endless(_: str, __: bytes | None) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + bytes(65536) + b"\r\n"


def dripping(_: str, block: bytes | None) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(block or b"x")
    for byte in block or b"x":
        time.sleep(0.2)
        yield bytes([byte])


def dripping_headers(_: str, __: bytes | None) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Long: "
    while True:
        time.sleep(0.2)
        yield b"x"


def endless_headers(_: str, __: bytes | None) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: " + b"x" * 4000 + b"\r\n"


def endless_interim(_: str, __: bytes | None) -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 100


def silent(_: str, __: bytes | None) -> Iterator[bytes]:
    time.sleep(6)
    yield b""


def redirect(name: str) -> bytes:
    location = f"Location: HONEST/ipfs/{name}?format=raw\r\n".encode()
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n%s\r\n" % location


HOSTILE: dict[str, Answer] = {
    "wrong bytes": lambda _, block: ok(bytes(len(block or b""))),
    "another block": lambda _, __: ok(b"leaf"),
    "truncated, honest length": lambda _, block: ok((block or b"")[:-1], len(block or b"")),
    "truncated, matching length": lambda _, block: ok((block or b"")[:-1]),
    "longer than the block": lambda _, block: ok((block or b"") + b"x"),
    "a length of an exabyte": lambda _, block: ok(block or b"", 1 << 60),
    "a length that is no number": lambda _, block: b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n" + (block or b""),
    "endless body": endless,
    "dripping body": dripping,
    "dripping headers": dripping_headers,
    "endless headers": endless_headers,
    "one huge header": lambda _, block: ok(block or b"", extra=b"X-Huge: " + b"x" * 100_000 + b"\r\n"),
    "endless interim answers": endless_interim,
    "silence": silent,
    "hangs up": lambda _, __: b"",
    "not HTTP": lambda _, __: b"SSH-2.0-OpenSSH\r\n\r\n",
    "redirect to an honest one": lambda name, __: redirect(name),
    "gzip bomb": lambda _, block: ok(block or b"", extra=b"Content-Encoding: gzip\r\n"),
    "server error": lambda _, __: b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    "partial content": lambda _, block: ok(block or b"").replace(b"200 OK", b"206 Part"),
    "has nothing": lambda _, __: NOT_FOUND,
}  # fmt: skip


@pytest.mark.parametrize("behaviour", HOSTILE)
def test_a_hostile_gateway_gets_nothing_in(
    behaviour: str, gateway: Callable[..., Gateway], file: Stored, other: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone it is an error that names it and the CID; beside an honest one the file comes all the same."""
    monkeypatch.setattr(edge, "BLOCK_SECONDS", 1.0)
    good = gateway()

    def answer(name: str, block: bytes | None) -> bytes | Iterator[bytes]:
        sent = HOSTILE[behaviour](name, block)
        return sent.replace(b"HONEST", good.url.encode()) if isinstance(sent, bytes) else sent

    bad = gateway(answer)
    begun = time.monotonic()
    with pytest.raises((Retry, Untrusted)) as caught:
        bring(file.cid, [bad.url], other)
    assert bad.url in str(caught.value)
    assert str(file.cid) in str(caught.value)
    assert other.stat().blocks == 0
    assert good.asked == []
    assert bring(file.cid, [bad.url, good.url], other) == file
    assert other.verify(file.cid) == file
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("behaviour", ["wrong bytes", "truncated, honest length", "endless body", "hangs up"])
def test_a_gateway_that_turns_hostile_in_the_middle(
    behaviour: str, gateway: Callable[..., Gateway], file: Stored, other: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "BLOCK_SECONDS", 1.0)
    left = iter(range(9))
    turning = gateway(lambda n, b: honest(n, b) if next(left, None) is not None else HOSTILE[behaviour](n, b))
    with pytest.raises((Retry, Untrusted), match=turning.url):
        bring(file.cid, [turning.url], other)
    good = gateway()
    assert bring(file.cid, [turning.url, good.url], other) == file
    assert other.verify(file.cid) == file


def test_a_liar_is_untrusted_and_not_asked_again(
    gateway: Callable[..., Gateway], file: Stored, other: BlockStore
) -> None:
    liar, good = gateway(HOSTILE["wrong bytes"]), gateway()
    with pytest.raises(Untrusted, match=f"{file.cid}.*{liar.url}"):
        bring(file.cid, [liar.url], other)
    liar.asked.clear()
    bring(file.cid, [liar.url, good.url], other)
    assert liar.asked == [str(file.cid)]


def test_every_gateway_gives_its_reason(gateway: Callable[..., Gateway], file: Stored, other: BlockStore) -> None:
    empty, broken = gateway(HOSTILE["has nothing"]), gateway(HOSTILE["server error"])
    with pytest.raises(Retry, match=r"not found at 3 gateways.*404.*500.*Refused") as caught:
        bring(file.cid, [empty.url, broken.url, "http://127.0.0.1:1"], other)
    assert empty.url in str(caught.value)
    assert broken.url in str(caught.value)


def test_a_file_may_be_spread_over_gateways(gateway: Callable[..., Gateway], file: Stored, other: BlockStore) -> None:
    even = gateway(lambda n, b: honest(n, b) if sha256(n.encode()).digest()[0] % 2 else NOT_FOUND)
    odd = gateway(lambda n, b: NOT_FOUND if sha256(n.encode()).digest()[0] % 2 else honest(n, b))
    assert bring(file.cid, [even.url, odd.url], other) == file


def test_an_interrupted_fetch_goes_on(
    gateway: Callable[..., Gateway], store: BlockStore, other: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "GROUP", 16)
    data = noise(60_000)
    stored = store.put_file([data], profile=Profile("tiny", 1000, 1024))
    blocks = {str(cid): block for cid, block in dag.walk(store.get_block, stored.cid)}
    left = iter(range(40))
    dying = gateway(lambda n, b: honest(n, b) if next(left, None) is not None else b"", **blocks)
    with pytest.raises(Retry):
        bring(stored.cid, [dying.url], other)
    here = other.stat().blocks
    assert here >= 16
    good = gateway(**blocks)
    assert bring(stored.cid, [good.url], other) == stored
    assert len(good.asked) == stored.blocks - here
    assert other.open(stored.cid).read() == data


def test_a_rotten_block_is_fetched_again(
    gateway: Callable[..., Gateway], file: Stored, other: BlockStore, tmp_path: Path
) -> None:
    good = gateway()
    bring(file.cid, [good.url], other)
    leaf = next(cid for cid, _ in dag.walk(other.get_block, file.cid) if cid.codec == RAW)
    (tmp_path / "other/blocks" / leaf.digest.hex()[:1] / leaf.digest.hex()).write_bytes(b"rot")
    good.asked.clear()
    bring(file.cid, [good.url], other)
    assert good.asked == [str(leaf)]
    assert other.verify(file.cid) == file


LEAF = of(RAW, b"leaf")
DEEP: dict[str, bytes] = {str(LEAF): b"leaf"}
DEEP_ROOT = LEAF
for _ in range(40):
    _block = file_block((DEEP_ROOT, 4))
    DEEP_ROOT = of(DAG_PB, _block)
    DEEP[str(DEEP_ROOT)] = _block

POISONED: dict[str, tuple[bytes, type[HanseError], str]] = {
    "a dag-cbor child": (file_block((of(0x71, b"\xa0"), 1)), Refused, "raw and dag-pb"),
    "an identity child": (file_block((Cid.parse("bafkqaddimvwgy3zao5xxe3debi"), 12)), Refused, "sha2-256"),
    "a sha2-512 child": (file_block((Cid(b"\x01\x55\x13\x40" + bytes(64)), 4)), Refused, "sha2-256"),
    "a child of another length": (file_block((LEAF, 5)), Untrusted, "not as long"),
    "a child that claims a terabyte": (file_block((LEAF, 1 << 40)), Refused, "larger than allowed"),
    "an empty child": (file_block((LEAF, 0)), Untrusted, "empty child"),
    "a directory": (file_block((LEAF, 4), kind=1), Untrusted, "not a file"),
    "not a node": (b"\xff\xff\xff", Untrusted, "not a UnixFS node"),
    "a missing child": (file_block((LEAF, 4), (of(RAW, b"gone"), 4)), Retry, "not found"),
}


@pytest.mark.parametrize("poison", POISONED)
def test_a_poisoned_dag_is_not_taken(poison: str, gateway: Callable[..., Gateway], other: BlockStore) -> None:
    block, error, words = POISONED[poison]
    root = of(DAG_PB, block)
    served = gateway(**{str(root): block, str(LEAF): b"leaf"})
    with pytest.raises(error, match=words):
        bring(root, [served.url], other)
    assert not other.has(root)


def test_a_dag_too_deep_is_refused(gateway: Callable[..., Gateway], other: BlockStore) -> None:
    with pytest.raises(Refused, match="too deep"):
        bring(DEEP_ROOT, [gateway(**DEEP).url], other)


@pytest.mark.parametrize("text", ["bafkqaaa", "bafyrgqd" + "a" * 99])
def test_foreign_roots_are_not_asked_for(text: str, gateway: Callable[..., Gateway], other: BlockStore) -> None:
    served = gateway()
    with pytest.raises((Refused, Misuse)):
        bring(Cid.parse(text), [served.url], other)
    assert served.asked == []


def test_the_limit_and_the_deadline_hold(gateway: Callable[..., Gateway], file: Stored, other: BlockStore) -> None:
    with pytest.raises(Refused, match="larger than allowed"):
        bring(file.cid, [gateway().url], other, limit_bytes=20_499)
    assert other.stat().blocks == 0
    begun = time.monotonic()
    with pytest.raises(Retry):
        bring(file.cid, [gateway(silent).url, gateway(dripping).url], other, seconds=0.5)
    assert time.monotonic() - begun < 2


NAMES = {
    "metadata.example": "169.254.169.254",
    "intranet.example": "10.0.0.7",
    "rebound.example": "127.0.0.1",
    "mapped.example": "::ffff:127.0.0.1",
    "nat64.example": "64:ff9b::7f00:1",
}

FORBIDDEN = [
    "http://127.0.0.1:PORT", "http://127.1:PORT", "http://127.255.255.254:PORT", "http://0.0.0.0:PORT", "http://0:PORT",
    "http://2130706433:PORT", "http://0x7f000001:PORT", "http://0177.0.0.1:PORT", "http://localhost:PORT",
    "http://LOCALHOST:PORT", "http://localhost.:PORT", "http://[::1]:PORT", "http://[::]:PORT",
    "http://[::ffff:127.0.0.1]:PORT", "http://[::ffff:7f00:1]:PORT", "http://[::127.0.0.1]:PORT",
    "http://[64:ff9b::127.0.0.1]:PORT", "http://[64:ff9b:1::1]:PORT", "http://[2002:7f00:1::]:PORT",
    "http://[2001:0:7f00:1::1]:PORT", "http://[fe80::1]:PORT", "http://[fec0::1]:PORT", "http://[fd00::1]:PORT",
    "http://[ff02::1]:PORT", "http://10.1.2.3:PORT", "http://172.16.0.1:PORT", "http://192.168.1.1:PORT",
    "http://100.64.0.1:PORT", "http://169.254.169.254/latest", "http://224.0.0.1:PORT", "http://255.255.255.255:PORT",
    "http://192.0.2.1:PORT", "http://198.18.0.1:PORT", "http://240.0.0.1:PORT", "http://metadata.example:PORT",
    "http://intranet.example:PORT", "http://rebound.example:PORT", "http://mapped.example:PORT",
    "http://nat64.example:PORT", "https://127.0.0.1:PORT", "http://①②⑦.⓪.⓪.①:PORT", "http://user@127.0.0.1:PORT",
    "http://example.com@127.0.0.1:PORT", "http://127.0.0.1:PORT#@example.com", "http://127.0.0.1:PORT?x=/ipfs",
    "http://127.0.0.1\\@example.com:PORT", "ftp://127.0.0.1:PORT", "file:///etc/passwd", "gopher://127.0.0.1:PORT",
    "//127.0.0.1:PORT", "127.0.0.1:PORT", "http://", "http://127.0.0.1:99999", "http://[::1", "",
]  # fmt: skip


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of the test resolve to their addresses; everything else resolves as it does."""
    real = socket.getaddrinfo

    def resolve(host: str, *args: object, **options: object) -> object:
        return real(NAMES.get(host, host), *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize("url", FORBIDDEN)
def test_addresses_that_are_not_public_are_not_called(
    url: str, gateway: Callable[..., Gateway], file: Stored, other: BlockStore, names: None
) -> None:
    canary = gateway()
    url = url.replace("PORT", canary.url.rpartition(":")[2])
    with pytest.raises((Refused, Misuse, Retry)) as caught:
        fetch(file.cid, [url], other, limit_bytes=1 << 20, deadline_seconds=3)
    assert canary.asked == []
    if isinstance(caught.value, Retry):
        assert "has no address" in str(caught.value), "no connection was even tried"


def test_the_development_profile_allows_loopback_and_nothing_else(file: Stored, other: BlockStore, names: None) -> None:
    for url in ("http://10.1.2.3", "http://169.254.169.254", "http://metadata.example", "http://0.0.0.0"):
        with pytest.raises(Refused, match="public address"):
            bring(file.cid, [url], other)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert web.is_public(ipaddress.ip_address(address))


def test_a_bad_address_does_not_cost_a_good_gateway(
    gateway: Callable[..., Gateway], file: Stored, other: BlockStore
) -> None:
    """A member's card may name anything; the others' gateways deliver all the same."""
    good = gateway()
    bring(file.cid, ["http://169.254.169.254", "ftp://nowhere", good.url], other)
    assert other.verify(file.cid).size == file.size


def test_a_name_is_resolved_once(
    gateway: Callable[..., Gateway], file: Stored, other: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a name server says later changes nothing: the address that was judged is the one connected to."""
    real, asked = socket.getaddrinfo, list[str]()

    def resolve(host: str, *args: object, **options: object) -> object:
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *args, **options)  # type: ignore[arg-type]

    good = gateway()
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    bring(file.cid, [good.url.replace("127.0.0.1", "gateway.example")], other)
    assert asked == ["gateway.example"]


def test_tls_checks_the_name(
    gateway: Callable[..., Gateway], file: Stored, store: BlockStore, other: BlockStore, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=gateway.example",
         "-addext", "subjectAltName=DNS:gateway.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    good = gateway()
    good.tls = context
    port = good.url.rpartition(":")[2]
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1", *a, **k))
    with pytest.raises(Retry, match="CERTIFICATE_VERIFY_FAILED"):
        bring(file.cid, [f"https://gateway.example:{port}"], other)
    trusting = ssl.create_default_context
    monkeypatch.setattr(edge.ssl, "create_default_context", lambda: trusting(cafile=certificate))
    with pytest.raises(Retry, match=r"(?i)hostname mismatch"):
        bring(file.cid, [f"https://another.example:{port}"], other)
    assert bring(file.cid, [f"https://gateway.example:{port}"], other) == file


def test_a_real_gateway_keeps_its_connections(store: BlockStore, other: BlockStore, serve: Serve) -> None:
    stored = store.put_file(io.BytesIO(noise(40_000)), profile=TINY)
    base = serve(gateway_router(store))
    calls: list[object] = []
    real = edge._Plain.connect
    edge._Plain.connect = lambda self, address: (calls.append(address), real(self, address))[1]  # type: ignore[method-assign]
    try:
        bring(stored.cid, [base], other)
    finally:
        edge._Plain.connect = real  # type: ignore[method-assign]
    assert len(calls) <= edge.PARALLEL + 1
