"""Where sealed bytes and public documents live: content-addressed blocks, in our own folder or in a Kubo daemon.

A store is trusted for nothing: every block read from it is hashed again. It holds ciphertext and public documents
only, knows no members, keys or chain, and never asks other peers on its own (`fetch` does, when told to).

    store: Store = BlockStore(folder)                         # node.store.blocks, or KuboStore in node.store.kubo
    with store.importing():                                   # no garbage collection between these two lines
        stored = store.put_file(sealed_pieces)
        store.pin(stored.cid, "dataset 7 version 1")
    with store.open(stored.cid) as file: file.seek(1 << 30); file.read(65536)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from node.store.cid import Cid
from node.store.dag import UNIXFS_V1_2025, Profile, Stored

Progress = Callable[[int], None]  # bytes done so far
Source = BinaryIO | Iterable[bytes]

__all__ = ["Cid", "Collected", "Profile", "Progress", "Source", "Stat", "Store", "Stored"]


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store holds, and the bytes it may still take."""

    blocks: int
    bytes: int
    pins: int
    free: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What garbage collection removed, or would remove."""

    blocks: int
    bytes: int


class Store(Protocol):
    """Errors of every method: NotFound (names the CID), Untrusted (bytes are not the CID's), Retry (disk, daemon)."""

    def importing(self) -> AbstractContextManager[None]:
        """While open, nothing is collected: what was written can be pinned in peace."""

    def put_file(
        self, source: Source, *, profile: Profile = UNIXFS_V1_2025, progress: Progress | None = None
    ) -> Stored:
        """Store a file given as a reader or as pieces of any length. All of it is there afterwards, or nothing is."""

    def put_block(self, data: bytes) -> Cid:
        """Store at most 1 MiB as one raw leaf; its 32-byte digest alone names it."""

    def put_blocks(self, blocks: Iterable[tuple[Cid, bytes]], *, durable: bool = True) -> None:
        """Store blocks whose hash the caller has just computed or checked; children first, the root last.

        Not `durable`: a power cut may spoil them. For copies of what others have: reading finds it out, and they are
        fetched again."""

    def get_block(self, cid: Cid) -> bytes:
        """One block, hashed again."""

    def has(self, cid: Cid) -> bool:
        """Whether this one block is here; says nothing of the blocks below it (`pin` does)."""

    def open(self, cid: Cid, *, hashed: bool = True) -> BinaryIO:
        """A seekable reader over a file; every block is hashed before a byte of it is returned.

        Not `hashed`: leaves come as they are, for a reader that authenticates every byte itself."""

    def pin(self, cid: Cid, name: str) -> None:
        """Keep the whole DAG under `cid`; raises NotFound if a block of it is missing. Twice is as good as once."""

    def unpin(self, cid: Cid, name: str) -> None:
        """Drop this reason to keep `cid`; raises NotFound if there was none."""

    def pins(self) -> dict[Cid, tuple[str, ...]]:
        """Everything kept, and why."""

    def verify(self, cid: Cid) -> Stored:
        """Read and hash every block of the DAG."""

    def collect(self, *, dry_run: bool = False, grace_seconds: float = ...) -> Collected:
        """Remove what no pin reaches and is older than `grace_seconds`; Retry while an import is in progress."""

    def import_car(self, stream: BinaryIO, *, limit_bytes: int = ...) -> Stored:
        """Store a CAR with one root, whose DAG must be complete; nothing is kept if it is not."""

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        """The DAG as CARv1, each block once, in depth-first order."""

    def stat(self) -> Stat: ...
