"""Shamir sharing over the order of secp256k1, and the sealed document that carries it."""

import itertools
import time
from dataclasses import replace

import pytest

from federation.errors import Refused, Untrusted
from federation.securesum import Bundle, Roster, ShareKey, accept, deal, draw
from federation.securesum.keys import ORDER, draw_scalar
from federation.securesum.shares import combine, split
from federation.simulate import addresses, context_of

ALICE, BOB, CAROL, DAVE = addresses(4)
FOUR = Roster.of(addresses(4))


def by_place(roster, shares, members):
    return {roster.place(member): shares[member] for member in members}


@pytest.mark.parametrize("n", [3, 4, 8, 16])
def test_any_threshold_of_holders_rebuild_the_secret(n, rand):
    roster, secret = Roster.of(addresses(n)), rand(32)
    shares = split(secret, roster, rand)
    groups = list(itertools.combinations(roster.members, roster.threshold))[:40]
    assert all(combine(by_place(roster, shares, group)) == secret for group in groups)


def test_one_share_too_few_fits_every_secret(rand):
    """With threshold - 1 shares of one secret, any other secret has a last share that goes with them."""
    shares = split((12345).to_bytes(32, "big"), FOUR, rand)
    known = by_place(FOUR, shares, (ALICE, BOB))
    assert combine(known) != (12345).to_bytes(32, "big")
    for other in (1, 2, ORDER - 1):
        last = combine_at(3, {0: other.to_bytes(32, "big"), **known})
        assert combine({**known, 3: last}) == other.to_bytes(32, "big")


def combine_at(x, points):
    """The share at x of the polynomial through `points`: moved so that x becomes 0."""
    return combine({(place - x) % ORDER: share for place, share in points.items()})


def test_shares_are_fresh_for_every_split(rand):
    secret = rand(32)
    assert split(secret, FOUR, rand) != split(secret, FOUR, rand)


def test_sharing_among_51_is_quick(rand):
    roster = Roster.of(addresses(51))
    start = time.perf_counter()
    shares = split(rand(32), roster, rand)
    combine(by_place(roster, shares, roster.members[: roster.threshold]))
    assert roster.threshold == 35
    assert time.perf_counter() - start < 0.25


@pytest.fixture
def dealt(rand):
    """Alice's bundle, and everybody's share keys."""
    share_keys = {member: ShareKey.draw(rand) for member in FOUR.members}
    public = {member: key.public for member, key in share_keys.items()}
    state, bundle = deal(draw(context_of(1), ALICE, rand)[0], FOUR, public, rand)
    bob, _ = deal(draw(context_of(1), BOB, rand)[0], FOUR, public, rand)
    return state, bundle, bob, share_keys


def test_a_holder_opens_its_own_shares_only(dealt):
    _, bundle, _, share_keys = dealt
    assert all(len(share) == 32 for share in bundle.open(BOB, share_keys[BOB]))
    with pytest.raises(Untrusted, match="do not open"):
        bundle.open(BOB, share_keys[CAROL])
    with pytest.raises(Refused, match="no shares"):
        bundle.open(ALICE, share_keys[ALICE])


def test_shares_of_three_holders_rebuild_both_secrets(dealt):
    state, bundle, _, share_keys = dealt
    opened = {member: bundle.open(member, share_keys[member]) for member in (BOB, CAROL, DAVE)}
    assert combine({FOUR.place(m): pair[0] for m, pair in opened.items()}) == state.scalar
    assert combine({FOUR.place(m): pair[1] for m, pair in opened.items()}) == state.seed


def test_a_bundle_reads_back_and_has_the_size_it_says(dealt):
    _, bundle, _, _ = dealt
    raw = bundle.encode()
    assert Bundle.parse(raw, bundle.context, dealer=ALICE, roster=FOUR) == bundle
    assert len(raw) == 152 + 3 * 1284


def test_a_bundle_for_another_round_or_dealer_names_the_dealer(dealt):
    _, bundle, _, _ = dealt
    for context, dealer in ((context_of(2), ALICE), (context_of(1), BOB)):
        with pytest.raises(Untrusted) as caught:
            Bundle.parse(bundle.encode(), context, dealer=dealer, roster=FOUR)
        assert caught.value.culprit == dealer


def test_a_box_sealed_for_another_round_does_not_open(dealt):
    """The seal is bound to chain, ledger, training, round, from and to: moved elsewhere it is worthless."""
    _, bundle, _, share_keys = dealt
    with pytest.raises(Untrusted) as caught:
        replace(bundle, context=context_of(2)).open(BOB, share_keys[BOB])
    assert caught.value.clause == "box"
    assert caught.value.culprit == ALICE


def test_a_member_accepts_what_was_dealt_to_it(dealt):
    _, bundle, bob, share_keys = dealt
    bob = accept(bob, ALICE, bundle.encode(), share_keys[BOB])
    assert [held.dealer for held in bob.held] == [ALICE]
    assert accept(bob, ALICE, bundle.encode(), share_keys[BOB]) == bob


@pytest.mark.parametrize(
    ("members", "threshold", "floor", "clause"),
    [
        (addresses(4)[::-1], 3, 3, "roster"),
        ((ALICE, ALICE, BOB), 2, 3, "roster"),
        ((ALICE, BOB), 2, 2, "floor"),
        (addresses(4), 3, 2, "floor"),
        (addresses(4), 2, 3, "threshold"),
        (addresses(4), 5, 3, "threshold"),
        (addresses(257), 172, 3, "floor"),
    ],
)
def test_a_roster_that_protects_nobody_is_refused(members, threshold, floor, clause):
    with pytest.raises(Refused) as caught:
        Roster(members, threshold, floor)
    assert caught.value.clause == clause


def test_over_64_members_do_not_all_mask_with_all():
    assert len(Roster.of(addresses(64)).members) == 64
    with pytest.raises(Refused) as caught:
        Roster.of(addresses(65))
    assert caught.value.clause == "floor"


@pytest.mark.parametrize(("n", "threshold"), [(3, 3), (4, 3), (5, 4), (8, 6), (10, 7), (51, 35)])
def test_the_usual_threshold(n, threshold):
    assert Roster.of(addresses(n)).threshold == threshold


def test_secrets_are_drawn_below_the_order_of_the_curve():
    """What is not in [1, order) is thrown away, not reduced: reducing would favour small numbers."""
    offered = iter([bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, (ORDER - 1).to_bytes(32, "big")])
    assert draw_scalar(lambda size: next(offered)) == (ORDER - 1).to_bytes(32, "big")


def test_secrets_of_one_round_are_rebuilt_from_any_holders(rand):
    """Weights are kept per set of holders: another set, another order, and the next secret all come out right."""
    roster, secrets = Roster.of(addresses(16)), [rand(32), rand(32)]
    for secret in secrets:
        shares = split(secret, roster, rand)
        for group in (roster.members[:11], roster.members[5:], roster.members[10::-1]):
            assert combine(by_place(roster, shares, group)) == secret
