"""API tokens as kept: a hash and what it may do. A stolen database opens nothing.

with db.reading() as tx:
    token = tokens.find(tx, digest(sha256(secret).digest()))
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from node.db import Tx
from node.db.records import Token
from node.db.tables import tokens
from node.errors import NotFound
from node.model import Digest, Time


def add(tx: Tx, token: Token) -> None:
    row = {column.name: getattr(token, column.name) for column in tokens.columns}
    tx.execute(tokens.insert().values(row | {"scopes": " ".join(token.scopes)}))


def find(tx: Tx, hash_: Digest) -> Token | None:
    """The token with that hash, also one that is over or revoked: the caller decides, knowing the time."""
    row = tx.execute(tokens.select().where(tokens.c.hash == hash_)).first()
    return _token(row) if row else None


def listed(tx: Tx) -> list[Token]:
    return [_token(row) for row in tx.execute(tokens.select().order_by(tokens.c.created, tokens.c.prefix))]


def used(tx: Tx, hash_: Digest, *, at: Time) -> None:
    tx.execute(tokens.update().where(tokens.c.hash == hash_).values(used=at))


def revoke(tx: Tx, prefix: str, *, at: Time) -> None:
    """End a token at once; NotFound where no token has that prefix. The first revocation's time stays."""
    when = sa.func.coalesce(tokens.c.revoked, at)
    if not tx.execute(tokens.update().where(tokens.c.prefix == prefix).values(revoked=when)).rowcount:
        raise NotFound("no token has that prefix", clause="token", seen=prefix)


def _token(row: sa.Row[Any]) -> Token:
    return Token(**dict(row._mapping) | {"scopes": tuple(row.scopes.split())})
