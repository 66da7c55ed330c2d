"""The records on both engines: what is written is read back, all or nothing, one chain, many processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from hashlib import sha256
from typing import get_args

import pytest
import sqlalchemy as sa

from node import model
from node.db import Database, database, documents, events, operations, submissions, tokens
from node.db.records import Attempt, Holding, Kept, Progress, Submission, Token
from node.db.said import said_from, said_text
from node.db.tables import metadata
from node.errors import Conflict, Misuse, NotFound, Retry, Untrusted
from node.model import Event, Position
from tests.node import postgres

A, B = (model.Address("0x" + c * 40) for c in "ab")
D = [model.Digest("0x" + f"{i:064x}") for i in range(10)]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hanse.db"
    return postgres.fresh(request.getfixturevalue("postgres_server"))


@pytest.fixture
def db(url):
    with Database.open(url) as opened:
        yield opened


def run(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


# --- schema ---


def test_migrations_add_up_to_the_metadata(db):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with db.reading() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []


def test_newest_migration_is_the_one_that_open_looks_for():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "node.db:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == database.REVISION


def test_opening_again_changes_nothing(db, url):
    with db.writing() as tx:
        documents.put(tx, "note", b"kept", at=1)
    with Database.open(url) as again, again.reading() as tx:
        assert documents.get(tx, model.digest(sha256(b"kept").digest())) == b"kept"


def test_processes_may_open_an_empty_database_at_once(url):
    opening = [
        run("import sys; from node.db import Database; Database.open(sys.argv[1]).close()", url) for _ in range(4)
    ]
    assert [(p.wait(60), p.stderr.read()) for p in opening] == [(0, "")] * 4


def test_a_database_of_a_newer_hanse_is_refused(url):
    with Database.open(url) as db, db.writing() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="newer Hanse"):
        Database.open(url)


def test_one_database_one_chain(db, url):
    mine = {"chain_id": 31337, "genesis": "0xaa", "consortium": A}
    db.pin(**mine)
    db.pin(**mine)
    for other in ({"chain_id": 1}, {"genesis": "0xbb"}, {"consortium": B}):
        with pytest.raises(Conflict, match="this database belongs to chain 31337, genesis 0xaa"):
            db.pin(**mine | other)


@pytest.mark.parametrize("bad", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "no url", "oracle:thing"])
def test_other_urls_are_misuse(bad):
    with pytest.raises(Misuse):
        Database.open(bad)


def test_a_password_in_a_refused_url_is_not_shown():
    with pytest.raises(Misuse) as refused:
        Database.open("mysql://me:secret@host/x")
    assert "secret" not in str(refused.value.record())


# --- transactions and outages ---


def test_what_fails_half_way_leaves_nothing(db):
    def half():
        with db.writing() as tx:
            documents.put(tx, "note", b"half", at=1)
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        half()
    with db.reading() as tx:
        assert tx.execute(sa.text("SELECT count(*) FROM documents")).scalar() == 0


def test_a_reader_sees_one_snapshot(db):
    count = sa.text("SELECT count(*) FROM documents")
    with db.reading() as tx:
        assert tx.execute(count).scalar() == 0
        with db.writing() as other:
            documents.put(other, "note", b"new", at=1)
        assert tx.execute(count).scalar() == 0
    with db.reading() as tx:
        assert tx.execute(count).scalar() == 1


def test_counting_up_in_many_threads_and_processes_loses_none(db, url):
    code = (
        "import sys\nfrom node.db import Database, operations\nwith Database.open(sys.argv[1]) as db:\n"
        "  for _ in range(20):\n    with db.writing() as tx:\n"
        "      operations.advance(tx, 'k', 's', {'n': operations.get(tx, 'k').state['n'] + 1}, at=1)\n"
    )
    with db.writing() as tx:
        operations.begin(tx, "count", "k", {"n": 0}, at=1)
    processes = [run(code, url) for _ in range(2)]

    def count():
        for _ in range(20):
            with db.writing() as tx:
                operations.advance(tx, "k", "s", {"n": operations.get(tx, "k").state["n"] + 1}, at=1)

    threads = [threading.Thread(target=count) for _ in range(2)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert [(p.wait(60), p.stderr.read()) for p in processes] == [(0, "")] * 2
    with db.reading() as tx:
        assert operations.get(tx, "k").state["n"] == 80


def test_a_database_that_stays_busy_is_retry(url, monkeypatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.2 if url.startswith("sqlite") else 1)
    with Database.open(url) as one, Database.open(url) as two:
        with one.writing(), pytest.raises(Retry, match="busy"), two.writing():
            pass
        with two.writing() as tx:
            documents.put(tx, "note", b"later", at=1)


def test_a_full_disk_is_retry_and_keeps_what_was_there(tmp_path):
    with Database.open(f"sqlite:///{tmp_path}/hanse.db") as db:
        with db.writing() as tx:
            kept = documents.put(tx, "note", b"kept", at=1)
        pages = tmp_path.joinpath("hanse.db").stat().st_size // 4096 + 50

        def fill():
            with db.writing() as tx:
                tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                documents.put(tx, "big", bytes(4096 * pages), at=1)

        with pytest.raises(Retry, match="full; nothing was written"):
            fill()
        with db.reading() as tx:
            assert documents.get(tx, kept) == b"kept"
            assert tx.execute(sa.text("SELECT count(*) FROM documents")).scalar() == 1


def test_a_folder_that_is_not_there_is_retry(tmp_path):
    with pytest.raises(Retry, match="cannot be opened"):
        Database.open(f"sqlite:///{tmp_path}/nowhere/hanse.db")


def test_a_server_that_is_not_there_is_retry(tmp_path):
    with pytest.raises(Retry, match="does not answer"):
        Database.open(f"postgresql://hanse@/postgres?host={tmp_path}")


def test_a_file_that_is_no_database_is_untrusted(tmp_path):
    tmp_path.joinpath("hanse.db").write_bytes(b"not a database at all" * 300)
    with pytest.raises(Untrusted, match="damaged"):
        Database.open(f"sqlite:///{tmp_path}/hanse.db")


def test_the_file_is_the_owner_s_alone_and_as_safe_as_sqlite_gets(tmp_path):
    with Database.open(f"sqlite:///{tmp_path}/hanse.db") as db, db.writing() as tx:
        documents.put(tx, "note", b"private", at=1)
        asked = {
            name: tx.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
        modes = {path.name: oct(os.stat(path).st_mode & 0o777) for path in tmp_path.iterdir()}
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert set(modes.values()) == {"0o600"}
    assert "hanse.db-wal" in modes


# --- events ---


def sample(kind):
    """A record of that kind with every field at a value its type allows, integers past 2^53 included."""
    from typing import get_type_hints

    def fill(hint):
        if hasattr(hint, "__dataclass_fields__"):
            return sample(hint)
        basic = getattr(hint, "__supertype__", hint)
        return {int: 2**64 - 1, bool: True, str: "0x" + "5a" * 32}[basic]

    return kind(**{name: fill(hint) for name, hint in get_type_hints(kind, vars(model)).items()})


@pytest.mark.parametrize("kind", get_args(model.Said), ids=lambda kind: kind.__name__)
def test_every_event_goes_to_text_and_back(kind):
    said = sample(kind)
    text = said_text(said)
    assert said_from(kind.__name__, text) == said
    assert said_text(said_from(kind.__name__, text)) == text


def event(seq, block, index=0, contract="Datasets"):
    at = Position(block, index, model.Time(1000 + block), model.BlockHash(D[block]), model.TxHash(D[0]))
    return Event(contract, seq, at, sample(model.Published))


def keep(block):
    return Kept(block, model.BlockHash(D[block]), model.Time(1000 + block))


def numbers(tx):
    return tx.execute(sa.text("SELECT number FROM blocks ORDER BY number")).scalars().all()


@pytest.fixture
def history(db):
    said = [event(1, 2), event(1, 2, 1, "Members"), event(2, 4), event(3, 4, 1)]
    with db.writing() as tx:
        events.add(tx, [keep(3), keep(5)], [(e, f"0x{e.seq:056x}") for e in said])
    return said


def test_events_come_back_in_chain_order(db, history):
    with db.reading() as tx:
        assert list(events.read(tx)) == history
        assert list(events.read(tx, contracts=["Members"])) == [history[1]]
        assert list(events.read(tx, above=2)) == history[2:]
        assert list(events.read(tx, above=2, up_to=3)) == []
        assert events.tip(tx) == keep(5)
        assert events.tip(tx, up_to=4) == keep(4)
        assert events.tip(tx, up_to=1) is None
        assert events.head(tx, "Datasets") == model.Head(f"0x{3:056x}", 3)
        assert events.head(tx, "Members") == model.Head(f"0x{1:056x}", 1)
        assert events.head(tx, "Grants") is None


def test_a_rewind_takes_blocks_and_events_together(db, history):
    with db.writing() as tx:
        assert events.verified(tx) == -1
        events.set_verified(tx, 5)
        events.rewind(tx, 3)
    with db.reading() as tx:
        assert list(events.read(tx)) == history[:2]
        assert numbers(tx) == [2, 3]
        assert events.head(tx, "Datasets").seq == 1
        assert events.verified(tx) == 3


def test_thinning_keeps_blocks_with_events(db, history):
    with db.writing() as tx:
        events.thin(tx, below=5)
    with db.reading() as tx:
        assert numbers(tx) == [2, 4, 5]
        assert list(events.read(tx)) == history


@pytest.mark.parametrize("twice", [event(3, 5), event(4, 4, 1)], ids=["number of a contract", "place in a block"])
def test_an_event_cannot_be_there_twice(db, history, twice):
    with pytest.raises(Conflict), db.writing() as tx:
        events.add(tx, [], [(twice, "0x")])


# --- the outbox's tables ---


def submission(nonce, key, **changes):
    wei = {"maxFeePerGas": 2**70, "maxPriorityFeePerGas": 0}
    fields = {"state": Progress.PENDING, "block": None, "block_hash": None, "missed_at": None, "error": None}
    made = Submission(0, key, "test", A, nonce, B, b"\x00\xff", 21000, wei, model.TxHash(D[nonce]), **fields, created=7)
    return replace(made, **changes)


def test_a_submission_keeps_every_signed_form(db):
    with db.writing() as tx:
        written = submissions.add(tx, submission(0, "k"), Attempt(D[0], 0, b"first"))
        submissions.add_attempt(tx, written, Attempt(D[1], 0, b"second"))
        mined = replace(written, hash=D[1], state=Progress.MINED, block=4, block_hash=D[4])
        assert submissions.save(tx, mined, signed_as=D[0])
        assert not submissions.save(tx, replace(mined, block=5), signed_as=D[0])
    with db.reading() as tx:
        read = submissions.find(tx, ["k", "unknown"])["k"]
        assert read == replace(written, hash=D[1], state=Progress.MINED, block=4, block_hash=D[4])
        assert submissions.get(tx, read.id) == read
        assert {(a.hash, a.raw) for a in submissions.attempts_of(tx, read)} == {(D[0], b"first"), (D[1], b"second")}
        assert submissions.signed(tx, [D[1], D[9]]) == {D[1]: b"second"}
        assert submissions.next_nonce(tx, A) == 1
        assert submissions.next_nonce(tx, B) == 0
        with pytest.raises(NotFound):
            submissions.get(tx, 99)


@pytest.mark.parametrize("again", [submission(0, "other"), submission(1, "k")], ids=["nonce", "key"])
def test_neither_nonce_nor_key_is_given_twice(db, again):
    with db.writing() as tx:
        submissions.add(tx, submission(0, "k"), Attempt(D[0], 0, b""))
    with pytest.raises(Conflict), db.writing() as tx:
        submissions.add(tx, again, Attempt(D[1], 1, b""))


def test_due_are_those_waiting_dropped_or_in_a_final_block(db):
    with db.writing() as tx:
        for nonce, (state, block) in enumerate(
            [("final", 1), ("failed", 1), ("mined", 2), ("reverted", 3), ("mined", 9), ("pending", None), ("mined", 9)]
        ):
            row = submission(nonce, f"k{nonce}", state=Progress(state), block=block)
            submissions.add(tx, row, Attempt(D[nonce], nonce, b""))
    with db.reading() as tx:
        assert [s.nonce for s in submissions.due(tx, A, taken=6, final=3, limit=9)] == [2, 3, 5, 6]
        assert [s.nonce for s in submissions.due(tx, A, taken=7, final=2, limit=1)] == [2]


# --- what only the node knows ---


def test_an_operation_goes_on_where_it_stood(db):
    with db.writing() as tx:
        operations.begin(tx, "publish", "p1", {"file": "turbines.csv"}, at=1)
        operations.advance(tx, "p1", "sealed", {"cid": "bafy"}, at=2)
        operations.failed(tx, "p1", "the store is full", at=3)
    with db.writing() as tx:
        again = operations.begin(tx, "publish", "p1", {"file": "turbines.csv"}, at=4)
        assert (again.step, again.state, again.error) == (
            "sealed",
            {"file": "turbines.csv", "cid": "bafy"},
            "the store is full",
        )
        assert operations.unfinished(tx) == operations.unfinished(tx, "publish") == [again]
        done = operations.advance(tx, "p1", "settled", {}, at=5, done=True)
        assert (done.error, done.updated, operations.unfinished(tx)) == (None, 5, [])
        with pytest.raises(NotFound):
            operations.get(tx, "p2")


def test_training_state_is_replaced_and_forgotten(db):
    with db.writing() as tx:
        for round_, sealed in ((0, b"a"), (1, b"b"), (1, b"c")):
            operations.save_training(tx, D[1], round_, sealed, at=1)
        operations.forget_training(tx, D[1], before_round=1)
        assert [operations.load_training(tx, D[1], r) for r in (0, 1)] == [None, b"c"]


def test_documents_are_what_their_digest_says(db):
    with db.writing() as tx:
        digest = documents.put(tx, "manifest", b"{}", at=1)
        assert documents.put(tx, "manifest", b"{}", at=2) == digest
        assert documents.get(tx, digest) == b"{}"
        with pytest.raises(NotFound):
            documents.get(tx, D[0])
        tx.execute(sa.text("UPDATE documents SET body = :body"), {"body": b"[]"})
        with pytest.raises(Untrusted):
            documents.get(tx, digest)


def test_holdings_point_at_documents(db):
    with db.writing() as tx:
        manifest = documents.put(tx, "manifest", b"{}", at=1)
        one = Holding(D[1], 1, "turbines", D[2], manifest, D[3], D[4], "bafy", model.Time(1))
        for holding in (replace(one, version=2), one, replace(one, dataset=D[5], name="blades")):
            documents.hold(tx, holding)
        assert documents.holding(tx, D[1], 1) == one
        assert documents.holding(tx, D[1], 3) is None
        assert [(h.name, h.version) for h in documents.held(tx)] == [("blades", 1), ("turbines", 1), ("turbines", 2)]
        assert [h.version for h in documents.held(tx, name="turbines")] == [1, 2]
    with pytest.raises(Conflict), db.writing() as tx:
        documents.hold(tx, replace(one, version=3, manifest=D[9]))


def test_receipts_wait_for_an_anchor_and_keep_their_order(db):
    with db.writing() as tx:
        digests = [
            documents.put_receipt(tx, D[1], body, at=at) for at, body in ((3, b"c"), (1, b"a"), (2, b"b"), (1, b"a"))
        ]
        waiting = documents.waiting_receipts(tx, limit=2)
        assert [r.body for r in waiting] == [b"a", b"b"]
        documents.anchor_receipts(tx, [r.digest for r in waiting], D[7])
        assert [r.body for r in documents.waiting_receipts(tx, limit=9)] == [b"c"]
        documents.anchor_receipts(tx, digests, D[8])
        assert [r.body for r in documents.anchored_receipts(tx, D[7])] == [b"a", b"b"]


def test_tokens_are_found_by_hash_and_revoked_once(db):
    token = Token(D[1], "hanse_ab", "laptop", ("read", "publish"), model.Time(1), model.Time(9))
    with db.writing() as tx:
        tokens.add(tx, token)
        tokens.used(tx, D[1], at=3)
        tokens.revoke(tx, "hanse_ab", at=4)
        tokens.revoke(tx, "hanse_ab", at=5)
        assert tokens.find(tx, D[1]) == replace(token, used=3, revoked=4)
        assert tokens.find(tx, D[2]) is None
        assert tokens.listed(tx) == [replace(token, used=3, revoked=4)]
        with pytest.raises(NotFound):
            tokens.revoke(tx, "hanse_zz", at=5)
