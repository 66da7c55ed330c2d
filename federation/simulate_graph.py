"""A round of many members in memory, masked along a neighbour graph: is the sum exact, and what does one member pay?

As in `simulate`, not a transport and not a ledger; of the ledger it plays the part that turns false seeds away. The
steps are those of `securesum.member`: a member sees its neighbours as its roster, and its round is theirs.

    graph = Graph(members, *degree_for(1000, corrupt=50, dropping=100), beacon)
    outcome, costs = run_graph_round(vectors, graph, context=context, rand=os.urandom, clock=time.perf_counter)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from federation.errors import Untrusted
from federation.securesum import (
    Address,
    Context,
    Graph,
    Keys,
    MemberState,
    Reveal,
    Round,
    Share,
    ShareKey,
    accept,
    check_seed,
    contribute,
    deal,
    draw,
    reveal,
    reveal_silent,
)
from federation.securesum.keys import Random
from federation.simulate import NOBODY, Absent, Outcome, recompute
from federation.vectors import Lanes, to_bytes

KEYS, SEED, SHARE = 64 + 32, 32, 20 + 32  # bytes on the wire: point and digest, a seed, a share with its dealer


@dataclass(frozen=True)
class Corrupt:
    """Who posts honest keys and then misbehaves: contributes nothing, or answers with false seeds and shares."""

    vanish: frozenset[Address] = frozenset()
    falsify: frozenset[Address] = frozenset()


@dataclass(frozen=True)
class Cost:
    """What a round cost one member: masks added, shares sealed to others, bytes it posted, bytes it read (keys and
    bundles of its neighbours, not the sum), seconds by the clock it was given."""

    masks: int
    sealed: int
    up: int
    down: int
    seconds: float


P = ParamSpec("P")
Result = TypeVar("Result")


def _metered(step: Callable[Concatenate[_Member, P], Result]) -> Callable[Concatenate[_Member, P], Result]:
    @functools.wraps(step)
    def timed(member: _Member, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        start = member.clock()
        result = step(member, *args, **kwargs)
        member.seconds += member.clock() - start
        return result

    return timed


@dataclass
class _Member:
    me: Address
    graph: Graph
    share_key: ShareKey
    clock: Callable[[], float]
    state: MemberState = field(init=False)
    seconds: float = 0.0
    up: int = 0
    down: int = 0
    masks: int = 0

    @_metered
    def post_keys(self, context: Context, public: Mapping[Address, bytes], rand: Random) -> tuple[Keys, bytes]:
        self.state, keys = draw(context, self.me, rand)
        self.state, bundle = deal(self.state, self.graph.roster_of(self.me), public, rand)
        raw = bundle.encode()
        self.up += KEYS + len(raw)
        return keys, raw

    @_metered
    def accept(self, bundles: Mapping[Address, bytes]) -> None:
        for dealer in self.graph.neighbours(self.me):
            if dealer in bundles:
                among = self.graph.roster_of(dealer)
                self.state = accept(self.state, dealer, bundles[dealer], self.share_key, among=among)
                self.down += KEYS + len(bundles[dealer])

    @_metered
    def contribute(self, keys: Mapping[Address, Keys], lanes: Lanes) -> bytes:
        near = {one: keys[one] for one in self.graph.roster_of(self.me).members if one in keys}
        self.state, masked = contribute(self.state, near, lanes.copy())
        self.masks, self.up = len(near), self.up + masked.nbytes
        return to_bytes(masked)

    @_metered
    def reveal(self, round: Round) -> Reveal:
        self.state, answer = reveal(self.state, round.seen_by(self.me))
        self.up += SEED + SHARE * len(answer.scalar_shares)
        return answer

    @_metered
    def reveal_silent(self, silent: Iterable[Address]) -> Reveal:
        self.state, answer = reveal_silent(self.state, set(silent).intersection(self.state.survivors))
        self.up += SHARE * len(answer.seed_shares)
        return answer

    def cost(self) -> Cost:
        return Cost(self.masks, len(self.graph.neighbours(self.me)), self.up, self.down, self.seconds)


def run_graph_round(
    vectors: Mapping[Address, Lanes], graph: Graph, *, context: Context, rand: Random, clock: Callable[[], float],
    absent: Absent = NOBODY, corrupt: Corrupt = Corrupt(),
) -> tuple[Outcome, dict[Address, Cost]]:  # fmt: skip
    """One secure sum over `vectors`, and the cost of each survivor. Refused where too few stay for a sum."""
    share_keys = {one: ShareKey.draw(rand) for one in graph.members}
    public = {one: key.public for one, key in share_keys.items()}
    members = [_Member(one, graph, share_keys[one], clock) for one in graph.members if one not in absent.keys]
    posted = {member.me: member.post_keys(context, public, rand) for member in members}
    keys = {one: pair[0] for one, pair in posted.items()}
    bundles = {one: pair[1] for one, pair in posted.items()}
    contributions = {}
    for member in members:
        member.accept(bundles)
        if member.me not in absent.contribution | corrupt.vanish:
            contributions[member.me] = member.contribute(keys, vectors[member.me])
    round = Round(context, graph, keys, tuple(contributions))
    reveals = _answers([m for m in members if m.me in contributions], round, absent.reveal, corrupt.falsify)
    total = recompute(round, contributions, reveals, bundles, width=next(iter(vectors.values())).itemsize * 8)
    outcome = Outcome(total, round, bundles, contributions, reveals, {member.me: member.state for member in members})
    return outcome, {member.me: member.cost() for member in members if member.me in contributions}


def _answers(
    members: Iterable[_Member], round: Round, silent: frozenset[Address], falsify: frozenset[Address]
) -> tuple[Reveal, ...]:
    present = [member for member in members if member.me not in silent]
    first = [member.reveal(round) for member in present]
    taken = [_as_taken(round, _falsified(answer) if answer.member in falsify else answer) for answer in first]
    missing = set(round.survivors) - {answer.member for answer in taken if answer.seed}
    second = [member.reveal_silent(missing) for member in present if missing]
    return (*taken, *(_falsified(answer) if answer.member in falsify else answer for answer in second))


def _falsified(answer: Reveal) -> Reveal:
    def false(shares: tuple[Share, ...]) -> tuple[Share, ...]:
        return tuple(Share(one.dealer, _flipped(one.share)) for one in shares)

    return Reveal(answer.member, _flipped(answer.seed), false(answer.scalar_shares), false(answer.seed_shares))


def _flipped(raw: bytes) -> bytes:
    return raw[:-1] + bytes(byte ^ 1 for byte in raw[-1:])


def _as_taken(round: Round, answer: Reveal) -> Reveal:
    """What a ledger lets through: without a seed that is not the one committed to."""
    try:
        check_seed(round, answer.member, answer.seed)
    except Untrusted:
        return Reveal(answer.member, scalar_shares=answer.scalar_shares)
    return answer
