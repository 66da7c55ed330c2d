"""The tables as SQLAlchemy metadata: what the migrations must add up to (a test compares them). No queries here.

Digests, ids and addresses are text as everywhere else; amounts that may pass 2^63 live inside JSON text.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

blocks = Table(
    "blocks",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("contract", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("block", BigInteger, ForeignKey("blocks.number"), nullable=False),
    Column("log_index", Integer, nullable=False),
    Column("tx", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("head", Text, nullable=False),
    UniqueConstraint("block", "log_index"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("purpose", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("to", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("fees", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("block", BigInteger),
    Column("block_hash", Text),
    Column("missed_at", BigInteger),
    Column("error", Text),
    Column("created", BigInteger, nullable=False),
    UniqueConstraint("sender", "nonce"),
    Index(None, "sender", "state", "nonce"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("outbox_id", Integer, ForeignKey("outbox.id"), nullable=False, index=True),
    Column("nonce", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
)

operations = Table(
    "operations",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text),
    Column("done", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Index(None, "done", "kind"),
)

documents = Table(
    "documents",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("kind", Text, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
)

holdings = Table(
    "holdings",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, index=True),
    Column("salt", Text, nullable=False),
    Column("manifest", Text, ForeignKey("documents.digest"), nullable=False),
    Column("policy", Text, nullable=False),
    Column("envelope", Text, nullable=False),
    Column("cid", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)

receipts = Table(
    "receipts",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("grant_id", Text, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    Column("root", Text, index=True),
    Column("created", BigInteger, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("prefix", Text, nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger),
    Column("revoked", BigInteger),
)

training_state = Table(
    "training_state",
    metadata,
    Column("training", Text, primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated", BigInteger, nullable=False),
)
