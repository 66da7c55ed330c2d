"""The bulletin board of the secure sum: phases, deadlines, budget, transcript."""

import pytest
from eth_abi.abi import encode
from eth_utils import keccak
from local_chain import MEMBER, NO_KEYS, NO_VECTOR, ZERO, digest, events, found, keys, person, plan, refusal, vector
from test_members import pausing, state_change
from training_steps import NO_EVIDENCE, NO_SUM, PHASES, keyed, opened, published, rolled

TERMS = "(bytes32,uint8,uint16,uint16,uint16,uint16,uint8,uint32,uint32,uint32,uint48)"
KEYS = "(bytes32,uint8,bytes32,bytes32)"
VECTOR = "(bytes32,bytes32,uint32)"


@pytest.fixture
def three(alice, bob, carol):
    return [alice, bob, carol]


@pytest.fixture
def four(three, dave):
    return [*three, dave]


@pytest.fixture
def summing(alliance, three):
    """Three members, first round, contributing."""
    return keyed(alliance, three)


def phase_of(alliance, receipt):
    return PHASES[events(alliance.trainings, receipt, "PhaseChanged")[-1]["phase"]]


# --- the way through ---


def test_two_rounds_of_three_members_end_final(alliance, three, stranger):
    run = opened(alliance, three)
    run.join_all()
    assert run.phase == "Keying"
    run.key_all()
    for round_ in (0, 1):
        assert (run.phase, run.state()["round"]) == ("Contributing", round_)
        run.contribute_all(round_, next_keys=round_ == 0)
        assert run.phase == "Revealing"
        run.reveal_all(round_)
        assert run.phase == "Aggregating"
        run.aggregate(round_)
    assert run.phase == "Challenging"
    alliance.sleep(901)
    final = alliance.send(run.call.finalize(run.id, digest("model")), by=three[1])
    assert events(alliance.trainings, final, "Finalized")[0]["model"] == digest("model")
    assert run.phase == "Final"
    alliance.send(run.call.attest(run.id, digest("model")), by=three[2])


def test_a_phase_ends_with_the_last_expected_post(alliance, four):
    run = opened(alliance, four)
    for who in four[:3]:
        run.join(who)
    assert run.phase == "Joining"
    assert phase_of(alliance, run.join(four[3])) == "Keying"


def test_the_event_names_who_is_expected_and_until_when(alliance, four):
    run = keyed(alliance, four)
    for who in four[:3]:
        run.contribute(who)
    (event,) = events(alliance.trainings, run.lapse(), "PhaseChanged")
    assert (PHASES[event["phase"]], event["members"], event["deadline"]) == ("Revealing", 0b0111, alliance.now() + 300)


def test_posts_and_transcript_are_recomputed_from_the_events(alliance, three):
    run = opened(alliance, three)
    transcript = keccak(encode([TERMS], [tuple(plan().values())]))
    assert run.state()["transcript"] == transcript
    run.join_all()
    run.key_all()
    posts = ZERO
    for position, who in enumerate(three):
        posted = [posts, who.address, position, 0, NO_VECTOR, keys(f"{who.address} 0")]
        posts = keccak(encode(["bytes32", "address", "uint16", "uint16", VECTOR, KEYS], posted))
    run.contribute_all()
    for position, who in enumerate(three):
        posted = [posts, who.address, position, 0, vector(f"{who.address} 0"), keys(f"{who.address} 1")]
        posts = keccak(encode(["bytes32", "address", "uint16", "uint16", VECTOR, KEYS], posted))
    assert run.state()["posts"] == posts
    run.reveal_all()
    (event,) = events(alliance.trainings, run.aggregate(), "Aggregated")
    expected = rolled(transcript, (0, posts, 0b111, 0b111, vector("sum 0"), three[0].address))
    assert event["transcript"] == run.state()["transcript"] == expected


def test_the_poster_of_a_sum_may_end_the_training_early(alliance, summing):
    summing.contribute_all()
    summing.reveal_all()
    (event,) = events(alliance.trainings, summing.aggregate(last=True), "Aggregated")
    assert event["last"] is True
    assert summing.phase == "Challenging"


def test_the_last_planned_round_ends_the_training_by_itself(alliance, three):
    run = keyed(alliance, three, rounds=1)
    run.contribute_all(next_keys=False)
    run.reveal_all()
    assert events(alliance.trainings, run.aggregate(), "Aggregated")[0]["last"] is True


def test_a_member_that_missed_a_round_posts_keys_and_returns(alliance, four):
    run = keyed(alliance, four)
    for who in four[:3]:
        run.contribute(who)
    run.lapse()
    run.key(four[3], 1)
    for who in four[:3]:
        run.reveal(who, shares=[ZERO])
    (event,) = events(alliance.trainings, run.aggregate(), "PhaseChanged")
    assert (PHASES[event["phase"]], event["members"]) == ("Contributing", 0b1111)
    run.contribute(four[3], 1)


def test_without_keys_for_the_next_round_it_is_keying_again(alliance, summing):
    summing.contribute_all(next_keys=False)
    summing.reveal_all()
    assert phase_of(alliance, summing.aggregate()) == "Keying"
    summing.key_all(1)
    assert (summing.phase, summing.state()["round"]) == ("Contributing", 1)


def test_contributions_go_on_while_the_alliance_is_paused(alliance, summing, alice, bob):
    alliance.send(pausing(alliance, alliance.now() + 1000, [alice, bob]), by=alice)
    summing.contribute_all()
    summing.reveal_all()
    assert phase_of(alliance, summing.aggregate()) == "Contributing"


def test_sixty_four_members_fill_the_roster(w3):
    people = [person(i) for i in range(64)]
    alliance = found(w3, [(who.address, MEMBER, digest("card")) for who in people])
    run = keyed(alliance, people, rounds=1)
    assert run.state()["keyed"] == 2**64 - 1
    run.contribute_all(next_keys=False)
    assert run.phase == "Revealing"
    assert run.state()["contributed"] == 2**64 - 1


# --- deadlines ---


def void_reason(alliance, receipt):
    return events(alliance.trainings, receipt, "Voided")[0]["reason"]


def test_joining_lapses_into_keying_with_enough_members(alliance, four):
    run = opened(alliance, four, minimum=3, threshold=3)
    for who in four[:3]:
        run.join(who)
    assert phase_of(alliance, run.lapse()) == "Keying"
    assert run.state()["size"] == 3


@pytest.mark.parametrize(("minimum", "threshold"), [(4, 3), (3, 4), (3, 3)])
def test_joining_lapses_into_void_with_too_few(alliance, four, minimum, threshold):
    run = opened(alliance, four, minimum=minimum, threshold=threshold)
    for who in four[: max(minimum, threshold) - 1]:
        run.join(who)
    assert void_reason(alliance, run.lapse()) == 1
    assert run.phase == "Void"


@pytest.mark.parametrize(("posted", "after"), [(3, "Contributing"), (2, "Void")])
def test_keying_lapses(alliance, four, posted, after):
    run = opened(alliance, four)
    run.join_all()
    for who in four[:posted]:
        run.key(who)
    receipt = run.lapse()
    assert run.phase == after
    assert after != "Void" or void_reason(alliance, receipt) == 2


@pytest.mark.parametrize(("posted", "after"), [(3, "Revealing"), (2, "Void")])
def test_contributing_lapses(alliance, four, posted, after):
    run = keyed(alliance, four)
    for who in four[:posted]:
        run.contribute(who)
    receipt = run.lapse()
    assert run.phase == after
    assert after != "Void" or void_reason(alliance, receipt) == 3


def test_no_sum_in_time_voids_the_training(alliance, summing):
    summing.contribute_all()
    summing.reveal_all()
    assert void_reason(alliance, summing.lapse()) == 5


def test_nothing_lapses_before_its_deadline(alliance, summing, stranger):
    deadline = summing.state()["deadline"]
    assert refusal(summing.call.lapse(summing.id), by=stranger) == ("TooEarly", deadline)
    alliance.sleep(deadline - alliance.now())
    assert refusal(summing.call.lapse(summing.id), by=stranger) == ("TooEarly", deadline)
    alliance.sleep(1)
    alliance.send(summing.call.lapse(summing.id), by=stranger)


def test_a_late_post_is_refused_even_before_anybody_ended_the_phase(alliance, summing, alice):
    deadline = summing.state()["deadline"]
    alliance.sleep(deadline - alliance.now())
    summing.contribute(alice)
    alliance.sleep(deadline - alliance.now() + 1)
    assert refusal(summing.contributing(person(1)), by=person(1)) == ("Late", deadline)


def test_late_joins_keys_reveals_and_sums_are_refused(alliance, three, dave):
    run = opened(alliance, three)
    join = run.joining(dave)
    alliance.sleep(601)
    assert refusal(join, by=dave)[0] == "Late"
    run = opened(alliance, three)
    run.join_all()
    alliance.sleep(301)
    assert refusal(run.call.postKeys(run.id, 0, keys("late")), by=three[0])[0] == "Late"
    run = keyed(alliance, three)
    run.contribute_all()
    alliance.sleep(301)
    assert refusal(run.call.reveal(run.id, 0, ZERO, []), by=three[0])[0] == "Late"
    run = keyed(alliance, three)
    run.contribute_all()
    run.reveal_all()
    alliance.sleep(301)
    assert refusal(run.call.aggregate(run.id, 0, vector("s"), False), by=three[0])[0] == "Late"


def test_the_challenge_window_must_pass(alliance, three):
    run = keyed(alliance, three, rounds=1)
    run.contribute_all(next_keys=False)
    run.reveal_all()
    run.aggregate()
    final = run.call.finalize(run.id, digest("model"))
    assert refusal(final, by=three[0]) == ("TooEarly", run.state()["deadline"])
    alliance.sleep(901)
    assert refusal(run.call.lapse(run.id), by=three[0])[0] == "WrongPhase"
    assert refusal(final, by=person(9)) == ("NotJoined", person(9).address)
    alliance.send(final, by=three[0])


# --- who may open and join ---

BAD_TERMS = [
    ({"plan": ZERO}, 0),
    ({"ring": 16}, 1),
    ({"seats": 2}, 2),
    ({"seats": 65, "threshold": 40}, 2),
    ({"minimum": 2}, 3),
    ({"minimum": 4}, 3),
    ({"seats": 4, "threshold": 2}, 4),
    ({"threshold": 4}, 4),
    ({"threshold": 65_535}, 4),
    ({"rounds": 0}, 5),
    ({"joinSeconds": 0}, 6),
    ({"phaseSeconds": 0}, 7),
    ({"challengeSeconds": 0}, 8),
]


@pytest.mark.parametrize(("changes", "which"), BAD_TERMS)
def test_plans_that_cannot_work_are_refused(alliance, alice, changes, which):
    call = alliance.trainings.functions.open(digest("salt"), plan(**changes))
    assert refusal(call, by=alice) == ("BadTerms", which)


def test_an_id_is_taken_once(alliance, alice, stranger):
    call = alliance.trainings.functions.open(digest("salt"), plan())
    id_ = call.call({"from": alice.address})
    alliance.send(call, by=alice)
    assert refusal(call, by=alice) == ("Exists", id_)
    assert refusal(call, by=stranger) == ("NotMember", stranger.address)


def test_an_unknown_training_is_unknown_to_every_function(alliance, alice):
    calls, none = alliance.trainings.functions, digest("none")
    for call in (
        calls.training(none),
        calls.join(none, none, 1, none),
        calls.postKeys(none, 0, keys("k")),
        calls.contribute(none, 0, vector("v"), NO_KEYS),
        calls.reveal(none, 0, ZERO, []),
        calls.aggregate(none, 0, vector("v"), False),
        calls.finalize(none, none),
        calls.attest(none, none),
        calls.lapse(none),
        calls.recover(none, 0, []),
        calls.accuse(none, 0, 1),
        calls.overrule(none, none, NO_SUM, vector("v"), False),
        calls.challenge(none, NO_EVIDENCE, vector("v"), False),
    ):
        assert refusal(call, by=alice) == ("UnknownTraining", none)


@pytest.mark.parametrize("changes", [{"uses": 1}, {"uses": 0}])
def test_a_version_that_may_not_be_trained_on_stays_out(alliance, three, changes):
    run = opened(alliance, three)
    run.datasets[three[0].address] = published(alliance, three[0], **changes)
    assert refusal(run.joining(three[0]), by=three[0])[0] == "NotTrainable"


def test_only_the_current_version_of_ones_own_live_dataset_joins(alliance, three):
    run = opened(alliance, three)
    own = published(alliance, three[0])
    for call, who in [
        (run.call.join(run.id, own, 2, ZERO), three[0]),
        (run.call.join(run.id, own, 1, ZERO), three[1]),
    ]:
        assert refusal(call, by=who) == ("NotTrainable", own)
    alliance.send(alliance.datasets.functions.retire(own), by=three[0])
    assert refusal(run.call.join(run.id, own, 1, ZERO), by=three[0]) == ("NotTrainable", own)


def test_strangers_and_the_suspended_do_not_join(alliance, four, stranger):
    run = opened(alliance, four[:3])
    own = published(alliance, four[3])
    assert refusal(run.call.join(run.id, own, 1, ZERO), by=stranger) == ("NotMember", stranger.address)
    alliance.send(state_change(alliance, four[3], 2, four[:3]), by=four[0])
    assert refusal(run.call.join(run.id, own, 1, ZERO), by=four[3]) == ("NotMember", four[3].address)


def test_a_paused_alliance_opens_and_joins_nothing(alliance, three):
    run = opened(alliance, three)
    join = run.joining(three[0])
    until = alliance.now() + 100
    alliance.send(pausing(alliance, until, three[:2]), by=three[0])
    assert refusal(join, by=three[0]) == ("Paused", until)
    assert refusal(alliance.trainings.functions.open(ZERO, plan()), by=three[0]) == ("Paused", until)


def test_nobody_joins_twice(alliance, three):
    run = opened(alliance, three)
    run.join(three[0])
    assert refusal(run.joining(three[0]), by=three[0]) == ("AlreadyIn", three[0].address)
    assert run.call.seat(run.id, three[0].address).call() == 1
    assert run.call.seat(run.id, three[1].address).call() == 0


def test_a_full_roster_is_closed(alliance, summing, dave):
    assert refusal(summing.joining(dave), by=dave)[0] == "WrongPhase"


# --- the privacy budget ---


def test_joining_spends_the_budget_and_no_more_than_there_is(alliance, alice, bob, carol):
    own = published(alliance, alice, budget=2500)
    for asked, left in ((1000, 2500), (1000, 1500)):
        run = opened(alliance, [alice, bob, carol], epsilon=asked)
        run.datasets[alice.address] = own
        run.join(alice)
        assert alliance.trainings.functions.spent(own, 1).call() == 2500 - left + asked
    run = opened(alliance, [alice, bob, carol], epsilon=501)
    run.datasets[alice.address] = own
    assert refusal(run.joining(alice), by=alice) == ("BudgetSpent", 500, 501)


def test_a_plan_without_noise_spends_nothing(alliance, three):
    run = opened(alliance, three, epsilon=0)
    run.datasets[three[0].address] = published(alliance, three[0], budget=0)
    run.join(three[0])
    assert alliance.trainings.functions.spent(run.datasets[three[0].address], 1).call() == 0


def test_a_version_without_budget_joins_no_plan_that_spends(alliance, three):
    run = opened(alliance, three, epsilon=1)
    run.datasets[three[0].address] = published(alliance, three[0], budget=0)
    assert refusal(run.joining(three[0]), by=three[0]) == ("BudgetSpent", 0, 1)


# --- posts ---


def test_each_post_counts_once(alliance, three):
    run = opened(alliance, three)
    run.join_all()
    run.key(three[0])
    assert refusal(run.call.postKeys(run.id, 0, keys("again")), by=three[0])[0] == "AlreadyIn"
    run.key(three[1])
    run.key(three[2])
    run.contribute(three[0])
    assert refusal(run.contributing(three[0]), by=three[0]) == ("AlreadyIn", three[0].address)
    run.contribute(three[1])
    run.contribute(three[2])
    run.reveal(three[0])
    assert refusal(run.call.reveal(run.id, 0, ZERO, []), by=three[0])[0] == "AlreadyIn"


def test_keys_for_the_next_round_count_once_whichever_way(alliance, summing, three):
    summing.key(three[0], 1)
    assert refusal(summing.contributing(three[0]), by=three[0])[0] == "AlreadyIn"
    summing.contribute(three[0], next_keys=False)
    summing.contribute(three[1])
    assert refusal(summing.call.postKeys(summing.id, 1, keys("again")), by=three[1])[0] == "AlreadyIn"


def test_who_has_not_joined_posts_nothing(alliance, summing, dave):
    assert refusal(summing.contributing(dave), by=dave) == ("NotJoined", dave.address)
    assert refusal(summing.call.postKeys(summing.id, 1, keys("k")), by=dave) == ("NotJoined", dave.address)
    summing.contribute_all()
    assert refusal(summing.call.reveal(summing.id, 0, ZERO, []), by=dave) == ("NotJoined", dave.address)
    summing.reveal_all()
    assert refusal(summing.call.aggregate(summing.id, 0, vector("s"), False), by=dave) == ("NotJoined", dave.address)


def test_who_missed_the_keys_or_the_contribution_is_not_expected(alliance, four):
    run = opened(alliance, four)
    run.join_all()
    for who in four[:3]:
        run.key(who)
    run.lapse()
    assert refusal(run.contributing(four[3]), by=four[3]) == ("NotExpected", four[3].address)
    for who in four[:3]:
        run.contribute(who)
    assert refusal(run.call.reveal(run.id, 0, ZERO, []), by=four[3]) == ("NotExpected", four[3].address)


@pytest.mark.parametrize("round_", [1, 7])
def test_posts_for_another_round_are_refused(alliance, summing, three, round_):
    assert refusal(summing.contributing(three[0], round_), by=three[0]) == ("WrongRound", round_, 0)
    assert refusal(summing.call.postKeys(summing.id, 9, keys("k")), by=three[0]) == ("WrongRound", 9, 1)


def test_each_post_belongs_to_its_phase(alliance, summing, three):
    contributing = PHASES.index("Contributing")
    calls, id_ = summing.call, summing.id
    for call, needed in [
        (calls.reveal(id_, 0, ZERO, []), "Revealing"),
        (calls.accuse(id_, 0, 1), "Revealing"),
        (calls.recover(id_, 0, []), "Recovering"),
        (calls.aggregate(id_, 0, vector("s"), False), "Aggregating"),
        (calls.finalize(id_, ZERO), "Challenging"),
        (calls.attest(id_, ZERO), "Final"),
    ]:
        assert refusal(call, by=three[0]) == ("WrongPhase", contributing, PHASES.index(needed))
    fresh = opened(alliance, three)
    assert refusal(fresh.call.postKeys(fresh.id, 0, keys("k")), by=three[0]) == ("WrongPhase", 1, 2)
    overrule = fresh.call.overrule(fresh.id, ZERO, NO_SUM, vector("v"), False)
    assert refusal(overrule, by=three[0]) == ("WrongPhase", 1, PHASES.index("Challenging"))


X, PARITY, SEED, SHARES = keys("good")
OFF_CURVE = (5).to_bytes(32, "big")  # 5^3 + 7 = 132 is no square modulo the field's prime
BAD_KEYS = [
    (OFF_CURVE, 0, SEED, SHARES),
    (b"\xff" * 32, 0, SEED, SHARES),
    (ZERO, 0, SEED, SHARES),
    (X, 2, SEED, SHARES),
    (X, 255, SEED, SHARES),
    (X, PARITY, ZERO, SHARES),
    (X, PARITY, SEED, ZERO),
]


@pytest.mark.parametrize("bad", BAD_KEYS)
def test_keys_that_would_stop_a_round_are_refused(alliance, three, bad):
    run = opened(alliance, three)
    run.join_all()
    assert refusal(run.call.postKeys(run.id, 0, bad), by=three[0]) == ("BadKeys",)
    run.key_all()
    assert refusal(run.call.contribute(run.id, 0, vector("v"), bad), by=three[0]) == ("BadKeys",)


@pytest.mark.parametrize("bad", [(ZERO, SEED, 1), (SEED, ZERO, 1), (SEED, SEED, 0)])
def test_an_empty_vector_is_refused(alliance, summing, three, bad):
    assert refusal(summing.call.contribute(summing.id, 0, bad, NO_KEYS), by=three[0]) == ("BadVector",)
    summing.contribute_all()
    summing.reveal_all()
    assert refusal(summing.call.aggregate(summing.id, 0, bad, False), by=three[0]) == ("BadVector",)
