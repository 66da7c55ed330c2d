"""Tokens for the HTTP API: who holds one may read, or operate, until it expires or is revoked.

A token is 256 random bits behind the prefix `hanse_`; the database keeps its SHA-256 alone, so a stolen database opens
nothing. Tokens say nothing about the alliance's rules: what this node may do there is the ledger's matter.

    made = create(db, label="notebook", scopes=("read",), days=30, at=now)
    print(made.secret)                                       # shown once, kept nowhere
    require(db, made.secret, scope="read", at=now)           # Refused, naming the clause, or the token
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from node import model
from node.db import Database, tokens
from node.db.records import Token
from node.errors import Misuse, Refused
from node.model import Digest, Time

SCOPES = ("read", "operate")
"""`operate` includes `read`."""

PREFIX = "hanse_"
MAX_DAYS = 366
MAX_LABEL = 80
_SHOWN = len(PREFIX) + 6
_USED_SECONDS = 60
_HINT = "make one with `hanse token create` on the node's machine"


@dataclass(frozen=True, slots=True)
class Created:
    """A new token; `secret` is shown this once. `prefix` names it from now on."""

    secret: str
    prefix: str
    label: str
    scopes: tuple[str, ...]
    expires: Time


@dataclass(frozen=True, slots=True)
class Listed:
    """A token without its secret."""

    prefix: str
    label: str
    scopes: tuple[str, ...]
    created: Time
    expires: Time
    used: Time | None
    revoked: Time | None


def create(
    db: Database,
    *,
    label: str,
    scopes: Sequence[str],
    days: int,
    at: Time,
    random: Callable[[int], bytes] = os.urandom,
) -> Created:
    """A new token, valid for `days` from `at`. Raises Misuse for a scope, label or period out of bounds."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise Misuse("unknown scope", clause="scope", seen=", ".join(unknown) or "none", needed=", ".join(SCOPES))
    if not 0 < days <= MAX_DAYS:
        raise Misuse("a token lives for a while", clause="days", seen=days, needed=f"1 to {MAX_DAYS}")
    if not 0 < len(label) <= MAX_LABEL:
        raise Misuse("a token has a label", clause="label", seen=len(label), needed=f"1 to {MAX_LABEL} characters")
    secret = PREFIX + base64.b32encode(random(32)).decode("ascii").rstrip("=").lower()
    kept = Token(_hash(secret), secret[:_SHOWN], label, tuple(scopes), at, Time(at + days * 86_400))
    with db.writing() as tx:
        tokens.add(tx, kept)
    return Created(secret, kept.prefix, label, kept.scopes, kept.expires)


def listed(db: Database) -> list[Listed]:
    """All tokens that were ever made, oldest first."""
    with db.reading() as tx:
        return [_listed(token) for token in tokens.listed(tx)]


def revoke(db: Database, prefix: str, *, at: Time) -> Listed:
    """End a token at once. Raises NotFound where none has that prefix."""
    with db.writing() as tx:
        tokens.revoke(tx, prefix, at=at)
        return next(_listed(token) for token in tokens.listed(tx) if token.prefix == prefix)


def require(db: Database, secret: str, *, scope: str, at: Time) -> Token:
    """The token behind `secret`. Refused: clause `token` where it opens nothing, `scope` where it opens too little."""
    with db.reading() as tx:
        found = tokens.find(tx, _hash(secret))
    if found is None:
        raise Refused("this token opens nothing", clause="token", hint=_HINT)
    if found.revoked is not None:
        raise Refused("the token was revoked", clause="token", seen=found.prefix, hint=_HINT)
    if at >= found.expires:
        raise Refused("the token has expired", clause="token", seen=at, needed=f"before {found.expires}", hint=_HINT)
    if scope not in found.scopes and "operate" not in found.scopes:
        raise Refused(
            "the token does not reach that far", clause="scope", seen=", ".join(found.scopes), needed=scope, hint=_HINT
        )
    _note_use(db, found, at)
    return found


def _note_use(db: Database, token: Token, at: Time) -> None:
    """Keep when the token was last used, to the minute: a poll a second is not a write a second."""
    if token.used is None or at - token.used >= _USED_SECONDS:
        with db.writing() as tx:
            tokens.used(tx, token.hash, at=at)


def _hash(secret: str) -> Digest:
    return model.digest(sha256(secret.encode()).digest())


def _listed(token: Token) -> Listed:
    return Listed(token.prefix, token.label, token.scopes, token.created, token.expires, token.used, token.revoked)
