"""Who belongs, and how the alliance decides."""

import pytest
from local_chain import (
    AUDITOR,
    MEMBER,
    ZERO,
    consents,
    deployment_refusal,
    digest,
    domain,
    events,
    found,
    person,
    refusal,
    sign,
)

CARD = digest("a card")
ACTIVE, SUSPENDED, EXPELLED = 1, 2, 3


def to_admit(alliance, account, signers, roles=MEMBER, **changes):
    """Consents to an admission."""
    return consents(alliance, signers, "Admit", {"account": account, "roles": roles, "card": CARD}, **changes)


def admission(alliance, who, signers, **changes):
    agreed = to_admit(alliance, who.address, signers, **changes)
    return alliance.members.functions.admit(who.address, MEMBER, CARD, agreed)


def state_change(alliance, who, state, signers):
    agreed = consents(alliance, signers, "SetState", {"account": who.address, "state": state})
    return alliance.members.functions.setState(who.address, state, agreed)


def pausing(alliance, until, signers):
    return alliance.members.functions.pause(until, consents(alliance, signers, "Pause", {"pausedUntil": until}))


def rotation(alliance, old, new, signers):
    agreed = consents(alliance, signers, "Rotate", {"from": old.address, "to": new.address})
    return alliance.members.functions.rotate(old.address, new.address, agreed)


@pytest.mark.parametrize(("founders", "quorum"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (10, 7), (64, 43)])
def test_a_quorum_is_two_thirds_rounded_down_plus_one(w3, founders, quorum):
    alliance = found(w3, [(person(i).address, MEMBER, CARD) for i in range(founders)])
    assert alliance.members.functions.quorum().call() == quorum


def test_an_auditor_counts_for_no_quorum(alliance, auditor):
    assert alliance.members.functions.count().call() == 4
    assert alliance.members.functions.member(auditor.address).call()[2] == AUDITOR
    assert refusal(alliance.members.functions.requireActive(auditor.address), by=auditor) == (
        "NotMember",
        auditor.address,
    )


def test_a_quorum_of_signatures_admits_in_one_transaction_that_anybody_sends(
    alliance, alice, bob, carol, stranger, auditor
):
    receipt = alliance.send(admission(alliance, stranger, [alice, bob, carol]), by=auditor)
    (event,) = events(alliance.members, receipt, "Admitted")
    assert (event["index"], event["roles"], event["card"], event["epoch"]) == (6, MEMBER, CARD, 1)
    assert alliance.members.functions.member(stranger.address).call()[:2] == (6, ACTIVE)


def test_each_decision_raises_the_epoch_and_kills_older_consents(alliance, alice, bob, carol, stranger):
    older = admission(alliance, person(11), [alice, bob, carol])
    alliance.send(admission(alliance, stranger, [alice, bob, carol]), by=alice)
    assert refusal(older, by=alice) == ("StaleEpoch", 0, 1)


def test_consents_expire(alliance, alice, bob, carol, stranger):
    call = admission(alliance, stranger, [alice, bob, carol], until=alliance.now() - 1)
    assert refusal(call, by=alice) == ("Expired", alliance.now() - 1)


def test_one_consent_short_is_too_few(alliance, alice, bob, stranger):
    assert refusal(admission(alliance, stranger, [alice, bob]), by=alice) == ("NotEnough", 2, 3)


def test_signatures_must_match_signers_in_number(alliance, alice, bob, carol, stranger):
    call = admission(alliance, stranger, [alice, bob, carol], signatures=[b"", b""])
    assert refusal(call, by=alice) == ("NotEnough", 2, 3)


def test_a_signer_listed_twice_counts_once(alliance, alice, bob, stranger):
    assert refusal(admission(alliance, stranger, [alice, bob, bob]), by=alice)[0] == "Unsorted"


def test_signers_out_of_order_are_refused(alliance, alice, bob, carol, stranger):
    agreed = to_admit(alliance, stranger.address, [alice, bob, carol])
    backwards = agreed | {key: agreed[key][::-1] for key in ("signers", "signatures")}
    call = alliance.members.functions.admit(stranger.address, MEMBER, CARD, backwards)
    assert refusal(call, by=alice) == ("Unsorted", 1)


def test_an_auditor_cannot_consent(alliance, alice, bob, auditor, stranger):
    assert refusal(admission(alliance, stranger, [alice, bob, auditor]), by=alice) == ("NotMember", auditor.address)


def test_consents_to_one_decision_do_not_serve_another(alliance, alice, bob, carol, stranger):
    agreed = consents(
        alliance, [alice, bob, carol], "Admit", {"account": stranger.address, "roles": MEMBER, "card": CARD}
    )
    call = alliance.members.functions.admit(person(12).address, MEMBER, CARD, agreed)
    assert refusal(call, by=alice)[0] == "BadSignature"


def test_consents_given_to_another_contract_or_chain_do_not_count(alliance, alice, bob, carol, stranger):
    message = {"account": stranger.address, "roles": MEMBER, "card": CARD, "epoch": 0, "until": alliance.now() + 60}
    ordered = sorted([alice, bob, carol], key=lambda s: s.address.lower())
    for where in (domain(alliance.grants, "Hanse Members"), domain(alliance.members, "Hanse Members", chain_id=1)):
        agreed = {"signatures": [sign(s, "Admit", message, where)[0] for s in ordered]}
        call = admission(alliance, stranger, ordered, until=message["until"], **agreed)
        assert refusal(call, by=alice) == ("BadSignature", ordered[0].address)


def test_a_malleable_signature_is_refused(alliance, alice, bob, carol, stranger):
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    good = consents(
        alliance, [alice, bob, carol], "Admit", {"account": stranger.address, "roles": MEMBER, "card": CARD}
    )
    first = good["signatures"][0]
    high_s = (order - int.from_bytes(first[32:64], "big")).to_bytes(32, "big")
    flipped = first[:32] + high_s + bytes([55 - first[64]])
    call = alliance.members.functions.admit(
        stranger.address, MEMBER, CARD, good | {"signatures": [flipped, *good["signatures"][1:]]}
    )
    assert refusal(call, by=alice) == ("BadSignature", good["signers"][0])


def test_an_account_may_consent_on_chain_instead(alliance, alice, bob, carol, stranger):
    until = alliance.now() + 600
    message = {"account": stranger.address, "roles": MEMBER, "card": CARD, "epoch": 0, "until": until}
    approved = sign(carol, "Admit", message, domain(alliance.members, "Hanse Members"))[1]
    agreed = to_admit(alliance, stranger.address, [alice, bob, carol], until=until)
    place = agreed["signers"].index(carol.address)
    agreed["signatures"][place] = b""
    call = alliance.members.functions.admit(stranger.address, MEMBER, CARD, agreed)
    assert refusal(call, by=alice) == ("BadSignature", carol.address)
    alliance.send(alliance.members.functions.approve(approved), by=carol)
    alliance.send(call, by=alice)


def test_only_active_members_approve(alliance, stranger):
    assert refusal(alliance.members.functions.approve(CARD), by=stranger) == ("NotMember", stranger.address)


def test_a_contract_wallet_consents_by_eip_1271(w3, alliance, alice, bob, carol, dave, stranger, wallet_code):
    made = w3.eth.contract(**wallet_code).constructor(stranger.address).transact({"from": alice.address, "gasPrice": 0})
    wallet = w3.eth.wait_for_transaction_receipt(made)["contractAddress"]
    admitted = to_admit(alliance, wallet, [alice, bob, carol])
    alliance.send(alliance.members.functions.admit(wallet, MEMBER, CARD, admitted), by=alice)

    def admission_signed_for_the_wallet_by(key):
        message = {"account": person(12).address, "roles": MEMBER, "card": CARD}
        bound = {"epoch": 1, "until": alliance.now() + 600}
        keys = {alice.address: alice, bob.address: bob, carol.address: carol, wallet: key}
        ordered, where = sorted(keys, key=str.lower), domain(alliance.members, "Hanse Members")
        signatures = [sign(keys[account], "Admit", message | bound, where)[0] for account in ordered]
        agreed = bound | {"signers": ordered, "signatures": signatures}
        return alliance.members.functions.admit(person(12).address, MEMBER, CARD, agreed)

    assert refusal(admission_signed_for_the_wallet_by(dave), by=alice) == ("BadSignature", wallet)
    alliance.send(admission_signed_for_the_wallet_by(stranger), by=alice)


@pytest.mark.parametrize("roles", [0, 8, 255])
def test_unknown_roles_are_refused(alliance, alice, bob, carol, stranger, roles):
    agreed = consents(
        alliance, [alice, bob, carol], "Admit", {"account": stranger.address, "roles": roles, "card": CARD}
    )
    assert refusal(alliance.members.functions.admit(stranger.address, roles, CARD, agreed), by=alice) == (
        "BadRoles",
        roles,
    )


def test_nobody_is_admitted_twice(alliance, alice, bob, carol, dave):
    assert refusal(admission(alliance, dave, [alice, bob, carol]), by=alice) == ("AlreadyMember", dave.address)


def test_the_zero_address_is_not_admitted(alliance, alice, bob, carol):
    zero = "0x" + "00" * 20
    agreed = to_admit(alliance, zero, [alice, bob, carol])
    assert refusal(alliance.members.functions.admit(zero, MEMBER, CARD, agreed), by=alice) == ("NotMember", zero)


def test_founders_without_a_member_are_refused(w3, auditor):
    assert deployment_refusal(w3, "Members", [(auditor.address, AUDITOR, CARD)]) == ("NotEnough", 0, 1)


def test_a_suspended_member_neither_acts_nor_counts_until_reinstated(alliance, alice, bob, carol, dave):
    alliance.send(state_change(alliance, dave, SUSPENDED, [alice, bob, carol]), by=alice)
    assert refusal(alliance.members.functions.requireActive(dave.address), by=alice) == ("NotMember", dave.address)
    assert alliance.members.functions.count().call() == 3
    alliance.send(state_change(alliance, dave, ACTIVE, [alice, bob, carol]), by=alice)
    alliance.members.functions.requireActive(dave.address).call()
    assert alliance.members.functions.count().call() == 4


@pytest.mark.parametrize("state", [ACTIVE, SUSPENDED, EXPELLED])
def test_expulsion_is_for_good(alliance, alice, bob, carol, dave, state):
    alliance.send(state_change(alliance, dave, EXPELLED, [alice, bob, carol]), by=alice)
    call = state_change(alliance, dave, state, [alice, bob, carol])
    assert refusal(call, by=alice) == ("BadState", EXPELLED, state)
    assert refusal(admission(alliance, dave, [alice, bob, carol]), by=alice) == ("AlreadyMember", dave.address)


@pytest.mark.parametrize("state", [0, ACTIVE])
def test_a_state_must_change_to_a_real_one(alliance, alice, bob, carol, dave, state):
    call = state_change(alliance, dave, state, [alice, bob, carol])
    assert refusal(call, by=alice) == ("BadState", ACTIVE, state)


def test_a_stranger_has_no_state_to_change(alliance, alice, bob, carol, stranger):
    call = state_change(alliance, stranger, SUSPENDED, [alice, bob, carol])
    assert refusal(call, by=alice) == ("NotMember", stranger.address)


def test_a_member_moves_to_a_new_account_and_keeps_its_index(alliance, alice, bob, carol, dave, stranger):
    receipt = alliance.send(rotation(alliance, dave, stranger, [alice, bob, carol]), by=alice)
    assert events(alliance.members, receipt, "AccountRotated")[0]["index"] == 4
    alliance.members.functions.requireActive(stranger.address).call()
    assert alliance.members.functions.member(stranger.address).call()[0] == 4
    assert refusal(alliance.members.functions.requireActive(dave.address), by=alice) == ("NotMember", dave.address)
    assert alliance.members.functions.member(dave.address).call()[:2] == (4, EXPELLED)
    assert alliance.members.functions.count().call() == 4


def test_rotation_refuses_taken_accounts_strangers_and_the_expelled(alliance, alice, bob, carol, dave, stranger):
    quorum = [alice, bob, carol]
    assert refusal(rotation(alliance, dave, alice, quorum), by=alice) == ("AlreadyMember", alice.address)
    assert refusal(rotation(alliance, stranger, person(12), quorum), by=alice) == ("NotMember", stranger.address)
    alliance.send(state_change(alliance, dave, EXPELLED, quorum), by=alice)
    assert refusal(rotation(alliance, dave, stranger, quorum), by=alice)[0] == "BadState"


def test_a_member_changes_its_own_card(alliance, bob, stranger):
    alliance.send(alliance.members.functions.setCard(CARD), by=bob)
    assert alliance.members.functions.member(bob.address).call()[4] == CARD
    assert refusal(alliance.members.functions.setCard(ZERO), by=stranger) == ("NotMember", stranger.address)


def test_a_third_plus_one_pauses_and_the_pause_ends_by_itself(alliance, alice, bob):
    until = alliance.now() + 1000
    alliance.send(pausing(alliance, until, [alice, bob]), by=bob)
    assert refusal(alliance.members.functions.requireActive(alice.address), by=alice) == ("Paused", until)
    alliance.sleep(1000)
    alliance.members.functions.requireActive(alice.address).call()


def test_one_alone_cannot_pause(alliance, alice):
    assert refusal(pausing(alliance, alliance.now() + 10, [alice]), by=alice) == ("NotEnough", 1, 2)


def test_only_a_quorum_shortens_or_ends_a_pause(alliance, alice, bob, carol):
    alliance.send(pausing(alliance, alliance.now() + 1000, [alice, bob]), by=alice)
    assert refusal(pausing(alliance, alliance.now() + 500, [alice, bob]), by=alice) == ("NotEnough", 2, 3)
    assert refusal(pausing(alliance, 0, [alice, bob]), by=alice) == ("NotEnough", 2, 3)
    alliance.send(pausing(alliance, 0, [alice, bob, carol]), by=alice)
    alliance.members.functions.requireActive(alice.address).call()


def test_a_third_may_lengthen_a_pause(alliance, alice, bob):
    alliance.send(pausing(alliance, alliance.now() + 1000, [alice, bob]), by=alice)
    until = alliance.now() + 2000
    alliance.send(pausing(alliance, until, [alice, bob]), by=alice)
    assert alliance.members.functions.pausedUntil().call() == until


def test_no_pause_is_longer_than_seven_days(alliance, alice, bob):
    most = alliance.now() + 7 * 86_400
    call = pausing(alliance, most + 1, [alice, bob])
    assert refusal(call, by=alice) == ("TooLong", most + 1, most)


def test_a_pause_holds_for_those_admitted_reinstated_or_rotated_during_it(alliance, alice, bob, carol, dave, stranger):
    quorum = [alice, bob, carol]
    alliance.send(state_change(alliance, dave, SUSPENDED, quorum), by=alice)
    until = alliance.now() + 10_000
    alliance.send(pausing(alliance, until, [alice, bob]), by=alice)
    alliance.send(admission(alliance, stranger, quorum), by=alice)
    alliance.send(state_change(alliance, dave, ACTIVE, [alice, bob, carol]), by=alice)
    alliance.send(rotation(alliance, bob, person(12), [alice, bob, carol, stranger]), by=alice)
    for who in (stranger, dave, person(12)):
        assert refusal(alliance.members.functions.requireActive(who.address), by=alice) == ("Paused", until)
    alliance.send(pausing(alliance, 0, [alice, carol, dave, stranger]), by=alice)
    for who in (alice, stranger, dave, person(12)):
        alliance.members.functions.requireActive(who.address).call()
