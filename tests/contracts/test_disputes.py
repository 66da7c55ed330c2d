"""Members against members: withheld vectors, wrong sums, who is barred and what it costs.

`five` is a training of five contributing to their first round, any three of whom are enough.
"""

import pytest
from local_chain import NO_VECTOR, ZERO, digest, keys, refusal, vector
from training_steps import NO_EVIDENCE, bits, keyed, rolled


@pytest.fixture
def revealing(five):
    five.to_revealing()
    return five


@pytest.fixture
def summed(five):
    """The first sum is posted by person 0; they contribute to the second round."""
    five.to_sum(0, of="wrong")
    return five


@pytest.fixture
def closing(five):
    """The first sum, posted by person 0, ended the rounds."""
    five.to_sum(0, of="wrong", last=True)
    return five


# --- accusations ---


def test_fewer_than_the_threshold_change_nothing(revealing):
    for who in (*revealing.people[:2], *revealing.people[:2]):  # saying it twice counts once
        assert not revealing.said(revealing.accuse(who, 4), "Barred")
    state = revealing.state()
    assert (revealing.phase, state["barred"], state["lost"], state["round"]) == ("Revealing", 0, 0, 0)
    for who in revealing.people:
        revealing.reveal(who)
    revealing.aggregate()


def test_the_threshold_bars_exactly_whom_it_agrees_on(revealing):
    revealing.accuse(revealing.people[0], 3, 4)
    revealing.accuse(revealing.people[1], 4)
    receipt = revealing.accuse(revealing.people[2], 2, 4)
    assert [e["positions"] for e in revealing.said(receipt, "Barred")] == [bits(4)]
    assert revealing.why(receipt, "RoundLost") == "Withheld"
    assert revealing.moved(receipt) == ("Contributing", 1, bits(0, 1, 2, 3))
    state = revealing.state()
    assert (state["barred"], state["lost"], state["spares"], state["revealed"]) == (bits(4), 1, 1, 0)
    assert (state["keyed"], state["contributed"]) == (bits(0, 1, 2, 3), 0)
    revealing.to_sum(1)


def test_several_are_barred_at_once(revealing):
    for who in revealing.people[:3]:
        receipt = revealing.accuse(who, 3, 4)
    assert [e["positions"] for e in revealing.said(receipt, "Barred")] == [bits(3, 4)]
    assert revealing.moved(receipt) == ("Contributing", 1, bits(0, 1, 2))


def test_what_was_revealed_before_is_cleared(revealing):
    for who in revealing.people[:4]:
        revealing.reveal(who)
    for who in revealing.people[:3]:
        revealing.accuse(who, 4)
    assert revealing.state()["revealed"] == 0
    revealing.to_sum(1)


def test_the_barred_do_nothing_more_and_nobody_waits_for_them(five):
    five.to_revealing(next_keys=False)
    for who in five.people[:3]:
        receipt = five.accuse(who, 4)
    assert five.moved(receipt) == ("Keying", 1, bits(0, 1, 2, 3))
    barred = five.people[4]
    out = ("BarredFrom", five.id, barred.address)
    assert refusal(five.call.postKeys(five.id, 1, keys("k")), by=barred) == out
    for who in five.people[:4]:
        five.key(who, 1)
    assert five.phase == "Contributing"
    assert refusal(five.contributing(barred, 1), by=barred) == ("NotExpected", barred.address)
    assert refusal(five.call.postKeys(five.id, 2, keys("k")), by=barred) == out
    five.to_revealing(1)
    assert refusal(five.call.accuse(five.id, 1, bits(0)), by=barred) == out
    assert refusal(five.revealing(barred, 1), by=barred) == ("NotExpected", barred.address)
    for who in five.people[:4]:
        five.reveal(who, 1)
    assert refusal(five.call.aggregate(five.id, 1, vector("s"), True), by=barred) == out
    five.aggregate(1)
    assert refusal(five.overruling("right"), by=barred) == out
    assert refusal(five.call.challenge(five.id, NO_EVIDENCE, vector("v"), False), by=barred) == (
        "NotJoined", barred.address,
    )  # fmt: skip


def test_too_few_left_void_the_training(alliance, alice, bob, carol, dave):
    run = keyed(alliance, [alice, bob, carol, dave], minimum=4, threshold=3, spares=9)
    run.to_revealing()
    for who in (alice, bob, carol):
        receipt = run.accuse(who, 3)
    assert run.why(receipt, "Voided") == "Withheld"
    assert run.said(receipt, "RoundLost") == []
    assert (run.phase, run.state()["barred"]) == ("Void", bits(3))


@pytest.mark.parametrize("positions", [0, bits(4), bits(0, 4), 1 << 63])
def test_only_survivors_are_accused(five, positions):
    for who in five.people[:4]:
        five.contribute(who)
    five.lapse()
    accusation = five.call.accuse(five.id, 0, positions)
    assert refusal(accusation, by=five.people[0]) == ("BadPositions", positions, bits(0, 1, 2, 3))


def test_a_member_without_a_contribution_accuses_too(five):
    """It may hold vectors, or not, as anybody."""
    for who in five.people[:4]:
        five.contribute(who)
    five.lapse()
    for who in five.people[2:]:
        receipt = five.accuse(who, 0)
    assert five.why(receipt, "RoundLost") == "Withheld"


def test_who_accuses_has_joined_and_is_in_time(revealing, stranger):
    accusation = revealing.call.accuse(revealing.id, 0, bits(4))
    assert refusal(accusation, by=stranger) == ("NotJoined", stranger.address)
    assert refusal(revealing.call.accuse(revealing.id, 1, bits(4)), by=revealing.people[0]) == ("WrongRound", 1, 0)
    deadline = revealing.state()["deadline"]
    revealing.alliance.sleep(deadline - revealing.alliance.now() + 1)
    assert refusal(accusation, by=revealing.people[0]) == ("Late", deadline)


def test_accusations_of_one_round_count_in_no_other(revealing):
    for who in revealing.people[:2]:
        revealing.accuse(who, 4)
    for who in revealing.people:
        revealing.reveal(who)
    revealing.aggregate()
    revealing.to_revealing(1)
    receipt = revealing.accuse(revealing.people[2], 4, round_=1)
    assert revealing.said(receipt, "Barred") == []
    assert revealing.phase == "Revealing"


# --- overruled sums ---


def test_a_sum_stands_while_fewer_than_the_threshold_overrule_it(summed):
    one, two = summed.people[1:3]
    before = summed.state()
    for who in (one, two, one):
        assert summed.said(summed.overrule(who), "Corrected") == []
    summed.overrule(summed.people[3], of="something else")
    summed.overrule(summed.people[4], of="right", last=True)
    assert summed.state() == before


def test_the_threshold_replaces_a_sum_and_bars_its_poster(summed):
    receipt = summed.overrule(*summed.people[1:4])
    (event,) = summed.said(receipt, "Corrected")
    assert (event["round"], event["vector"], event["last"]) == (0, vector("right"), False)
    assert event["by"] == summed.people[3].address.lower()
    assert [e["positions"] for e in summed.said(receipt, "Barred")] == [bits(0)]
    assert summed.moved(receipt) == ("Keying", 2, bits(1, 2, 3, 4))  # round 1 is struck
    state = summed.state()
    assert (state["lost"], state["spares"], state["barred"]) == (1, 1, bits(0))
    for who in summed.people[1:]:
        summed.key(who, 2)
    assert summed.said(summed.to_sum(2, by=summed.people[1]), "Aggregated")[0]["last"] is False
    assert summed.said(summed.to_sum(3, by=summed.people[1]), "Aggregated")[0]["last"] is True  # the third sum


def test_keys_for_the_next_round_stand_but_for_the_barred(summed):
    for who in summed.people[:4]:
        summed.contribute(who, 1)
    receipt = summed.overrule(*summed.people[1:4])
    assert summed.moved(receipt) == ("Contributing", 2, bits(1, 2, 3))


def test_what_was_revealed_and_recovered_of_a_struck_round_is_cleared(summed):
    summed.to_revealing(1)
    for who in summed.people[:4]:
        summed.reveal(who, 1)
    summed.lapse()
    summed.recover(summed.people[0], 1, [digest("share")])
    assert summed.moved(summed.overrule(*summed.people[1:4])) == ("Contributing", 2, bits(1, 2, 3, 4))
    state = summed.state()
    assert (state["revealed"], state["recovered"], state["contributed"]) == (0, 0, 0)
    summed.to_sum(2, by=summed.people[1])


def test_a_training_that_ended_too_early_goes_on(closing):
    assert closing.phase == "Challenging"
    receipt = closing.overrule(*closing.people[1:4], of="wrong 0", last=False)
    assert closing.moved(receipt) == ("Contributing", 1, bits(1, 2, 3, 4))
    assert closing.state()["lost"] == 0


def test_a_training_that_ended_too_late_ends(summed):
    receipt = summed.overrule(*summed.people[1:4], of="wrong 0", last=True)
    assert summed.moved(receipt) == ("Challenging", 1, 0)
    assert summed.state()["lost"] == 1  # the round that was under way
    again = summed.overrule(*summed.people[1:3], summed.people[4], of="wrong 0", last=False)
    assert summed.moved(again)[:2] == ("Keying", 2)
    assert summed.state()["lost"] == 1


def test_a_correction_opens_the_challenge_window_again(closing):
    alliance, before = closing.alliance, closing.state()["deadline"]
    alliance.sleep(before - alliance.now() - 1)
    receipt = closing.overrule(*closing.people[1:4], last=True)
    assert closing.moved(receipt) == ("Challenging", 0, bits(1, 2, 3, 4))
    assert closing.state()["deadline"] == alliance.now() + 900 > before
    final = closing.call.finalize(closing.id, digest("model"))
    assert refusal(final, by=closing.people[1])[0] == "TooEarly"
    alliance.sleep(901)
    alliance.send(final, by=closing.people[1])


def test_the_last_sum_that_the_terms_allow_ends_whatever_is_said(alliance, alice, bob, carol, dave):
    run = keyed(alliance, [alice, bob, carol, dave], rounds=1)
    run.to_sum(0, of="wrong")
    (event,) = run.said(run.overrule(bob, carol, dave, last=False), "Corrected")
    assert event["last"] is True
    assert run.phase == "Challenging"


def test_a_correction_can_be_overruled_in_turn(closing):
    people = closing.people
    closing.overrule(*people[1:4], of="wrong again", last=True)
    receipt = closing.overrule(people[1], people[2], people[4], of="right", last=True)
    assert [e["positions"] for e in closing.said(receipt, "Barred")] == [bits(3)]
    assert closing.state()["barred"] == bits(0, 3)


def test_the_sum_that_stands_is_not_overruled_by_itself(summed):
    who = summed.people[1]
    assert refusal(summed.overruling("wrong 0"), by=who) == ("Honest",)
    summed.overrule(who, of="wrong 0", last=True)


def test_only_the_newest_sum_with_its_history_is_overruled(summed):
    who, stale, before = summed.people[1], summed.newest, summed.before
    call, id_ = summed.call, summed.id
    changed = (*stale[:4], vector("other"), stale[5])
    for history, newest in ((digest("other"), stale), (before, changed), (before, (1, *stale[1:]))):
        assert refusal(call.overrule(id_, history, newest, vector("right"), False), by=who) == ("BadHistory",)
    summed.overrule(who)
    summed.to_sum(1)
    assert refusal(call.overrule(id_, before, stale, vector("right"), False), by=who) == ("BadHistory",)


def test_votes_against_one_sum_count_against_no_other(summed):
    """The replaced sum's votes are gone, even for the very same vector."""
    summed.overrule(summed.people[1], of="best")
    summed.overrule(*summed.people[2:], of="good")
    receipt = summed.overrule(*summed.people[2:4], of="best")
    assert summed.said(receipt, "Corrected") == []
    assert summed.said(summed.overrule(summed.people[1], of="best"), "Corrected")


def test_an_empty_vector_replaces_nothing(summed):
    empty = summed.call.overrule(summed.id, summed.before, summed.newest, NO_VECTOR, False)
    assert refusal(empty, by=summed.people[1]) == ("BadVector",)


def test_who_has_not_joined_overrules_nothing(summed, stranger):
    assert refusal(summed.overruling("right"), by=stranger) == ("NotJoined", stranger.address)


def test_before_the_first_sum_there_is_nothing_to_overrule(five):
    before, newest = five.state()["transcript"], (0, ZERO, 0, 0, vector("v"), five.people[0].address)
    assert refusal(five.call.overrule(five.id, before, newest, vector("w"), False), by=five.people[1]) == (
        "BadHistory",
    )  # fmt: skip


def test_the_transcript_goes_on_from_the_corrected_sum(summed):
    summed.to_revealing(1)
    summed.overrule(*summed.people[1:4])
    corrected = rolled(summed.before, summed.newest)
    summed.to_sum(2, by=summed.people[1])
    assert summed.before == corrected
    assert summed.state()["transcript"] == rolled(corrected, summed.newest)


# --- what one member alone cannot do ---


def test_a_poster_does_not_take_the_place_of_its_own_sum(summed):
    """It would be barred, and the poster of the new sum, at once."""
    poster = summed.people[0]
    summed.overrule(*summed.people[1:3])
    assert refusal(summed.overruling("right"), by=poster) == ("NotExpected", poster.address)


def test_who_is_barred_meanwhile_is_no_longer_counted(summed):
    people = summed.people
    summed.overrule(people[4])
    summed.to_revealing(1)
    for who in people[:3]:
        summed.accuse(who, 4, round_=1)
    assert summed.state()["barred"] == bits(4)
    assert summed.said(summed.overrule(*people[1:3]), "Corrected") == []  # with that one they would be three
    assert summed.said(summed.overrule(people[3]), "Corrected")


def test_no_round_is_run_by_fewer_than_the_minimum(alliance, alice, bob, carol):
    """Two would see each other's vector in their sum."""
    run = keyed(alliance, [alice, bob, carol], minimum=3, threshold=2, rounds=2, spares=9)
    run.to_sum(0, of="wrong")
    receipt = run.overrule(bob, carol)
    assert run.why(receipt, "Voided") == "WrongAggregate"
    assert run.said(receipt, "PhaseChanged") == []
    assert run.phase == "Void"


def test_fewer_than_the_minimum_can_still_close(alliance, alice, bob, carol):
    run = keyed(alliance, [alice, bob, carol], minimum=3, threshold=2, rounds=1)
    run.to_sum(0, of="wrong")
    run.overrule(bob, carol)
    alliance.sleep(901)
    alliance.send(run.call.finalize(run.id, digest("model")), by=bob)


def test_only_members_challenge_before_the_window(summed, stranger):
    challenge = summed.call.challenge(summed.id, NO_EVIDENCE, vector("v"), False)
    assert refusal(challenge, by=stranger) == ("NotJoined", stranger.address)


# --- sums shown to be wrong: here by a size that is not their vectors'; by their blocks in test_fraud.py ---


@pytest.fixture
def longer(five):
    """The first sum, posted by person 0, ended the rounds; it has more leaves than the vectors."""
    five.to_sum(0, last=True, leaves=4097)
    return five


def test_a_member_s_vector_takes_the_place_of_a_wrong_sum(longer):
    alliance, bob = longer.alliance, longer.people[1]
    receipt = alliance.send(longer.challenging("right", last=True), by=bob)
    assert (
        longer.said(receipt, "Challenged")[0]["by"] == longer.said(receipt, "Corrected")[0]["by"] == bob.address.lower()
    )
    assert [e["positions"] for e in longer.said(receipt, "Barred")] == [bits(0)]
    assert longer.moved(receipt) == ("Challenging", 0, bits(1, 2, 3, 4))
    assert refusal(longer.challenging("right", last=True), by=bob) == ("BadHistory",)


def test_a_sum_challenged_late_takes_the_later_ones_with_it(five):
    five.to_sum(0, leaves=4097)
    first = (five.before, five.newest, five.posts())
    five.to_sum(1, by=five.people[1])
    second = five.newest
    before, wrong, posts = first
    evidence = (before, [wrong, second], ZERO, posts, 0, [], [], [], [], [])
    receipt = five.alliance.send(five.call.challenge(five.id, evidence, vector("right"), False), by=five.people[2])
    (event,) = five.said(receipt, "Corrected")
    corrected = (*wrong[:4], vector("right"), five.people[2].address)
    assert (event["round"], event["transcript"]) == (0, rolled(before, corrected))
    assert five.moved(receipt)[:2] == ("Keying", 3)
    assert five.state()["lost"] == 2  # the second sum's round, and the one under way


def test_the_members_come_first(longer, stranger):
    """An accomplice of the poster, or who copies a member's evidence, cannot void what the members would correct."""
    middle = longer.state()["deadline"] - 450
    assert refusal(longer.challenging("right"), by=stranger) == ("TooEarly", middle)
    longer.alliance.sleep(middle - longer.alliance.now() - 1)
    assert refusal(longer.challenging("right"), by=stranger) == ("TooEarly", middle)


def test_anybody_s_challenge_late_in_the_window_voids(longer, stranger):
    longer.alliance.sleep(longer.state()["deadline"] - longer.alliance.now() - 450)
    receipt = longer.alliance.send(longer.challenging("right"), by=stranger)
    assert longer.why(receipt, "Voided") == "WrongAggregate"
    assert [e["positions"] for e in longer.said(receipt, "Barred")] == [bits(0)]
    assert longer.said(receipt, "Corrected") == []


def test_nobody_challenges_its_own_sum(longer):
    poster = longer.people[0]
    assert refusal(longer.challenging("right"), by=poster) == ("NotExpected", poster.address)


def test_an_empty_vector_corrects_nothing(longer):
    evidence = (longer.before, [longer.newest], ZERO, longer.posts(), 0, [], [], [], [], [])
    empty = longer.call.challenge(longer.id, evidence, NO_VECTOR, False)
    assert refusal(empty, by=longer.people[1]) == ("BadVector",)


def test_a_correction_that_leaves_too_few_for_another_round_voids(alliance, alice, bob, carol):
    run = keyed(alliance, [alice, bob, carol], rounds=2)
    run.to_sum(0, leaves=4097)
    receipt = alliance.send(run.challenging("right"), by=bob)
    assert run.why(receipt, "Voided") == "WrongAggregate"


def test_nobody_challenges_what_is_final(longer, stranger):
    longer.alliance.sleep(901)
    challenge = longer.challenging("right")
    longer.alliance.send(longer.call.finalize(longer.id, digest("model")), by=longer.people[1])
    assert refusal(challenge, by=stranger)[0] == refusal(challenge, by=longer.people[1])[0] == "WrongPhase"
