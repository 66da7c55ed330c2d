"""Blocks and events: the local picture of the chain. `follow` writes it, everyone else reads.

`head` is the contract's running hash after the event; keeping it with each row makes a rewind a plain deletion.

    with db.reading() as tx:
        for event in events.read(tx, contracts=("Datasets",)): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from node.db import Tx
from node.db.records import Kept
from node.db.said import said_from, said_text
from node.db.tables import blocks, events, meta
from node.model import BlockHash, Event, Head, Position, Time, TxHash

VERIFIED = "verified"
"""Name in `meta`."""

ROWS = 2000
"""Rows fetched at a time: a reader's memory does not grow with the history."""


def tip(tx: Tx, *, up_to: int | None = None) -> Kept | None:
    """The highest block kept, or the highest one not above `up_to`: blocks without events may be missing between."""
    query = blocks.select() if up_to is None else blocks.select().where(blocks.c.number <= up_to)
    row = tx.execute(query.order_by(blocks.c.number.desc()).limit(1)).first()
    return Kept(row.number, BlockHash(row.hash), Time(row.time)) if row else None


def head(tx: Tx, contract: str) -> Head | None:
    """A contract's running hash and number of events as indexed; None where it has said nothing."""
    last = sa.select(events.c.head, events.c.seq).where(events.c.contract == contract)
    row = tx.execute(last.order_by(events.c.seq.desc()).limit(1)).first()
    return Head(row.head, row.seq) if row else None


def block_hash(tx: Tx, number: int) -> BlockHash | None:
    """Hash of an indexed block, None where there is none at that number."""
    return tx.execute(sa.select(blocks.c.hash).where(blocks.c.number == number)).scalar()


def verified(tx: Tx) -> int:
    """The highest block up to which all running hashes were found equal to the chain's; -1 before any was."""
    found = tx.execute(sa.select(meta.c.value).where(meta.c.name == VERIFIED)).scalar()
    return -1 if found is None else int(found)


def set_verified(tx: Tx, number: int) -> None:
    row = {"name": VERIFIED, "value": str(number)}
    if not tx.execute(meta.update().where(meta.c.name == VERIFIED).values(row)).rowcount:
        tx.execute(meta.insert().values(row))


def add(tx: Tx, seen: Iterable[Kept], said: Sequence[tuple[Event, str]]) -> None:
    """Blocks and their events, each with its running hash, in one go; the caller's transaction makes them one fact."""
    found = {block.number: block for block in seen}
    for event, _ in said:
        found.setdefault(event.at.block, Kept(event.at.block, event.at.block_hash, event.at.time))
    if found:
        rows = [{"number": b.number, "hash": b.hash, "time": b.time} for b in found.values()]
        tx.execute(blocks.insert(), rows)
    if said:
        tx.execute(events.insert(), [_row(event, head) for event, head in said])


def rewind(tx: Tx, to: int) -> None:
    """Forget everything above block `to`."""
    tx.execute(events.delete().where(events.c.block > to))
    tx.execute(blocks.delete().where(blocks.c.number > to))
    if verified(tx) > to:
        set_verified(tx, to)


def thin(tx: Tx, *, below: int) -> None:
    """Drop block rows below `below` that hold no event: a quiet chain must not fill the disk."""
    with_events = sa.select(events.c.block).where(events.c.block < below)
    tx.execute(blocks.delete().where(blocks.c.number < below, blocks.c.number.not_in(with_events)))


def read(tx: Tx, *, contracts: Sequence[str] = (), above: int = -1, up_to: int | None = None) -> Iterator[Event]:
    """Events in chain order, of some contracts or of all, in blocks `above` < block <= `up_to`."""
    query = (
        sa.select(events, blocks.c.hash.label("block_hash"), blocks.c.time).join(blocks).where(blocks.c.number > above)
    )
    if contracts:
        query = query.where(events.c.contract.in_(contracts))
    if up_to is not None:
        query = query.where(blocks.c.number <= up_to)
    rows = tx.execution_options(yield_per=ROWS).execute(query.order_by(events.c.block, events.c.log_index))
    return (_event(row) for row in rows)


def count(tx: Tx) -> int:
    return tx.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()


def _row(event: Event, head: str) -> dict[str, object]:
    return {
        "contract": event.contract,
        "seq": event.seq,
        "block": event.at.block,
        "log_index": event.at.index,
        "tx": event.at.tx,
        "name": type(event.said).__name__,
        "said": said_text(event.said),
        "head": head,
    }


def _event(row: sa.Row[tuple[object, ...]]) -> Event:
    at = Position(row.block, row.log_index, Time(row.time), BlockHash(row.block_hash), TxHash(row.tx))
    return Event(row.contract, row.seq, at, said_from(row.name, row.said))
