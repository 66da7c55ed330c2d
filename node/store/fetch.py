"""Brings a file from other members' gateways into our store, block by block. Gateways are trusted for nothing.

Every block is hashed before it is kept; a gateway that lies is not asked again; what is here already is not fetched,
so that an interrupted fetch goes on where it stopped. It finds no gateways: their addresses come from the members.

    stored = fetch(cid, ["https://store.bob.example"], store, limit_bytes=1 << 30, deadline_seconds=600)
    store.pin(stored.cid, "dataset 7 version 1")

Addresses are resolved once, refused unless all are global, and connected to as resolved: no redirects, no proxies.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx2

from node.errors import HanseError, Misuse, NotFound, Refused, Retry, Untrusted
from node.store import Progress, Store, dag
from node.store.cid import DAG_PB, MAX_BLOCK, RAW, SHA2_256, Cid
from node.store.dag import Node, Stored

PARALLEL = 4  # blocks under way at a time
GROUP = 256  # leaves made durable together
BLOCK_SECONDS = 60.0  # for one block from one gateway
TIMEOUT = httpx2.Timeout(10.0, connect=5.0, pool=None)
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetch(
    cid: Cid,
    gateways: Sequence[str],
    into: Store,
    *,
    limit_bytes: int,
    deadline_seconds: float,
    progress: Progress | None = None,
    allow_loopback: bool = False,
) -> Stored:
    """Copy the file under `cid` into the store (pinning is the caller's).

    Raises Retry when no gateway delivers in time (with the reason each gave), Untrusted when one lied and no other
    delivered, Refused for a file above `limit_bytes`, a foreign codec or an address that is not public."""
    if cid.codec not in (RAW, DAG_PB) or cid.hash_code != SHA2_256:
        raise Refused("only sha2-256 raw and dag-pb files are fetched", clause="codec", seen=cid)
    peers = [_Gateway.at(url, allow_loopback=allow_loopback) for url in gateways]
    with (
        httpx2.Client(trust_env=False, follow_redirects=False, timeout=TIMEOUT) as client,
        ThreadPoolExecutor(PARALLEL, thread_name_prefix="fetch") as pool,
        into.importing(),
    ):
        transfer = _Transfer(_Sources(peers, client, time.monotonic() + deadline_seconds), into, pool, progress)
        try:
            size = transfer.tree(cid, None, 0, limit_bytes)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return Stored(cid, size, transfer.blocks)


class _Transfer:
    """A file on its way in: leaves in parallel, each node kept after everything below it."""

    def __init__(self, sources: _Sources, into: Store, pool: ThreadPoolExecutor, progress: Progress | None) -> None:
        self._sources, self._into, self._pool, self._progress = sources, into, pool, progress
        self.blocks = self._done = 0

    def tree(self, cid: Cid, claimed: int | None, depth: int, limit: int) -> int:
        """Bring in what is missing under `cid`; its size in bytes."""
        block, fresh = self._block(cid, MAX_BLOCK)
        node = dag.file_node(cid, block, claimed, depth)
        if node.size > limit:
            raise Refused("the file is larger than allowed", clause="limit_bytes", seen=node.size, needed=limit)
        for link, size in zip(node.links, node.sizes, strict=True):
            if link.cid.codec != RAW:
                self.tree(link.cid, size, depth + 1, limit)
        self._leaves(node, depth + 1)
        if fresh:
            self._into.put_blocks([(cid, block)])
        self._count(len(node.inline))
        return node.size

    def _leaves(self, node: Node, depth: int) -> None:
        leaves = [(link.cid, size) for link, size in zip(node.links, node.sizes, strict=True) if link.cid.codec == RAW]
        for start in range(0, len(leaves), GROUP):
            self._into.put_blocks(self._arriving(leaves[start : start + GROUP], depth))

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
            dag.file_node(cid, block, size, depth)
            self._count(size)
            if fresh:
                yield cid, block

    def _block(self, cid: Cid, most: int) -> tuple[bytes, bool]:
        """A block and whether it is new here; a rotten local one is fetched again."""
        try:
            return self._into.get_block(cid), False
        except (NotFound, Untrusted):
            return self._sources.block(cid, most), True

    def _count(self, size: int) -> None:
        self.blocks += 1
        self._done += size
        if self._progress:
            self._progress(self._done)


class _Sources:
    """The gateways of one fetch, in the order given, and why some are not asked any more."""

    def __init__(self, peers: list[_Gateway], client: httpx2.Client, deadline: float) -> None:
        self._peers, self._client, self._deadline = peers, client, deadline
        self._dropped: dict[str, HanseError] = {}

    def block(self, cid: Cid, most: int) -> bytes:
        """The block from the first gateway that delivers it, hashed."""
        reasons: dict[str, HanseError] = {}
        for peer in self._peers:
            if peer.url in self._dropped:
                reasons[peer.url] = self._dropped[peer.url]
                continue
            if time.monotonic() >= self._deadline:
                raise Retry("the fetch took longer than allowed", clause="deadline_seconds", seen=cid)
            try:
                return peer.block(self._client, cid, most, min(self._deadline, time.monotonic() + BLOCK_SECONDS))
            except NotFound as exc:
                reasons[peer.url] = exc
            except (Retry, Untrusted) as exc:
                reasons[peer.url] = self._dropped[peer.url] = exc
        raise _undelivered(cid, reasons)


def _undelivered(cid: Cid, reasons: dict[str, HanseError]) -> HanseError:
    words = "; ".join(f"{url}: {reason.message}" for url, reason in reasons.items())
    if any(isinstance(reason, Untrusted) for reason in reasons.values()):
        return Untrusted(f"{cid} came with wrong bytes: {words}", clause="block hash")
    return Retry(f"{cid} was not found at {len(reasons)} gateways: {words}", clause="gateways")


@dataclass(frozen=True, slots=True)
class _Gateway:
    """One member's gateway: the URL as given, and the same with its resolved address."""

    url: str
    base: str
    headers: dict[str, str]
    server_name: str

    @classmethod
    def at(cls, url: str, *, allow_loopback: bool) -> _Gateway:
        """Resolve once. Raises Misuse (not a gateway's URL), Refused (not a public address), Retry (no address)."""
        try:
            parsed = httpx2.URL(url)
            host = parsed.raw_host.decode("ascii")
        except (httpx2.InvalidURL, UnicodeError) as exc:
            raise Misuse("this is not a gateway's URL", clause="gateway", seen=url[:200]) from exc
        if parsed.scheme not in ("http", "https") or not host or parsed.userinfo or parsed.query or parsed.fragment:
            raise Misuse("this is not a gateway's URL", clause="gateway", seen=url[:200], needed="https://host[:port]")
        address = _resolve(host, allow_loopback=allow_loopback)
        base = str(parsed.copy_with(host=str(address))).rstrip("/")
        return cls(url, base, {"Host": parsed.netloc.decode("ascii")}, host)

    def block(self, client: httpx2.Client, cid: Cid, most: int, deadline: float) -> bytes:
        """Raises NotFound, Retry (anything that may pass) or Untrusted (bytes that are not the CID's)."""
        headers = self.headers | {"Accept": "application/vnd.ipld.raw", "Accept-Encoding": "identity"}
        extensions = {"sni_hostname": self.server_name}
        try:
            with client.stream(
                "GET", f"{self.base}/ipfs/{cid}?format=raw", headers=headers, extensions=extensions
            ) as answer:
                _check_status(answer)
                block = _body(answer, most, deadline)
        except httpx2.HTTPError as exc:
            raise Retry(f"{type(exc).__name__} {exc}".strip(), clause="gateway") from exc
        cid.check(block)
        return block


def _check_status(answer: httpx2.Response) -> None:
    if answer.status_code in (403, 404, 410, 412, 451):
        raise NotFound(f"answers {answer.status_code}", clause="cid")
    if answer.status_code != 200:
        raise Retry(f"answers {answer.status_code}", clause="gateway")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise Retry("answers with a content encoding", clause="gateway")


def _body(answer: httpx2.Response, most: int, deadline: float) -> bytes:
    data = bytearray()
    for part in answer.iter_raw():
        data += part
        if len(data) > most:
            raise Untrusted(f"sends more than the block's {most} bytes", clause="block size")
        if time.monotonic() > deadline:
            raise Retry("is too slow", clause="deadline_seconds")
    return bytes(data)


def _resolve(host: str, *, allow_loopback: bool) -> _Address:
    """The first address of a host, all of whose addresses must be allowed."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except (OSError, UnicodeError, ValueError) as exc:
        raise Retry(f"{host} has no address", clause="gateway") from exc
    for address in addresses:
        if not (_is_public(address) or (allow_loopback and address.is_loopback)):
            raise Refused("a gateway must have a public address", clause="address", seen=f"{host} = {address}")
    return addresses[0]


def _is_public(address: _Address) -> bool:
    """Global unicast, looking through the IPv6 forms that carry an IPv4 address (RFC 4291, 3056, 4380, 6052, 8215)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64[1] or address.sixtofour or address.teredo or address.is_site_local:
            return False
        if address in _NAT64[0]:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.ipv4_mapped:
            address = address.ipv4_mapped
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
