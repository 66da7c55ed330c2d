"""Every coalition of a small round, with all it saw: below the threshold it learns one sum, at the threshold all."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from federation.securesum import Bundle, Mask, Roster, Share, add_keystreams, contribute
from federation.simulate import Absent, addresses, context_of, run_round
from federation.vectors import from_bytes
from tests.federation.knowledge import Known, Seen, closure

ROUNDS = [  # members, threshold, how many drop out, how many fall silent
    (3, 3, 0, 0), (4, 3, 0, 0), (4, 3, 1, 0), (4, 3, 0, 1), (5, 4, 1, 0), (5, 3, 1, 1), (6, 5, 1, 0), (6, 4, 1, 1),
]  # fmt: skip


def subsets(members):
    return [frozenset(some) for size in range(len(members) + 1) for some in itertools.combinations(members, size)]


def played(n, threshold, dropped, silent, rand, vectors):
    """A round and all that was seen of it: the dropped members' vectors too, which came a moment too late."""
    given, members = vectors(n, 24, 64), addresses(n)
    absent = Absent(contribution=frozenset(members[:dropped]), reveal=frozenset(members[n - silent :]))
    roster = Roster.of(members, threshold=threshold)
    outcome = run_round(given, context=context_of(1), rand=rand, absent=absent, roster=roster)
    keys = outcome.round.keys
    bundles = {m: Bundle.parse(raw, context_of(1), dealer=m, roster=roster) for m, raw in outcome.bundles.items()}
    seen = Seen(roster, outcome.states, keys, bundles, reveals=list(outcome.reveals))
    for member in members:
        late = contribute(outcome.states[member], keys, given[member].copy())[1]
        seen.vectors[member], seen.among[member] = late, keys
    for member, raw in outcome.contributions.items():
        assert (seen.vectors[member] == from_bytes(64, raw)).all()
    return given, outcome, seen


def plain(given, members):
    return np.add.reduce([given[member] for member in members], dtype="<u8")


@pytest.mark.parametrize("shape", ROUNDS, ids=lambda shape: "n={} threshold={} dropped={} silent={}".format(*shape))
def test_below_the_threshold_a_coalition_learns_the_sum_of_the_honest_survivors_and_nothing_else(shape, rand, vectors):
    given, outcome, seen = played(*shape, rand, vectors)
    survivors = set(outcome.round.survivors)
    for spies in subsets(seen.roster.members):
        if len(spies) >= seen.roster.threshold:
            continue
        known = closure(seen, spies)
        honest = [member for member in seen.roster.members if member not in spies]
        the_sum = frozenset(survivors - spies)
        opened = {some for some in subsets(honest) if some and known.opened(some) is not None}
        assert opened == {the_sum}, "the threshold leaves at least one honest survivor"
        require_true_of_the_bytes(known, given, honest)
        assert known.parts() == len(spies) + 1, "each spy's own vector, and one sum"


def require_true_of_the_bytes(known: Known, given, honest) -> None:
    """What the cut calls open gives the vectors' sum, what it calls hidden does not: the graph fits the bytes."""
    for some in subsets(honest):
        if some:
            same = (known.stripped(some) == plain(given, some)).all()
            assert same == (known.opened(some) is not None)


@pytest.mark.parametrize("shape", ROUNDS, ids=lambda shape: "n={} threshold={} dropped={} silent={}".format(*shape))
def test_at_the_threshold_a_coalition_opens_everybody(shape, rand, vectors):
    """The same closure does open things: the test above can fail."""
    given, _, seen = played(*shape, rand, vectors)
    for spies in itertools.combinations(seen.roster.members, seen.roster.threshold):
        known = closure(seen, spies)
        for member in seen.roster.members:
            assert (known.opened([member]) == given[member]).all()
        assert known.parts() == len(seen.roster.members)


def test_one_share_more_opens_a_dropped_member_too(rand, vectors):
    """Exactly one short: the share that an honest holder did not give opens the seed of who dropped out."""
    given, _, seen = played(5, 4, 1, 0, rand, vectors)
    dropped, *spies = addresses(5)[:4]
    assert closure(seen, spies).opened([dropped]) is None
    helper = seen.states[addresses(5)[4]]
    share = next(one.seed_share for one in helper.held if one.dealer == dropped)
    answer = next(answer for answer in seen.reveals if answer.member == helper.me)
    seen.reveals.append(replace(answer, seed_shares=(Share(dropped, share),)))
    assert (closure(seen, spies).opened([dropped]) == given[dropped]).all()


@pytest.mark.parametrize(("n", "dropped", "silent"), [(8, 1, 0), (8, 1, 1), (16, 3, 1)])
def test_coalitions_of_a_larger_round_learn_the_one_sum(n, dropped, silent, rand, vectors):
    """Random coalitions of threshold - 1; of the open sums there is one, beside their own vectors."""
    given, outcome, seen = played(n, n * 2 // 3 + 1, dropped, silent, rand, vectors)
    dice = random.Random(n * 100 + dropped * 10 + silent)
    for _ in range(6):
        spies = frozenset(dice.sample(seen.roster.members, seen.roster.threshold - 1))
        known, the_sum = closure(seen, spies), frozenset(outcome.round.survivors) - spies
        assert known.parts() == len(spies) + 1
        assert (known.opened(the_sum) == plain(given, the_sum)).all()
        for member in set(seen.roster.members) - spies:
            assert the_sum == {member} or known.opened([member]) is None


def test_with_one_honest_survivor_the_sum_is_its_vector(rand, vectors):
    """No protocol helps here: whoever fears two of four sets the floor to four."""
    given, _, seen = played(4, 3, 1, 0, rand, vectors)
    _, alone, *spies = addresses(4)
    assert (closure(seen, spies).opened([alone]) == given[alone]).all()


@pytest.mark.long
@pytest.mark.parametrize(("n", "threshold"), [(n, t) for n in (3, 4, 5, 6) for t in range(n // 2 + 1, n + 1)])
def test_every_pattern_of_who_leaves(n, threshold, rand, vectors):
    for dropped, silent in itertools.product(range(n), range(n)):
        if n - dropped - silent >= max(threshold, 3):
            shape = (n, threshold, dropped, silent)
            test_below_the_threshold_a_coalition_learns_the_sum_of_the_honest_survivors_and_nothing_else(
                shape, rand, vectors
            )
            test_at_the_threshold_a_coalition_opens_everybody(shape, rand, vectors)


@pytest.mark.parametrize("width", [32, 64])
def test_what_a_coalition_is_left_with_looks_like_noise(width, rand):
    """Chi-square over bytes, 255 degrees of freedom, of a vector of zeros: masked, and with all that three of five know
    taken off. 99.9 % of uniform samples lie between 190 and 330.5."""
    zeros = {member: np.zeros(100_000 * 8 // width, dtype=f"<u{width // 8}") for member in addresses(5)}
    outcome = run_round(zeros, context=context_of(1), rand=rand)
    seen = Seen(outcome.round.roster, outcome.states, outcome.round.keys, reveals=list(outcome.reveals))
    seen.vectors = {m: from_bytes(width, raw) for m, raw in outcome.contributions.items()}
    seen.among = dict.fromkeys(seen.vectors, outcome.round.keys)
    known = closure(seen, addresses(5)[2:])
    for lanes in (*seen.vectors.values(), *(known.stripped([member]) for member in addresses(5)[:2])):
        assert 180 < chi_square(lanes) < 345
    assert not known.stripped(addresses(5)[:2]).any()
    add_keystreams(lanes := np.zeros(1000, dtype="<u8"), [Mask(bytes(32), 1)])
    lanes[::3] = 0
    assert chi_square(lanes) > 345, "the measure does see what is no noise"


def chi_square(lanes) -> float:
    counts = np.bincount(lanes.view(np.uint8), minlength=256)
    return float(((counts - counts.mean()) ** 2 / counts.mean()).sum())
