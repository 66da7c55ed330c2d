"""Brings a file from other members' gateways into our store, block by block. Gateways are trusted for nothing.

Every block is hashed before it is kept; a gateway that lies is not asked again; what is here already is not fetched,
so that an interrupted fetch goes on where it stopped. It finds no gateways: their addresses come from the members.

    stored = fetch(cid, ["https://store.bob.example"], store, limit_bytes=1 << 30, deadline_seconds=600)
    store.pin(stored.cid, "dataset 7 version 1")

Addresses are resolved once, refused unless all are global, and connected to as resolved: no redirects, no proxies.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from itertools import groupby
from typing import TYPE_CHECKING, cast

from node.errors import HanseError, Misuse, NotFound, Refused, Retry, Untrusted
from node.store import Progress, Store, dag
from node.store.cid import DAG_PB, MAX_BLOCK, RAW, SHA2_256, Cid
from node.store.dag import Stored
from node.web import Place, locate

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

Leaf = Callable[[bytes], None]

PARALLEL = 4  # blocks under way at a time
GROUP = 256  # leaves named together
BLOCK_SECONDS = 60.0  # for one block from one gateway
CONNECT_SECONDS, IDLE_SECONDS = 5.0, 10.0


def fetch(
    cid: Cid,
    gateways: Sequence[str],
    into: Store,
    *,
    limit_bytes: int,
    deadline_seconds: float,
    progress: Progress | None = None,
    leaf: Leaf | None = None,
    allow_loopback: bool = False,
) -> Stored:
    """Copy the file under `cid` into the store (pinning is the caller's).

    `leaf` is told the file's bytes from first to last, piece by piece, as soon as they are verified.

    Raises Retry when no gateway delivers in time (with the reason each gave), Untrusted when one lied and no other
    delivered, Refused for a file above `limit_bytes`, a foreign codec or an address that is not public."""
    deadline = time.monotonic() + deadline_seconds
    peers, unusable = _usable(gateways, allow_loopback=allow_loopback)
    with into.importing(), ThreadPoolExecutor(PARALLEL, thread_name_prefix="fetch") as pool:
        transfer = _Transfer(_Sources(peers, unusable, deadline), into, pool, progress, leaf)
        try:
            return Stored(cid, transfer.tree(cid, None, 0, limit_bytes), transfer.blocks)
        finally:
            pool.shutdown(cancel_futures=True)  # waits for what is under way: at most its deadline
            for peer in peers:
                peer.close()


class _Transfer:
    """A file on its way in: leaves in parallel, each node kept after everything below it."""

    def __init__(
        self, sources: _Sources, into: Store, pool: ThreadPoolExecutor, progress: Progress | None, leaf: Leaf | None
    ) -> None:
        self._sources, self._into, self._pool = sources, into, pool
        self._progress, self._leaf = progress, leaf
        self.blocks = self._done = 0

    def tree(self, cid: Cid, claimed: int | None, depth: int, limit: int) -> int:
        """Bring in what is missing under `cid`; its size in bytes."""
        block, fresh = self._block(cid, MAX_BLOCK)
        node = dag.file_node(cid, block, claimed, depth)
        if node.size > limit:
            raise Refused("the file is larger than allowed", clause="limit_bytes", seen=node.size, needed=limit)
        self._tell(node.inline)
        children = [(link.cid, size) for link, size in zip(node.links, node.sizes, strict=True)]
        for raw, run in groupby(children, key=lambda child: child[0].codec == RAW):
            if raw:
                self._leaves(list(run), depth + 1)
            else:
                for child, size in run:
                    self.tree(child, size, depth + 1, limit)
        if fresh:
            self._into.put_blocks([(cid, block)], durable=False)
        return node.size

    def _leaves(self, leaves: list[tuple[Cid, int]], depth: int) -> None:
        for start in range(0, len(leaves), GROUP):
            self._into.put_blocks(self._arriving(leaves[start : start + GROUP], depth), durable=False)

    def _arriving(self, leaves: list[tuple[Cid, int]], depth: int) -> Iterator[tuple[Cid, bytes]]:
        """The leaves we lack, in order, a few requests ahead."""
        ahead: deque[tuple[Cid, int, Future[tuple[bytes, bool]]]] = deque()
        waiting = iter(leaves)
        while True:
            for cid, size in waiting:
                ahead.append((cid, size, self._pool.submit(self._block, cid, min(size, MAX_BLOCK))))
                if len(ahead) >= 2 * PARALLEL:
                    break
            if not ahead:
                return
            cid, size, future = ahead.popleft()
            block, fresh = future.result()
            self._tell(dag.file_node(cid, block, size, depth).inline)
            if fresh:
                yield cid, block

    def _block(self, cid: Cid, most: int) -> tuple[bytes, bool]:
        """A block and whether it is new here; a rotten local one is fetched again."""
        if cid.codec not in (RAW, DAG_PB) or cid.hash_code != SHA2_256:
            raise Refused("only sha2-256 raw and dag-pb blocks are fetched", clause="codec", seen=cid)
        try:
            return self._into.get_block(cid), False
        except (NotFound, Untrusted):
            return self._sources.block(cid, most), True

    def _tell(self, piece: bytes) -> None:
        """A block's own bytes have arrived, in the file's order."""
        self.blocks += 1
        self._done += len(piece)
        if self._leaf and piece:
            self._leaf(piece)
        if self._progress:
            self._progress(self._done)


class _Sources:
    """The gateways of one fetch, in the order given, and why some are not asked any more."""

    def __init__(self, peers: list[_Gateway], unusable: dict[str, HanseError], deadline: float) -> None:
        self._peers, self._deadline = peers, deadline
        self._unusable = unusable
        self._dropped: dict[str, HanseError] = {}

    def block(self, cid: Cid, most: int) -> bytes:
        """The block from the first gateway that delivers it, hashed."""
        reasons = dict(self._unusable)
        for peer in self._peers:
            if peer.url in self._dropped:
                reasons[peer.url] = self._dropped[peer.url]
                continue
            if time.monotonic() >= self._deadline:
                raise Retry("the fetch took longer than allowed", clause="deadline_seconds", seen=cid)
            try:
                return peer.block(cid, most, min(self._deadline, time.monotonic() + BLOCK_SECONDS))
            except NotFound as exc:
                reasons[peer.url] = exc
            except (Retry, Untrusted) as exc:
                reasons[peer.url] = self._dropped[peer.url] = exc
        raise _undelivered(cid, reasons)


def _usable(gateways: Sequence[str], *, allow_loopback: bool) -> tuple[list[_Gateway], dict[str, HanseError]]:
    """The gateways that may be asked, and why the others may not: one bad address must not cost the good ones."""
    peers, unusable = list[_Gateway](), dict[str, HanseError]()
    for url in gateways:
        try:
            peers.append(_Gateway(url, allow_loopback=allow_loopback))
        except (Misuse, Refused, Retry) as exc:
            unusable[url] = exc
    if unusable and not peers:
        raise next(iter(unusable.values()))
    return peers, unusable


def _undelivered(cid: Cid, reasons: dict[str, HanseError]) -> HanseError:
    words = "; ".join(f"{url}: {reason.message}" for url, reason in reasons.items())
    if any(isinstance(reason, Untrusted) for reason in reasons.values()):
        return Untrusted(f"{cid} came with wrong bytes: {words}", clause="block hash")
    return Retry(f"{cid} was not found at {len(reasons)} gateways: {words}", clause="gateways")


class _Gateway:
    """One member's gateway; every thread keeps a connection to it."""

    def __init__(self, url: str, *, allow_loopback: bool) -> None:
        """Resolve once. Raises Misuse (not a gateway's URL), Refused (not a public address), Retry (no address)."""
        self.url = url
        self._address = locate(url, allow_loopback=allow_loopback)
        self._tls = ssl.create_default_context() if self._address.tls else None
        if self._tls:
            self._tls.sslsocket_class = _Secure
        self._mine = threading.local()
        self._all: list[_Connection] = []

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    def block(self, cid: Cid, most: int, deadline: float) -> bytes:
        """Raises NotFound, Retry (anything that may pass) or Untrusted (bytes that are not the CID's)."""
        try:
            block = _body(self._ask(cid, deadline), most)
        except (OSError, HTTPException) as exc:
            self._hang_up()
            raise Retry(f"{type(exc).__name__} {exc}".strip(), clause="gateway") from exc
        except HanseError:
            self._hang_up()  # what is left of the answer is not read
            raise
        cid.check(block)
        return block

    def _ask(self, cid: Cid, deadline: float) -> HTTPResponse:
        used: _Connection | None = getattr(self._mine, "connection", None)
        if used and used.sock:
            try:
                return self._request(used, cid, deadline)
            except (RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                used.close()  # an idle connection the gateway had closed: once more on a new one
        return self._request(self._connect(deadline), cid, deadline)

    def _request(self, connection: _Connection, cid: Cid, deadline: float) -> HTTPResponse:
        connection.line.deadline = deadline
        connection.request("GET", f"{self._address.prefix}/ipfs/{cid}?format=raw", headers=self._headers())
        return connection.getresponse()

    def _headers(self) -> dict[str, str]:
        host, port = self._address.host, self._address.port
        name = f"[{host}]" if ":" in host else host
        return {"Host": name if port in (80, 443) else f"{name}:{port}", "Accept": "application/vnd.ipld.raw"}

    def _connect(self, deadline: float) -> _Connection:
        where = self._address
        sock = _Plain(socket.AF_INET6 if ":" in where.ip else socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(max(0.001, min(CONNECT_SECONDS, deadline - time.monotonic())))
        try:
            sock.connect((where.ip, where.port))
            line = cast(_Secure, self._tls.wrap_socket(sock, server_hostname=where.host)) if self._tls else sock
        except OSError:
            sock.close()
            raise
        connection = _Connection(where, line)
        self._mine.connection = connection
        self._all.append(connection)
        return connection

    def _hang_up(self) -> None:
        if connection := getattr(self._mine, "connection", None):
            connection.close()


class _Connection(HTTPConnection):
    """HTTP/1.1 over a line that is open already; it never opens one of its own, to an address nobody judged."""

    auto_open = 0

    def __init__(self, where: Place, line: _Plain | _Secure) -> None:
        super().__init__(where.ip, where.port)
        self.sock = self.line = line


class _Plain(socket.socket):
    """A socket whose every receive ends at `deadline`, however slowly bytes drip."""

    deadline = 0.0

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(_left(self.deadline))
        return super().recv_into(buffer, nbytes, flags)


class _Secure(ssl.SSLSocket):
    """The same under TLS."""

    deadline = 0.0

    def recv_into(self, buffer: Buffer, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(_left(self.deadline))
        return super().recv_into(buffer, nbytes, flags)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("too slow")
    return min(left, IDLE_SECONDS)


def _body(answer: HTTPResponse, most: int) -> bytes:
    if answer.status in (403, 404, 410, 412, 451):
        raise NotFound(f"answers {answer.status}", clause="cid")
    if answer.status != 200 or answer.getheader("Content-Encoding"):
        raise Retry(f"answers {answer.status} {answer.getheader('Content-Encoding') or ''}".strip(), clause="gateway")
    block = answer.read(most + 1)
    if len(block) > most or (answer.length or 0) + len(block) > most:
        raise Untrusted(f"sends more than the block's {most} bytes", clause="block size")
    if answer.length:
        raise Retry(f"ends {answer.length} bytes early", clause="gateway")
    if not answer.isclosed() and answer.read(
        1
    ):  # reads a chunked answer's end, so that the connection can be used again
        raise Untrusted(f"sends more than the block's {most} bytes", clause="block size")
    return block
