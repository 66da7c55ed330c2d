"""The public bytes behind the digests on chain, fetched from gateways, which are trusted for nothing, and hashed again.

What is in the scratch store already is not fetched: its blocks are named by their hash, so where they came from does
not matter. What nobody serves is Retry (not checked); what is served with wrong bytes only is Untrusted.

    blobs = Blobs(store, gateways, until=time.monotonic() + 600)
    blobs.bring([Cid.raw(digest), ...])             # in parallel
    card = blobs.document(Card, digest)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, TypeVar

from node import documents
from node.errors import HanseError, Retry
from node.model import Digest, Vector, raw
from node.store import Cid, Store, Stored
from node.store.fetch import fetch

PARALLEL = 8
DOCUMENT_SECONDS = 30.0
RAW_LEAVES = (1 << 20) // 256
"""A vector of at most this many leaves is one raw block."""

LARGEST_FILE = 1 << 40
"""Bytes of one sealed file; what claims to be longer is not fetched."""

LARGEST_VECTOR = 1 << 28
"""Bytes of one vector, which is read into memory."""

Record = TypeVar("Record")


class Blobs:
    """Blocks and files by digest; remembers what could not be had, so that nothing is asked for twice."""

    def __init__(self, store: Store, gateways: Sequence[str], *, until: float, allow_loopback: bool = False) -> None:
        self._store, self._gateways, self._until, self._loopback = store, tuple(gateways), until, allow_loopback
        self._failed: dict[Cid, HanseError] = {}

    def bring(self, wanted: Iterable[Cid], *, each: Callable[[int], None] = lambda done: None) -> None:
        """Fetch small blocks in parallel; what fails says so when it is read."""
        missing = [cid for cid in dict.fromkeys(wanted) if not self._store.has(cid)]
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="audit") as pool:
            for done, _ in enumerate(pool.map(self._try, missing), start=1):
                each(done)

    def block(self, digest: Digest) -> bytes:
        """A public document's bytes. Raises Retry where nobody serves them, Untrusted where somebody lies."""
        return self._store.get_block(self._had(Cid.raw(raw(digest)), documents.LIMIT).cid)

    def document(self, kind: type[Record], digest: Digest) -> Record:
        """A public document, exactly as its schema says."""
        return documents.decode(kind, self.block(digest))

    def file(self, cid: Cid, limit: int) -> Stored:
        """A whole file, every block hashed; more than `limit` bytes are refused. Held on disk, not in memory."""
        _within(limit, LARGEST_FILE, cid)
        return self._had(cid, limit)

    def open(self, cid: Cid) -> BinaryIO:
        return self._store.open(cid)

    def vector(self, vector: Vector) -> bytes:
        """The bytes of a vector in the store: at most 256 a leaf."""
        cid = vector_cid(vector)
        _within(vector.leaves * 256, LARGEST_VECTOR, cid)
        self._had(cid, vector.leaves * 256)
        with self._store.open(cid) as file:
            return file.read()

    def _try(self, cid: Cid) -> None:
        try:
            self._had(cid, documents.LIMIT)
        except HanseError:
            return  # kept in _failed, for whoever reads it

    def _had(self, cid: Cid, limit: int) -> Stored:
        if cid in self._failed:
            raise self._failed[cid]
        left = self._until - time.monotonic()
        if left <= 0:
            raise Retry("the audit's time is over", clause="deadline", seen=cid)
        seconds = min(left, DOCUMENT_SECONDS) if limit <= documents.LIMIT else left
        try:
            return fetch(
                cid, self._gateways, self._store,
                limit_bytes=limit, deadline_seconds=seconds, allow_loopback=self._loopback,
            )  # fmt: skip
        except HanseError as exc:
            self._failed[cid] = exc
            raise


def _within(size: int, largest: int, cid: Cid) -> None:
    if size > largest:
        raise Retry("larger than an audit reads", clause="size", seen=f"{size} bytes, {cid}", needed=f"{largest}")


def vector_cid(vector: Vector) -> Cid:
    """The CID of a vector: a raw block up to 1 MiB, else dag-pb."""
    digest = raw(vector.blob)
    return Cid.raw(digest) if vector.leaves <= RAW_LEAVES else Cid.dag_pb(digest)
