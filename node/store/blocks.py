"""The embedded store: one file a block in a folder of ours, named by its sha2-256. No daemon, no network.

    store = BlockStore(Path("~/.hanse/store").expanduser())
    stored = store.put_file(open("sealed.bin", "rb"))
    store.pin(stored.cid, "dataset 7 version 1")

    blocks/a/ab12…    complete blocks, each synced before it got this name
    staging/…         imports in progress; left by a crash, and removed at the next start
    pins/CID.NAME     an empty file for each reason to keep a DAG: the commit record
    lock              shared by imports and pins, exclusive for garbage collection and sweeping

A crash leaves staging, or blocks without a pin: nothing a reader meets, and `collect` removes it. Several processes
and threads may use one folder; the lock is the kernel's (flock) and dies with its holder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

from node.errors import Misuse, NotFound, Refused, Retry
from node.store import Collected, Progress, Source, Stat, Stored, car, dag
from node.store.cid import MAX_BLOCK, RAW, SHA2_256, Cid, of
from node.store.dag import UNIXFS_V1_2025, Profile

MAX_LEAF = 1 << 20
MAX_NAME = 150  # bytes of a pin's name, percent-encoded
DAY = 86400.0
IMPORT_WAIT, COLLECT_WAIT = 120.0, 2.0  # seconds for the lock
_BEHIND = 8  # blocks hashed but not yet written: bounds memory
_FULL = (errno.ENOSPC, errno.EDQUOT)


class BlockStore:
    """A `Store` in a folder; see the module. Opening it sweeps what a crash left in staging."""

    def __init__(self, folder: Path) -> None:
        self._blocks, self._staging, self._pins = folder / "blocks", folder / "staging", folder / "pins"
        self._lock = folder / "lock"
        with _disk():
            for each in (self._blocks, self._staging, self._pins):
                each.mkdir(parents=True, exist_ok=True)
        try:
            with self._locked(fcntl.LOCK_EX, wait=0.0):
                self._sweep()
        except Retry:
            pass  # another process is importing: its staging is alive, and the next start or `collect` sweeps

    @contextmanager
    def importing(self) -> Iterator[None]:
        with self._locked(fcntl.LOCK_SH, wait=IMPORT_WAIT):
            yield

    def put_file(
        self, source: Source, *, profile: Profile = UNIXFS_V1_2025, progress: Progress | None = None
    ) -> Stored:
        root, block, count = self._write(dag.blocks(dag.pieces(source, profile.chunk), profile.width), progress)
        return Stored(root, dag.file_size(root, block), count)

    def put_block(self, data: bytes) -> Cid:
        if len(data) > MAX_LEAF:
            raise Misuse("too large for one block; use put_file", clause="data", seen=len(data), needed=f"{MAX_LEAF}")
        cid, _, _ = self._write([(of(RAW, data), data)])
        return cid

    def put_blocks(self, blocks: Iterable[tuple[Cid, bytes]], *, durable: bool = True) -> None:
        first = next(rest := iter(blocks), None)
        if first:
            self._write(chain((first,), rest), durable=durable)

    def _write(
        self, blocks: Iterable[tuple[Cid, bytes]], progress: Progress | None = None, *, durable: bool = True
    ) -> tuple[Cid, bytes, int]:
        """Stage every block (at least one), then name all of them, the last one last: the root, and how many."""
        root, block, count, done = None, b"", 0, 0
        with self.importing(), _Staging(self._staging, durable=durable) as staging:
            for root, block in blocks:
                staging.write(root, block)
                count += 1
                if root.codec == RAW:
                    done += len(block)
                    if progress:
                        progress(done)
            if root is None:
                raise Misuse("there is nothing to store", clause="blocks")
            staging.commit(root, self._path)
        return root, block, count

    def get_block(self, cid: Cid) -> bytes:
        block = self._read(cid)
        cid.check(block)
        return block

    def _read(self, cid: Cid) -> bytes:
        try:
            with _disk(), self._path(cid).open("rb", buffering=0) as file:
                return file.read(MAX_BLOCK + 1)
        except FileNotFoundError as exc:
            raise _missing(cid) from exc

    def has(self, cid: Cid) -> bool:
        return self._path(cid).exists()

    def open(self, cid: Cid, *, hashed: bool = True) -> BinaryIO:
        return dag.open_file(self.get_block if hashed else self._leaf_as_it_is, cid)

    def _leaf_as_it_is(self, cid: Cid) -> bytes:
        return self._read(cid) if cid.codec == RAW else self.get_block(cid)

    def pin(self, cid: Cid, name: str) -> None:
        record = self._pin_path(cid, name)
        with self.importing(), _disk():
            for _ in dag.walk(self._node_or_presence, cid, set()):
                pass
            record.touch()
            _sync(self._pins)

    def unpin(self, cid: Cid, name: str) -> None:
        try:
            with _disk():
                self._pin_path(cid, name).unlink()
                _sync(self._pins)
        except FileNotFoundError as exc:
            raise NotFound(f"{cid} is not pinned under this name", clause="name", seen=name) from exc

    def pins(self) -> dict[Cid, tuple[str, ...]]:
        found: dict[Cid, list[str]] = {}
        with _disk():
            for record in os.listdir(self._pins):
                text, _, name = record.partition(".")
                found.setdefault(Cid.parse(text), []).append(unquote(name))
        return {cid: tuple(sorted(names)) for cid, names in sorted(found.items())}

    def verify(self, cid: Cid) -> Stored:
        return dag.verify(self.get_block, cid)

    def collect(self, *, dry_run: bool = False, grace_seconds: float = DAY) -> Collected:
        count = size = 0
        with self._locked(fcntl.LOCK_EX, wait=COLLECT_WAIT), _disk():
            self._sweep()
            keep, before = self._reached(), time.time() - grace_seconds
            for entry in self._entries():
                status = entry.stat()
                if bytes.fromhex(entry.name) in keep or status.st_mtime > before:
                    continue
                count, size = count + 1, size + status.st_size
                if not dry_run:
                    os.unlink(entry.path)
        return Collected(count, size)

    def _reached(self) -> set[bytes]:
        """Digests of every pinned block. A pinned DAG with a missing or rotten node stops the collection: what lies
        below it cannot be known, and is not to be lost with it."""
        seen: set[Cid] = set()
        for root in self.pins():
            for _ in dag.walk(lambda cid: b"" if cid.codec == RAW else self.get_block(cid), root, seen):
                pass
        return {cid.digest for cid in seen}

    def import_car(self, stream: BinaryIO, *, limit_bytes: int = car.DEFAULT_LIMIT) -> Stored:
        archive = car.read(stream, limit_bytes=limit_bytes)
        if len(archive.roots) != 1:
            raise Refused("a CAR with one root is needed", clause="roots", seen=len(archive.roots))
        root = archive.roots[0]
        with self.importing(), _Staging(self._staging, durable=True) as staging:
            count = 0
            for cid, block in archive.blocks:
                count += 1
                dag.children(cid, block)  # refuses other codecs and malformed nodes
                cid.check(block)
                staging.write(cid, block)
            staging.drain()
            size = dag.verify(lambda cid: self._staged_or_stored(staging, cid), root).size
            staging.commit(root, self._path)
        return Stored(root, size, count)

    def _staged_or_stored(self, staging: _Staging, cid: Cid) -> bytes:
        block = staging.get(cid)
        return self.get_block(cid) if block is None else block

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        return car.write(cid, dag.walk(self.get_block, cid, set()))

    def stat(self) -> Stat:
        with _disk():
            sizes = [entry.stat().st_size for entry in self._entries()]
            return Stat(len(sizes), sum(sizes), len(self.pins()), shutil.disk_usage(self._blocks).free)

    def _path(self, cid: Cid) -> Path:
        if cid.hash_code != SHA2_256:
            raise Refused("only sha2-256 blocks are stored", clause="hash", seen=hex(cid.hash_code))
        name = cid.digest.hex()
        return self._blocks / name[:1] / name

    def _pin_path(self, cid: Cid, name: str) -> Path:
        encoded = quote(name, safe=" ")
        if not name or len(encoded) > MAX_NAME:
            raise Misuse("a pin's name has 1 to 150 bytes", clause="name", seen=name[:200])
        return self._pins / f"{cid}.{encoded}"

    def _node_or_presence(self, cid: Cid) -> bytes:
        if cid.codec != RAW:
            return self.get_block(cid)
        if not self.has(cid):
            raise _missing(cid)
        return b""

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        for shard in os.scandir(self._blocks):
            yield from os.scandir(shard.path)

    def _sweep(self) -> None:
        for left in self._staging.iterdir():
            shutil.rmtree(left)

    @contextmanager
    def _locked(self, mode: int, *, wait: float) -> Iterator[None]:
        with _disk():
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + wait
            while not _try_lock(handle, mode):
                if time.monotonic() >= deadline:
                    raise Retry("the store is busy: an import or a garbage collection is in progress", clause="lock")
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)


class _Staging:
    """An import: blocks are written and synced by a second thread while the first one hashes the next."""

    def __init__(self, parent: Path, *, durable: bool) -> None:
        self._durable = durable
        with _disk():
            self._folder = Path(tempfile.mkdtemp(dir=parent))
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-write")
        self._behind: deque[Future[None]] = deque()

    def __enter__(self) -> _Staging:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)  # whatever stays is swept at the next start

    def write(self, cid: Cid, block: bytes) -> None:
        if cid.hash_code != SHA2_256:
            raise Refused("only sha2-256 blocks are stored", clause="hash", seen=hex(cid.hash_code))
        self._behind.append(self._pool.submit(_write_block, self._folder / cid.digest.hex(), block, self._durable))
        if len(self._behind) > _BEHIND:
            self._behind.popleft().result()

    def drain(self) -> None:
        while self._behind:
            self._behind.popleft().result()

    def get(self, cid: Cid) -> bytes | None:
        """A staged block, hashed when it came in; None when it is not among them."""
        try:
            with _disk():
                return (self._folder / cid.digest.hex()).read_bytes()
        except FileNotFoundError:
            return None

    def commit(self, root: Cid, path: Callable[[Cid], Path]) -> None:
        """Name the blocks. A crash before the end leaves some blocks and no root; the import is run again."""
        self.drain()
        last = root.digest.hex()
        home = path(root).parent.parent
        with _disk():
            names = [name for name in os.listdir(self._folder) if name != last]
            shards = {home / name[:1] for name in names}
            _make(home, {*shards, home / last[:1]})
            for name in names:
                self._settle(name, home)
            for shard in shards if self._durable else ():
                _sync(shard)
            self._settle(last, home)
            if self._durable:
                _sync(home / last[:1])

    def _settle(self, name: str, home: Path) -> None:
        staged = self._folder / name
        os.utime(staged)  # the grace time of `collect` counts from here, not from the start of a long import
        staged.replace(home / name[:1] / name)


def _write_block(path: Path, block: bytes, durable: bool) -> None:
    with _disk():
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return  # the same block earlier in this import
        try:
            left = memoryview(block)
            while left:
                left = left[os.write(handle, left) :]
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)


def _missing(cid: Cid) -> NotFound:
    return NotFound(f"the store does not have {cid}", clause="cid", hint="fetch it from a member that has it")


def _try_lock(handle: int, mode: int) -> bool:
    try:
        fcntl.flock(handle, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(parent: Path, folders: set[Path]) -> None:
    if new := [folder for folder in folders if not folder.is_dir()]:
        for folder in new:
            folder.mkdir(exist_ok=True)
        _sync(parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk() -> Iterator[None]:
    """Translate what the disk says; a file that is not there stays FileNotFoundError, its meaning is the caller's."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as exc:
        if exc.errno in _FULL:
            raise Retry("the store's disk is full", clause="disk", hint="make room and run the same command") from exc
        raise Retry(f"the store's disk failed: {exc.strerror}", clause="disk") from exc
