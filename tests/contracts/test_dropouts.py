"""Who drops out, stays silent or comes back: shares, recovery, lost rounds and spares.

`five` is a training of five contributing to their first round, any three of whom are enough.
"""

import pytest
from local_chain import ZERO, digest, keys, refusal, vector
from training_steps import bits, keyed, opened

A_SHARE, ANOTHER = digest("a share"), digest("another share")


def dropped(run, *positions):
    """To Revealing, without these."""
    for at, who in enumerate(run.people):
        if at not in positions:
            run.contribute(who)
    return run.lapse()


def silent(run, *positions):
    """Everybody contributes; all but these reveal; to Recovering."""
    run.to_revealing()
    for at, who in enumerate(run.people):
        if at not in positions:
            run.reveal(who)
    return run.lapse()


def opened_shares(run, receipt):
    return [(e["round"], e["dealer"], e["share"]) for e in run.said(receipt, "ShareOpened")]


# --- the dropped ---


def test_shares_of_the_dropped_are_opened_by_ascending_position(five):
    assert five.moved(dropped(five, 1, 3)) == ("Revealing", 0, bits(0, 2, 4))
    receipt = five.reveal(five.people[0], 0, [A_SHARE, ANOTHER])
    assert opened_shares(five, receipt) == [(0, 1, A_SHARE), (0, 3, ANOTHER)]
    assert five.said(receipt, "ShareOpened")[0]["holder"] == five.people[0].address.lower()


@pytest.mark.parametrize(("shares", "dealers"), [([ZERO, A_SHARE], [3]), ([A_SHARE, ZERO], [1]), ([ZERO, ZERO], [])])
def test_a_share_that_one_does_not_hold_is_zero_and_not_told(five, shares, dealers):
    dropped(five, 1, 3)
    receipt = five.reveal(five.people[2], 0, shares)
    assert [dealer for _, dealer, _ in opened_shares(five, receipt)] == dealers
    assert five.state()["revealed"] == bits(2)


@pytest.mark.parametrize(("out", "given"), [((1, 3), 1), ((1, 3), 3), ((1,), 0), ((), 1)])
def test_as_many_shares_as_dropped_members(five, out, given):
    if out:
        dropped(five, *out)
    else:
        five.to_revealing()
    asked = five.revealing(five.people[0], 0, [A_SHARE] * given)
    assert refusal(asked, by=five.people[0]) == ("BadCount", given, len(out))


def test_who_never_had_keys_is_nobody_s_dropped(alliance, alice, bob, carol, dave):
    run = opened(alliance, [alice, bob, carol, dave])
    run.join_all()
    for who in (alice, bob, carol):
        run.key(who)
    run.lapse()
    for who in (alice, bob, carol):
        run.contribute(who)
    assert refusal(run.revealing(alice, 0, [A_SHARE]), by=alice) == ("BadCount", 1, 0)
    run.reveal(alice)


# --- the silent ---


def test_those_who_revealed_recover_the_silent(five):
    assert five.moved(silent(five, 1, 4)) == ("Recovering", 0, bits(0, 2, 3))
    first = five.recover(five.people[0], 0, [A_SHARE, ANOTHER])
    assert opened_shares(five, first) == [(0, 1, A_SHARE), (0, 4, ANOTHER)]
    assert five.said(first, "Recovered")[0]["position"] == 0
    five.recover(five.people[2], 0, [ZERO, A_SHARE])
    assert five.state()["recovered"] == bits(0, 2)
    assert five.moved(five.recover(five.people[3], 0, [A_SHARE, ZERO])) == ("Aggregating", 0, bits(0, 1, 2, 3, 4))
    state = five.state()
    assert (state["revealed"], state["recovered"]) == (0, 0)
    (summed,) = five.said(five.aggregate(), "Aggregated")
    assert summed["survivors"] == bits(0, 1, 2, 3, 4)


def test_recovering_lapses_with_enough_members(five):
    silent(five, 4)
    for who in five.people[:3]:
        five.recover(who, 0, [A_SHARE])
    assert five.phase == "Recovering"
    assert five.moved(five.lapse()) == ("Aggregating", 0, bits(0, 1, 2, 3, 4))
    assert (five.state()["revealed"], five.state()["recovered"]) == (0, 0)
    five.aggregate()
    five.to_sum(1)


def test_too_few_who_reveal_void_the_training_spare_or_not(five):
    assert five.why(silent(five, 2, 3, 4), "Voided") == "SilentAtReveal"
    assert (five.phase, five.state()["spares"], five.state()["lost"]) == ("Void", 1, 0)


def test_too_few_who_recover_void_the_training(five):
    silent(five, 3, 4)
    for who in five.people[:2]:
        five.recover(who, 0, [A_SHARE, A_SHARE])
    assert five.why(five.lapse(), "Voided") == "SilentAtReveal"


def test_only_who_revealed_recovers_once_in_time_and_with_every_share(five, stranger):
    silent(five, 3, 4)
    alice, deadline = five.people[0], five.state()["deadline"]
    calls = five.call
    assert refusal(calls.recover(five.id, 0, [A_SHARE] * 2), by=five.people[3]) == (
        "NotExpected", five.people[3].address,
    )  # fmt: skip
    assert refusal(calls.recover(five.id, 0, [A_SHARE] * 2), by=stranger) == ("NotJoined", stranger.address)
    assert refusal(calls.recover(five.id, 1, [A_SHARE] * 2), by=alice) == ("WrongRound", 1, 0)
    assert refusal(calls.recover(five.id, 0, [A_SHARE]), by=alice) == ("BadCount", 1, 2)
    five.recover(alice, 0, [A_SHARE] * 2)
    assert refusal(calls.recover(five.id, 0, [A_SHARE] * 2), by=alice) == ("AlreadyIn", alice.address)
    assert refusal(five.revealing(five.people[3]), by=five.people[3])[0] == "WrongPhase"
    five.alliance.sleep(deadline - five.alliance.now() + 1)
    assert refusal(calls.recover(five.id, 0, [A_SHARE] * 2), by=five.people[1]) == ("Late", deadline)


def test_a_round_of_both_dropped_and_silent(five):
    dropped(five, 4)
    for who in five.people[:3]:
        five.reveal(who, 0, [A_SHARE])
    assert five.moved(five.lapse()) == ("Recovering", 0, bits(0, 1, 2))
    for who in five.people[:3]:
        receipt = five.recover(who, 0, [ANOTHER])
    assert opened_shares(five, receipt) == [(0, 3, ANOTHER)]
    assert five.moved(receipt) == ("Aggregating", 0, bits(0, 1, 2, 3))


def test_a_member_returns_while_others_recover(five):
    dropped(five, 4)
    for who in five.people[:3]:
        five.reveal(who, 0, [A_SHARE])
    five.lapse()
    five.key(five.people[4], 1)
    for who in five.people[:3]:
        five.recover(who, 0, [A_SHARE])
    assert five.moved(five.aggregate()) == ("Contributing", 1, bits(0, 1, 2, 3, 4))


# --- lost rounds ---


@pytest.fixture
def four(alliance, alice, bob, carol, dave):
    """Three of four are enough; one spare; nobody has posted keys."""
    run = opened(alliance, [alice, bob, carol, dave], spares=1, rounds=1)
    run.join_all()
    return run


def test_too_few_keys_lose_the_round_and_then_the_training(four):
    for who in four.people[:2]:
        four.key(who)
    receipt = four.lapse()
    assert four.why(receipt, "RoundLost") == "TooFewKeys"
    assert four.moved(receipt) == ("Keying", 1, bits(0, 1, 2, 3))
    state = four.state()
    assert (state["lost"], state["spares"], state["keyed"]) == (1, 0, 0)
    assert refusal(four.call.postKeys(four.id, 0, keys("k")), by=four.people[0]) == ("WrongRound", 0, 1)
    four.key(four.people[0], 1)
    assert four.why(four.lapse(), "Voided") == "TooFewKeys"
    assert four.state()["lost"] == 1


def test_a_lost_round_is_no_sum(four):
    """The training's one sum comes from round 1, and ends it."""
    four.key(four.people[0])
    four.lapse()
    four.key_all(1)
    (summed,) = four.said(four.to_sum(1), "Aggregated")
    assert (summed["round"], summed["last"]) == (1, True)


def test_keys_posted_in_a_lost_round_open_the_next_one(five):
    for who in five.people[:2]:
        five.contribute(who)
    five.key(five.people[3], 1)
    receipt = five.lapse()
    assert five.why(receipt, "RoundLost") == "TooFewContributions"
    assert five.moved(receipt) == ("Contributing", 1, bits(0, 1, 3))
    state = five.state()
    assert (state["keyed"], state["contributed"], state["spares"], state["lost"]) == (bits(0, 1, 3), 0, 0, 1)
    assert refusal(five.contributing(five.people[0]), by=five.people[0]) == ("WrongRound", 0, 1)
    five.to_sum(1)


def test_too_few_keys_in_a_lost_round_are_kept_and_the_others_asked(five):
    for who in five.people[:2]:
        five.contribute(who)
    assert five.moved(five.lapse()) == ("Keying", 1, bits(0, 1, 2, 3, 4))
    again = five.call.postKeys(five.id, 1, keys("again"))
    assert refusal(again, by=five.people[0]) == ("AlreadyIn", five.people[0].address)
    for who in five.people[2:4]:
        five.key(who, 1)
    assert five.moved(five.key(five.people[4], 1)) == ("Contributing", 1, bits(0, 1, 2, 3, 4))


def test_without_a_spare_too_few_contributions_void_the_training(five):
    five.lapse()
    assert (five.phase, five.state()["round"], five.state()["spares"]) == ("Keying", 1, 0)
    five.key_all(1)
    assert five.why(five.lapse(), "Voided") == "TooFewContributions"


def test_numbers_never_repeat_and_only_sums_count_to_the_limit(five):
    """Three sums, in rounds 0, 2 and 3: round 1 is lost."""
    five.to_sum(0)
    five.lapse()
    five.key_all(2)
    assert five.said(five.to_sum(2), "Aggregated")[0]["last"] is False
    (third,) = five.said(five.to_sum(3), "Aggregated")
    assert (third["round"], third["last"]) == (3, True)
    assert five.phase == "Challenging"


def test_who_comes_too_late_for_the_keys_has_the_next_round(alliance, four):
    for who in four.people[:3]:
        four.key(who)
    dave, deadline = four.people[3], four.state()["deadline"]
    alliance.sleep(deadline - alliance.now() + 1)
    assert refusal(four.call.postKeys(four.id, 0, keys("late")), by=dave) == ("Late", deadline)
    assert four.moved(four.lapse()) == ("Contributing", 0, bits(0, 1, 2))
    four.key(dave, 1)
    assert four.moved(four.lapse()) == ("Keying", 1, bits(0, 1, 2, 3))
    assert four.state()["keyed"] == bits(3)


def test_only_a_phase_that_waits_for_somebody_lapses(alliance, alice, bob, carol, stranger):
    run = keyed(alliance, [alice, bob, carol], rounds=1)
    run.to_sum(0)
    alliance.sleep(1000)
    assert refusal(run.call.lapse(run.id), by=stranger)[0] == "WrongPhase"
    alliance.send(run.call.finalize(run.id, digest("model")), by=alice)
    assert refusal(run.call.lapse(run.id), by=stranger)[0] == "WrongPhase"


def test_a_late_sum_is_refused_and_the_training_void(five):
    five.to_revealing()
    for who in five.people:
        five.reveal(who)
    deadline = five.state()["deadline"]
    five.alliance.sleep(deadline - five.alliance.now() + 1)
    late = five.call.aggregate(five.id, 0, vector("late"), False)
    assert refusal(late, by=five.people[0]) == ("Late", deadline)
    assert five.why(five.lapse(), "Voided") == "NoAggregate"
