"""Where the stories stand: each writes its step here before it takes it, and reads it back when it is run again.

with db.writing() as tx:
    step = operations.begin(tx, "publish", key, {"file": name}, at=now)
    operations.advance(tx, key, "sealed", {"cid": cid}, at=now)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from node.db import Tx
from node.db.records import Operation
from node.db.tables import operations, training_state
from node.errors import NotFound
from node.model import Time, TrainingId

FIRST = "begun"


def begin(tx: Tx, kind: str, key: str, state: Mapping[str, Any], *, at: Time) -> Operation:
    """The operation under `key`: the one that is there, wherever it stands, or a new one at step "begun"."""
    known = find(tx, key)
    if known is not None:
        return known
    row = {"key": key, "kind": kind, "step": FIRST, "state": _text(state), "done": False, "created": at, "updated": at}
    tx.execute(operations.insert().values(row))
    return get(tx, key)


def restart(tx: Tx, kind: str, key: str, state: Mapping[str, Any], *, at: Time) -> Operation:
    """The operation under `key` from its first step, whatever was there before."""
    tx.execute(operations.delete().where(operations.c.key == key))
    return begin(tx, kind, key, state, at=at)


def find(tx: Tx, key: str) -> Operation | None:
    row = tx.execute(operations.select().where(operations.c.key == key)).first()
    return _operation(row) if row else None


def get(tx: Tx, key: str) -> Operation:
    """NotFound where nothing was begun under `key`."""
    operation = find(tx, key)
    if operation is None:
        raise NotFound(f"no operation {key}", clause="operation", seen=key)
    return operation


def advance(tx: Tx, key: str, step: str, state: Mapping[str, Any], *, at: Time, done: bool = False) -> Operation:
    """Note that `step` is reached; `state` adds to what is known. Clears the error."""
    merged = dict(get(tx, key).state) | dict(state)
    change = {"step": step, "state": _text(merged), "error": None, "done": done, "updated": at}
    tx.execute(operations.update().where(operations.c.key == key).values(change))
    return get(tx, key)


def failed(tx: Tx, key: str, error: str, *, at: Time) -> None:
    """Note why the operation stands still; the step stays, so running it again goes on from there."""
    tx.execute(operations.update().where(operations.c.key == key).values(error=error, updated=at))


def unfinished(tx: Tx, kind: str | None = None) -> list[Operation]:
    """What a restart has to go on with, oldest first."""
    query = operations.select().where(operations.c.done.is_(False))
    if kind is not None:
        query = query.where(operations.c.kind == kind)
    return [_operation(row) for row in tx.execute(query.order_by(operations.c.created, operations.c.key))]


def since(tx: Tx, kind: str, at: Time) -> list[Operation]:
    """All operations of a kind begun at or after a time, done or not, oldest first."""
    query = operations.select().where(operations.c.kind == kind, operations.c.created >= at)
    return [_operation(row) for row in tx.execute(query.order_by(operations.c.created, operations.c.key))]


def save_training(tx: Tx, training: TrainingId, round_: int, sealed: bytes, *, at: Time) -> None:
    """Keep a member's sealed protocol state for a round. It must be on disk before the round's message leaves:
    a member that forgot its masks cannot go on."""
    where = sa.and_(training_state.c.training == training, training_state.c.round == round_)
    if not tx.execute(training_state.update().where(where).values(sealed=sealed, updated=at)).rowcount:
        tx.execute(training_state.insert().values(training=training, round=round_, sealed=sealed, updated=at))


def load_training(tx: Tx, training: TrainingId, round_: int) -> bytes | None:
    where = sa.and_(training_state.c.training == training, training_state.c.round == round_)
    sealed = tx.execute(sa.select(training_state.c.sealed).where(where)).scalar()
    return None if sealed is None else bytes(sealed)


def forget_training(tx: Tx, training: TrainingId, *, before_round: int) -> None:
    """Drop the states of earlier rounds: secrets that are no longer needed are not kept."""
    tx.execute(
        training_state.delete().where(training_state.c.training == training, training_state.c.round < before_round)
    )


def _text(state: Mapping[str, Any]) -> str:
    return json.dumps(dict(state), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _operation(row: sa.Row[Any]) -> Operation:
    kept = dict(row._mapping)
    return Operation(**kept | {"state": json.loads(kept["state"])})
