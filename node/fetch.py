"""Fetch: bring a granted version here, verify every byte, open it, and leave a receipt.

The bytes may come from any gateway, because each block is hashed again; the key comes from the wrap record that the
grant names. The file gets its name only when all of it has been verified.

    fetched = fetch(node, grant_id, Path("mill.csv"), purposes=("research",))

Run again after a crash it goes on: blocks that are here are not fetched twice, a receipt is anchored once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, cast

from node import merkle, model, signature
from node.arriving import Arriving
from node.db import Tx, operations
from node.db import documents as private
from node.db.records import Operation
from node.documents import Receipt, ReceiptList, digest_of, encode
from node.encryption import floe
from node.encryption.wrap import Expected, open_wrap
from node.errors import Conflict, HanseError, Misuse, Refused, Retry
from node.ledger import Grant, require_allowed
from node.model import Digest, GrantId, TxHash, Use
from node.policy import bits
from node.sealed import associated, context, envelope_of
from node.store import Cid
from node.wiring import Node, Sent

Progress = Callable[[str, int, int | None], None]
RECEIPTS_AT_ONCE = 1000
FLUSH = 64 << 20
"""Opened bytes written before the disk is asked to take them."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A granted version, opened and verified, in a file of one's own."""

    id: GrantId
    path: str
    size: int
    receipt: Digest
    tx: TxHash
    gas: int
    already: bool


def fetch(
    node: Node, number: GrantId, destination: Path, *, purposes: Sequence[str], progress: Progress | None = None
) -> Fetched:
    """Fetch the sealed bytes from any gateway, re-hash every block, open them into `destination`, anchor a receipt.

    Raises Refused naming the clause of the grant that forbids it, Untrusted for wrong bytes, Retry for dead gateways.
    """
    found = require_allowed(node.ledger, number, who=node.me, use=Use.READ, purposes=bits(purposes),
                            at=node.clock())  # fmt: skip
    node.require_settled(found.at.block)
    task = _begun(node, f"fetch:{number}:{destination.resolve()}", destination)
    if task.step == operations.FIRST:
        receipt = _opened(node, found, destination, purposes, progress or _silent)
        with node.db.writing() as tx:
            # A crash before this line opens again, from blocks that are here by now, into the same draft.
            digest = private.put_receipt(tx, number, encode(receipt), at=node.clock())
            state = {"size": receipt.size, "receipt": digest}
            task = operations.advance(tx, task.key, "opened", state, at=node.clock())
    _name(_draft(destination), destination)
    return _received(node, number, destination, task)


def _begun(node: Node, key: str, destination: Path) -> Operation:
    """The earlier run's operation while its file is there; a file that was taken away is fetched afresh."""
    with node.db.writing() as tx:
        task = operations.begin(tx, "fetch", key, {}, at=node.clock())
        if task.step != operations.FIRST and not (destination.exists() or _draft(destination).exists()):
            task = operations.restart(tx, "fetch", key, {}, at=node.clock())
    return task


def _opened(node: Node, found: Grant, destination: Path, purposes: Sequence[str], progress: Progress) -> Receipt:
    """Fetch and open into the draft; the signed receipt for it."""
    terms = found.terms
    opening = _next_opening(node, found)
    if destination.exists():
        raise Conflict("a file is there already", clause="destination", seen=destination, needed="a new file")
    if not destination.parent.is_dir():
        raise Misuse("there is no such folder", clause="destination", seen=destination.parent)
    file_key = _unwrap(node, found)
    envelope = envelope_of(node, terms.dataset, terms.version)
    cid = Cid.parse(envelope.cid)
    bound = associated(node.chain.chain_id, terms.dataset, terms.version)

    def bring(leaf: Callable[[bytes], None]) -> None:
        def told(done: int) -> None:
            progress("fetch", done, envelope.size)

        node.fetch(cid, member=terms.owner, limit=envelope.size, progress=told, leaf=leaf)

    size = _opened_on_the_way(bring, lambda sealed: _open_into(sealed, file_key, bound, _draft(destination)))
    bare = Receipt(found.id, terms.dataset, terms.version, envelope.cid, size, bits(purposes), node.clock(),
                   opening)  # fmt: skip
    signed = replace(bare, signature="0x" + node.keys.sign_digest(model.raw(digest_of(bare))).hex())
    node.put_document(signed)
    return signed


def _next_opening(node: Node, found: Grant) -> int:
    """Which opening this will be, counted from 1; refused beyond the grant's count."""
    with node.db.reading() as tx:
        used = private.count_receipts(tx, found.id)
    if found.terms.count and used >= found.terms.count:
        raise Refused(
            "the grant's openings are used up", clause="count", seen=used, needed=f"under {found.terms.count}"
        )
    return used + 1


def _unwrap(node: Node, found: Grant) -> bytes:
    data = node.get_bytes(found.wrap, member=found.terms.owner)
    expected = Expected(context(node, found.terms, found.id), found.terms.owner, signature.recover)
    return open_wrap(data, node.keys.hpke, expected)


def _draft(destination: Path) -> Path:
    return destination.with_name(f".{destination.name}.hanse-part")


def _opened_on_the_way(bring: Callable[[Callable[[bytes], None]], None], opening: Callable[[BinaryIO], int]) -> int:
    """Open the file in a second thread while it still comes in; what fails first is what is raised."""
    arriving = Arriving()
    with ThreadPoolExecutor(1, thread_name_prefix="open") as pool:
        opened = pool.submit(opening, cast(BinaryIO, arriving))
        opened.add_done_callback(lambda _: arriving.abandon())
        try:
            bring(arriving.put)
        finally:
            arriving.end()
        return opened.result()


def _open_into(sealed: BinaryIO, key: bytes, bound: bytes, draft: Path) -> int:
    """Open into a draft beside the destination, durably. Nothing is left of what cannot be opened to its end."""
    try:
        with draft.open("wb", buffering=0) as plain:
            size = floe.open_to(key, bound, sealed, _Flushed(plain))
            os.fsync(plain.fileno())
            return size
    except OSError as exc:
        _remove(draft)
        raise Retry(f"the file cannot be written: {exc.strerror}", clause="destination", seen=draft) from exc
    except HanseError:
        _remove(draft)
        raise


class _Flushed:
    """A file that is on its way to the disk while it is written, so that the last flush is short."""

    def __init__(self, file: RawIOBase) -> None:
        self._file, self._waiting = file, 0

    def write(self, data: memoryview) -> None:
        left = data
        while left:
            left = left[self._file.write(left) or 0 :]
        self._waiting += len(data)
        if self._waiting >= FLUSH:
            os.fdatasync(self._file.fileno())
            self._waiting = 0


def _remove(draft: Path) -> None:
    with suppress(OSError):  # the disk that failed may refuse this as well; the next run writes over it
        draft.unlink(missing_ok=True)


def _name(draft: Path, destination: Path) -> None:
    """Give the verified file its name. After a crash either the draft is still there, or the name is."""
    try:
        if draft.exists():
            os.replace(draft, destination)
            _sync_folder(destination.parent)
    except OSError as exc:
        raise Retry(f"the file cannot be named: {exc.strerror}", clause="destination", seen=destination) from exc


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _received(node: Node, number: GrantId, destination: Path, task: Operation) -> Fetched:
    digest, already = Digest(task.state["receipt"]), task.done
    if not already:
        sent = _anchored(node, digest)
        task = node.finish(task.key, {"tx": sent.tx, "gas": sent.gas})
    state = task.state
    return Fetched(
        number, str(destination), int(state["size"]), digest, TxHash(state["tx"]), int(state["gas"]), already
    )


def _anchored(node: Node, digest: Digest) -> Sent:
    """Put the receipt, and all others that wait, under one root on chain."""
    with node.db.writing() as tx:
        # The batch is fixed here before it is sent: whoever crashes in between sends the same batch again.
        root = private.receipt(tx, digest).root or _batched(tx)
        batch = private.anchored_receipts(tx, root)
    listed = node.put_document(ReceiptList(tuple(kept.digest for kept in batch)))
    return node.send(f"receipts:{root}", "Grants", "receive_", root, len(batch), listed, purpose="anchor receipts")


def _batched(tx: Tx) -> Digest:
    waiting = private.waiting_receipts(tx, limit=RECEIPTS_AT_ONCE)
    root = model.digest(merkle.root_of([kept.body for kept in waiting]))
    private.anchor_receipts(tx, [kept.digest for kept in waiting], root)
    return root


def _silent(label: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""
