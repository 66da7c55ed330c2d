"""Bad input and a bad world: each says what it is, by family, clause and exit code, and works once it is repaired."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node import access, fetch, home, publish, training
from node.chain import typed
from node.errors import Conflict, HanseError, Misuse, NotFound, Refused, Retry, Untrusted
from node.model import DatasetId, GrantId, MemberState, Time, TrainingId, Use
from node.policy import Offer
from node.sealed import envelope_of
from node.settings import Settings
from node.store import Cid
from node.wiring import Node
from tests.chain.peers import ZERO_FEES, anvil, ask, free_port
from tests.stories.alliance import PASSPHRASE, Person, follow_all, pass_time
from tests.stories.liars import gateway
from tests.stories.sharing import RESEARCH, granted, granted_terms, opened, plan, published, table

NOBODYS = "0x" + "12" * 32
People = dict[str, Person]


def refused(call: Callable[[], Any], kind: type[HanseError], clause: str, code: int) -> HanseError:
    """The one way all of these are judged."""
    with pytest.raises(kind) as caught:
        call()
    assert (caught.value.clause, caught.value.exit_code) == (clause, code), caught.value.record()
    return caught.value


# --- names that nothing has ---


@pytest.mark.parametrize(
    ("call", "clause"),
    [
        (lambda node: access.request(node, DatasetId(NOBODYS), purposes=RESEARCH), "dataset"),
        (lambda node: node.manifest(DatasetId(NOBODYS), 1), "dataset"),
        (lambda node: access.grant(node, GrantId(NOBODYS)), "request"),
        (lambda node: access.refuse(node, GrantId(NOBODYS), "no"), "request"),
        (lambda node: access.refusal(node, GrantId(NOBODYS)), "request"),
        (lambda node: access.revoke(node, GrantId(NOBODYS)), "grant"),
        (lambda node: access.why(node, GrantId(NOBODYS), who=node.me), "grant"),
        (lambda node: fetch.fetch(node, GrantId(NOBODYS), Path("x"), purposes=RESEARCH), "grant"),
        (lambda node: publish.retire(node, DatasetId(NOBODYS)), "dataset"),
        (lambda node: training.join(node, TrainingId(NOBODYS), DatasetId(NOBODYS)), "training"),
        (lambda node: training.result(node, TrainingId(NOBODYS)), "training"),
        (lambda node: publish.publish(node, Path("/nowhere"), title="x"), "source"),
    ],
)
def test_what_nobody_knows_is_not_found(alice: Person, call: Callable[[Node], Any], clause: str) -> None:
    refused(lambda: call(alice.node), NotFound, clause, 3)


@pytest.mark.parametrize("text", ["", "baf", "Qm" + "0" * 44, "bafkreinotacid", "/etc/passwd", "b" * 5000])
def test_a_malformed_cid_is_the_callers_fault(text: str) -> None:
    refused(lambda: Cid.parse(text), Misuse, "cid", 2)


def test_an_unknown_purpose_is_the_callers_fault(alice: Person, bob: Person, tmp_path: Path) -> None:
    dataset = published(alice, tmp_path)
    bob.node.follow()
    refused(lambda: access.request(bob.node, dataset, purposes=("profit",)), Misuse, "purpose", 2)


# --- opening a node ---


def test_a_wrong_passphrase_opens_nothing(alice: Person) -> None:
    def opening() -> None:
        with Node.open(alice.home, passphrase=b"something else"):
            pass

    refused(opening, Refused, "passphrase", 4)


def test_without_a_passphrase_a_node_reads_and_signs_nothing(alice: Person, bob: Person, tmp_path: Path) -> None:
    dataset = published(alice, tmp_path)
    with Node.open(bob.home) as reader:
        assert dataset in reader.ledger.datasets
        refused(lambda: access.request(reader, dataset, purposes=RESEARCH), Refused, "passphrase", 4)


def test_a_database_of_another_chain_is_not_touched(alice: Person, tmp_path: Path) -> None:
    with anvil(*ZERO_FEES, "--chain-id", "31338") as other:
        made = Settings(tmp_path / "new", name="New", rpc=other, profile="development", poll=0.05)
        home.create(made, PASSPHRASE, account_key=b"\x07" * 32)
        founder = [home.founder_of(made.home)]
        consortium = _funded(other, made, lambda: home.found(made.home, PASSPHRASE, founder, delay=60))
        old = alice.node.settings.home / "node.sqlite"
        before = old.read_bytes()
        refused(lambda: _join_with(made, consortium, f"sqlite:///{old}"), Conflict, "chain", 5)
        assert old.read_bytes() == before
        assert home.join(made.home, consortium).state == "active"


def _funded(rpc: str, made: Settings, then: Callable[[], Any]) -> Any:
    ask(rpc, "anvil_setBalance", home.founder_of(made.home).account, hex(10**20))
    return then()


def _join_with(made: Settings, consortium: Any, database: str) -> None:
    from dataclasses import replace

    replace(made, consortium=consortium, database=database).save()
    try:
        with Node.open(made.home):
            pass
    finally:
        made.save()


def test_a_dead_chain_can_be_tried_again(alice: Person, tmp_path: Path) -> None:
    from dataclasses import replace

    settings = Settings.load(alice.home)
    replace(settings, rpc=f"http://127.0.0.1:{free_port()}").save()
    try:
        refused(lambda: _open(alice.home), Retry, "rpc", 6)
    finally:
        settings.save()
    _open(alice.home)


def _open(path: Path) -> None:
    with Node.open(path):
        pass


# --- publishing ---


def test_publishing_needs_a_readable_file_and_a_table_that_is_one(alice: Person, tmp_path: Path) -> None:
    refused(lambda: publish.publish(alice.node, tmp_path, title="x"), Misuse, "source", 2)
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b'a,b\n1,2\n3,"4\n')
    refused(lambda: publish.publish(alice.node, broken, title="x"), Misuse, "source", 2)
    broken.write_bytes(b"a,b\n\xff\xfe,2\n")
    refused(lambda: publish.publish(alice.node, broken, title="x"), Misuse, "source", 2)
    broken.write_bytes(b"a,b\n1,2\n")
    assert not publish.publish(alice.node, broken, title="x").already


def test_a_key_stands_for_one_publication(alice: Person, tmp_path: Path) -> None:
    source = table(tmp_path)
    first = publish.publish(alice.node, source, title="one", key="k1")
    assert publish.publish(alice.node, source, title="one", key="k1") == _again(first)
    refused(lambda: publish.publish(alice.node, source, title="two", key="k1"), Conflict, "key", 5)


def _again(made: Any) -> Any:
    from dataclasses import replace

    return replace(made, already=True)


def test_other_words_about_the_same_file_are_another_publication(alice: Person, tmp_path: Path) -> None:
    source = table(tmp_path)
    first = publish.publish(alice.node, source, title="one", offer=Offer(days=10))
    second = publish.publish(alice.node, source, title="one", offer=Offer(days=20))
    assert first.dataset != second.dataset
    assert not second.already


def test_only_the_owner_adds_versions_and_nobody_to_a_retired_dataset(
    alice: Person, bob: Person, tmp_path: Path
) -> None:
    dataset = published(alice, tmp_path)
    bob.node.follow()
    add = lambda who: publish.publish(who.node, table(tmp_path), title="v2", dataset=dataset)  # noqa: E731
    refused(lambda: add(bob), Refused, "owner", 4)
    assert add(alice).version == 2
    publish.retire(alice.node, dataset)
    refused(lambda: add(alice), Refused, "state", 4)
    bob.node.follow()
    refused(lambda: access.request(bob.node, dataset, purposes=RESEARCH), Refused, "state", 4)


def test_a_version_number_taken_by_another_file_is_passed_over(alice: Person, tmp_path: Path) -> None:
    """A file that was about to become version 2, when another one did: run again, it becomes version 3."""
    dataset = published(alice, tmp_path)
    late, first = table(tmp_path), table(tmp_path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(alice.node.outbox, "submit", _raising(Retry("the chain is away", clause="rpc")))
        refused(lambda: publish.publish(alice.node, late, title="late", dataset=dataset), Retry, "rpc", 6)
    assert publish.publish(alice.node, first, title="first", dataset=dataset).version == 2
    assert publish.publish(alice.node, late, title="late", dataset=dataset).version == 3
    from node.sealed import open_own

    for version, source in ((2, first), (3, late)):
        with open_own(alice.node, dataset, version) as file:
            assert file.read() == source.read_bytes()


def _raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


# --- asking and granting ---


@pytest.mark.parametrize(
    ("asked", "clause"),
    [
        ({"purposes": ("risk",)}, "purpose"),
        ({"days": 31}, "period"),
        ({"uses": Use.READ | Use.TRAIN}, "use"),
        ({"count": 4}, "count"),
        ({"count": 0}, "count"),
        ({"days": 0}, "period"),
        ({"purposes": ()}, "purpose"),
    ],
)
def test_a_request_beyond_the_offer_is_refused(
    people: People, offered: DatasetId, asked: dict[str, Any], clause: str
) -> None:
    bob = people["bob"]
    words = {"purposes": RESEARCH, "days": 30, "count": 3} | asked
    refused(lambda: access.request(bob.node, offered, **words), Refused, clause, 4)


@pytest.fixture(scope="module")
def offered(people: People, tmp_path_factory: pytest.TempPathFactory) -> DatasetId:
    offer = Offer(uses=Use.READ, purposes=RESEARCH, days=30, count=3)
    found = published(people["alice"], tmp_path_factory.mktemp("offered"), offer=offer)
    people["bob"].node.follow()
    return found


def test_the_same_words_mean_a_new_request_once_the_grant_has_ended(alice: Person, bob: Person, tmp_path: Path) -> None:
    dataset = published(alice, tmp_path)
    first = granted(alice, bob, dataset)
    assert access.request(bob.node, dataset, purposes=RESEARCH, days=30).id == first
    access.revoke(bob.node, first)
    assert access.request(bob.node, dataset, purposes=RESEARCH, days=30).id != first


def test_a_request_for_an_older_version_is_not_granted(alice: Person, bob: Person, tmp_path: Path) -> None:
    dataset = published(alice, tmp_path)
    bob.node.follow()
    asked = access.request(bob.node, dataset, purposes=RESEARCH)
    publish.publish(alice.node, table(tmp_path), title="newer", dataset=dataset)
    refused(lambda: access.grant(alice.node, asked.id), Refused, "version", 4)
    assert asked.id not in [waiting.id for waiting in access.inbox(alice.node)]


def test_a_key_changed_since_the_request_is_not_wrapped_for(people: People, tmp_path: Path) -> None:
    alice, dave = people["alice"], people["dave"]
    dataset = published(alice, tmp_path)
    dave.node.follow()
    asked = access.request(dave.node, dataset, purposes=RESEARCH)
    card = dave.node.ledger.members[dave.me].card
    other = dave.node.put_document(_card_of(people["carol"]))
    dave.node.send(f"card:{other}", "Members", "setCard", other, purpose="another key")
    alice.node.follow()
    refused(lambda: access.grant(alice.node, asked.id), Refused, "recipient", 4)
    dave.node.send(f"card:{card}:back", "Members", "setCard", card, purpose="the same key again")
    alice.node.follow()
    assert access.grant(alice.node, asked.id).gas > 0


def _card_of(person: Person) -> Any:
    return person.node.card_of(person.me).card


def test_a_request_that_waited_too_long_is_not_granted(people: People, tmp_path: Path) -> None:
    alice, bob = people["alice"], people["bob"]
    dataset = published(alice, tmp_path)
    bob.node.follow()
    asked = access.request(bob.node, dataset, purposes=RESEARCH)
    pass_time(people, 15 * access.DAY)
    refused(lambda: access.grant(alice.node, asked.id), Refused, "deadline", 4)
    assert access.request(bob.node, dataset, purposes=RESEARCH).id != asked.id


def test_a_bad_record_hides_no_other_request(people: People, tmp_path: Path) -> None:
    """Carol asks with a record that nobody has, Dave with another's, also under Bob's id: Bob's still shows."""
    alice, bob, carol, dave = people.values()
    dataset = published(alice, tmp_path)
    follow_all(people)
    good = access.request(bob.node, dataset, purposes=RESEARCH)
    follow_all(people)
    record = bob.node.ledger.requests[good.id].record
    other = "0x" + "56" * 32
    for person, number, at in ((carol, NOBODYS, "0x" + "34" * 32), (dave, good.id, record), (dave, other, record)):
        key = f"test:{number}:{at}"
        person.node.send(key, "Grants", "request", number, dataset, 1, at, purpose="a bad request")
    alice.node.follow()
    shown = {waiting.id: waiting for waiting in access.inbox(alice.node) if waiting.dataset == dataset}
    assert shown[good.id].terms == good.terms
    assert {number for number, waiting in shown.items() if waiting.trouble} == {NOBODYS, other}
    refused(lambda: access.grant(alice.node, GrantId(other)), Untrusted, "terms", 7)
    assert not access.grant(alice.node, good.id).already


# --- fetching ---


def test_terms_bind_in_time(people: People, tmp_path: Path) -> None:
    alice, bob = people["alice"], people["bob"]
    dataset = published(alice, tmp_path)
    first = granted(alice, bob, dataset)
    now = bob.node.clock()
    later = granted_terms(alice, bob, first, from_=now + 1000, until=now + 2000)
    over = granted_terms(alice, bob, first, from_=now - 2000, until=now - 1000)
    get = lambda number: fetch.fetch(bob.node, number, tmp_path / "out", purposes=RESEARCH)  # noqa: E731
    refused(lambda: get(later), Refused, "from", 4)
    refused(lambda: get(over), Refused, "until", 4)
    pass_time(people, 31 * access.DAY)
    assert refused(lambda: get(first), Refused, "until", 4).needed
    assert not (tmp_path / "out").exists()


def test_a_count_is_used_up(alice: Person, bob: Person, tmp_path: Path) -> None:
    number = granted(alice, bob, published(alice, tmp_path), count=2)
    for name in ("one", "two"):
        assert fetch.fetch(bob.node, number, tmp_path / name, purposes=RESEARCH).size
    refused(lambda: fetch.fetch(bob.node, number, tmp_path / "three", purposes=RESEARCH), Refused, "count", 4)
    assert fetch.fetch(bob.node, number, tmp_path / "one", purposes=RESEARCH).already


def test_fetching_asks_for_a_granted_purpose_by_the_consumer_under_a_standing_grant(
    alice: Person, bob: Person, carol: Person, tmp_path: Path
) -> None:
    number = granted(alice, bob, published(alice, tmp_path))
    carol.node.follow()
    out = tmp_path / "out"
    refused(lambda: fetch.fetch(bob.node, number, out, purposes=("risk",)), Refused, "purpose", 4)
    refused(lambda: fetch.fetch(carol.node, number, out, purposes=RESEARCH), Refused, "consumer", 4)
    access.revoke(alice.node, number)
    bob.node.follow()
    refused(lambda: fetch.fetch(bob.node, number, out, purposes=RESEARCH), Refused, "state", 4)


def test_a_destination_is_never_overwritten(alice: Person, bob: Person, tmp_path: Path) -> None:
    number = granted(alice, bob, published(alice, tmp_path))
    there = tmp_path / "there"
    there.write_text("mine")
    refused(lambda: fetch.fetch(bob.node, number, there, purposes=RESEARCH), Conflict, "destination", 5)
    assert there.read_text() == "mine"
    refused(lambda: fetch.fetch(bob.node, number, tmp_path / "no" / "x", purposes=RESEARCH), Misuse, "destination", 2)
    there.unlink()
    assert not fetch.fetch(bob.node, number, there, purposes=RESEARCH).already
    there.unlink()
    assert fetch.fetch(bob.node, number, there, purposes=RESEARCH).size == there.stat().st_size


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk cannot be mounted without being root")
def test_a_full_disk_at_the_destination_leaves_nothing_and_can_be_tried_again(
    alice: Person, bob: Person, tmp_path: Path
) -> None:
    number = granted(alice, bob, publish.publish(alice.node, _large(tmp_path), title="large").dataset)
    with full_disk(tmp_path / "disk", "1m") as disk:
        refused(lambda: fetch.fetch(bob.node, number, disk / "out", purposes=RESEARCH), Retry, "destination", 6)
        assert list(disk.iterdir()) == []
    assert fetch.fetch(bob.node, number, tmp_path / "out", purposes=RESEARCH).size == 3 << 20


def _large(folder: Path) -> Path:
    path = folder / "large.bin"
    path.write_bytes(os.urandom(3 << 20))
    return path


def full_disk(at: Path, size: str) -> Any:
    """A tmpfs of that size, or a skip that says why there is none."""
    import subprocess
    from contextlib import contextmanager

    @contextmanager
    def mounted() -> Any:
        at.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)], capture_output=True)
        if done.returncode:
            pytest.skip(f"left out: no small disk can be mounted here ({done.stderr.decode().strip()})")
        try:
            yield at
        finally:
            subprocess.run(["umount", "-l", str(at)], check=True)

    return mounted()


@pytest.mark.parametrize("part", ["store", "database"])
def test_a_full_disk_under_store_or_database_can_be_tried_again(alice: Person, tmp_path: Path, part: str) -> None:
    from dataclasses import replace

    source = _large(tmp_path)
    settings = Settings.load(alice.home)
    with full_disk(tmp_path / "small", "1m" if part == "store" else "700k") as disk:
        trial = replace(settings, database=f"sqlite:///{disk / 'node.sqlite'}") if part == "database" else settings
        with pytest.MonkeyPatch.context() as patched:
            if part == "store":
                (alice.home / "store").rename(alice.home / "kept")
                (alice.home / "store").symlink_to(disk)
            patched.setattr(Settings, "load", classmethod(lambda cls, home: trial))
            try:
                _fill_and_fail(alice, source, disk, part)
            finally:
                if part == "store":
                    (alice.home / "store").unlink()
                    (alice.home / "kept").rename(alice.home / "store")
    assert publish.publish(alice.node, source, title=f"full {part}").size == 3 << 20


def _fill_and_fail(alice: Person, source: Path, disk: Path, part: str) -> None:
    with alice.restarted() as node:
        if part == "database":
            room = os.statvfs(disk)
            (disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize))
        with pytest.raises(Retry) as caught:
            publish.publish(node, source, title=f"full {part}")
        assert caught.value.exit_code == 6
        assert "full" in caught.value.message


def test_a_dead_gateway_can_be_tried_again_and_a_lying_one_is_named(people: People, tmp_path: Path) -> None:
    """Bob's node knows one gateway only, which is dead, then serves the wrong bytes, then the right ones."""
    from dataclasses import replace

    alice, bob = people["alice"], people["bob"]
    number = granted(alice, bob, published(alice, tmp_path))
    terms = bob.node.ledger.grants[number].terms
    bob.node.get_bytes(bob.node.ledger.grants[number].wrap, member=alice.me)
    cid = envelope_of(bob.node, terms.dataset, 1).cid
    get = lambda: fetch.fetch(bob.node, number, tmp_path / "out", purposes=RESEARCH)  # noqa: E731
    sealed = alice.node.store.get_block(Cid.parse(cid))
    known, settings = bob.node._endpoints, bob.node.settings  # the addresses, not the code that asks them
    try:
        bob.node._endpoints = lambda account: []  # type: ignore[method-assign]
        bob.node.settings = replace(settings, peers=(f"http://127.0.0.1:{free_port()}",))
        refused(get, Retry, "gateways", 6)
        for wrong in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b""):
            with gateway(alice.node.store, {cid: wrong}) as url:  # type: ignore[arg-type]
                bob.node.settings = replace(settings, peers=(url,))
                refused(get, Untrusted, "block hash", 7)
        assert not (tmp_path / "out").exists()
    finally:
        bob.node._endpoints, bob.node.settings = known, settings  # type: ignore[method-assign]
    assert get().size == (tmp_path / "out").stat().st_size


def test_a_truncated_envelope_opens_to_nothing(people: People, tmp_path: Path) -> None:
    """Alice's record on chain names half of the sealed bytes: every hash fits, and still nothing opens."""
    from node.documents import Envelope

    alice, bob = people["alice"], people["bob"]
    source = _large(tmp_path)
    with pytest.MonkeyPatch.context() as patched:
        real = alice.node.put_document

        def halved(record: Any) -> Any:
            if isinstance(record, Envelope):
                with alice.node.store.open(Cid.parse(record.cid)) as file:
                    half = alice.node.store.put_file([file.read(record.size // 2)])
                record = Envelope(record.dataset, record.version, str(half.cid), half.size)
            return real(record)

        patched.setattr(alice.node, "put_document", halved)
        dataset = publish.publish(alice.node, source, title="half").dataset
    number = granted(alice, bob, dataset)
    out = tmp_path / "out"
    refused(lambda: fetch.fetch(bob.node, number, out, purposes=RESEARCH), Untrusted, "end", 7)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


# --- who may act at all ---


def test_a_suspended_member_may_do_nothing_until_it_is_back(people: People, tmp_path: Path) -> None:
    alice, bob = people["alice"], people["bob"]
    dataset = published(alice, tmp_path)
    number = granted(alice, bob, dataset)
    set_state(people, bob, MemberState.SUSPENDED)
    for call in (
        lambda: publish.publish(bob.node, table(tmp_path), title="x"),
        lambda: access.request(bob.node, dataset, purposes=("care",)),
        lambda: fetch.fetch(bob.node, number, tmp_path / "out", purposes=RESEARCH),
    ):
        refused(call, Refused, "member", 4)
    set_state(people, bob, MemberState.ACTIVE)
    assert fetch.fetch(bob.node, number, tmp_path / "out", purposes=RESEARCH).size


def test_a_paused_alliance_takes_nothing_in_but_lets_go(people: People, tmp_path: Path) -> None:
    alice, bob = people["alice"], people["bob"]
    number = granted(alice, bob, published(alice, tmp_path))
    source = table(tmp_path)
    until = Time(alice.node.clock() + 600)
    decide(people, "pause", (until,), lambda place: typed.pause(place, until))
    refused(lambda: publish.publish(alice.node, source, title="x"), Refused, "Paused", 4)
    assert not access.revoke(alice.node, number).already
    pass_time(people, 700)
    assert not publish.publish(alice.node, source, title="x").already


def test_a_stranger_is_refused(people: People, tmp_path: Path) -> None:
    made = Settings(
        tmp_path / "mallory", name="Mallory", rpc=people["alice"].node.settings.rpc, profile="development",
        peers=(people["alice"].url,),
    )  # fmt: skip
    home.create(made, PASSPHRASE, account_key=b"\x05" * 32)
    assert home.join(made.home, people["alice"].node.directory.consortium).state == "stranger"
    dataset = published(people["alice"], tmp_path)
    with Node.open(made.home, passphrase=PASSPHRASE) as mallory:
        refused(lambda: publish.publish(mallory, table(tmp_path), title="x"), Refused, "member", 4)
        refused(lambda: access.request(mallory, dataset, purposes=RESEARCH), Refused, "member", 4)
        refused(lambda: training.open_training(mallory, plan(3), seats=3), Refused, "member", 4)
        refused(lambda: mallory.manifest(dataset, 1), Refused, "peer", 4)


def test_an_account_without_funds_on_a_chain_with_fees_is_told_what_it_needs(tmp_path: Path) -> None:
    with anvil() as rpc:
        made = Settings(tmp_path / "poor", name="Poor", rpc=rpc, profile="development", poll=0.05)
        home.create(made, PASSPHRASE, account_key=b"\x09" * 32)
        founder = home.founder_of(made.home)
        consortium = _funded(rpc, made, lambda: home.found(made.home, PASSPHRASE, [founder], delay=60))
        home.join(made.home, consortium)
        source = table(tmp_path)
        with Node.open(made.home, passphrase=PASSPHRASE) as node:
            ask(rpc, "anvil_setBalance", node.me, hex(1))
            refused(lambda: publish.publish(node, source, title="x"), Refused, "funds", 4)
            ask(rpc, "anvil_setBalance", node.me, hex(10**20))
            assert publish.publish(node, source, title="x").version == 1
            assert len(node.ledger.datasets) == 1


def decide(people: People, function: str, args: tuple[Any, ...], message: Callable[[typed.Place], Any]) -> None:
    """By the consent of everybody who is active."""
    alice = people["alice"].node
    epoch = alice.chain.call(alice.directory, "Members", "epoch")
    place = typed.Place(alice.chain.chain_id, alice.directory.address("Members"), epoch, Time(alice.clock() + 10**6))
    able = [p for p in people.values() if alice.ledger.members[p.me].state == MemberState.ACTIVE]
    consents = typed.consents(place, {p.me: p.node.keys.sign_typed(message(place)) for p in able})
    alice.send(f"test:{function}:{epoch}", "Members", function, *args, consents, purpose="a decision")
    follow_all(people)


def set_state(people: People, person: Person, state: MemberState) -> None:
    decide(people, "setState", (person.me, int(state)), lambda place: typed.set_state(place, person.me, int(state)))


# --- trainings ---


def test_joining_asks_for_data_that_the_plan_can_use(people: People, tmp_path: Path) -> None:
    alice, bob = people["alice"], people["bob"]
    number = opened(alice, list(people.values()), plan(4, high=40))

    def joining(text: str, **changed: Any) -> Callable[[], Any]:
        source = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        source.write_text(text)
        dataset = publish.publish(alice.node, source, title="x", **changed).dataset
        return lambda: training.join(alice.node, number, dataset)

    refused(joining("amount,failed\n1,0\n"), Refused, "column", 4)
    refused(joining("amount,kind,failed\n41,a,0\n"), Refused, "range", 4)
    refused(joining("amount,kind,failed\n1,z,0\n"), Refused, "levels", 4)
    refused(joining("amount,kind,failed\n1,a,0\n", offer=Offer(uses=Use.READ)), Refused, "use", 4)
    binary = tmp_path / "x.bin"
    binary.write_bytes(b"\xff\x00\xfe")
    no_table = publish.publish(alice.node, binary, title="x").dataset
    refused(lambda: training.join(alice.node, number, no_table), Refused, "table", 4)
    bobs = published(bob, tmp_path)
    alice.node.follow()
    refused(lambda: training.join(alice.node, number, bobs), Refused, "owner", 4)
    good = joining("amount,kind,failed\n1,a,0\n2,b,1\n")
    assert not good().already
    assert good().already
    other = joining("amount,kind,failed\n1,a,0\n")
    refused(other, Conflict, "dataset", 5)


def test_a_full_training_and_a_late_one_take_nobody(people: People, tmp_path: Path) -> None:
    alice, bob, carol, dave = people.values()
    number = opened(alice, list(people.values()), plan(4), seats=3)
    for person in (alice, bob, carol):
        training.join(person.node, number, published(person, tmp_path))
    dataset = published(dave, tmp_path)
    refused(lambda: training.join(dave.node, number, dataset), Refused, "phase", 4)
    late = opened(alice, list(people.values()), plan(4), join_seconds=5)
    pass_time(people, 10)
    refused(lambda: training.join(dave.node, late, dataset), Refused, "Late", 4)


def test_a_spent_budget_buys_no_training(people: People, tmp_path: Path) -> None:
    alice = people["alice"]
    dataset = published(alice, tmp_path, budget=100)
    first, second = (opened(alice, list(people.values()), plan(4), epsilon=60) for _ in range(2))
    training.join(alice.node, first, dataset)
    refused(lambda: training.join(alice.node, second, dataset), Refused, "BudgetSpent", 4)


def test_a_training_is_not_final_before_it_is(people: People) -> None:
    alice = people["alice"]
    number = opened(alice, [alice], plan(3), seats=3)
    refused(lambda: training.result(alice.node, number), Retry, "phase", 8)
    refused(lambda: training.run(alice.node, number, deadline_seconds=0.1), Retry, "deadline", 8)
