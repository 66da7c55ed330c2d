"""Who published which version."""

import hashlib

import pytest
from eth_abi.abi import encode
from eth_utils import keccak
from local_chain import CHAIN_ID, ZERO, digest, events, person, refusal, version
from test_members import pausing, rotation, state_change

ACTIVE, RETIRED = 1, 2


def test_an_id_is_known_before_sending_and_nobody_can_squat_it(alliance, alice, bob):
    salt = digest("salt")
    expected = keccak(
        encode(["uint256", "address", "address", "bytes32"], [CHAIN_ID, alliance.datasets.address, alice.address, salt])
    )
    assert alliance.datasets.functions.idOf(alice.address, salt).call() == expected
    alliance.send(alliance.datasets.functions.publish(salt, version()), by=bob)
    receipt = alliance.send(alliance.datasets.functions.publish(salt, version()), by=alice)
    assert events(alliance.datasets, receipt, "Published")[0]["id"] == expected


def test_a_dataset_holds_what_was_published(alliance, dataset, alice):
    assert alliance.datasets.functions.dataset(dataset).call() == (
        alice.address, 1, ACTIVE, 3, 3000, digest("manifest")
    )  # fmt: skip
    assert alliance.datasets.functions.ownerOf(dataset).call() == alice.address


def test_the_next_version_replaces_uses_budget_and_commitment(alliance, dataset, alice):
    content = version(commitment=digest("manifest 2"), uses=1, budget=7)
    alliance.send(alliance.datasets.functions.publishVersion(dataset, 2, content), by=alice)
    assert alliance.datasets.functions.dataset(dataset).call()[1:] == (2, ACTIVE, 1, 7, digest("manifest 2"))


def test_a_retired_dataset_takes_nothing_new(alliance, dataset, alice, bob):
    alliance.send(alliance.datasets.functions.retire(dataset), by=alice)
    calls = alliance.datasets.functions
    for call in (
        calls.publishVersion(dataset, 2, version()),
        calls.transfer(dataset, bob.address),
        calls.retire(dataset),
    ):
        assert refusal(call, by=alice) == ("DatasetRetired", dataset)
    assert calls.ownerOf(dataset).call() == alice.address


def test_a_transferred_dataset_obeys_its_new_owner_only(alliance, dataset, alice, bob):
    alliance.send(alliance.datasets.functions.transfer(dataset, bob.address), by=alice)
    call = alliance.datasets.functions.publishVersion(dataset, 2, version())
    assert refusal(call, by=alice) == ("NotOwner", bob.address, alice.address)
    alliance.send(call, by=bob)


def test_the_successor_of_a_rotated_owner_takes_its_datasets_over(alliance, dataset, alice, bob, carol, dave, stranger):
    alliance.send(rotation(alliance, alice, stranger, [bob, carol, dave]), by=bob)
    call = alliance.datasets.functions.transfer(dataset, stranger.address)
    assert refusal(call, by=bob) == ("NotOwner", alice.address, bob.address)
    assert refusal(alliance.datasets.functions.retire(dataset), by=alice) == ("NotMember", alice.address)
    alliance.send(call, by=stranger)
    alliance.send(alliance.datasets.functions.retire(dataset), by=stranger)


REFUSALS = [
    ("publish", lambda d: (digest("salt"), version()), "alice", "Exists"),
    ("publish", lambda d: (digest("new"), version()), "stranger", "NotMember"),
    ("publish", lambda d: (digest("new"), version()), "auditor", "NotMember"),
    ("publish", lambda d: (digest("new"), version(commitment=ZERO)), "alice", "EmptyDigest"),
    ("publish", lambda d: (digest("new"), version(envelope=ZERO)), "alice", "EmptyDigest"),
    ("publish", lambda d: (digest("new"), version(policy=ZERO)), "alice", "EmptyDigest"),
    ("publish", lambda d: (digest("new"), version(uses=4)), "alice", "BadUses"),
    ("publishVersion", lambda d: (d, 2, version()), "bob", "NotOwner"),
    ("publishVersion", lambda d: (d, 1, version()), "alice", "WrongVersion"),
    ("publishVersion", lambda d: (d, 3, version()), "alice", "WrongVersion"),
    ("publishVersion", lambda d: (digest("no id"), 2, version()), "alice", "UnknownDataset"),
    ("dataset", lambda d: (digest("no id"),), "alice", "UnknownDataset"),
    ("ownerOf", lambda d: (digest("no id"),), "alice", "UnknownDataset"),
    ("retire", lambda d: (d,), "bob", "NotOwner"),
    ("retire", lambda d: (d,), "stranger", "NotMember"),
    ("transfer", lambda d: (d, person(1).address), "bob", "NotOwner"),
    ("transfer", lambda d: (d, person(9).address), "alice", "NotMember"),
    ("anchor", lambda d: (digest("root"), 1, digest("list")), "stranger", "NotMember"),
    ("anchor", lambda d: (ZERO, 1, digest("list")), "alice", "EmptyDigest"),
    ("anchor", lambda d: (digest("root"), 0, digest("list")), "alice", "EmptyDigest"),
    ("anchor", lambda d: (digest("root"), 1, ZERO), "alice", "EmptyDigest"),
]


@pytest.mark.parametrize(("name", "arguments", "who", "error"), REFUSALS)
def test_refusals(alliance, dataset, request, name, arguments, who, error):
    call = alliance.datasets.functions[name](*arguments(dataset))
    assert refusal(call, by=request.getfixturevalue(who))[0] == error


def test_a_paused_alliance_publishes_nothing_but_may_retire(alliance, dataset, alice, bob):
    until = alliance.now() + 1000
    alliance.send(pausing(alliance, until, [alice, bob]), by=alice)
    calls = alliance.datasets.functions
    for call in (
        calls.publish(digest("new"), version()),
        calls.publishVersion(dataset, 2, version()),
        calls.anchor(digest("root"), 1, digest("list")),
        calls.transfer(dataset, bob.address),
    ):
        assert refusal(call, by=alice) == ("Paused", until)
    alliance.send(calls.retire(dataset), by=alice)


def test_a_suspended_owner_does_nothing(alliance, dataset, alice, bob, carol, dave):
    alliance.send(state_change(alliance, alice, 2, [bob, carol, dave]), by=bob)
    for call in (
        alliance.datasets.functions.retire(dataset),
        alliance.datasets.functions.publishVersion(dataset, 2, version()),
    ):
        assert refusal(call, by=alice) == ("NotMember", alice.address)


def test_a_root_is_anchored_once_by_each_owner(alliance, alice, bob):
    call = alliance.datasets.functions.anchor(digest("root"), 5, digest("list"))
    alliance.send(call, by=alice)
    assert refusal(call, by=alice) == ("AlreadyAnchored", digest("root"))
    alliance.send(call, by=bob)


# --- inclusion (RFC 6962), against a recursive oracle written from the RFC's own definitions ---


def tree(leaves):
    """MTH of RFC 6962, 2.1."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def path(index, leaves):
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return [*path(index, leaves[:k]), tree(leaves[k:])]
    return [*path(index - k, leaves[k:]), tree(leaves[:k])]


@pytest.mark.parametrize("size", [*range(1, 18), 31, 32, 33, 63, 64, 65, 100])
def test_every_leaf_is_included_and_nothing_else(alliance, alice, bob, size):
    leaves = [f"record {i}".encode() for i in range(size)]
    root = tree(leaves)
    alliance.send(alliance.datasets.functions.anchor(root, size, digest("list")), by=alice)

    def included(leaf, index, proof, owner=alice):
        return alliance.datasets.functions.included(root, owner.address, leaf, index, proof).call()

    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        proof = path(index, leaves)
        assert included(leaves[index], index, proof)
        assert not included(b"another record", index, proof)
        assert not included(leaves[index], index + 1, proof)
        assert not included(leaves[index], index, [*proof, ZERO])
        assert not included(leaves[index], index, proof, owner=bob)
        if proof:
            assert not included(leaves[index], index, proof[:-1])
            assert not included(leaves[index], index, [ZERO, *proof[1:]])
