"""Following a real Anvil: through reorgs, outages and lies the database equals a fresh index of the honest chain."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time

import pytest

from node.chain.client import Chain
from node.db import Database, events
from node.errors import Conflict, Retry, Untrusted
from node.follow import Condition, Follower
from tests.node import postgres
from tests.node.local_chain import FEELESS, Alliance, Liar, anvil, found


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    with anvil(folder, *FEELESS) as running:
        alliance = found(running, folder / "keys")
        alliance.say(3)
        yield alliance


@pytest.fixture
def alliance(founded):
    snapshot = founded.anvil.ask("evm_snapshot")
    yield founded
    assert founded.anvil.ask("evm_revert", snapshot)


@pytest.fixture
def own(tmp_path):
    """A chain of the test's own, for what cannot be undone."""
    with anvil(tmp_path, *FEELESS) as running:
        yield found(running, tmp_path / "keys")


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request, tmp_path):
    url = f"sqlite:///{tmp_path}/hanse.db"
    if request.param == "postgresql":
        url = postgres.fresh(request.getfixturevalue("postgres_server"))
    with Database.open(url) as opened:
        yield opened


@pytest.fixture
def lite(tmp_path):
    with Database.open(f"sqlite:///{tmp_path}/lite.db") as opened:
        yield opened


def follower(db: Database, alliance: Alliance, *, depth: int = 12, rpc: str | None = None) -> Follower:
    chain = Chain.connect(rpc, timeout=2) if rpc else alliance.chain
    return Follower(db, chain, alliance.directory, depth=depth)


def indexed(db: Database):
    with db.reading() as tx:
        return list(events.read(tx)), [events.head(tx, name) for name in ("Consortium", "Members", "Datasets")]


def fresh(alliance: Alliance, tmp_path):
    """What a new database gets when it follows the chain as it is now."""
    name = f"fresh{time.monotonic_ns()}.db"
    with Database.open(f"sqlite:///{tmp_path}/{name}") as db:
        assert follower(db, alliance, depth=0).step().caught_up
        return indexed(db)


def honest(alliance: Alliance):
    return alliance.chain.events(alliance.directory, alliance.directory.born, alliance.chain.block("latest").number)


def test_everything_said_is_indexed_in_order(db, alliance, tmp_path):
    alliance.say(5)
    seen = follower(db, alliance, depth=3).step()
    head = alliance.chain.block("latest").number
    assert (seen.tip, seen.head, seen.final, seen.rewound) == (head, head, head - 3, None)
    found, heads = indexed(db)
    assert found == honest(alliance)
    assert heads == [alliance.chain.head_of(alliance.directory, c) for c in ("Consortium", "Members", "Datasets")]


def test_a_second_step_brings_only_what_is_new(db, alliance):
    following = follower(db, alliance)
    following.step()
    before, _ = indexed(db)
    assert follower(db, alliance).step() == following.step()
    alliance.say(2)
    following.step()
    assert indexed(db)[0] == before + honest(alliance)[-2:]


@pytest.mark.parametrize("depth", [1, 3, 7, 12, *(pytest.param(d, marks=pytest.mark.long) for d in (32, 64))])
def test_after_a_reorg_the_database_equals_a_fresh_one(db, alliance, tmp_path, depth):
    following = follower(db, alliance, depth=depth)
    alliance.say(depth + 2)
    before = following.step()
    alliance.anvil.reorg(depth)
    alliance.say(2)
    after = following.step()
    assert after.rewound == before.head - depth
    assert after.caught_up
    assert indexed(db) == fresh(alliance, tmp_path)
    assert indexed(db)[0] == honest(alliance)


def test_a_reorg_below_the_final_block_is_survived_too(db, alliance, tmp_path):
    following = follower(db, alliance, depth=1)
    for _ in range(3):
        alliance.say(4)
        following.step()
    alliance.anvil.reorg(10)
    alliance.say(1)
    assert following.step().rewound is not None
    assert indexed(db) == fresh(alliance, tmp_path)


def test_a_shorter_chain_is_a_reorg(lite, alliance, tmp_path):
    following = follower(lite, alliance)
    alliance.say(6)
    before = following.step()
    alliance.anvil.ask("anvil_rollback", 4)
    after = following.step()
    assert (after.tip, after.rewound) == (before.tip - 4, before.tip - 4)
    assert indexed(lite) == fresh(alliance, tmp_path)


def test_a_reorg_in_the_middle_of_a_step_is_not_seen_from_outside(lite, alliance, tmp_path):
    liar = Liar(alliance.anvil)
    try:
        following = follower(lite, alliance, rpc=liar.url)
        alliance.say(6)
        asked = []

        def reorg_once(method, params, result):
            asked.append(method)
            if asked.count("eth_getLogs") == 3:
                alliance.anvil.reorg(4)
                asked.append("eth_getLogs")
            return result

        liar.bend = reorg_once
        assert following.step().caught_up
        assert indexed(lite) == fresh(alliance, tmp_path)
    finally:
        liar.close()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_random_reorgs_while_the_alliance_goes_on(db, own, tmp_path, seed):
    alliance, dice, following = own, random.Random(seed), follower(db, own, depth=6)
    alliance.say(10)
    for _ in range(40):
        alliance.say(dice.randint(0, 5))
        alliance.anvil.mine(dice.randint(1, 3))
        if dice.random() < 0.5:
            following.step()
        if dice.random() < 0.5:
            alliance.anvil.reorg(dice.randint(1, 9))
    assert following.step().caught_up
    assert indexed(db) == fresh(alliance, tmp_path)


# --- outages ---


def test_a_dead_endpoint_is_retry_and_following_goes_on_after(own, lite):
    following, stop = follower(lite, own), threading.Event()
    thread = threading.Thread(target=following.run, args=(stop,), kwargs={"every": 0.05}, daemon=True)
    thread.start()
    wait_for(following, Condition.FOLLOWING)
    own.anvil.stop()
    wait_for(following, Condition.UNREACHABLE)
    assert isinstance(following.health.error, Retry)
    own.anvil.start()
    own.say(2)
    wait_for(following, Condition.FOLLOWING)
    stop.set()
    thread.join(20)
    following.step()
    assert indexed(lite)[0] == honest(own)


def test_a_chain_that_makes_no_blocks_shows_as_stalled(lite, alliance):
    following, stop = follower(lite, alliance), threading.Event()
    options = {"every": 0.02, "stalled_after": 0.3}
    thread = threading.Thread(target=following.run, args=(stop,), kwargs=options, daemon=True)
    thread.start()
    wait_for(following, Condition.STALLED)
    alliance.anvil.mine(1)
    wait_for(following, Condition.FOLLOWING)
    stop.set()
    thread.join(20)


def wait_for(following: Follower, condition: Condition) -> None:
    until = time.monotonic() + 30
    while following.health.condition is not condition:
        assert time.monotonic() < until, following.health
        time.sleep(0.005)


def test_kill_9_in_the_middle_leaves_a_true_picture(lite, alliance, tmp_path):
    alliance.say(20)
    head = alliance.chain.block("latest").number
    url = f"sqlite:///{tmp_path}/lite.db"

    def run():
        with Database.open(url) as db:
            chain = Chain.connect(alliance.anvil.url)
            honest_block, left = chain.block, [15]

            def block(which):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                return honest_block(which)

            chain.block = block
            Follower(db, chain, alliance.directory, depth=100).step()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    partial, _ = indexed(lite)
    assert partial == honest(alliance)[: len(partial)]
    assert partial[-1].at.block < head
    follower(lite, alliance).step()
    assert indexed(lite) == fresh(alliance, tmp_path)


def test_two_followers_of_one_database_do_not_disturb_each_other(db, alliance, tmp_path):
    alliance.say(30)
    found, threads = [], []
    for _ in range(3):
        chain = Chain.connect(alliance.anvil.url)
        following = Follower(db, chain, alliance.directory, depth=100)
        threads.append(threading.Thread(target=lambda f=following: found.append(caught_up(f))))
    [t.start() for t in threads]
    [t.join(60) for t in threads]
    assert found == [True] * 3
    assert indexed(db) == fresh(alliance, tmp_path)


def caught_up(following: Follower) -> bool:
    for _ in range(100):
        try:
            return following.step().caught_up
        except Retry:
            time.sleep(0.01)
    return False


# --- another chain, and lies ---


def test_a_database_of_another_chain_is_refused(lite, alliance, tmp_path):
    follower(lite, alliance)
    refused = pytest.raises(Conflict, match="this database belongs to chain 31337")
    with anvil(tmp_path, *FEELESS, "--chain-id", "1337") as other, refused:
        follower(lite, found(other, tmp_path / "keys"))


@pytest.fixture
def liar(alliance):
    lying = Liar(alliance.anvil)
    yield lying
    lying.close()


def without(which):
    """Leaves one log out of every answer that has it."""

    def bend(method, params, result):
        if method == "eth_getLogs" and result:
            return [log for log in result if not which(log)]
        return result

    return bend


def datasets_logs(alliance: Alliance):
    at = alliance.directory.address("Datasets")
    return alliance.anvil.ask("eth_getLogs", {"address": at, "fromBlock": "0x0", "toBlock": "latest"})


@pytest.mark.parametrize("depth", [0, 100], ids=["in a range", "block by block"])
@pytest.mark.parametrize("place", [0, 3, -1], ids=["the first", "one between", "the last"])
def test_an_event_left_out_is_caught(lite, alliance, liar, place, depth):
    alliance.say(4)
    missing = datasets_logs(alliance)[place]
    following = follower(lite, alliance, depth=depth, rpc=liar.url)
    liar.bend = without(lambda log: log["data"] == missing["data"] and log["topics"] == missing["topics"])
    with pytest.raises(Untrusted):
        following.step()
    liar.bend = None
    assert following.step().caught_up
    assert indexed(lite)[0] == honest(alliance)


@pytest.mark.parametrize("depth", [0, 100], ids=["in a range", "block by block"])
def test_an_event_altered_is_caught(lite, alliance, liar, depth):
    alliance.say(2)

    def bend(method, params, result):
        if method == "eth_getLogs":
            for log in result:
                log["topics"] = [
                    t[:-1] + ("0" if t[-1] != "0" else "1") if i == 2 else t for i, t in enumerate(log["topics"])
                ]
        return result

    following = follower(lite, alliance, depth=depth, rpc=liar.url)
    liar.bend = bend
    with pytest.raises(Untrusted):
        following.step()
    assert follower(lite, alliance).step().caught_up
    assert indexed(lite)[0] == honest(alliance)


def test_nothing_unverified_counts_as_final(lite, alliance, liar):
    following = follower(lite, alliance, depth=0, rpc=liar.url)
    verified = following.step().final
    alliance.say(3)
    last = datasets_logs(alliance)[-1]
    liar.bend = without(lambda log: log["blockHash"] == last["blockHash"])
    with pytest.raises(Untrusted, match="does not show all that Datasets said"):
        following.step()
    with lite.reading() as tx:
        assert events.verified(tx) == verified
        assert all(event.at.block <= verified for event in events.read(tx))


def test_an_endpoint_that_tells_of_the_next_block_for_a_moment_is_asked_again(lite, alliance, liar):
    """Anvil does, while it makes that block: its state is ahead of the number that it was asked for."""
    following, calls = follower(lite, alliance, depth=0, rpc=liar.url), []

    def bend(method, params, result):
        if method != "eth_call" or len(calls) == 3:  # once for each of the three contracts
            return result
        if not calls:
            alliance.say(1)
        calls.append(params)
        return alliance.anvil.ask("eth_call", params[0], "latest")

    liar.bend = bend
    assert following.step().final == int(calls[0][1], 16)
    assert following.step().caught_up
    assert indexed(lite)[0] == honest(alliance)


def test_an_endpoint_that_lies_for_a_while_shows_as_untrusted(lite, alliance, liar):
    following, stop = follower(lite, alliance, rpc=liar.url), threading.Event()
    liar.bend = without(lambda log: True)
    thread = threading.Thread(target=following.run, args=(stop,), kwargs={"every": 0.02}, daemon=True)
    thread.start()
    wait_for(following, Condition.UNTRUSTED)
    liar.bend = None
    wait_for(following, Condition.FOLLOWING)
    stop.set()
    thread.join(20)
    assert indexed(lite)[0] == honest(alliance)


def test_a_chain_of_broken_links_is_given_up_on(lite, alliance, liar):
    following = follower(lite, alliance, depth=100, rpc=liar.url)

    def bend(method, params, result):
        if method == "eth_getBlockByNumber" and result:
            result["parentHash"] = "0x" + "77" * 32
        return result

    liar.bend = bend
    with pytest.raises(Retry):
        following.step(seconds=5)
    assert indexed(lite)[0] == []
