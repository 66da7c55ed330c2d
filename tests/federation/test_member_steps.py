"""What a member's state refuses, whatever it is asked and however often it restarts."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from federation import records
from federation.errors import FederationError, Refused, Untrusted
from federation.securesum import (
    Keys,
    MemberState,
    Roster,
    Round,
    ShareKey,
    accept,
    close,
    contribute,
    deal,
    draw,
    reveal,
    reveal_silent,
)
from federation.simulate import addresses, context_of

ALICE, BOB, CAROL, DAVE, ERIN = FIVE = addresses(5)
ROSTER = Roster.of(FIVE, threshold=3)


@pytest.fixture
def table(rand):
    """Five members with keys posted and shares accepted, `(states, keys)`."""
    share_keys = {member: ShareKey.draw(rand) for member in FIVE}
    public = {member: key.public for member, key in share_keys.items()}
    states, keys, bundles = {}, {}, {}
    for member in FIVE:
        state, keys[member] = draw(context_of(1), member, rand)
        states[member], bundle = deal(state, ROSTER, public, rand)
        bundles[member] = bundle.encode()
    for member, dealer in itertools.permutations(FIVE, 2):
        states[member] = accept(states[member], dealer, bundles[dealer], share_keys[member])
    return states, keys


def lanes(value=7):
    return np.full(20, value, dtype="<u8")


def round_with(keys, survivors):
    return Round(context_of(1), ROSTER, keys, tuple(survivors))


@pytest.fixture
def alice(table):
    """Alice once she has contributed, and the keys of all."""
    states, keys = table
    return contribute(states[ALICE], keys, lanes())[0], keys


def restarted(state):
    return records.load(MemberState, records.dump(state))


def test_a_state_survives_a_restart_whole(alice):
    state, keys = alice
    state, _ = reveal(state, round_with(keys, FIVE[:4]))
    state, _ = reveal_silent(state, [BOB])
    assert restarted(state) == state
    assert records.dump(restarted(state)) == records.dump(state)


def test_a_resumed_member_sends_the_identical_contribution(table):
    states, keys = table
    state, first = contribute(states[ALICE], keys, lanes())
    resumed, second = contribute(restarted(state), keys, lanes())
    assert (first == second).all()
    assert resumed == state


def test_another_vector_under_the_same_masks_is_refused(alice):
    state, keys = alice
    with pytest.raises(Refused) as caught:
        contribute(restarted(state), keys, lanes(8))
    assert caught.value.clause == "contribution"


def test_the_same_vector_among_others_is_refused(alice):
    state, keys = alice
    with pytest.raises(Refused) as caught:
        contribute(state, {member: keys[member] for member in FIVE[:4]}, lanes())
    assert caught.value.clause == "contribution"


def test_a_ledger_that_shows_other_keys_for_this_member_is_not_believed(table):
    states, keys = table
    for wrong in ({**keys, ALICE: keys[BOB]}, {member: keys[member] for member in FIVE[1:]}):
        with pytest.raises(Untrusted) as caught:
            contribute(states[ALICE], wrong, lanes())
        assert caught.value.clause == "own keys"


def test_keys_of_strangers_are_refused(table):
    states, keys = table
    with pytest.raises(Refused) as caught:
        contribute(states[ALICE], {**keys, b"s" * 20: keys[BOB]}, lanes())
    assert caught.value.clause == "roster"


def test_a_member_does_not_contribute_among_too_few(table):
    states, keys = table
    with pytest.raises(Refused) as caught:
        contribute(states[ALICE], {ALICE: keys[ALICE], BOB: keys[BOB]}, lanes())
    assert caught.value.clause == "survivors"


def test_a_point_off_the_curve_names_its_maker(table):
    states, keys = table
    with pytest.raises(Untrusted) as caught:
        contribute(states[ALICE], {**keys, BOB: Keys(bytes(64), keys[BOB].seed_digest)}, lanes())
    assert caught.value.culprit == BOB


def test_nothing_is_contributed_before_shares_are_dealt(rand):
    state, keys = draw(context_of(1), ALICE, rand)
    with pytest.raises(Refused) as caught:
        contribute(state, {ALICE: keys}, lanes())
    assert caught.value.clause == "order"


def test_a_survivor_gives_its_seed_and_scalar_shares_of_the_dropped(alice):
    state, keys = alice
    state, answer = reveal(state, round_with(keys, (ALICE, BOB, CAROL)))
    assert answer.seed == state.seed
    assert [share.dealer for share in answer.scalar_shares] == [DAVE, ERIN]
    assert answer.seed_shares == ()


def test_a_dropped_member_keeps_its_seed_and_helps_with_the_others(alice):
    state, keys = alice
    _, answer = reveal(state, round_with(keys, (BOB, CAROL, DAVE)))
    assert answer.seed == b""
    assert [share.dealer for share in answer.scalar_shares] == [ERIN]


def test_the_same_question_has_the_same_answer_after_a_restart(alice):
    state, keys = alice
    round = round_with(keys, FIVE[:4])
    state, first = reveal(state, round)
    again, second = reveal(restarted(state), round)
    assert (again, second) == (state, first)


def test_a_second_survivor_set_is_refused_for_ever(alice):
    state, keys = alice
    state, _ = reveal(state, round_with(keys, FIVE[:4]))
    for other in (FIVE, (ALICE, BOB, CAROL), (BOB, CAROL, DAVE, ERIN)):
        with pytest.raises(Refused) as caught:
            reveal(restarted(state), round_with(keys, other))
        assert caught.value.clause == "survivors"


def test_a_contribution_counted_but_never_made_is_not_revealed(table):
    states, keys = table
    with pytest.raises(Untrusted) as caught:
        reveal(states[ALICE], round_with(keys, FIVE))
    assert caught.value.clause == "survivors"


def test_a_member_left_out_contributes_no_more(table):
    states, keys = table
    state, _ = reveal(states[ALICE], round_with(keys, (BOB, CAROL, DAVE)))
    with pytest.raises(Refused) as caught:
        contribute(state, keys, lanes())
    assert caught.value.clause == "late"


def test_a_share_key_that_is_none_names_its_owner(rand):
    state, _ = draw(context_of(1), ALICE, rand)
    good = {member: ShareKey.draw(rand).public for member in FIVE}
    for bad in (b"", good[BOB][:-1], b"\xff" * 1216):
        with pytest.raises(Untrusted) as caught:
            deal(state, ROSTER, {**good, BOB: bad}, rand)
        assert caught.value.culprit == BOB
    with pytest.raises(Refused, match="no share key"):
        deal(state, ROSTER, {ALICE: good[ALICE]}, rand)


def test_seed_shares_are_given_of_survivors_only_and_after_reveal(alice):
    state, keys = alice
    with pytest.raises(Refused):
        reveal_silent(state, [BOB])
    state, _ = reveal(state, round_with(keys, FIVE[:4]))
    with pytest.raises(Refused):
        reveal_silent(state, [ERIN])
    state, answer = reveal_silent(state, [BOB])
    assert [share.dealer for share in answer.seed_shares] == [BOB]
    assert answer.seed == b""


def test_even_a_state_gone_wrong_never_gives_both(alice):
    """The last guard: what was given decides, whatever the survivor set in the state says."""
    state, keys = alice
    state, _ = reveal(state, round_with(keys, FIVE[:4]))
    with pytest.raises(Refused) as caught:
        reveal_silent(replace(state, survivors=FIVE), [ERIN])
    assert caught.value.clause == "both"


def test_keys_that_changed_since_the_contribution_are_refused(alice, rand):
    """A reorg, or an RPC that showed made-up peers: whoever made them up knows every pair mask, so the seed stays."""
    state, keys = alice
    other = draw(context_of(1), BOB, rand)[1]
    with pytest.raises(Refused) as caught:
        reveal(state, round_with({**keys, BOB: other}, FIVE))
    assert caught.value.clause == "among"


def test_another_round_is_refused(alice):
    state, keys = alice
    for round in (
        Round(context_of(2), ROSTER, keys, FIVE),
        Round(context_of(1), Roster.of(FIVE), keys, FIVE),
        round_with({member: keys[member] for member in FIVE[:4]}, FIVE[:4]),
    ):
        with pytest.raises(Refused):
            reveal(state, round)


@pytest.mark.parametrize(
    "survivors", [(ALICE, BOB), (BOB, ALICE, CAROL), (ALICE, ALICE, BOB, CAROL), (ALICE, BOB, b"s" * 20)]
)
def test_survivors_that_cannot_be_are_refused(alice, survivors):
    with pytest.raises(Refused) as caught:
        round_with(alice[1], survivors)
    assert caught.value.clause == "survivors"


def test_a_closed_round_answers_nothing_and_remembers(alice):
    state, keys = alice
    state, _ = reveal(state, round_with(keys, FIVE))
    closed = close(state)
    assert state.seed.hex() not in records.dump(closed).decode()
    assert state.scalar.hex() not in records.dump(closed).decode()
    assert closed.survivors == FIVE
    for step in (
        lambda: reveal(closed, round_with(keys, FIVE)),
        lambda: contribute(closed, keys, lanes()),
        lambda: reveal_silent(closed, [BOB]),
        lambda: deal(closed, ROSTER, {}, bytes),
    ):
        with pytest.raises(Refused) as caught:
            step()
        assert caught.value.clause == "closed"


def test_no_sequence_of_questions_and_restarts_yields_both_secrets_of_anybody(table):
    """300 random sequences of 12 questions by a lying ledger; what was answered is added up over all of them."""
    states, keys = table
    for seed in range(300):
        dice = random.Random(seed)
        state, scalars, seeds = states[ALICE], set(), set()
        for _ in range(12):
            try:
                state, answer = ask(dice, state, keys)
            except FederationError:
                continue
            if answer is not None:
                scalars |= {share.dealer for share in answer.scalar_shares}
                seeds |= {share.dealer for share in answer.seed_shares} | ({ALICE} if answer.seed else set())
        assert not scalars & seeds


def ask(dice, state, keys):
    some = tuple(sorted(dice.sample(FIVE, dice.randint(3, 5))))
    action = dice.choice(["contribute", "reveal", "silent", "restart"])
    if action == "contribute":
        return contribute(state, keys, lanes(dice.randint(1, 2)))[0], None
    if action == "reveal":
        return reveal(state, round_with(keys, some))
    if action == "silent":
        return reveal_silent(state, dice.sample(FIVE, dice.randint(1, 4)))
    return restarted(state), None


def test_the_random_questions_do_get_answers(table):
    """So that the test above is no test of refusals only."""
    states, keys = table
    given = 0
    for seed in range(50):
        dice, state = random.Random(seed), contribute(states[ALICE], keys, lanes())[0]
        for _ in range(12):
            try:
                state, answer = ask(dice, state, keys)
            except FederationError:
                continue
            given += answer is not None and bool(answer.scalar_shares or answer.seed_shares)
    assert given > 50


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones(20), np.ones(20, dtype="<i8"), np.ones(20, dtype="<u2"), np.ones(20, dtype=">u8"),
        np.ones((4, 5), dtype="<u8"), np.ones(40, dtype="<u8")[::2], np.ones(0, dtype="<u8"),
        np.frombuffer(bytes(160), dtype="<u8"),
    ],
    ids=["floats", "signed", "16 bits", "big-endian", "two rows", "strided", "empty", "read-only"],
)  # fmt: skip
def test_what_is_no_vector_of_a_ring_is_not_masked(table, wrong):
    """A keystream read as floats is mostly huge or no number at all: added to a vector it hides little of it."""
    states, keys = table
    before = wrong.copy()
    with pytest.raises(Refused) as caught:
        contribute(states[ALICE], keys, wrong)
    assert caught.value.clause == "lanes"
    assert (wrong == before).all()


def test_a_refused_second_vector_is_not_left_masked_in_the_callers_hands(alice):
    state, keys = alice
    second = lanes(8)
    with pytest.raises(Refused):
        contribute(state, keys, second)
    assert not second.any()


def test_a_share_that_has_left_is_not_exchanged_for_another(table, rand):
    """Before, another bundle may take its place (a reorg); afterwards the same question has the same answer."""
    states, keys = table
    share_key = ShareKey.draw(rand)
    public = dict.fromkeys(FIVE, share_key.public)
    first, second = (deal(draw(context_of(1), ERIN, rand)[0], ROSTER, public, rand)[1].encode() for _ in range(2))
    state = accept(accept(states[ALICE], ERIN, first, share_key), ERIN, second, share_key)
    state, _ = contribute(state, keys, lanes())
    round = round_with(keys, FIVE[:4])
    state, answer = reveal(state, round)
    with pytest.raises(Refused) as caught:
        accept(restarted(state), ERIN, first, share_key)
    assert caught.value.clause == "held"
    assert reveal(accept(state, ERIN, second, share_key), round) == (state, answer)


def test_a_closed_state_and_a_stranger_s_bundle_take_no_shares(table, rand):
    states, _ = table
    share_key = ShareKey.draw(rand)
    stranger = b"s" * 20
    other = Roster.of((*FIVE[:2], stranger))
    bundle = deal(draw(context_of(1), stranger, rand)[0], other, dict.fromkeys(other.members, share_key.public), rand)[
        1
    ]
    for state, dealer, clause in ((close(states[ALICE]), BOB, "closed"), (states[ALICE], stranger, "roster")):
        with pytest.raises(Refused) as caught:
            accept(state, dealer, bundle.encode(), share_key)
        assert caught.value.clause == clause
