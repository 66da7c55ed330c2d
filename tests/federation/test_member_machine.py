"""No sequence of requests, restarts, crashes and reorgs makes a member give what takes a mask off.

The machine plays the world against one member, Alice. It keeps what is on her disk and all that left her machine. Steps
give (state, message); the state is saved before the message leaves, so it may crash
  - before the save: nothing left, the disk holds the earlier state, and that is what she wakes up with;
  - between the two: the disk holds the new state, nothing left;
  - after both.
The world may show other key lists and other survivors at any time, ask for anybody's seed, serve other bundles, and
show a round again that she has answered.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from federation import records
from federation.errors import FederationError
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

ALICE, *OTHERS = FIVE = addresses(5)
ROSTER = Roster.of(FIVE, threshold=3)
SETS = [some for size in (3, 4, 5) for some in itertools.combinations(FIVE, size)]
KEYED = st.sampled_from([FIVE] * 3 * len(SETS) + SETS)  # mostly the true list, or hardly a question would be answered
DEALERS = st.sampled_from([tuple(OTHERS)] * 4 + [(member,) for member in OTHERS])
WORLDS = st.sampled_from("AAAB")
CRASHES = st.sampled_from(["none", "none", "none", "before the save", "before the message"])


def stream(label: str):
    """Bytes that depend on the label and the count alone."""
    count = itertools.count()
    return lambda n: hashlib.shake_256(f"{label} {next(count)}".encode()).digest(n)


@functools.cache
def dealt(label: str):
    """Keys and bundles of the four others, in one of two worlds: what a reorg may exchange."""
    rand, keys, bundles = stream(label), {}, {}
    for member in OTHERS:
        state, keys[member] = draw(context_of(1), member, rand)
        bundles[member] = deal(state, ROSTER, public_keys(), rand)[1].encode()
    return keys, bundles


@functools.cache
def share_keys():
    return {member: ShareKey.draw(stream(f"share key {member.hex()}")) for member in FIVE}


@functools.cache
def public_keys():
    return {member: key.public for member, key in share_keys().items()}


@functools.cache
def alice(life: int) -> tuple[Keys, bytes]:
    """Alice's keys in one of her lives, and her state once she has dealt."""
    rand = stream(f"alice {life}")
    state, keys = draw(context_of(1), ALICE, rand)
    return keys, records.dump(deal(state, ROSTER, public_keys(), rand)[0])


class Member(RuleBasedStateMachine):
    """Alice in a hostile world. What left her machine is added up in `scalars`, `seeds`, `vectors` and `answered`."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = 0
        self.vectors: dict[bytes, set[bytes]] = {}  # by the seed that masks them
        self.scalars: dict[bytes, set] = {}
        self.seeds: dict[bytes, set] = {}
        self.answered: dict[bytes, set] = {}
        self.shares: dict[tuple, set[bytes]] = {}
        self.again: dict[bytes, Callable] = {}
        self.fresh_keys()

    @precondition(lambda self: self.drawn < 3)
    @rule()
    def fresh_keys(self) -> None:
        """What a member does that lost its state, or that never saved one: new secrets, never the old ones again."""
        self.drawn += 1
        self.keys, self.disk = alice(self.drawn)
        self.me = self.keys.seed_digest
        self.vectors[self.me], self.scalars[self.me] = set(), set()
        self.seeds[self.me], self.answered[self.me] = set(), set()

    def take(self, step, crash: str, sent) -> None:
        """One step of the woken-up member; `sent` is called with what leaves, if it comes to that."""
        state = records.load(MemberState, self.disk)
        try:
            after, message = step(state)
        except FederationError:
            return
        if crash == "before the save":
            return
        self.disk = records.dump(after)
        if crash != "before the message":
            sent(message)

    def shown(self, world: str, who) -> dict[bytes, Keys]:
        keys = {**dealt(world)[0], ALICE: self.keys}
        return {member: keys[member] for member in who}

    @rule(dealers=DEALERS, world=WORLDS, crash=CRASHES)
    def bundles_come(self, dealers, world, crash) -> None:
        for dealer in dealers:
            raw = dealt(world)[1][dealer]
            self.take(lambda s, d=dealer, r=raw: (accept(s, d, r, share_keys()[ALICE]), None), crash, lambda _: None)

    @rule(value=st.integers(1, 2), world=WORLDS, who=KEYED, crash=CRASHES)
    def contribution_due(self, value, world, who, crash) -> None:
        lanes, keys = np.full(8, value, dtype="<u8"), self.shown(world, who)
        self.take(lambda s: contribute(s, keys, lanes), crash, lambda y: self.vectors[self.me].add(y.tobytes()))

    @rule(world=WORLDS, who=KEYED, survivors=st.sampled_from(SETS), crash=CRASHES)
    def survivors_final(self, world, who, survivors, crash) -> None:
        def ask(state):
            round = Round(context_of(1), ROSTER, self.shown(world, who), survivors)
            return reveal(state, round)

        def left(answer) -> None:
            self.answered[self.me].add(survivors)
            self.again[self.me] = ask
            self.note(answer)

        self.take(ask, crash, left)

    @precondition(lambda self: self.me in self.again)
    @rule(dealers=DEALERS, world=st.sampled_from("AB"), crash=CRASHES)
    def the_round_is_seen_again(self, dealers, world, crash) -> None:
        """After a reorg: other bundles first, maybe, then the same question."""
        self.bundles_come(dealers, world, "none")
        self.take(self.again[self.me], crash, self.note)

    @rule(silent=st.sets(st.sampled_from(FIVE), min_size=1, max_size=3), crash=CRASHES)
    def seeds_missing(self, silent, crash) -> None:
        self.take(lambda s: reveal_silent(s, silent), crash, self.note)

    @precondition(lambda self: self.answered[self.me])
    @rule(crash=CRASHES)
    def round_over(self, crash) -> None:
        self.take(lambda s: (close(s), None), crash, lambda _: None)

    def note(self, answer) -> None:
        if answer.seed:
            self.seeds[self.me].add(ALICE)
        for kind, given, out in (("s", answer.scalar_shares, self.scalars), ("b", answer.seed_shares, self.seeds)):
            out[self.me] |= {one.dealer for one in given}
            for one in given:
                self.shares.setdefault((self.me, kind, one.dealer), set()).add(one.share)

    @invariant()
    def never_both_secrets_of_one_member(self) -> None:
        assert all(not self.scalars[me] & self.seeds[me] for me in self.vectors)

    @invariant()
    def one_vector_under_one_mask(self) -> None:
        assert all(len(some) <= 1 for some in self.vectors.values())

    @invariant()
    def one_answer_a_round(self) -> None:
        assert all(len(some) <= 1 for some in self.answered.values())
        assert all(len(some) == 1 for some in self.shares.values())


class Forgetful(Member):
    """The same member on a disk that loses what was written: it must be caught, or the machine above sees nothing."""

    def take(self, step, crash, sent) -> None:
        before = self.disk
        super().take(step, "none", sent)
        if crash != "none":
            self.disk = before


@pytest.fixture
def quietly():
    return settings(max_examples=60, stateful_step_count=20, deadline=None, derandomize=True, database=None,
                    suppress_health_check=list(HealthCheck))  # fmt: skip


def test_no_sequence_takes_a_mask_off(quietly):
    run(Member, quietly)


@pytest.mark.long
def test_no_long_sequence_takes_a_mask_off(quietly):
    run(Member, settings(quietly, max_examples=1000, stateful_step_count=40))


def test_a_disk_that_forgets_is_caught(quietly):
    with pytest.raises(AssertionError):
        run(Forgetful, settings(quietly, max_examples=300, phases=[Phase.generate]))


def run(machine, how) -> None:
    run_state_machine_as_test(machine, settings=how)


# --- killed at each step ---

STEPS = ("deal", "accept", "contribute", "reveal", "reveal silent")


@pytest.mark.parametrize("moment", ["before the save", "between save and message", "after the message"])
@pytest.mark.parametrize("at", STEPS)
def test_a_member_killed_at_a_step_sends_the_same_or_draws_fresh_keys(at, moment):
    """All its messages, those before the kill and those of the second life, are those of an undisturbed member."""
    undisturbed, killed = list(whole_life()), []
    disk = records.dump(draw(context_of(1), ALICE, stream("alice"))[0])
    for step in STEPS:
        after, message = take_step(step, records.load(MemberState, disk))
        if step == at and moment == "before the save":
            after, message = take_step(step, records.load(MemberState, disk))  # woken up with the earlier state
        disk = records.dump(after)
        if step == at and moment != "before the save":
            if moment == "after the message":
                killed.append(message)
            after, again = take_step(step, records.load(MemberState, disk))
            assert records.dump(after) == disk
            message = again
        killed.append(message)
    assert set(killed) == set(undisturbed)
    assert len({message for kind, message in killed if kind == "contribute"}) == 1


def test_keys_that_were_never_saved_are_drawn_afresh():
    """Killed before the first save: nothing left the machine, and the second life shares no mask with the first."""
    (first, one), (second, two) = (draw(context_of(1), ALICE, stream(f"life {life}")) for life in (1, 2))
    assert {first.scalar, first.seed, one.point, one.seed_digest}.isdisjoint(
        {second.scalar, second.seed, two.point, two.seed_digest}
    )
    keys = dealt("A")[0]
    vectors = []
    for state, mine in ((first, one), (second, two)):
        state = deal(state, ROSTER, public_keys(), stream("deal"))[0]
        vectors.append(contribute(state, {**keys, ALICE: mine}, np.full(8, 7, dtype="<u8"))[1])
    assert (vectors[0] != vectors[1]).all()


def whole_life():
    state = draw(context_of(1), ALICE, stream("alice"))[0]
    for step in STEPS:
        state, message = take_step(step, state)
        yield message


def take_step(step: str, state: MemberState):
    """(state, (kind, message)): the step with the same inputs as ever. HPKE draws its own randomness, so of a bundle
    what counts is the shares: their digests."""
    others, bundles = dealt("A")
    keys = {**others, ALICE: draw(context_of(1), ALICE, stream("alice"))[1]}
    if step == "deal":
        state, bundle = deal(state, ROSTER, public_keys(), stream("deal"))
        return state, (step, tuple((e.scalar_digest, e.seed_digest) for e in bundle.entries))
    if step == "accept":
        for dealer, raw in bundles.items():
            state = accept(state, dealer, raw, share_keys()[ALICE])
        return state, (step, None)
    if step == "contribute":
        state, lanes = contribute(state, keys, np.full(8, 7, dtype="<u8"))
        return state, (step, lanes.tobytes())
    if step == "reveal":
        state, answer = reveal(state, Round(context_of(1), ROSTER, keys, FIVE[:4]))
        return state, (step, answer)
    state, answer = reveal_silent(state, [FIVE[1]])
    return state, (step, answer)
