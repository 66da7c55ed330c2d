"""The outbox's tables: submissions and every signed form they ever had. The rules are in `node.outbox`.

with db.writing() as tx:
    submissions.add(tx, submission, attempt)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from node.db import Tx
from node.db.records import Attempt, Progress, Submission
from node.db.tables import attempts, outbox
from node.errors import NotFound
from node.model import Address, TxHash

OPEN = (Progress.PENDING, Progress.MINED, Progress.REVERTED)


def next_nonce(tx: Tx, sender: Address) -> int:
    """One more than the highest nonce given out here, 0 when there was none; only true in a writing transaction."""
    last = tx.execute(sa.select(sa.func.max(outbox.c.nonce)).where(outbox.c.sender == sender)).scalar()
    return 0 if last is None else last + 1


def find(tx: Tx, keys: Sequence[str]) -> dict[str, Submission]:
    """Those there are, by key."""
    rows = tx.execute(outbox.select().where(outbox.c.key.in_(keys)))
    return {row.key: _submission(row) for row in rows}


def get(tx: Tx, number: int) -> Submission:
    """NotFound where there is no submission with that id."""
    row = tx.execute(outbox.select().where(outbox.c.id == number)).first()
    if row is None:
        raise NotFound(f"no submission {number} in the outbox", clause="submission", seen=number)
    return _submission(row)


def due(tx: Tx, sender: Address, *, taken: int, final: int, limit: int) -> list[Submission]:
    """Those to look at, lowest nonce first: waiting, dropped (their nonce is free again), or in a final block."""
    looked_at = sa.or_(outbox.c.state == Progress.PENDING, outbox.c.nonce >= taken, outbox.c.block <= final)
    query = outbox.select().where(outbox.c.sender == sender, outbox.c.state.in_(OPEN), looked_at)
    return [_submission(row) for row in tx.execute(query.order_by(outbox.c.nonce).limit(limit))]


def add(tx: Tx, submission: Submission, attempt: Attempt) -> Submission:
    """Write the intent and its signed bytes; returns it with its id."""
    number = tx.execute(outbox.insert().values(_row(submission)).returning(outbox.c.id)).scalar_one()
    written = replace(submission, id=number)
    add_attempt(tx, written, attempt)
    return written


def save(tx: Tx, submission: Submission, *, signed_as: TxHash) -> bool:
    """Replace what is kept, provided its newest signed form is still `signed_as`; False where somebody signed again."""
    same = sa.and_(outbox.c.id == submission.id, outbox.c.hash == signed_as)
    return tx.execute(outbox.update().where(same).values(_row(submission))).rowcount == 1


def add_attempt(tx: Tx, submission: Submission, attempt: Attempt) -> None:
    """Keep one more signed form."""
    tx.execute(
        attempts.insert().values(
            hash=attempt.hash,
            outbox_id=submission.id,
            nonce=attempt.nonce,
            raw=attempt.raw,
            created=submission.created,
        )
    )


def attempts_of(tx: Tx, submission: Submission) -> list[Attempt]:
    """Every form signed for its present nonce, in no order."""
    ours = attempts.select().where(attempts.c.outbox_id == submission.id, attempts.c.nonce == submission.nonce)
    rows = tx.execute(ours)
    return [Attempt(TxHash(row.hash), row.nonce, bytes(row.raw)) for row in rows]


def signed(tx: Tx, hashes: Sequence[TxHash]) -> dict[TxHash, bytes]:
    """The signed bytes behind some hashes."""
    rows = tx.execute(attempts.select().where(attempts.c.hash.in_(hashes)))
    return {TxHash(row.hash): bytes(row.raw) for row in rows}


def _row(submission: Submission) -> dict[str, object]:
    columns = {c.name for c in outbox.columns} - {"id", "fees"}
    fees = json.dumps(dict(submission.fees), sort_keys=True, separators=(",", ":"))
    return {name: getattr(submission, name) for name in columns} | {"fees": fees}


def _submission(row: sa.Row[Any]) -> Submission:
    kept = dict(row._mapping)
    return Submission(
        **kept | {"data": bytes(kept["data"]), "fees": json.loads(kept["fees"]), "state": Progress(kept["state"])}
    )
