"""Rounds too large for all pairs: who is whose neighbour, how many it takes, and that the sum is still exact."""

import itertools
import math
import os
import random
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from federation.errors import Refused, Untrusted
from federation.securesum import Graph, Reveal, Roster, Round, degree_for, draw
from federation.securesum.graph import at_least
from federation.simulate import Absent, addresses, context_of, recompute
from federation.simulate_graph import Corrupt, run_graph_round
from federation.vectors import ring

BEACON = bytes(range(32))


def graph(n=30, degree=10, threshold=6, beacon=BEACON):
    return Graph(addresses(n), degree, threshold, beacon)


def test_neighbours_are_mutual_and_of_equal_number():
    one = graph()
    for member in one.members:
        assert len(one.neighbours(member)) == 10
        assert member not in one.neighbours(member)
        assert all(member in one.neighbours(other) for other in one.neighbours(member))


def test_the_members_decide_nothing_but_the_beacon_does():
    assert graph().neighbours(addresses(30)[0]) == graph().neighbours(addresses(30)[0])
    others = [graph(beacon=bytes([i]) * 32).neighbours(addresses(30)[0]) for i in range(20)]
    assert len(set(others)) == 20
    assert len(set(itertools.chain(*others))) == 29  # everybody is a neighbour under some beacon


def test_a_secret_is_shared_in_the_closed_neighbourhood():
    one, member = graph(), addresses(30)[3]
    assert one.roster_of(member) == Roster(tuple(sorted((member, *one.neighbours(member)))), 6)


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"members": addresses(30)[::-1]}, "roster"),
        ({"beacon": b"short"}, "beacon"),
        ({"degree": 9}, "degree"),
        ({"degree": 30}, "degree"),
        ({"members": addresses(400), "degree": 256, "threshold": 140}, "degree"),  # a bundle counts 255 holders
        ({"threshold": 5}, "threshold"),
        ({"threshold": 11}, "threshold"),
    ],
)
def test_a_graph_that_protects_nobody_is_refused(change, clause):
    with pytest.raises(Refused) as caught:
        replace(graph(), **change)
    assert caught.value.clause == clause


def test_strangers_have_no_neighbours():
    with pytest.raises(Refused, match="not in the graph"):
        graph().neighbours(addresses(31)[30])


def test_the_tail_is_that_of_counting_all_samples():
    """C(8, 3) samples, counted one by one."""
    samples = list(itertools.combinations(range(8), 3))
    for least in range(5):
        hits = sum(sum(one < 4 for one in sample) >= least for sample in samples)
        assert at_least(least, marked=4, others=8, degree=3) == Fraction(hits, len(samples))


@pytest.mark.parametrize("n", [65, 128, 512, 1000, 5000])
def test_the_degree_is_enough_and_one_less_is_not(n):
    """All three conditions together fail with at most 2^-40; with two neighbours fewer, no threshold reaches that."""
    corrupt, dropping = n // 20, n // 10
    degree, threshold = degree_for(n, corrupt=corrupt, dropping=dropping)
    assert degree % 2 == 0
    assert degree + 1 < 2 * threshold <= 2 * degree
    assert chance(n, degree, threshold, corrupt, dropping) <= 2.0**-40
    smaller = [chance(n, degree - 2, t, corrupt, dropping) for t in range((degree - 1) // 2 + 1, degree - 1)]
    assert min(smaller) > 2.0**-40


def chance(n, degree, threshold, corrupt, dropping):
    """The union bound, in floats and by another formula (log-gamma)."""

    def ways(marked, i, others=n - 1):
        if not 0 <= i <= marked or degree - i > others - marked:
            return 0.0
        terms = ((marked, i), (others - marked, degree - i))
        logs = [math.lgamma(a + 1) - math.lgamma(b + 1) - math.lgamma(a - b + 1) for a, b in terms]
        all_ = math.lgamma(others + 1) - math.lgamma(degree + 1) - math.lgamma(others - degree + 1)
        return math.exp(sum(logs) - all_)

    gone = corrupt + dropping
    opened = sum(ways(corrupt, i) for i in range(threshold, degree + 1))
    stuck = sum(ways(gone, i) for i in range(degree - threshold + 1, degree + 1))
    apart = math.prod(max(gone - i, 0) / (n - i) for i in range(degree // 2))
    return n * (opened + stuck + apart)


def test_the_degree_grows_slower_than_the_members():
    degrees = [degree_for(n, corrupt=n // 20, dropping=n // 10)[0] for n in (100, 1000, 10_000)]
    assert degrees == sorted(degrees)
    assert degrees[2] < 1.3 * degrees[1]


@pytest.mark.parametrize(
    ("members", "corrupt", "dropping", "failure"),
    [(20, 10, 10, 2**-40), (100, 50, 10, 2**-40), (40, 15, 10, 2**-40), (100, -1, 5, 2**-40), (100, 5, 5, 0.0)],
)
def test_where_no_degree_is_enough_it_says_so(members, corrupt, dropping, failure):
    with pytest.raises(Refused) as caught:
        degree_for(members, corrupt=corrupt, dropping=dropping, failure=failure)
    assert caught.value.clause == "degree"


def test_events_at_a_larger_chance_come_as_often_as_computed():
    """With failure = 1/20, sampled graphs break a condition in at most that share (and a margin for luck)."""
    n, corrupt, dropping = 60, 3, 6
    degree, threshold = degree_for(n, corrupt=corrupt, dropping=dropping, failure=0.05)
    marked = addresses(n)[: corrupt + dropping]
    broken = sum(
        breaks(Graph(addresses(n), degree, threshold, i.to_bytes(32, "big")), marked, corrupt) for i in range(300)
    )
    assert broken <= 300 * 0.05 + 12
    assert degree < degree_for(n, corrupt=corrupt, dropping=dropping)[0]


def breaks(one, gone, corrupt):
    near = [set(one.neighbours(member)) for member in one.members]
    opened = any(len(some.intersection(gone[:corrupt])) >= one.threshold for some in near)
    stuck = any(len(some.difference(gone)) < one.threshold for some in near)
    return opened or stuck


def chosen(n, corrupt, dropping, seed=1):
    """Who is corrupt and who drops out, at each stage some."""
    picked = random.Random(seed).sample(addresses(n), corrupt + dropping)
    bad, gone = picked[:corrupt], picked[corrupt:]
    absent = Absent(*(frozenset(gone[i::3]) for i in range(3)))
    return absent, Corrupt(vanish=frozenset(bad[::2]), falsify=frozenset(bad[1::2]))


def exact_round(n, rand, lanes=20):
    corrupt, dropping = n // 20, n // 10
    one = Graph(addresses(n), *degree_for(n, corrupt=corrupt, dropping=dropping), BEACON)
    given = {m: np.frombuffer(rand(lanes * 4), dtype=ring(32)) for m in one.members}
    absent, bad = chosen(n, corrupt, dropping)
    outcome, costs = run_graph_round(
        given, one, context=context_of(1), rand=rand, clock=time.perf_counter, absent=absent, corrupt=bad
    )
    counted = set(one.members) - absent.keys - absent.contribution - bad.vanish
    assert set(outcome.round.survivors) == counted
    assert (outcome.total == np.add.reduce([given[m] for m in counted], dtype=ring(32))).all()
    return one, outcome, costs


@pytest.fixture(scope="module")
def large():
    return exact_round(120, os.urandom)


def test_with_corrupt_and_dropping_members_the_sum_is_exact(large):
    one, outcome, costs = large
    assert set(costs) == set(outcome.round.survivors)
    assert all(cost.sealed == one.degree and one.threshold < cost.masks <= one.degree + 1 for cost in costs.values())
    assert all(cost.seconds > 0 and cost.up > 80 and cost.down > cost.up for cost in costs.values())


def test_an_auditor_finds_the_same_sum_from_public_bytes(large):
    _, outcome, _ = large
    again = recompute(outcome.round, outcome.contributions, outcome.reveals, outcome.bundles, width=32)
    assert (again == outcome.total).all()


def test_a_false_seed_that_a_ledger_let_through_names_its_owner(large):
    _, outcome, _ = large
    liar = outcome.reveals[0].member
    reveals = [Reveal(liar, bytes(31) + b"1"), *outcome.reveals[1:]]
    with pytest.raises(Untrusted) as caught:
        recompute(outcome.round, outcome.contributions, reveals, outcome.bundles, width=32)
    assert (caught.value.clause, caught.value.culprit) == ("seed", liar)


def test_nobody_ever_gives_both_secrets_of_a_member(large):
    _, outcome, _ = large
    for state in outcome.states.values():
        assert not set(state.opened_scalars) & set(state.opened_seeds)


def test_a_survivor_without_enough_neighbours_voids_the_round(large):
    one, outcome, _ = large
    lonely = outcome.round.survivors[0]
    near = [other for other in one.neighbours(lonely) if other in outcome.round.survivors]
    left = set(outcome.round.survivors) - set(near[one.threshold - 2 :])
    with pytest.raises(Refused) as caught:
        Round(context_of(1), one, outcome.round.keys, tuple(sorted(left)))
    assert caught.value.clause == "survivors"


def test_survivors_that_fall_apart_void_the_round():
    """Two arcs of the ring, each with enough neighbours of its own: their sums would show apart."""
    one = graph(n=60, degree=4, threshold=3)
    gone = {*one._ring[:2], *one._ring[30:32]}
    with pytest.raises(Refused, match="fall apart"):
        one.refuse_fewer(set(one.members) - gone)
    one.refuse_fewer(set(one.members) - set(one._ring[:2]))  # one gap is no cut


@pytest.mark.long
def test_a_thousand_members(rand):
    one, _, costs = exact_round(1000, rand)
    assert one.degree < 100
    assert max(cost.masks for cost in costs.values()) <= one.degree + 1


def test_up_to_64_members_everybody_is_everybodys_neighbour(rand):
    """The complete graph is the roster itself: a member sees the whole round."""
    roster = Roster.of(addresses(5))
    keys = {one: draw(context_of(1), one, rand)[1] for one in roster.members[:4]}
    whole = Round(context_of(1), roster, keys, roster.members[:4])
    for member in roster.members[:4]:
        assert whole.seen_by(member) == whole
        assert whole.roster_of(member) is roster
        assert set(whole.neighbours(member)) == keys.keys() - {member}
    with pytest.raises(Refused, match="not in the roster"):
        whole.seen_by(addresses(6)[5])


def test_a_member_sees_its_neighbours_alone(large):
    one, outcome, _ = large
    member = outcome.round.survivors[0]
    seen, near = outcome.round.seen_by(member), {member, *one.neighbours(member)}
    assert seen.keys.keys() == near & outcome.round.keys.keys()
    assert set(seen.survivors) == near & set(outcome.round.survivors)
    assert seen.roster == one.roster_of(member)
