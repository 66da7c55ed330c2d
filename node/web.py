"""HTTP to addresses that others name: resolved once, refused unless public, connected to as resolved.

A member's endpoint comes from its card, so it may point anywhere: at this machine, at the network behind it, or at a
name that changes its mind. No redirects, no proxies, capped answers, a deadline for the whole exchange.

    place = locate("https://alice.example", allow_loopback=False)
    answer = get(place, "/peer/manifests/0x...", headers={}, limit=1 << 20, seconds=10)
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from node.errors import Misuse, Refused, Retry, Untrusted

if TYPE_CHECKING:
    import httpx2

_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads: judged once, and connected to as judged. `prefix` is its path without a slash at the end."""

    ip: str
    port: int
    host: str
    tls: bool
    prefix: str

    @property
    def base(self) -> str:
        """The URL with the address in place of the name."""
        return f"{'https' if self.tls else 'http'}://{_bracketed(self.ip)}:{self.port}{self.prefix}"

    @property
    def authority(self) -> str:
        """What the Host header says."""
        return f"{_bracketed(self.host)}:{self.port}"


def locate(url: str, *, allow_loopback: bool) -> Place:
    """Resolve once. Raises Misuse (no base URL), Refused (not a public address), Retry (no address)."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except (ValueError, KeyError) as exc:
        raise Misuse("this is not a gateway's URL", clause="gateway", seen=url[:200]) from exc
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or not host or parts.username is not None or parts.query or parts.fragment:
        raise Misuse("this is not a gateway's URL", clause="gateway", seen=url[:200], needed="https://host[:port]")
    ip = resolve(host, allow_loopback=allow_loopback)
    return Place(str(ip), port, host, parts.scheme == "https", parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


def get(place: Place, path: str, *, headers: Mapping[str, str], limit: int, seconds: float) -> Answer:
    """One answer, at most `limit` bytes within `seconds`. Raises Retry (no answer) or Untrusted (too long)."""
    import httpx2

    deadline = time.monotonic() + seconds
    try:
        with (
            httpx2.Client(trust_env=False, follow_redirects=False, timeout=seconds, verify=_tls()) as client,
            client.stream(
                "GET",
                place.base + path,
                headers={"Host": place.authority, **headers, "Accept-Encoding": "identity"},
                extensions={"sni_hostname": place.host},
            ) as answer,
        ):
            return Answer(answer.status_code, read(answer, limit, deadline))
    except httpx2.HTTPError as exc:
        raise Retry(f"{type(exc).__name__} {exc}".strip(), clause="endpoint", seen=place.host) from exc


@cache
def _tls() -> ssl.SSLContext:
    """The client's default one. Reading all certificate authorities takes far longer than a request."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def read(answer: httpx2.Response, limit: int, deadline: float) -> bytes:
    """The whole body. Raises Untrusted above `limit` bytes, Retry past `deadline` (monotonic seconds)."""
    data = bytearray()
    for part in answer.iter_raw():
        data += part
        if len(data) > limit:
            raise Untrusted(f"sends more than {limit} bytes", clause="size")
        if time.monotonic() > deadline:
            raise Retry("is too slow", clause="deadline")
    return bytes(data)


def resolve(host: str, *, allow_loopback: bool) -> IpAddress:
    """The first address of a host, all of whose addresses must be allowed."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except (OSError, UnicodeError, ValueError) as exc:
        raise Retry(f"{host} has no address", clause="gateway") from exc
    for address in addresses:
        if not (is_public(address) or (allow_loopback and address.is_loopback)):
            raise Refused("a gateway must have a public address", clause="address", seen=f"{host} = {address}")
    return addresses[0]


def is_public(address: IpAddress) -> bool:
    """Global unicast, looking through the IPv6 forms that carry an IPv4 address (RFC 4291, 3056, 4380, 6052, 8215)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64[1] or address.sixtofour or address.teredo or address.is_site_local:
            return False
        if address in _NAT64[0]:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.ipv4_mapped:
            address = address.ipv4_mapped
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
