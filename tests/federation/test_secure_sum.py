"""Whole rounds in memory: the sum is exact, whoever drops out, and nothing else is learnt."""

import hashlib
import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from federation.errors import Refused, Untrusted
from federation.securesum import Bundle, Keys, Mask, add_keystreams, pair_key, recover
from federation.securesum.keys import sign
from federation.securesum.member import Reveal, Share
from federation.simulate import Absent, addresses, context_of, recompute, run_round
from federation.vectors import from_bytes, ring


def plain_sum(vectors, members):
    total = np.zeros_like(next(iter(vectors.values())))
    for member in members:
        total += vectors[member]
    return total


def flip(raw):
    return raw[:-1] + bytes([raw[-1] ^ 1])


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("n", [3, 4, 8])
def test_when_all_stay_the_sum_is_exact(n, width, vectors, rand):
    given = vectors(n, 1000, width)
    outcome = run_round(given, context=context_of(1), rand=rand)
    assert (outcome.total == plain_sum(given, given)).all()
    assert outcome.total.dtype == ring(width)


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("stage", ["keys", "contribution", "reveal"])
@pytest.mark.parametrize(("n", "gone"), [(4, 1), (8, 1), (8, 2), (16, 4)])
def test_who_drops_out_at_one_stage_does_not_spoil_the_sum(n, gone, stage, width, vectors, rand):
    given, out = vectors(n, 70, width), frozenset(addresses(n)[:gone])
    outcome = run_round(given, context=context_of(1), rand=rand, absent=Absent(**{stage: out}))
    counted = set(given) if stage == "reveal" else set(given) - out
    assert (outcome.total == plain_sum(given, counted)).all()
    assert set(outcome.round.survivors) == counted


def test_members_may_drop_at_every_stage_of_one_round(vectors, rand):
    given = vectors(16, 70, 64)
    a, b, c, d, *rest = addresses(16)
    absent = Absent(keys=frozenset({a}), contribution=frozenset({b, c}), reveal=frozenset({d}))
    outcome = run_round(given, context=context_of(1), rand=rand, absent=absent)
    assert (outcome.total == plain_sum(given, [d, *rest])).all()


@pytest.mark.parametrize("stage", ["keys", "contribution"])
@pytest.mark.parametrize(("n", "gone"), [(3, 1), (4, 2), (8, 3)])
def test_with_too_few_left_the_round_is_void(n, gone, stage, vectors, rand):
    absent = Absent(**{stage: frozenset(addresses(n)[:gone])})
    with pytest.raises(Refused) as caught:
        run_round(vectors(n, 8, 64), context=context_of(1), rand=rand, absent=absent)
    assert caught.value.clause == "survivors"


def test_with_too_few_to_rebuild_a_silent_members_seed_the_round_is_void(vectors, rand):
    absent = Absent(reveal=frozenset(addresses(4)[:2]))
    with pytest.raises(Refused) as caught:
        run_round(vectors(4, 8, 64), context=context_of(1), rand=rand, absent=absent)
    assert caught.value.clause == "shares"


@pytest.fixture
def one_dropped(vectors, rand):
    given = vectors(4, 50, 64)
    return given, run_round(given, context=context_of(1), rand=rand,
                            absent=Absent(contribution=frozenset(addresses(4)[:1])))  # fmt: skip


def again(outcome, *, contributions=None, reveals=None, bundles=None):
    """The sum as an auditor finds it, with something changed."""
    return recompute(outcome.round, contributions or outcome.contributions, reveals or outcome.reveals,
                     bundles or outcome.bundles, width=64)  # fmt: skip


def test_an_auditor_finds_the_same_sum(one_dropped):
    given, outcome = one_dropped
    assert (again(outcome) == plain_sum(given, addresses(4)[1:])).all()


def test_a_false_seed_names_its_owner(one_dropped):
    _, outcome = one_dropped
    first, *others = outcome.reveals
    with pytest.raises(Untrusted) as caught:
        again(outcome, reveals=[Reveal(first.member, flip(first.seed), first.scalar_shares), *others])
    assert (caught.value.clause, caught.value.culprit) == ("seed", first.member)


def test_a_committed_seed_of_another_length_names_its_owner(one_dropped):
    """Its digest is right, yet it is no key: refused before a cipher sees it."""
    _, outcome = one_dropped
    first, *others = outcome.reveals
    keys = {**outcome.round.keys}
    keys[first.member] = Keys(keys[first.member].point, hashlib.sha256(b"short").digest())
    changed = replace(outcome, round=replace(outcome.round, keys=keys))
    with pytest.raises(Untrusted) as caught:
        again(changed, reveals=[Reveal(first.member, b"short", first.scalar_shares), *others])
    assert (caught.value.clause, caught.value.culprit) == ("seed", first.member)


def test_a_false_share_names_its_holder_where_too_few_are_left(one_dropped):
    _, outcome = one_dropped
    first, *others = outcome.reveals
    false = tuple(Share(one.dealer, flip(one.share)) for one in first.scalar_shares)
    with pytest.raises(Refused, match=first.member.hex()) as caught:
        again(outcome, reveals=[Reveal(first.member, first.seed, false), *others])
    assert caught.value.clause == "shares"


def test_a_false_share_is_set_aside_where_enough_are_left(vectors, rand):
    given = vectors(8, 50, 64)
    outcome = run_round(
        given, context=context_of(1), rand=rand, absent=Absent(contribution=frozenset(addresses(8)[:1]))
    )
    first, *others = outcome.reveals
    false = tuple(Share(one.dealer, flip(one.share)) for one in first.scalar_shares)
    total = again(outcome, reveals=[Reveal(first.member, first.seed, false), *others])
    assert (total == plain_sum(given, addresses(8)[1:])).all()
    gone = outcome.round.dropped[0]
    bundle = Bundle.parse(outcome.bundles[gone], context_of(1), dealer=gone, roster=outcome.round.roster)
    answers = [Reveal(first.member, first.seed, false), *others]
    assert recover(outcome.round, answers, {gone: bundle}).false == (first.member,)
    assert recover(outcome.round, outcome.reveals, {gone: bundle}).false == ()


def test_a_share_given_twice_counts_once(one_dropped):
    """Two holders short, one answer repeated does not make up for the other."""
    _, outcome = one_dropped
    first, second, third = outcome.reveals
    with pytest.raises(Refused):
        again(outcome, reveals=[first, first, second, Reveal(third.member, third.seed)])


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("cut", [1, 8, 400])
def test_a_contribution_of_another_length_names_its_maker(which, cut, one_dropped):
    """The lowest address too: what it sent is no yardstick for the others."""
    _, outcome = one_dropped
    culprit = outcome.round.survivors[which]
    short = {**outcome.contributions, culprit: outcome.contributions[culprit][:-cut]}
    with pytest.raises(Untrusted) as caught:
        again(outcome, contributions=short)
    assert (caught.value.clause, caught.value.culprit) == ("length", culprit)


def test_a_withheld_bundle_of_a_dropped_member_is_asked_for_by_name(one_dropped):
    _, outcome = one_dropped
    with pytest.raises(Refused, match=outcome.round.dropped[0].hex()) as caught:
        again(outcome, bundles={m: raw for m, raw in outcome.bundles.items() if m not in outcome.round.dropped})
    assert caught.value.clause == "bundle"


def test_an_altered_contribution_alters_the_sum(one_dropped):
    """The library adds what it is given; that a blob has the posted root is the ledger's check."""
    _, outcome = one_dropped
    member = outcome.round.survivors[0]
    altered = {**outcome.contributions, member: flip(outcome.contributions[member])}
    assert (again(outcome, contributions=altered) != outcome.total).any()


def test_a_dealer_whose_shares_do_not_fit_together_is_named(vectors, rand):
    """Every share matches its digest, yet they are no sharing of the scalar behind the point."""
    given, dealer = vectors(8, 8, 64), addresses(8)[0]
    honest = run_round(given, context=context_of(1), rand=rand, absent=Absent(contribution=frozenset({dealer})))
    other = run_round(given, context=context_of(1), rand=rand, absent=Absent(contribution=frozenset({dealer})))
    shares = {reveal.member: reveal.scalar_shares for reveal in other.reveals}
    reveals = [Reveal(one.member, one.seed, shares[one.member]) for one in honest.reveals]
    with pytest.raises(Untrusted) as caught:
        again(honest, reveals=reveals, bundles={**honest.bundles, dealer: other.bundles[dealer]})
    assert (caught.value.clause, caught.value.culprit) == ("scalar", dealer)


def test_a_coalition_below_the_threshold_cannot_take_a_mask_off(vectors, rand):
    """n = 4, everybody's public bytes and the whole states of two: the two others' vectors stay hidden."""
    given = vectors(4, 64, 64)
    outcome = run_round(given, context=context_of(1), rand=rand)
    victim, other, *spies = addresses(4)
    known = [Mask(reveal.seed, -1) for reveal in outcome.reveals if reveal.member == victim]
    keys = outcome.round.keys
    for spy in spies:
        state = outcome.states[spy]
        key = pair_key(state.context, mine=spy, scalar=state.scalar, other=victim, point=keys[victim].point)
        known.append(Mask(key, -sign(victim, spy)))
    left = from_bytes(64, outcome.contributions[victim]).copy()
    add_keystreams(left, known)
    assert (left != given[victim]).all()
    state = outcome.states[other]
    last = pair_key(state.context, mine=other, scalar=state.scalar, other=victim, point=keys[victim].point)
    add_keystreams(left, [Mask(last, -sign(victim, other))])
    assert (left == given[victim]).all()  # exactly one key short: the one that only the two honest members know


def test_a_late_contribution_of_a_dropped_member_stays_masked(vectors, rand):
    """Its pair masks come off with its scalar, its own mask does not: nobody has given a share of its seed."""
    given, late = vectors(8, 64, 64), addresses(8)[0]
    everybody = run_round(given, context=context_of(1), rand=rand)
    state, blob = everybody.states[late], from_bytes(64, everybody.contributions[late]).copy()
    pairs = [(other, pair_key(state.context, mine=late, scalar=state.scalar, other=other, point=key.point))
             for other, key in everybody.round.keys.items() if other != late]  # fmt: skip
    add_keystreams(blob, [Mask(key, -sign(late, other)) for other, key in pairs])
    assert (blob != given[late]).all()
    add_keystreams(blob, [Mask(state.seed, -1)])
    assert (blob == given[late]).all()


@pytest.mark.parametrize("width", [32, 64])
def test_a_masked_vector_of_zeros_looks_like_noise(width, rand):
    """Chi-square over bytes, 255 degrees of freedom: 99.9 % of uniform samples are under 330.5 and over 190."""
    zeros = {member: np.zeros(100_000 * 8 // width, dtype=ring(width)) for member in addresses(4)}
    outcome = run_round(zeros, context=context_of(1), rand=rand)
    for raw in outcome.contributions.values():
        counts = np.bincount(np.frombuffer(raw, dtype=np.uint8), minlength=256)
        expected = len(raw) / 256
        assert 180 < ((counts - expected) ** 2 / expected).sum() < 345
    for one, two in itertools.combinations(outcome.contributions.values(), 2):
        same = (np.frombuffer(one, dtype=np.uint8) == np.frombuffer(two, dtype=np.uint8)).mean()
        assert abs(same - 1 / 256) < 0.001


def test_rounds_share_no_mask(vectors, rand):
    given = vectors(4, 64, 64)
    blobs = [run_round(given, context=context_of(number), rand=rand).contributions for number in (1, 2)]
    first, second = ({m: from_bytes(64, raw) for m, raw in blob.items()} for blob in blobs)
    assert all((first[member] != second[member]).all() for member in given)


def test_a_pair_key_is_bound_to_its_place(rand, vectors):
    outcome = run_round(vectors(3, 8, 64), context=context_of(1), rand=rand)
    one, two, three = (outcome.states[member] for member in addresses(3))
    points = {member: key.point for member, key in outcome.round.keys.items()}

    def key(mine, other, context=context_of(1)):
        return pair_key(context, mine=mine.me, scalar=mine.scalar, other=other.me, point=points[other.me])

    assert key(one, two) == key(two, one)
    assert len({key(one, two), key(one, three), key(two, three), key(one, two, context_of(2))}) == 4


def test_a_small_round_costs_a_blink(vectors, rand):
    """4 members, the lanes of a logistic regression with 21 columns: all members' work under 0.1 s."""
    given = vectors(4, 277, 64)
    run_round(given, context=context_of(0), rand=rand)
    start = time.perf_counter()
    run_round(given, context=context_of(1), rand=rand)
    assert time.perf_counter() - start < 0.1
