"""Who was given what: both parties' signatures over the same terms."""

import pytest
from local_chain import MEMBER, ZERO, digest, domain, events, person, refusal, sign, terms, version
from test_members import CARD, pausing, state_change, to_admit

GRANTED, REVOKED, REPLACED, WITHDRAWN = 1, 2, 3, 4


def agree(alliance, agreed, owner, consumer):
    """(the call that grants, the grant's id)"""
    where = domain(alliance.grants, "Hanse Grants")
    owners, id_ = sign(owner, "Terms", agreed, where)
    consumers, _ = sign(consumer, "Terms", agreed, where)
    return alliance.grants.functions.grant(agreed, owners, consumers, digest("wrap")), id_


@pytest.fixture
def agreed(alliance, dataset, alice, bob):
    return terms(alliance, dataset, alice, bob)


@pytest.fixture
def granted(alliance, agreed, alice, bob, stranger):
    """Terms in force, brought on chain by a stranger, and their id."""
    call, id_ = agree(alliance, agreed, alice, bob)
    alliance.send(call, by=stranger)
    return agreed, id_


def state(alliance, id_):
    return alliance.grants.functions.state(id_).call()[0]


def test_the_id_is_the_eip_712_digest_of_the_terms(alliance, agreed, alice, bob):
    assert alliance.grants.functions.idOf(agreed).call() == agree(alliance, agreed, alice, bob)[1]


def test_both_signatures_make_a_grant_whoever_brings_them(alliance, granted):
    assert alliance.grants.functions.state(granted[1]).call() == [GRANTED, alliance.now()]


def test_the_event_holds_the_whole_terms(alliance, agreed, alice, bob):
    call, id_ = agree(alliance, agreed, alice, bob)
    (event,) = events(alliance.grants, alliance.send(call, by=alice), "Granted")
    assert (event["id"], event["wrap"]) == (id_, digest("wrap"))
    lowered = {k: v.lower() if isinstance(v, str) else v for k, v in agreed.items()}
    assert event["terms"] == tuple(lowered.values())


def test_a_request_names_the_current_version(alliance, dataset, agreed, alice, bob):
    id_ = alliance.grants.functions.idOf(agreed).call()
    alliance.send(alliance.grants.functions.request(id_, dataset, 1, digest("request")), by=bob)
    assert refusal(alliance.grants.functions.request(id_, dataset, 2, digest("request")), by=bob) == (
        "WrongVersion",
        2,
        1,
    )
    alliance.send(alliance.datasets.functions.retire(dataset), by=alice)
    assert refusal(alliance.grants.functions.request(id_, dataset, 1, ZERO), by=bob) == ("DatasetRetired", dataset)


def test_a_stranger_cannot_ask(alliance, dataset, stranger):
    call = alliance.grants.functions.request(digest("id"), dataset, 1, digest("request"))
    assert refusal(call, by=stranger) == ("NotMember", stranger.address)


@pytest.mark.parametrize("field", ["policy", "document", "recipient", "purposes", "count", "until", "nonce"])
def test_a_signature_over_other_terms_does_not_count(alliance, agreed, alice, bob, field):
    where = domain(alliance.grants, "Hanse Grants")
    value = agreed[field]
    other = agreed | {field: digest("other") if isinstance(value, bytes) else value + 1}
    signatures = [sign(alice, "Terms", agreed, where)[0], sign(bob, "Terms", other, where)[0]]
    call = alliance.grants.functions.grant(agreed, *signatures, digest("wrap"))
    assert refusal(call, by=alice) == ("TermsDiffer", bob.address)


def test_each_party_signs_for_itself(alliance, agreed, alice, bob, carol):
    call, _ = agree(alliance, agreed, carol, bob)
    assert refusal(call, by=alice) == ("TermsDiffer", alice.address)


@pytest.mark.parametrize("elsewhere", ["chain", "contract", "name"])
def test_signatures_for_another_chain_or_contract_do_not_count(alliance, agreed, alice, bob, elsewhere):
    where = {
        "chain": domain(alliance.grants, "Hanse Grants", chain_id=1),
        "contract": domain(alliance.members, "Hanse Grants"),
        "name": domain(alliance.grants, "Hanse Members"),
    }[elsewhere]
    signatures = [sign(who, "Terms", agreed, where)[0] for who in (alice, bob)]
    call = alliance.grants.functions.grant(agreed, *signatures, digest("wrap"))
    assert refusal(call, by=alice) == ("TermsDiffer", alice.address)


def test_a_contract_wallet_signs_terms_by_eip_1271(w3, alliance, dataset, alice, bob, carol, stranger, wallet_code):
    made = w3.eth.contract(**wallet_code).constructor(stranger.address).transact({"from": alice.address, "gasPrice": 0})
    wallet = w3.eth.wait_for_transaction_receipt(made)["contractAddress"]
    admitted = to_admit(alliance, wallet, [alice, bob, carol])
    alliance.send(alliance.members.functions.admit(wallet, MEMBER, CARD, admitted), by=alice)
    agreed = terms(alliance, dataset, alice, bob, consumer=wallet)
    alliance.send(agree(alliance, agreed, alice, stranger)[0], by=alice)
    again = agreed | {"nonce": digest("another")}
    assert refusal(agree(alliance, again, alice, bob)[0], by=alice) == ("TermsDiffer", wallet)


TERMS_REFUSED = [
    ({"uses": 2}, {"uses": 1}, "UseNotOffered"),
    ({"uses": 4}, {}, "UseNotOffered"),
    ({"version": 2}, {}, "WrongVersion"),
    ({"deadline": 1}, {}, "Late"),
    ({"from": 5, "until": 5}, {}, "NoPeriod"),
    ({"dataset": digest("no id")}, {}, "UnknownDataset"),
    ({"replaces": digest("no grant")}, {}, "NotGranted"),
]


@pytest.mark.parametrize(("changes", "content", "error"), TERMS_REFUSED)
def test_terms_that_cannot_be_granted(alliance, alice, bob, changes, content, error):
    alliance.send(alliance.datasets.functions.publish(digest("another"), version(**content)), by=alice)
    published = alliance.datasets.functions.idOf(alice.address, digest("another")).call()
    call, _ = agree(alliance, terms(alliance, published, alice, bob, **changes), alice, bob)
    assert refusal(call, by=alice)[0] == error


def test_only_the_owner_grants(alliance, dataset, alice, bob, carol):
    call, _ = agree(alliance, terms(alliance, dataset, carol, bob), carol, bob)
    assert refusal(call, by=carol) == ("NotOwner", alice.address, carol.address)


def test_a_stranger_is_granted_nothing(alliance, dataset, alice, stranger):
    call, _ = agree(alliance, terms(alliance, dataset, alice, stranger), alice, stranger)
    assert refusal(call, by=alice) == ("NotMember", stranger.address)


def test_a_grant_is_made_once(alliance, granted, dataset, alice, bob):
    call, id_ = agree(alliance, granted[0], alice, bob)
    assert refusal(call, by=alice) == ("AlreadyDecided", id_, GRANTED)
    asked = alliance.grants.functions.request(id_, dataset, 1, digest("request"))
    assert refusal(asked, by=bob) == ("AlreadyDecided", id_, GRANTED)


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_either_party_revokes_also_while_paused(alliance, granted, dataset, alice, bob, request, who):
    alliance.send(pausing(alliance, alliance.now() + 1000, [alice, bob]), by=alice)
    call = alliance.grants.functions.revoke(granted[1], dataset, bob.address)
    alliance.send(call, by=request.getfixturevalue(who))
    assert state(alliance, granted[1]) == REVOKED
    assert refusal(call, by=alice) == ("NotGranted", granted[1], REVOKED)


def test_no_third_party_revokes(alliance, granted, dataset, bob, carol):
    call = alliance.grants.functions.revoke
    assert refusal(call(granted[1], dataset, bob.address), by=carol) == ("NotParty", carol.address)
    assert refusal(call(granted[1], dataset, carol.address), by=carol) == ("OtherParties", granted[1])


def test_the_owner_of_another_dataset_does_not_revoke(alliance, granted, bob, carol):
    alliance.send(alliance.datasets.functions.publish(digest("carol's"), version()), by=carol)
    own = alliance.datasets.functions.idOf(carol.address, digest("carol's")).call()
    assert refusal(alliance.grants.functions.revoke(granted[1], own, bob.address), by=carol) == (
        "OtherParties",
        granted[1],
    )


def test_after_a_transfer_the_present_owner_revokes(alliance, granted, dataset, alice, bob, carol):
    alliance.send(alliance.datasets.functions.transfer(dataset, carol.address), by=alice)
    call = alliance.grants.functions.revoke(granted[1], dataset, bob.address)
    assert refusal(call, by=alice) == ("NotParty", alice.address)
    alliance.send(call, by=carol)


def test_a_withdrawn_request_can_no_longer_be_granted(alliance, agreed, alice, bob, carol):
    assert refusal(alliance.grants.functions.withdraw(agreed), by=carol) == ("NotParty", carol.address)
    alliance.send(pausing(alliance, alliance.now() + 5, [alice, bob]), by=alice)
    alliance.send(alliance.grants.functions.withdraw(agreed), by=bob)
    alliance.sleep(10)
    call, id_ = agree(alliance, agreed, alice, bob)
    assert state(alliance, id_) == WITHDRAWN
    assert refusal(call, by=alice) == ("AlreadyDecided", id_, WITHDRAWN)


def test_a_stranger_has_nothing_to_withdraw(alliance, dataset, alice, stranger):
    call = alliance.grants.functions.withdraw(terms(alliance, dataset, alice, stranger))
    assert refusal(call, by=stranger) == ("NotMember", stranger.address)


def test_a_renewal_replaces_the_old_grant(alliance, granted, dataset, alice, bob):
    renewed, id_ = agree(alliance, terms(alliance, dataset, alice, bob, replaces=granted[1]), alice, bob)
    alliance.send(renewed, by=alice)
    assert (state(alliance, granted[1]), state(alliance, id_)) == (REPLACED, GRANTED)


def test_nobody_replaces_a_grant_between_others(alliance, granted, dataset, alice, carol):
    call, _ = agree(alliance, terms(alliance, dataset, alice, carol, replaces=granted[1]), alice, carol)
    assert refusal(call, by=alice) == ("OtherParties", granted[1])


def test_receipts_are_anchored_also_while_paused(alliance, alice, bob, stranger):
    alliance.send(pausing(alliance, alliance.now() + 1000, [alice, bob]), by=alice)
    call = alliance.grants.functions.receive_(digest("root"), 3, digest("list"))
    assert events(alliance.grants, alliance.send(call, by=bob), "Received")[0]["size"] == 3
    assert refusal(call, by=stranger) == ("NotMember", stranger.address)


def test_a_paused_alliance_neither_asks_nor_grants(alliance, dataset, agreed, alice, bob):
    until = alliance.now() + 1000
    alliance.send(pausing(alliance, until, [alice, bob]), by=alice)
    call, id_ = agree(alliance, agreed, alice, bob)
    assert refusal(call, by=alice) == ("Paused", until)
    assert refusal(alliance.grants.functions.request(id_, dataset, 1, digest("r")), by=bob) == ("Paused", until)


ALLOWED_REFUSED = [
    ({"who": 2}, "NotParty"),
    ({"uses": 2}, "UseNotOffered"),
    ({"purposes": 2}, "PurposeNotGranted"),
    ({"at": -1}, "NotYet"),
    ({"at": 86_400}, "Over"),
]


def allowed(alliance, agreed, *, who=1, uses=1, purposes=4, at=0):
    return alliance.grants.functions.requireAllowed(agreed, person(who).address, uses, purposes, agreed["from"] + at)


def test_a_grant_allows_what_it_says(alliance, granted):
    allowed(alliance, granted[0]).call()
    allowed(alliance, granted[0], at=86_399, purposes=5).call()


@pytest.mark.parametrize(("changes", "error"), ALLOWED_REFUSED)
def test_a_grant_allows_nothing_else(alliance, granted, alice, changes, error):
    assert refusal(allowed(alliance, granted[0], **changes), by=alice)[0] == error


def test_what_was_not_granted_or_is_revoked_is_not_allowed(alliance, granted, dataset, alice, bob):
    assert refusal(allowed(alliance, granted[0] | {"nonce": ZERO}), by=alice)[0] == "NotGranted"
    alliance.send(alliance.grants.functions.revoke(granted[1], dataset, bob.address), by=alice)
    assert refusal(allowed(alliance, granted[0]), by=alice) == ("NotGranted", granted[1], REVOKED)


def test_a_suspended_consumer_is_not_allowed(alliance, granted, alice, bob, carol, dave):
    alliance.send(state_change(alliance, bob, 2, [alice, carol, dave]), by=alice)
    assert refusal(allowed(alliance, granted[0]), by=alice) == ("NotMember", bob.address)
