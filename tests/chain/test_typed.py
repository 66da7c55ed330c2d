"""The texts members sign are those the contracts hash, and those wallets show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account.messages import encode_typed_data

from node.chain import typed
from node.chain.client import Chain
from node.chain.directories import name_of
from node.chain.typed import Place
from node.errors import Refused, Untrusted
from node.model import Address, DatasetId, Directory, MemberState, Role, Time
from node.signature import keccak
from tests.chain.flow import terms_between
from tests.chain.people import Person, named, person, stranger


@pytest.fixture
def place(chain: Chain, alliance: Directory) -> Place:
    epoch = chain.call(alliance, "Members", "epoch")
    return Place(chain.chain_id, alliance.address("Members"), epoch, Time(chain.block("latest").time + 600))


def quorum(place: Place, message: typed.Message) -> typed.Consents:
    return typed.consents(place, {p.address: p.sign_typed(message) for p in map(person, (2, 0, 1))})


def test_a_grant_s_id_is_the_contract_s(
    chain: Chain, alliance: Directory, dataset: DatasetId, alice: Person, bob: Person
) -> None:
    terms = terms_between(chain, alice, bob, dataset)
    grants = alliance.address("Grants")
    id_ = typed.grant_id(terms, chain.chain_id, grants)
    assert id_ == chain.call(alliance, "Grants", "idOf", terms)
    changed = replace(terms, count=1)
    assert typed.grant_id(changed, chain.chain_id, grants) == chain.call(alliance, "Grants", "idOf", changed) != id_
    assert typed.grant_id(terms, 1, grants) != id_


def test_who_signed_terms_is_recovered(
    chain: Chain, alliance: Directory, dataset: DatasetId, alice: Person, bob: Person
) -> None:
    message = typed.terms_message(terms_between(chain, alice, bob, dataset), chain.chain_id, alliance.address("Grants"))
    assert typed.signer_of(message, bob.sign_typed(message)) == bob.address
    with pytest.raises(Untrusted):
        typed.signer_of(message, b"\0" * 65)


def test_members_admit_by_quorum(
    chain: Chain, alliance: Directory, place: Place, alice: Person, mallory: Person
) -> None:
    values = mallory.address, int(Role.AUDITOR), named("card")
    alice.sends(chain, alliance, "Members", "admit", *values, quorum(place, typed.admit(place, *values)))
    found = chain.call(alliance, "Members", "member", mallory.address)
    assert (found.index, found.state, found.roles, found.card) == (6, MemberState.ACTIVE, Role.AUDITOR, named("card"))


def test_members_suspend_rotate_and_pause(chain: Chain, alliance: Directory, place: Place, alice: Person) -> None:
    dave, new = person(3).address, stranger("dave's new account").address
    rotate = quorum(place, typed.rotate(place, dave, new))
    alice.sends(chain, alliance, "Members", "rotate", dave, new, rotate)
    place = replace(place, epoch=place.epoch + 1)
    suspend = quorum(place, typed.set_state(place, new, MemberState.SUSPENDED))
    alice.sends(chain, alliance, "Members", "setState", new, int(MemberState.SUSPENDED), suspend)
    place = replace(place, epoch=place.epoch + 1)
    until = Time(place.until + 100)
    alice.sends(chain, alliance, "Members", "pause", until, quorum(place, typed.pause(place, until)))
    with pytest.raises(Refused) as paused:
        chain.call(alliance, "Members", "requireActive", alice.address)
    assert (paused.value.clause, paused.value.needed) == ("Paused", until)


def test_members_enter_a_contract_in_the_directory(
    chain: Chain, alliance: Directory, place: Place, alice: Person
) -> None:
    at = alliance.address("Datasets")
    code_hash = "0x" + keccak(chain.code(at)).hex()
    change = chain.call(alliance, "Consortium", "changes")
    message = typed.enter(place, alliance.consortium, name_of("Datasets"), at, code_hash, change)
    data = chain.encode("Consortium", "enter", name_of("Datasets"), at, quorum(place, message))
    assert chain.estimate(alice.address, alliance.consortium, data) > 0
    other = typed.enter(place, alliance.consortium, name_of("Grants"), at, code_hash, change)
    data = chain.encode("Consortium", "enter", name_of("Datasets"), at, quorum(place, other))
    with pytest.raises(Refused, match="not that signer's"):
        chain.estimate(alice.address, alliance.consortium, data)


ALICE = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
HERE = Place(31337, Address("0x5FbDB2315678afecb367f032d93F642f64180aa3"), 7, Time(1_800_000_000))


@pytest.mark.parametrize(
    "message",
    [
        typed.admit(HERE, ALICE, 3, named("card")),
        typed.set_state(HERE, ALICE, 2),
        typed.rotate(HERE, ALICE, HERE.members),
        typed.pause(HERE, Time(1)),
        typed.enter(HERE, HERE.members, name_of("Grants"), ALICE, named("code"), 9),
    ],
    ids=lambda message: message["primaryType"],
)
def test_digests_are_those_of_another_implementation(message: typed.Message) -> None:
    other = encode_typed_data(full_message=message)
    assert typed.digest(message) == keccak(b"\x19" + other.version + other.header + other.body)
