"""The one address to trust: what is where, changed by quorum and after a delay only."""

from eth_utils import keccak
from local_chain import DELAY, consents, contract, deployment_refusal, digest, events, refusal

DATASETS = b"Datasets".ljust(32, b"\0")


def entering(alliance, name, at, signers, **changes):
    code_hash = keccak(alliance.w3.eth.get_code(at))
    message = {
        "consortium": alliance.consortium.address,
        "name": name,
        "at": at,
        "codeHash": code_hash,
        "change": alliance.consortium.functions.changes().call(),
    }
    agreed = consents(alliance, signers, "Enter", message | changes)
    return alliance.consortium.functions.enter(name, at, agreed)


def test_the_first_entries_are_in_force_at_once(alliance):
    for name in ("Members", "Datasets", "Grants", "Trainings"):
        at, code_hash, _ = alliance.consortium.functions.entry(name.encode().ljust(32, b"\0")).call()
        assert at == alliance.contracts()[name].address
        assert code_hash == keccak(alliance.w3.eth.get_code(at))
    assert alliance.consortium.functions.changes().call() == 4


def test_a_change_waits_for_its_delay(w3, alliance, alice, bob, carol):
    newer = contract(w3, "Datasets", alliance.members.address).address
    receipt = alliance.send(entering(alliance, DATASETS, newer, [alice, bob, carol]), by=alice)
    (event,) = events(alliance.consortium, receipt, "Entered")
    assert (event["change"], event["from"]) == (4, alliance.now() + DELAY)
    entry, announced = alliance.consortium.functions.entry(DATASETS), alliance.consortium.functions.announced(DATASETS)
    assert (entry.call()[0], announced.call()[0]) == (alliance.datasets.address, newer)
    alliance.sleep(DELAY)
    assert (entry.call()[0], int(announced.call()[0], 16)) == (newer, 0)


def test_a_quorum_overrules_an_announcement_before_it_is_in_force(w3, alliance, alice, bob, carol):
    newer = contract(w3, "Datasets", alliance.members.address).address
    alliance.send(entering(alliance, DATASETS, newer, [alice, bob, carol]), by=alice)
    alliance.send(entering(alliance, DATASETS, alliance.datasets.address, [alice, bob, carol]), by=alice)
    alliance.sleep(DELAY)
    assert alliance.consortium.functions.entry(DATASETS).call()[0] == alliance.datasets.address


def test_consents_to_a_change_serve_once(w3, alliance, alice, bob, carol):
    newer = contract(w3, "Datasets", alliance.members.address).address
    call = entering(alliance, DATASETS, newer, [alice, bob, carol])
    alliance.send(call, by=alice)
    assert refusal(call, by=alice)[0] == "BadSignature"


def test_consents_bind_the_code_that_was_seen(w3, alliance, alice, bob, carol):
    newer = contract(w3, "Datasets", alliance.members.address).address
    call = entering(alliance, DATASETS, newer, [alice, bob, carol], codeHash=digest("other code"))
    assert refusal(call, by=alice)[0] == "BadSignature"


def test_too_few_cannot_change_the_directory(alliance, alice, bob):
    call = entering(alliance, DATASETS, alliance.grants.address, [alice, bob])
    assert refusal(call, by=alice) == ("NotEnough", 2, 3)


def test_an_address_without_code_is_refused(alliance, alice, bob, carol, stranger):
    empty = "0x" + "77" * 20
    call = entering(alliance, DATASETS, empty, [alice, bob, carol], codeHash=bytes(32))
    assert refusal(call, by=alice) == ("NoCode", empty)


def test_a_name_never_entered_is_unknown(alliance, alice):
    unknown = b"Oracle".ljust(32, b"\0")
    assert refusal(alliance.consortium.functions.entry(unknown), by=alice) == ("UnknownName", unknown)


def test_names_and_contracts_come_in_pairs(w3, alliance):
    refused = deployment_refusal(w3, "Consortium", alliance.members.address, [DATASETS], [], DELAY)
    assert refused == ("LengthsDiffer", 1, 0)
