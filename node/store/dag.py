"""Files as trees of blocks: UnixFS over dag-pb, raw leaves, balanced. It does not know where the blocks lie.

Profiles fix chunk and width, so that everybody who adds the same bytes gets the same CID:
`unixfs-v1-2025` (IPIP-499; Helia, ipfs-car, Kubo's profile of that name) and `kubo-256k`
(`ipfs add --cid-version=1 --raw-leaves`).

    for cid, block in blocks(pieces(file, 1 << 20)): ...     # children first, the root last
    reader = FileReader(store.get_block, cid)                # seekable, constant memory
    for cid, block in walk(store.get_block, cid): ...        # parents first, depth first

Formats: ipld dag-pb and UnixFS v1 specifications. Sizes in nodes are claims, and checked on the way down.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import BinaryIO

from node.errors import Misuse, Refused, Untrusted
from node.store.cid import DAG_PB, MAX_BLOCK, RAW, Cid, of, read_uvarint, uvarint

Get = Callable[[Cid], bytes]

MAX_DEPTH = 1024  # of any DAG
MAX_FILE_DEPTH = 32  # of a file: 2 links a node and 1 KiB leaves are 4 TiB
DIRECTORY, FILE, SHARDED = 1, 2, 5
_FILE_KINDS = (0, FILE)


@dataclass(frozen=True, slots=True)
class Profile:
    """How a file is cut: bytes a leaf, links a node."""

    name: str
    chunk: int
    width: int


UNIXFS_V1_2025 = Profile("unixfs-v1-2025", 1 << 20, 1024)
KUBO_256K = Profile("kubo-256k", 1 << 18, 174)
PROFILES = {profile.name: profile for profile in (UNIXFS_V1_2025, KUBO_256K)}


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store: its root, its length in bytes (0 for a directory), the blocks it was written as."""

    cid: Cid
    size: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Link:
    cid: Cid
    name: str


@dataclass(frozen=True, slots=True)
class Node:
    """A dag-pb node: links and the UnixFS record that says what they mean."""

    links: tuple[Link, ...]
    kind: int | None
    size: int
    inline: bytes
    sizes: tuple[int, ...]

    @property
    def is_file(self) -> bool:
        return self.kind in _FILE_KINDS


def pieces(source: BinaryIO | Iterable[bytes], chunk: int) -> Iterator[bytes]:
    """Cut a reader or pieces of any length into pieces of `chunk` bytes; at least one, the last may be short."""
    parts = iter(lambda: source.read(chunk), b"") if hasattr(source, "read") else source
    buffer, empty = bytearray(), True
    for part in parts:
        if not buffer and len(part) == chunk:
            yield bytes(part)
            empty = False
            continue
        buffer += part
        while len(buffer) >= chunk:
            piece = bytes(memoryview(buffer)[:chunk])
            del buffer[:chunk]
            yield piece
            empty = False
    if buffer or empty:
        yield bytes(buffer)


@dataclass(frozen=True, slots=True)
class _Child:
    cid: Cid
    size: int  # file bytes below
    total: int  # block bytes below and here: dag-pb's Tsize


def blocks(cut: Iterable[bytes], width: int = UNIXFS_V1_2025.width) -> Iterator[tuple[Cid, bytes]]:
    """The balanced DAG over leaves: every leaf at the same depth, children before parents, the root last."""
    rows: list[list[_Child]] = [[]]
    for leaf in cut:
        cid = of(RAW, leaf)
        yield cid, leaf
        yield from _add(rows, 0, _Child(cid, len(leaf), len(leaf)), width)
    level = 0
    while level + 1 < len(rows) or len(rows[level]) > 1:
        yield from _close(rows, level, width)
        level += 1


def _add(rows: list[list[_Child]], level: int, child: _Child, width: int) -> Iterator[tuple[Cid, bytes]]:
    if level == len(rows):
        rows.append([])
    if len(rows[level]) == width:  # a full row is closed only when one more child arrives
        yield from _close(rows, level, width)
    rows[level].append(child)


def _close(rows: list[list[_Child]], level: int, width: int) -> Iterator[tuple[Cid, bytes]]:
    children, rows[level] = rows[level], []
    block = _encode(children)
    cid = of(DAG_PB, block)
    yield cid, block
    parent = _Child(cid, sum(c.size for c in children), len(block) + sum(c.total for c in children))
    yield from _add(rows, level + 1, parent, width)


def _encode(children: list[_Child]) -> bytes:
    """A UnixFS file node in canonical dag-pb: all links (with their empty name), then the data field."""
    links = bytearray()
    record = bytearray(b"\x08\x02\x18" + uvarint(sum(child.size for child in children)))
    for child in children:
        links += _field(0x12, _field(0x0A, child.cid.binary) + b"\x12\x00\x18" + uvarint(child.total))
        record += b"\x20" + uvarint(child.size)
    return bytes(links + _field(0x0A, record))


def _field(tag: int, data: bytes | bytearray) -> bytes:
    return bytes((tag,)) + uvarint(len(data)) + data


def decode(block: bytes) -> Node:
    """Read a dag-pb block with its UnixFS record. Raises Untrusted when it is not one, or contradicts itself."""
    try:
        return _decode(block)
    except (ValueError, KeyError, TypeError, Misuse) as exc:
        raise Untrusted(f"the block is not a UnixFS node: {exc}", clause="dag-pb") from exc


def _decode(block: bytes) -> Node:
    if len(block) > MAX_BLOCK:
        raise ValueError("too large")
    links, record = [], b""
    for number, value in _fields(block):
        if number == 2:
            link = dict(_fields(_bytes(value)))
            links.append(Link(Cid(_bytes(link[1])), _bytes(link.get(2, b"")).decode()))
        elif number == 1:
            record = _bytes(value)
    kind, size, inline, sizes = None, 0, b"", []
    for number, value in _fields(record):
        if number == 1:
            kind = _int(value)
        elif number == 2:
            inline = _bytes(value)
        elif number == 3:
            size = _int(value)
        elif number == 4:
            sizes.append(_int(value))
    if kind in _FILE_KINDS:
        _check_file(links, size, inline, sizes)
    return Node(tuple(links), kind, size, inline, tuple(sizes))


def _check_file(links: list[Link], size: int, inline: bytes, sizes: list[int]) -> None:
    if len(sizes) != len(links):
        raise ValueError("as many sizes as links are needed")
    if any(link.name for link in links):
        raise ValueError("a file's links have no names")
    if 0 in sizes:  # would allow visits without end for no bytes
        raise ValueError("an empty child")
    if size != len(inline) + sum(sizes):
        raise ValueError("sizes do not add up")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Protobuf fields (number, value); wire types 0 and 2 only."""
    at = 0
    while at < len(data):
        key, at = read_uvarint(data, at)
        number, at = read_uvarint(data, at)
        if key & 7 == 0:
            yield key >> 3, number
        elif key & 7 == 2 and at + number <= len(data):
            yield key >> 3, data[at : at + number]
            at += number
        else:
            raise ValueError("a wrong or truncated field")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("bytes are expected")
    return value


def _int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("a number is expected")
    return value


def children(cid: Cid, block: bytes) -> tuple[Cid, ...]:
    """The CIDs a block links to. Raises Refused for codecs other than raw and dag-pb."""
    if cid.codec == RAW:
        return ()
    if cid.codec != DAG_PB:
        raise Refused("only raw and dag-pb blocks are taken", clause="codec", seen=hex(cid.codec))
    return tuple(link.cid for link in decode(block).links)


def walk(get: Get, root: Cid, seen: set[Cid] | None = None) -> Iterator[tuple[Cid, bytes]]:
    """Every block of a DAG, parents first, depth first; with `seen`, each once over all walks that share it."""
    stack = [(root, 0)]
    while stack:
        cid, depth = stack.pop()
        if seen is not None:
            if cid in seen:
                continue
            seen.add(cid)
        if depth > MAX_DEPTH:
            raise Refused("the DAG is too deep", clause="depth", seen=depth, needed=f"at most {MAX_DEPTH}")
        block = get(cid)
        yield cid, block
        stack.extend((child, depth + 1) for child in reversed(children(cid, block)))


def walk_file(get: Get, root: Cid, start: int = 0, stop: int | None = None) -> Iterator[tuple[Cid, bytes]]:
    """The blocks that hold bytes [start, stop) of a file, parents first; claimed sizes are checked."""
    stack: list[tuple[Cid, int, int | None, int | None, int]] = [(root, start, stop, None, 0)]
    while stack:
        cid, first, last, claimed, depth = stack.pop()
        block = get(cid)
        node = file_node(cid, block, claimed, depth)
        yield cid, block
        at, down = len(node.inline), []
        for link, size in zip(node.links, node.sizes, strict=True):
            if at + size > first and (last is None or at < last):
                down.append((link.cid, first - at, None if last is None else last - at, size, depth + 1))
            at += size
        stack.extend(reversed(down))


def verify(get: Get, root: Cid) -> Stored:
    """Read every block of a DAG (`get` hashes them), and check a file's sizes on the way."""
    first = get(root)
    is_file = root.codec == RAW or (root.codec == DAG_PB and decode(first).is_file)
    count = sum(1 for _ in (walk_file(get, root) if is_file else walk(get, root, set())))
    return Stored(root, file_size(root, first) if is_file else 0, count)


def file_size(root: Cid, block: bytes) -> int:
    """What the root block says of its file's length in bytes."""
    return len(block) if root.codec == RAW else decode(block).size


def file_node(cid: Cid, block: bytes, claimed: int | None, depth: int) -> Node:
    """A block as part of a file (a raw leaf is all inline), against the size its parent claims.

    Raises Untrusted for a wrong size or a node of another kind, Refused for depth and codec."""
    if depth > MAX_FILE_DEPTH:
        raise Refused("the file's tree is too deep", clause="depth", seen=depth, needed=f"at most {MAX_FILE_DEPTH}")
    if cid.codec == RAW:
        node = Node((), FILE, len(block), block, ())
    elif cid.codec == DAG_PB:
        node = decode(block)
    else:
        raise Refused("only raw and dag-pb blocks are taken", clause="codec", seen=hex(cid.codec))
    if not node.is_file:
        raise Untrusted(f"{cid} is not a file", clause="UnixFS type", seen=node.kind)
    if claimed is not None and node.size != claimed:
        raise Untrusted(f"{cid} is not as long as its parent says", clause="size", seen=node.size, needed=claimed)
    return node


class FileReader(io.RawIOBase):
    """A seekable reader over a file's DAG; holds one leaf and a few nodes, whatever the file's size."""

    def __init__(self, get: Get, root: Cid) -> None:
        super().__init__()
        # A leaf of a few hundred KiB at a time, and the nodes on the way down to its neighbours.
        self._leaf = lru_cache(maxsize=1)(lambda cid, claimed, depth: file_node(cid, get(cid), claimed, depth))
        self._node = lru_cache(maxsize=8)(
            lambda cid, claimed, depth: _Indexed(file_node(cid, get(cid), claimed, depth))
        )
        self._root, self._at = root, 0
        self.size = self._load(root, None, 0).node.size

    def _load(self, cid: Cid, claimed: int | None, depth: int) -> _Indexed:
        if cid.codec == RAW:
            return _Indexed(self._leaf(cid, claimed, depth))
        return self._node(cid, claimed, depth)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._at >= self.size or not len(buffer):
            return 0
        part = self._inline_at(self._at)[: len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _inline_at(self, at: int) -> memoryview:
        """The bytes from `at` to the end of the block that holds them."""
        cid, claimed, depth = self._root, None, 0
        while True:
            indexed = self._load(cid, claimed, depth)
            if at < len(indexed.node.inline):
                return memoryview(indexed.node.inline)[at:]
            child = bisect_right(indexed.ends, at)
            size = indexed.node.sizes[child]
            cid, claimed, depth, at = indexed.node.links[child].cid, size, depth + 1, at - (indexed.ends[child] - size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise Misuse("cannot seek before the start", clause="offset", seen=base + offset)
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class _Indexed:
    """A node with the offset at which each child ends, for finding a child by offset."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.ends = list(accumulate(node.sizes, initial=len(node.inline)))[1:]


def open_file(get: Get, root: Cid) -> BinaryIO:
    """`FileReader` behind a small buffer, so that short reads happen at the end only."""
    return io.BufferedReader(FileReader(get, root), 1 << 16)
