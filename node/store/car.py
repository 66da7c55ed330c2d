"""CAR, the archive of blocks: writes version 1, reads versions 1 and 2 as a stream. It checks framing, not hashes.

    out.write(header(root)); out.write(section(cid, block))
    archive = read(stream); archive.roots; [cid.check(block) for cid, block in archive.blocks]

Formats: ipld.io/specs/transport/car.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from node.errors import Misuse, Refused, Untrusted
from node.store.cid import MAX_BLOCK, MAX_CID, Cid, cid_length, read_uvarint, uvarint

MAX_HEADER = 4096
MAX_PADDING = 1 << 20  # between a version 2 header and its payload
DEFAULT_LIMIT = 1 << 40
_PRAGMA = bytes.fromhex("a16776657273696f6e02")
_VERSION, _ROOTS = b"\x67version\x01", b"\x65roots"


@dataclass(frozen=True, slots=True)
class Archive:
    """The roots of a CAR, and its blocks as they are read."""

    roots: tuple[Cid, ...]
    blocks: Iterator[tuple[Cid, bytes]]


def header(root: Cid) -> bytes:
    """CARv1 header with one root: dag-cbor {"roots": [root], "version": 1} behind its length."""
    link = b"\0" + root.binary
    body = b"\xa2" + _ROOTS + b"\x81\xd8\x2a\x58" + bytes((len(link),)) + link + _VERSION
    return uvarint(len(body)) + body


def section(cid: Cid, block: bytes) -> bytes:
    return uvarint(len(cid.binary) + len(block)) + cid.binary + block


def write(root: Cid, blocks: Iterable[tuple[Cid, bytes]]) -> Iterator[bytes]:
    yield header(root)
    for cid, block in blocks:
        yield section(cid, block)


def read(stream: BinaryIO, *, limit_bytes: int = DEFAULT_LIMIT) -> Archive:
    """Read the header now and the blocks as they are asked for. Raises Untrusted (malformed), Refused (a limit)."""
    payload = _Limited(stream, limit_bytes)
    body = payload.exactly(_length(payload, MAX_HEADER, required=True) or 0)
    if body == _PRAGMA:
        payload = _open_v2(payload)
        body = payload.exactly(_length(payload, MAX_HEADER, required=True) or 0)
    return Archive(_roots(body), _sections(payload))


class _Limited:
    """A stream that counts, and ends where it is told to."""

    def __init__(self, stream: BinaryIO, limit: int, size: int | None = None) -> None:
        self.stream, self.left, self.size = stream, limit, size

    def exactly(self, count: int) -> bytes:
        data = self.up_to(count)
        if len(data) != count:
            raise Untrusted("the CAR is cut short", clause="car")
        return data

    def up_to(self, count: int) -> bytes:
        if self.size is not None:
            count = min(count, self.size)
        if count > self.left:
            raise Refused("the CAR is larger than allowed", clause="limit_bytes")
        parts = []
        while count and (part := self.stream.read(count)):
            parts.append(part)
            count -= len(part)
            self.left -= len(part)
            self.size = None if self.size is None else self.size - len(part)
        return b"".join(parts)


def _length(payload: _Limited, most: int, *, required: bool = False) -> int | None:
    """A length prefix, or None at the end of the archive."""
    prefix = payload.up_to(1)
    if not prefix and not required:
        return None
    while not prefix or prefix[-1] >= 0x80:
        prefix += payload.exactly(1)
        if len(prefix) > 9:
            break
    try:
        size, _ = read_uvarint(prefix)
    except ValueError as exc:
        raise Untrusted("the CAR has a malformed length", clause="car") from exc
    if not 0 < size <= most:
        raise Untrusted("the CAR has a section of impossible length", clause="car", seen=size, needed=f"1 to {most}")
    return size


def _open_v2(payload: _Limited) -> _Limited:
    """Skip to the version 1 payload inside a version 2 archive; the index behind it is not read."""
    offset, size, _ = struct.unpack("<16xQQQ", payload.exactly(40))
    if not 51 <= offset <= 51 + MAX_PADDING:
        raise Untrusted("the CAR's payload starts at an impossible place", clause="car", seen=offset)
    payload.exactly(offset - 51)
    return _Limited(payload.stream, payload.left, size)


def _sections(payload: _Limited) -> Iterator[tuple[Cid, bytes]]:
    while (size := _length(payload, MAX_BLOCK + MAX_CID)) is not None:
        data = payload.exactly(size)
        try:
            end = cid_length(data[:MAX_CID])
            cid = Cid(data[:end])
        except (ValueError, Misuse) as exc:
            raise Untrusted("the CAR has a section without a CID", clause="car") from exc
        yield cid, data[end:]


def _roots(body: bytes) -> tuple[Cid, ...]:
    """The roots in a dag-cbor {"roots": [link, …], "version": 1}: keys in this order, at most 23 roots."""
    if body[:7] != b"\xa2" + _ROOTS or body[-9:] != _VERSION or not 0x80 <= body[7] <= 0x97:
        raise Untrusted("the CAR's header is not that of version 1 or 2", clause="car")
    roots, at = [], 8
    try:
        for _ in range(body[7] - 0x80):
            if body[at : at + 3] != b"\xd8\x2a\x58" or body[at + 4] != 0:
                raise ValueError("a root is not a link")
            end = at + 4 + body[at + 3]
            roots.append(Cid(body[at + 5 : end]))
            at = end
        if at != len(body) - 9:
            raise ValueError("bytes left over")
    except (ValueError, IndexError, Misuse) as exc:
        raise Untrusted("the CAR's header has malformed roots", clause="car") from exc
    return tuple(roots)
