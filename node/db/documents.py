"""Private documents by digest, our own dataset versions, and signed receipts on their way to an anchor.

with db.writing() as tx:
    digest = documents.put(tx, "manifest", body, at=now)
    documents.hold(tx, Holding(dataset, 1, "turbines", salt, digest, policy, envelope, cid, now))
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from node import model
from node.db import Tx
from node.db.records import Holding, KeptReceipt
from node.db.tables import documents, holdings, receipts
from node.errors import NotFound, Untrusted
from node.model import DatasetId, Digest, GrantId, Time


def put(tx: Tx, kind: str, body: bytes, *, at: Time) -> Digest:
    """Keep a document under its SHA-256 digest; putting it again changes nothing."""
    digest = model.digest(sha256(body).digest())
    if tx.execute(sa.select(documents.c.digest).where(documents.c.digest == digest)).first() is None:
        tx.execute(documents.insert().values(digest=digest, kind=kind, body=body, created=at))
    return digest


def get(tx: Tx, digest: Digest) -> bytes:
    """NotFound where we do not have it, Untrusted where the database no longer holds what was put."""
    body = find(tx, digest)
    if body is None:
        raise NotFound(f"no document {digest} on this node", clause="document", seen=digest)
    return body


def find(tx: Tx, digest: Digest) -> bytes | None:
    """As `get`, None where we do not have it."""
    body = tx.execute(sa.select(documents.c.body).where(documents.c.digest == digest)).scalar()
    if body is None:
        return None
    if model.digest(sha256(bytes(body)).digest()) != digest:
        raise Untrusted("a document in the database does not match its digest", clause="digest", needed=digest)
    return bytes(body)


def of_kind(tx: Tx, kind: str) -> list[bytes]:
    """All documents kept under a kind, oldest first. Untrusted where one no longer is what was put."""
    query = sa.select(documents.c.digest).where(documents.c.kind == kind)
    return [get(tx, digest) for digest in tx.execute(query.order_by(documents.c.created, documents.c.digest)).scalars()]


def hold(tx: Tx, holding: Holding) -> None:
    """Note a dataset version of our own. Conflict where the version is noted differently."""
    tx.execute(holdings.insert().values({column.name: getattr(holding, column.name) for column in holdings.columns}))


def holding(tx: Tx, dataset: DatasetId, version: int) -> Holding | None:
    where = sa.and_(holdings.c.dataset == dataset, holdings.c.version == version)
    row = tx.execute(holdings.select().where(where)).first()
    return _holding(row) if row else None


def held(tx: Tx, *, name: str | None = None) -> list[Holding]:
    """Our own dataset versions by name and version, of one name or all."""
    query = holdings.select().order_by(holdings.c.name, holdings.c.version)
    return [_holding(row) for row in tx.execute(query if name is None else query.where(holdings.c.name == name))]


def put_receipt(tx: Tx, grant: GrantId, body: bytes, *, at: Time) -> Digest:
    """Keep a signed receipt until it is anchored and after; keeping it again changes nothing."""
    digest = model.digest(sha256(body).digest())
    if tx.execute(sa.select(receipts.c.digest).where(receipts.c.digest == digest)).first() is None:
        tx.execute(receipts.insert().values(digest=digest, grant_id=grant, body=body, created=at))
    return digest


def receipt(tx: Tx, digest: Digest) -> KeptReceipt:
    """NotFound where no such receipt was kept."""
    row = tx.execute(receipts.select().where(receipts.c.digest == digest)).first()
    if row is None:
        raise NotFound("no such receipt on this node", clause="receipt", seen=digest)
    return _receipt(row)


def count_receipts(tx: Tx, grant: GrantId) -> int:
    """How often this node opened what the grant gives."""
    return tx.execute(sa.select(sa.func.count()).where(receipts.c.grant_id == grant)).scalar_one()


def waiting_receipts(tx: Tx, *, limit: int) -> list[KeptReceipt]:
    """Receipts not yet in a batch, oldest first."""
    query = receipts.select().where(receipts.c.root.is_(None)).order_by(receipts.c.created, receipts.c.digest)
    return [_receipt(row) for row in tx.execute(query.limit(limit))]


def anchored_receipts(tx: Tx, root: Digest) -> list[KeptReceipt]:
    """The receipts of one batch, in the order of `waiting_receipts`, which is that of its leaves."""
    query = receipts.select().where(receipts.c.root == root).order_by(receipts.c.created, receipts.c.digest)
    return [_receipt(row) for row in tx.execute(query)]


def anchor_receipts(tx: Tx, digests: Sequence[Digest], root: Digest) -> None:
    """Put waiting receipts into the batch `root`, before its transaction is submitted."""
    tx.execute(receipts.update().where(receipts.c.digest.in_(digests), receipts.c.root.is_(None)).values(root=root))


def _holding(row: sa.Row[Any]) -> Holding:
    return Holding(**row._mapping)


def _receipt(row: sa.Row[Any]) -> KeptReceipt:
    return KeptReceipt(row.digest, row.grant_id, bytes(row.body), row.root, row.created)
