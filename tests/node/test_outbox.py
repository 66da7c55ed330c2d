"""The outbox against a real Anvil: nothing lost, nothing doubled, whatever dies in between."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from node.chain.client import Chain
from node.db import Database, events
from node.errors import Conflict, NotFinal, NotFound, Refused, Retry
from node.follow import Follower
from node.outbox import Intent, Outbox
from tests.node import postgres
from tests.node.local_chain import FEELESS, VERSION, Alliance, anvil, found, keyring, word


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    with anvil(folder, *FEELESS) as running:
        yield found(running, folder / "keys")


@pytest.fixture
def alliance(founded):
    snapshot = founded.anvil.ask("evm_snapshot")
    yield founded
    founded.anvil.ask("evm_setAutomine", True)
    assert founded.anvil.ask("evm_revert", snapshot)


@pytest.fixture
def own(tmp_path):
    """A chain of the test's own, with fees, for what cannot be undone."""
    with anvil(tmp_path, "--block-base-fee-per-gas", "1000000000") as running:
        yield found(running, tmp_path / "keys")


@pytest.fixture
def db(tmp_path):
    with Database.open(f"sqlite:///{tmp_path}/hanse.db") as opened:
        yield opened


@pytest.fixture
def outbox(alliance, db):
    return Outbox(db, alliance.chain, alliance.keyring)


def publish(outbox: Outbox, alliance: Alliance, number: int, **options):
    return outbox.submit(f"publish:{number}", *alliance.publish(number), purpose="publish", **options)


def count(db: Database, what: str) -> int:
    with db.reading() as tx:
        return tx.execute(sa.text(f"SELECT count(*) FROM {what}")).scalar()


# --- one ---


def test_what_is_submitted_is_mined_and_settled(outbox, alliance, db):
    ticket = publish(outbox, alliance, 1)
    assert outbox.status(ticket).state == "pending"
    receipt = outbox.wait(ticket, deadline_seconds=10)
    assert receipt.ok
    assert outbox.status(ticket).state == "final"
    assert alliance.published() == [
        alliance.chain.call(alliance.directory, "Datasets", "idOf", alliance.keyring.address, word(1))
    ]
    assert outbox.wait(ticket, deadline_seconds=0) == receipt


def test_the_same_key_gives_the_same_ticket(outbox, alliance, db):
    ticket = publish(outbox, alliance, 1)
    assert publish(outbox, alliance, 1) == ticket
    outbox.wait(ticket, deadline_seconds=10)
    assert publish(outbox, alliance, 1) == ticket
    assert (count(db, "outbox"), len(alliance.published())) == (1, 1)


def test_a_key_cannot_stand_for_other_bytes(outbox, alliance):
    publish(outbox, alliance, 1)
    with pytest.raises(Conflict, match="another transaction"):
        outbox.submit("publish:1", *alliance.publish(2), purpose="publish")


def test_a_refusal_comes_in_words_before_a_nonce_is_given(outbox, alliance, db):
    at = alliance.directory.address("Datasets")
    data = alliance.chain.encode("Datasets", "retire", word(9))
    with pytest.raises(NotFound) as refused:
        outbox.submit("retire:9", at, data, purpose="retire")
    assert refused.value.clause == "UnknownDataset"
    assert (count(db, "outbox"), count(db, "attempts")) == (0, 0)


def test_one_refusal_writes_none_of_many(outbox, alliance, db):
    good = Intent("good", *alliance.publish(1), "publish")
    bad = Intent("bad", alliance.directory.address("Datasets"), b"\x00\x00\x00\x00", "nonsense")
    with pytest.raises(Refused):
        outbox.submit_all([good, bad])
    assert count(db, "outbox") == 0


def test_a_revert_on_chain_is_refused_in_the_contract_s_words(outbox, alliance):
    first = publish(outbox, alliance, 1)
    same = Intent("again", *alliance.publish(1), "publish", gas=300_000)  # goes past the estimate, as a race would
    second = outbox.submit_all([same])[0]
    outbox.wait(first, deadline_seconds=10)
    with pytest.raises(Conflict) as refused:
        outbox.wait(second, deadline_seconds=10)
    assert refused.value.clause == "Exists"
    assert outbox.status(second).state == "failed"
    assert "taken already" in outbox.status(second).error


def test_what_failed_for_good_is_tried_afresh_under_the_same_key(outbox, alliance):
    at, version2 = alliance.directory.address("Datasets"), (alliance.keyring.address, word(1))
    id_ = alliance.chain.call(alliance.directory, "Datasets", "idOf", *version2)
    data = alliance.chain.encode("Datasets", "publishVersion", id_, 2, VERSION)
    early = outbox.submit("v2", at, data, purpose="publish", gas=300_000)
    with pytest.raises(NotFound):
        outbox.wait(early, deadline_seconds=10)
    outbox.wait(publish(outbox, alliance, 1), deadline_seconds=10)
    again = outbox.submit("v2", at, data, purpose="publish")
    assert again == early
    assert outbox.wait(again, deadline_seconds=10).ok


def test_an_account_without_funds_is_refused_before_anything_is_written(own, db, tmp_path):
    poor = Outbox(db, own.chain, keyring(tmp_path / "poor", os.urandom(32)))
    with pytest.raises(Refused) as refused:
        poor.submit("hello", own.keyring.address, b"", purpose="hello")
    assert refused.value.clause == "funds"
    assert count(db, "outbox") == 0


# --- many ---


def test_a_hundred_pipelined_in_a_second_or_so(outbox, alliance, db):
    intents = [Intent(f"publish:{i}", *alliance.publish(i), "publish", gas=300_000) for i in range(100)]
    began = time.monotonic()
    tickets = outbox.submit_all(intents)
    outbox.pump()
    sent = time.monotonic() - began
    receipts = [outbox.wait(ticket, deadline_seconds=10) for ticket in tickets]
    assert all(receipt.ok for receipt in receipts)
    assert len(set(alliance.published())) == len(alliance.published()) == 100
    assert sent < 5, "a shared machine may be slow, but not that slow"


def test_threads_share_an_outbox(outbox, alliance, db):
    def one(i):
        return outbox.wait(publish(outbox, alliance, i), deadline_seconds=30)

    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(one, range(24)))
    assert all(receipt.ok for receipt in receipts)
    assert len(set(alliance.published())) == len(alliance.published()) == 24


def in_a_process(alliance, url, numbers, *, point=None, times=1, done=None):
    """Publish those numbers one after another in a process of its own, which kills itself at the named point.

    What was acknowledged stands in the file `done`, a line each.
    """

    def crash(name, left=[times]):
        left[0] -= name == point
        if name == point and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def run():
        chain = Chain.connect(alliance.anvil.url)
        with Database.open(url) as db:
            outbox = Outbox(db, chain, alliance.keyring, at=crash)
            for i in numbers:
                outbox.wait(publish(outbox, alliance, i), deadline_seconds=60)
                if done:
                    with done.open("a") as file:
                        file.write(f"{i}\n")

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def ended(process) -> int:
    process.join(100)
    return process.exitcode


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hanse.db"
    return postgres.fresh(request.getfixturevalue("postgres_server"))


def test_two_processes_share_one_key_and_one_database(alliance, url):
    both = [in_a_process(alliance, url, numbers) for numbers in (range(15), range(10, 25))]
    assert [ended(process) for process in both] == [0, 0]
    assert len(set(alliance.published())) == len(alliance.published()) == 25
    with Database.open(url) as db, db.reading() as tx:
        nonces = tx.execute(sa.text("SELECT nonce - min(nonce) OVER () FROM outbox ORDER BY 1")).scalars().all()
    assert nonces == list(range(25))


# --- what dies ---


def drill(alliance, url, point, times, tmp_path):
    done = tmp_path / "done"
    done.touch()
    assert ended(in_a_process(alliance, url, range(4), point=point, times=times, done=done)) == -signal.SIGKILL
    acknowledged = {int(line) for line in done.read_text().split()}
    with Database.open(url) as db:
        assert {f"publish:{n}" for n in acknowledged} <= keys(db)
    began = time.monotonic()
    assert ended(in_a_process(alliance, url, range(4), done=done)) == 0
    assert time.monotonic() - began < 10
    assert len(set(alliance.published())) == len(alliance.published()) == 4


def keys(db: Database) -> set[str]:
    with db.reading() as tx:
        return set(tx.execute(sa.text("SELECT key FROM outbox")).scalars())


@pytest.mark.parametrize("point", ["signed", "written", "sent", "seen"])
def test_kill_9_loses_nothing_and_doubles_nothing(alliance, url, tmp_path, point):
    drill(alliance, url, point, 2, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("times", range(1, 5))
@pytest.mark.parametrize("point", ["signed", "written", "sent", "seen"])
def test_kill_9_at_every_turn(alliance, url, tmp_path, point, times):
    drill(alliance, url, point, times, tmp_path)


def test_a_running_node_sends_what_a_crash_left(outbox, alliance):
    ticket, stop = publish(outbox, alliance, 1), threading.Event()
    thread = threading.Thread(target=outbox.run, args=(stop,), kwargs={"every": 0.02}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while outbox.status(ticket).state != "final":
        assert time.monotonic() < until, outbox.trouble
        time.sleep(0.01)
    stop.set()
    thread.join(20)


def test_an_outage_ends_in_not_final_and_waiting_again_goes_on(own, db):
    outbox = Outbox(db, own.chain, own.keyring)
    ticket = publish(outbox, own, 1)
    own.anvil.ask("anvil_mine", "0x1")
    own.anvil.stop()
    with pytest.raises(NotFinal) as late:
        outbox.wait(ticket, deadline_seconds=0.5)
    assert isinstance(late.value.__cause__, Retry)
    own.anvil.start()
    assert outbox.wait(ticket, deadline_seconds=20).ok
    assert len(own.published()) == 1


def test_what_a_reorg_dropped_is_sent_again(alliance, db):
    outbox = Outbox(db, alliance.chain, alliance.keyring, depth=3)
    tickets = [publish(outbox, alliance, i) for i in range(5)]
    for ticket in tickets:
        outbox.wait(ticket, deadline_seconds=5, settled=False)
    alliance.anvil.reorg(3)
    assert len(alliance.published()) == 2
    for ticket in tickets:
        outbox.wait(ticket, deadline_seconds=10, settled=False)
    alliance.anvil.mine(3)
    for ticket in tickets:
        assert outbox.wait(ticket, deadline_seconds=10).ok
    assert len(set(alliance.published())) == len(alliance.published()) == 5


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_everything_arrives_once_through_reorgs_and_a_chain_that_dies(own, url, seed):
    dice = random.Random(seed)
    with Database.open(url) as db:
        outbox = Outbox(db, own.chain, own.keyring, depth=12, resend_seconds=0.2)
        follower = Follower(db, own.chain, own.directory, depth=12)
        time.sleep(1.5)  # so that the alliance's foundation is in the chain's state file
        tickets = []
        for i in range(90):
            tickets.append(publish(outbox, own, i))
            if i % 10 == 9:
                outbox.pump()
            if i in (19, 39, 59):
                own.quiet()
                own.anvil.reorg(dice.randint(1, 6))
                follower.step()
            if i == 75:
                own.anvil.kill()  # back by up to a second of blocks
                own.anvil.start()
                follower.step()
        for ticket in tickets:
            assert outbox.wait(ticket, deadline_seconds=60, settled=False).ok
        own.anvil.mine(13)
        assert all(outbox.wait(ticket, deadline_seconds=60).ok for ticket in tickets)
        follower.step()
        assert len(set(own.published())) == len(own.published()) == 90
        with db.reading() as tx:
            indexed = list(events.read(tx))
        assert indexed == own.chain.events(own.directory, own.directory.born, own.chain.block("latest").number)


def test_a_reorg_after_it_was_mined_moves_the_receipt(alliance, db):
    outbox = Outbox(db, alliance.chain, alliance.keyring, depth=2)
    ticket = publish(outbox, alliance, 1)
    first = outbox.wait(ticket, deadline_seconds=5, settled=False)
    with db.reading() as tx:
        signed = tx.execute(sa.text("SELECT raw FROM attempts")).scalar()
    alliance.anvil.mine(1)
    alliance.anvil.ask("anvil_reorg", 2, [["0x" + bytes(signed).hex(), 1]])  # the same transaction, one block later
    alliance.anvil.mine(2)
    last = outbox.wait(ticket, deadline_seconds=10)
    assert (last.tx, last.block) == (first.tx, first.block + 1)
    assert outbox.status(ticket).block_hash == last.block_hash


def test_a_stranger_with_our_key_costs_a_nonce_not_the_intent(alliance, db):
    outbox = Outbox(db, alliance.chain, alliance.keyring, depth=1)
    ticket = publish(outbox, alliance, 1)
    before = outbox.status(ticket)
    alliance.say(1)  # the same account, the same nonce, not through this database
    alliance.anvil.mine(1)
    outbox.pump()
    alliance.anvil.mine(3)
    outbox.wait(ticket, deadline_seconds=10, settled=False)
    assert outbox.status(ticket).nonce == before.nonce + 1
    assert len(alliance.published()) == 2


# --- fees ---


def test_fees_that_rose_are_paid_at_the_same_nonce(own, db):
    own.anvil.ask("evm_setAutomine", False)
    outbox = Outbox(db, own.chain, own.keyring, resend_seconds=0.1)
    ticket = publish(outbox, own, 1)
    outbox.pump()
    before = outbox.status(ticket)
    own.anvil.ask("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    own.anvil.mine(1)  # too dear for what was signed: it stays in the pool
    assert own.chain.receipt(before.hash) is None
    time.sleep(0.2)
    outbox.pump()
    after = outbox.status(ticket)
    assert (after.nonce, after.hash != before.hash) == (before.nonce, True)
    assert after.fees["maxFeePerGas"] > 50 * 10**9
    own.anvil.mine(1)
    assert outbox.wait(ticket, deadline_seconds=10, settled=False).tx == after.hash
    assert count(db, "attempts") == 2


def test_an_earlier_signed_form_may_be_the_one_mined(own, db):
    own.anvil.ask("evm_setAutomine", False)
    outbox = Outbox(db, own.chain, own.keyring, resend_seconds=0)
    ticket = publish(outbox, own, 1)
    with db.reading() as tx:
        first = bytes(tx.execute(sa.text("SELECT raw FROM attempts")).scalar())
    outbox._sent[outbox.status(ticket).hash] = -1e9  # as if it had been sent long ago
    own.anvil.ask("anvil_setNextBlockBaseFeePerGas", hex(5 * 10**9))
    own.anvil.mine(1)
    outbox.pump()
    newest = outbox.status(ticket)
    own.anvil.ask("anvil_dropTransaction", newest.hash)
    own.anvil.ask("anvil_setNextBlockBaseFeePerGas", hex(10**8))
    own.chain.send(first)
    own.anvil.mine(1)
    receipt = outbox.wait(ticket, deadline_seconds=10, settled=False)
    assert receipt.tx != newest.hash
    assert outbox.status(ticket).hash == receipt.tx


def test_without_fees_the_same_bytes_are_sent_again(alliance, db):
    alliance.anvil.ask("evm_setAutomine", False)
    outbox = Outbox(db, alliance.chain, alliance.keyring, resend_seconds=0.1)
    ticket = publish(outbox, alliance, 1)
    outbox.pump()
    before = outbox.status(ticket).hash
    alliance.anvil.ask("anvil_dropTransaction", before)
    time.sleep(0.2)
    outbox.pump()
    alliance.anvil.mine(1)
    assert outbox.wait(ticket, deadline_seconds=10).tx == before
    assert count(db, "attempts") == 1
