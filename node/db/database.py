"""Opening the database, its transactions, and its errors in our words. No queries here.

A database has one writer at a time on both engines (SQLite by BEGIN IMMEDIATE, PostgreSQL by an advisory lock), so what
a writing transaction reads stays true until it commits: nonces and keys need no other lock, also between processes.

    db = Database.open("postgresql://hanse@db.example/hanse")
    with db.reading() as tx: ...      # one consistent snapshot
    with db.writing() as tx: ...      # all of it or nothing, on disk when the block ends
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import exc as sql

from node.db.tables import meta
from node.errors import Conflict, HanseError, Misuse, Retry, Untrusted

Tx: TypeAlias = sa.Connection
"""An open transaction. Hand it to the functions of `node.db`; nobody else looks inside."""

REVISION = "0001"
"""The newest migration; Alembic (slow to import) is only loaded for a database that is not there yet."""

WAIT_SECONDS = 10
WRITER_LOCK = 0x48414E5345  # any fixed number: all nodes on one PostgreSQL database must use the same


class Database:
    """One node's records. Threads may share it; processes may open it at the same time."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writer = threading.Lock()

    @classmethod
    def open(cls, url: str) -> Database:
        """Open `sqlite:///path` or `postgresql://…`, brought up to the newest migration.

        Misuse for another kind of URL, Retry when the engine cannot be reached, Conflict when a newer Hanse wrote it.
        """
        database = cls(_engine(url))
        try:
            if database._revision() != REVISION:
                with database.writing() as tx:  # a second process waits here and then finds nothing left to do
                    _upgrade(tx)
        except HanseError:
            database.close()
            raise
        return database

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """One snapshot: what is read inside belongs together, writers do not wait for it."""
        with _translated(), self._engine.connect() as tx, tx.begin():
            yield tx

    @contextmanager
    def writing(self) -> Iterator[Tx]:
        """The only writer until the block ends; an exception leaves nothing. Never wait for the network inside."""
        if not self._writer.acquire(timeout=WAIT_SECONDS):
            raise Retry(
                f"the database was busy for {WAIT_SECONDS} seconds", hint="another thread is writing; try again"
            )
        try:
            with _translated(), self._engine.connect() as tx:
                tx = tx.execution_options(hanse_writes=True)
                with tx.begin():
                    if tx.dialect.name == "postgresql":
                        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
                    yield tx
        finally:
            self._writer.release()

    def pin(self, *, chain_id: int, genesis: str, consortium: str) -> None:
        """Tie the database to one alliance on one chain, for ever; Conflict if it belongs to another."""
        mine = {"chain_id": str(chain_id), "genesis": genesis, "consortium": consortium}
        with self.writing() as tx:
            kept = {row.name: row.value for row in tx.execute(sa.select(meta).where(meta.c.name.in_(mine)))}
            if not kept:
                tx.execute(meta.insert(), [{"name": name, "value": value} for name, value in mine.items()])
            elif kept != mine:
                raise Conflict(
                    f"this database belongs to chain {_named(kept)}",
                    clause="chain",
                    seen=_named(mine),
                    needed=_named(kept),
                    hint="point the node at its own chain, or give it a new database",
                )

    def _revision(self) -> str | None:
        with self.reading() as tx:
            if not sa.inspect(tx).has_table("alembic_version"):
                return None
            return tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _named(pinned: dict[str, str]) -> str:
    return "{chain_id}, genesis {genesis}, consortium {consortium}".format_map(pinned)


def _engine(url: str) -> sa.Engine:
    try:
        where = sa.make_url(url)
    except sql.ArgumentError as exc:
        raise Misuse(
            "the database URL cannot be read", clause="database", needed="sqlite:///… or postgresql://…"
        ) from exc
    if where.drivername == "sqlite" and where.database and where.database != ":memory:":
        return _sqlite(where)
    if where.drivername in ("postgresql", "postgres"):
        return _postgresql(where)
    raise Misuse(
        "this kind of database is not supported",
        clause="database",
        seen=where.render_as_string(hide_password=True),
        needed="sqlite:///… (a file) or postgresql://…",
    )


def _sqlite(where: sa.URL) -> sa.Engine:
    from pysqlite3 import dbapi2  # the SQLite in Debian 12's Python has the WAL-reset corruption bug (3.7.0 to 3.51.2)

    path = Path(str(where.database))
    try:
        # Private documents live here: the file is ours alone, and SQLite gives its WAL the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as exc:
        raise Retry(f"the database file {path} cannot be opened: {exc.strerror}") from exc
    engine = sa.create_engine(where, module=dbapi2, connect_args={"timeout": WAIT_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def settings(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(tx: Tx) -> None:
        # IMMEDIATE: a transaction that starts as a reader cannot always become a writer, it may fail half way.
        tx.exec_driver_sql("BEGIN IMMEDIATE" if tx.get_execution_options().get("hanse_writes") else "BEGIN")

    return engine


def _postgresql(where: sa.URL) -> sa.Engine:
    settings = f"-c lock_timeout={WAIT_SECONDS * 1000} -c statement_timeout=60000 -c synchronous_commit=on"
    try:
        engine = sa.create_engine(
            where.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args={"options": settings, "connect_timeout": WAIT_SECONDS},
        )
    except ModuleNotFoundError as exc:
        raise Misuse("PostgreSQL needs its driver", clause="database", hint="pip install 'hanse[postgres]'") from exc

    @sa.event.listens_for(engine, "begin")
    def begin(tx: Tx) -> None:
        # A writer must see what the writer before it committed while it waited for the lock: READ COMMITTED.
        if not tx.get_execution_options().get("hanse_writes"):
            tx.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    return engine


def _upgrade(tx: Tx) -> None:
    """Bring the schema to the newest migration in the open transaction: a crash here leaves the old one whole."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "node.db:migrations")
    config.attributes["connection"] = tx
    try:
        command.upgrade(config, "head")
    except CommandError as exc:
        raise Conflict(
            "a newer Hanse wrote this database", clause="schema", needed=REVISION, hint="update Hanse"
        ) from exc


@contextmanager
def _translated() -> Iterator[None]:
    """The engine's complaints in our words. Whatever the transaction had not committed is not there."""
    try:
        yield
    except sql.IntegrityError as exc:
        raise Conflict(f"the database refused the record: {_said(exc)}", clause="unique") from exc
    except (sql.OperationalError, sql.TimeoutError, sql.InternalError) as exc:
        raise _outage(_said(exc)) from exc
    except sql.DatabaseError as exc:
        if "malformed" in _said(exc) or "not a database" in _said(exc):
            raise Untrusted(
                f"the database file is damaged: {_said(exc)}", clause="database", hint="restore it from a backup"
            ) from exc
        raise


def _said(exc: sql.SQLAlchemyError) -> str:
    text = str(exc.orig) if isinstance(exc, sql.DBAPIError) else str(exc)
    return text.strip().splitlines()[0][:200] if text.strip() else type(exc).__name__


def _outage(said: str) -> Retry:
    lower = said.lower()
    if "full" in lower or "no space" in lower:
        return Retry("the disk with the database is full; nothing was written", hint="make room and try again")
    if "locked" in lower or "lock timeout" in lower:
        return Retry(f"the database was busy for {WAIT_SECONDS} seconds; nothing was written", hint="try again")
    return Retry(f"the database does not answer: {said}", hint="see that it runs and try again")
