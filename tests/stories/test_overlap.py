"""Two members find what they share over their nodes: a person approves each answer, and nobody else gets a byte."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node import overlap, peers
from node.encryption import psi
from node.errors import Conflict, NotFound, Refused, Untrusted
from node.model import DatasetId, Digest
from node.publish import publish
from tests.stories.alliance import Person, pass_time
from tests.stories.test_refusals import refused

CUSTOMERS = range(30, 70)
CLIENTS = range(60)
COMMON = sorted(f"C-{i:03}" for i in range(30, 60))


@dataclass(frozen=True)
class Shared:
    """Bob knows what customers bought, Alice whether clients paid; they write the same numbers in other ways."""

    features: DatasetId
    outcomes: DatasetId


@pytest.fixture(scope="module")
def shared(people: dict[str, Person], tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.mktemp("tables")
    features, outcomes = folder / "features.csv", folder / "outcomes.csv"
    features.write_text("customer,bought\n" + "".join(f"c-{i:03},{i * 3}\n" for i in reversed(CUSTOMERS)))
    outcomes.write_text("client_no,paid,remark\n" + "".join(f" C-{i:03},{i % 2},\n" for i in CLIENTS))
    made = Shared(
        publish(people["bob"].node, features, title="Sales").dataset,
        publish(people["alice"].node, outcomes, title="Payments").dataset,
    )
    for person in people.values():
        person.node.follow()
    return made


@pytest.fixture(autouse=True)
def _another_day(people: dict[str, Person]) -> None:
    """The day's answers of the test before are over."""
    pass_time(people, overlap.DAY + 1)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def keys_of(bob: Person, folder: Path, keys: Sequence[int]) -> DatasetId:
    """A dataset of Bob's that no other test asks with."""
    path = folder / "keys.csv"
    path.write_text("customer,n\n" + "".join(f"C-{i:03},{i}\n" for i in keys))
    return publish(bob.node, path, title="Keys").dataset


def asked_by(bob: Person, shared: Shared, **changed: Any) -> Digest:
    return overlap.ask(bob.node, shared.outcomes, shared.features, column="customer", **changed).id


def test_the_asker_learns_a_number_once_the_owner_approved(alice: Person, bob: Person, shared: Shared) -> None:
    number = asked_by(bob, shared)
    assert asked_by(bob, shared) == number  # the same words are the same request
    refused(lambda: overlap.result(bob.node, number), NotFound, "peer", 3)
    (seen,) = [one for one in overlap.waiting(alice.node, bob.me) if one.id == number]
    assert (seen.asker, seen.key, seen.reveal, seen.keys) == (bob.me, "customer", False, len(CUSTOMERS))
    approved = overlap.approve(alice.node, bob.me, number, column="client_no")
    assert (approved.keys, approved.already) == (len(CLIENTS), False)
    assert overlap.approve(alice.node, bob.me, number, column="client_no").already
    assert number not in [one.id for one in overlap.waiting(alice.node, bob.me)]
    found = overlap.result(bob.node, number)
    assert (found.ours, found.theirs, found.common, found.rows) == (40, 60, 30, "")
    refused(lambda: overlap.result(bob.node, number, rows=bob.home / "no.csv"), Refused, "reveal", 4)
    assert not (bob.home / "no.csv").exists()


def test_both_hold_the_same_rows_in_the_same_order(alice: Person, bob: Person, shared: Shared, tmp_path: Path) -> None:
    """Each asks and each approves: after that both know the common keys, and nothing else has moved."""
    there = asked_by(bob, shared, reveal=True)
    back = overlap.ask(alice.node, shared.features, shared.outcomes, column="client_no", reveal=True).id
    overlap.approve(alice.node, bob.me, there, column="client_no")
    overlap.approve(bob.node, alice.me, back, column="customer")
    assert overlap.result(bob.node, there, rows=tmp_path / "bob.csv").common == len(COMMON)
    overlap.result(alice.node, back, rows=tmp_path / "alice.csv", keep=["paid"])
    ours, theirs = rows(tmp_path / "bob.csv"), rows(tmp_path / "alice.csv")
    assert ours[0] == ["key", "customer", "bought"]
    assert theirs[0] == ["key", "paid"]
    assert [row[0] for row in ours[1:]] == [row[0] for row in theirs[1:]] == COMMON
    assert all(int(bought) == 3 * int(key[2:]) for key, _, bought in ours[1:])
    assert all(int(paid) == int(key[2:]) % 2 for key, paid in theirs[1:])
    refused(lambda: overlap.result(bob.node, there, rows=tmp_path / "bob.csv"), Conflict, "rows", 5)


def test_nobody_else_is_told_anything(alice: Person, bob: Person, carol: Person, shared: Shared) -> None:
    number = asked_by(bob, shared)
    assert overlap.waiting(carol.node, bob.me) == []
    overlap.approve(alice.node, bob.me, number, column="client_no")
    for owner, part in ((bob, "/message"), (alice, ""), (alice, "/setup"), (alice, "/response")):
        with pytest.raises(NotFound):
            carol.node.ask(owner.me, f"/peer/overlaps/{number}{part}")
    with pytest.raises(NotFound):  # the owner's part is not the asker's
        bob.node.ask(alice.me, f"/peer/overlaps/{number}/message")
    refused(lambda: overlap.result(carol.node, number), NotFound, "overlap", 3)
    refused(lambda: overlap.approve(carol.node, bob.me, number, column="x"), NotFound, "overlap", 3)


def test_a_member_gets_so_many_answers_a_day(
    people: dict[str, Person], alice: Person, bob: Person, shared: Shared, tmp_path: Path
) -> None:
    numbers = []
    for i in range(overlap.MOST_A_DAY + 1):
        own = keys_of(bob, tmp_path, range(i, i + 30))
        numbers.append(overlap.ask(bob.node, shared.outcomes, own, column="customer").id)
    alice.node.follow()
    for number in numbers[:-1]:
        overlap.approve(alice.node, bob.me, number, column="client_no")
    error = refused(lambda: overlap.approve(alice.node, bob.me, numbers[-1], column="client_no"), Refused, "rate", 4)
    assert error.seen == overlap.MOST_A_DAY
    refused(lambda: overlap.result(bob.node, numbers[-1]), NotFound, "peer", 3)
    pass_time(people, overlap.DAY + 1)
    overlap.approve(alice.node, bob.me, numbers[-1], column="client_no")


@pytest.mark.parametrize("size", [psi.MIN_KEYS - 1, psi.MAX_KEYS + 1])
def test_a_set_too_small_or_too_large_is_refused(bob: Person, shared: Shared, tmp_path: Path, size: int) -> None:
    own = keys_of(bob, tmp_path, range(size))
    error = refused(lambda: overlap.ask(bob.node, shared.outcomes, own, column="customer"), Refused, "keys", 4)
    assert error.seen == size


def test_what_is_asked_must_make_sense(alice: Person, bob: Person, shared: Shared, tmp_path: Path) -> None:
    ask = overlap.ask
    refused(lambda: ask(bob.node, shared.features, shared.features, column="customer"), Refused, "owner", 4)
    refused(lambda: ask(bob.node, shared.outcomes, shared.outcomes, column="customer"), Refused, "owner", 4)
    refused(lambda: ask(bob.node, shared.outcomes, shared.features, column="nothing"), NotFound, "column", 3)
    own = keys_of(bob, tmp_path, range(25))
    number = ask(bob.node, shared.outcomes, own, column="customer").id
    refused(lambda: overlap.approve(alice.node, bob.me, number, column="nothing"), NotFound, "column", 3)
    refused(lambda: overlap.approve(alice.node, bob.me, Digest("0x" + "ab" * 32), column="x"), NotFound, "overlap", 3)


def test_a_message_that_is_not_the_one_signed_is_untrusted(
    alice: Person, bob: Person, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob's node, or whoever stands between, gives other bytes than the digest in the signed request."""
    own = keys_of(bob, tmp_path, range(10, 40))
    number = overlap.ask(bob.node, shared.outcomes, own, column="customer", reveal=True).id
    honest = peers.ask

    def lying(peer: peers.Peer, path: str) -> bytes:
        said = honest(peer, path)
        return said[:-1] + bytes([said[-1] ^ 1]) if path.endswith(("/message", "/response")) else said

    with monkeypatch.context() as broken:
        broken.setattr(peers, "ask", lying)
        refused(lambda: overlap.approve(alice.node, bob.me, number, column="client_no"), Untrusted, "digest", 7)
    overlap.approve(alice.node, bob.me, number, column="client_no")
    with monkeypatch.context() as broken:
        broken.setattr(peers, "ask", lying)
        refused(lambda: overlap.result(bob.node, number), Untrusted, "digest", 7)
    assert overlap.result(bob.node, number).common == 30


def test_two_records_with_one_key_give_no_rows(alice: Person, bob: Person, shared: Shared, tmp_path: Path) -> None:
    own = keys_of(bob, tmp_path, [*range(40), 35])
    number = overlap.ask(bob.node, shared.outcomes, own, column="customer", reveal=True).id
    overlap.approve(alice.node, bob.me, number, column="client_no")
    assert overlap.result(bob.node, number).common == 40
    error = refused(lambda: overlap.result(bob.node, number, rows=tmp_path / "rows.csv"), Refused, "keys", 4)
    assert error.seen == "records 36 and 41"
