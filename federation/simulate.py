"""All members of a training in memory, through the real steps: what the tests, the estimators and the adversaries use.

Not a transport and not a ledger: everybody is on time unless `Absent` says otherwise, and messages cross as bytes where
they would in the world (bundles, states, contributions). Rounds too large for all pairs: `simulate_graph`.

    outcome = run_round(vectors, context=context, rand=os.urandom)
    training = train(LOGISTIC, params, tables, rand=os.urandom)
    assert training.totals == pooled(LOGISTIC, params, all_records).totals
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

from federation import records
from federation.algorithms import Algorithm, Params, State, advance, vector
from federation.errors import Untrusted
from federation.securesum import (
    Address,
    Bundle,
    Context,
    Keys,
    MemberState,
    Reveal,
    Roster,
    Round,
    ShareKey,
    accept,
    aggregate,
    contribute,
    deal,
    draw,
    recover,
    reveal,
    reveal_silent,
)
from federation.securesum.keys import Random
from federation.tables import Table
from federation.vectors import Lanes, from_bytes, to_bytes


@dataclass(frozen=True)
class Absent:
    """Who is gone from which step on: posts no keys, no contribution, or does not answer when seeds are due."""

    keys: frozenset[Address] = frozenset()
    contribution: frozenset[Address] = frozenset()
    reveal: frozenset[Address] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """A finished round: the sum, and every public byte an auditor would read."""

    total: Lanes
    round: Round
    bundles: Mapping[Address, bytes]
    contributions: Mapping[Address, bytes]
    reveals: tuple[Reveal, ...]
    states: Mapping[Address, MemberState] = field(repr=False)


NOBODY = Absent()


def addresses(n: int) -> tuple[Address, ...]:
    """n distinct made-up addresses, ascending."""
    return tuple(Address((i + 1).to_bytes(20, "big")) for i in range(n))


def context_of(number: int) -> Context:
    """A made-up place for round `number`."""
    return Context(chain=(31337).to_bytes(32, "big"), ledger=bytes(20), training=bytes(32),
                   round=number.to_bytes(32, "big"))  # fmt: skip


def run_round(
    vectors: Mapping[Address, Lanes], *, context: Context, rand: Random, absent: Absent = NOBODY,
    roster: Roster | None = None, share_keys: Mapping[Address, ShareKey] | None = None,
) -> Outcome:  # fmt: skip
    """One secure sum over `vectors` (left as they are). Refused where too few stay for a sum."""
    roster = roster or Roster.of(vectors)
    share_keys = share_keys or {member: ShareKey.draw(rand) for member in roster.members}
    states, keys, bundles = _post_keys(roster, share_keys, context, rand, absent)
    for member in keys:
        for dealer in keys.keys() - {member}:
            states[member] = accept(states[member], dealer, bundles[dealer], share_keys[member])
    contributions = {}
    for member in sorted(keys.keys() - absent.contribution):
        states[member], masked = contribute(states[member], keys, vectors[member].copy())
        contributions[member] = to_bytes(masked)
    round = Round(context, roster, keys, tuple(contributions))
    reveals = _reveal(round, states, absent)
    width = next(iter(vectors.values())).itemsize * 8
    total = recompute(round, contributions, reveals, bundles, width=width)
    return Outcome(total, round, bundles, contributions, reveals, states)


def recompute(
    round: Round, contributions: Mapping[Address, bytes], reveals: Sequence[Reveal],
    bundles: Mapping[Address, bytes], *, width: int,
) -> Lanes:  # fmt: skip
    """The sum from public bytes alone, as an auditor does it. Errors as in `securesum.aggregate`."""
    silent = set(round.survivors) - {answer.member for answer in reveals if answer.seed}
    needed = {
        dealer: Bundle.parse(bundles[dealer], round.context, dealer=dealer, roster=round.roster_of(dealer))
        for dealer in (*round.dropped, *sorted(silent))
        if dealer in bundles
    }
    lanes = {member: _lanes_of(member, width, raw) for member, raw in contributions.items()}
    return aggregate(round, lanes, recover(round, reveals, needed))


def _lanes_of(member: Address, width: int, raw: bytes) -> Lanes:
    try:
        return from_bytes(width, raw)
    except Untrusted as exc:
        raise Untrusted(exc.message, clause=exc.clause, culprit=member) from exc


def _post_keys(
    roster: Roster, share_keys: Mapping[Address, ShareKey], context: Context, rand: Random, absent: Absent
) -> tuple[dict[Address, MemberState], dict[Address, Keys], dict[Address, bytes]]:
    public = {member: key.public for member, key in share_keys.items()}
    states, keys, bundles = {}, {}, {}
    for member in roster.members:
        if member not in absent.keys:
            state, keys[member] = draw(context, member, rand)
            states[member], bundle = deal(state, roster, public, rand)
            bundles[member] = bundle.encode()
    return states, keys, bundles


def _reveal(round: Round, states: dict[Address, MemberState], absent: Absent) -> tuple[Reveal, ...]:
    answers = []
    present = [member for member in states if member not in absent.contribution | absent.reveal]
    for member in present:
        states[member], answer = reveal(_after_restart(states[member]), round)
        answers.append(answer)
    silent = absent.reveal & set(round.survivors)
    for member in present if silent else ():
        states[member], answer = reveal_silent(_after_restart(states[member]), silent)
        answers.append(answer)
    return tuple(answers)


def _after_restart(state: MemberState) -> MemberState:
    return records.load(MemberState, records.dump(state))


@dataclass(frozen=True)
class Training(Generic[State]):
    """The sum of every round as public bytes, and the state that follows from them."""

    state: State
    totals: tuple[bytes, ...]


def train(
    algorithm: Algorithm[Params, State], params: Params, tables: Sequence[Table], *, rand: Random
) -> Training[State]:
    """All rounds of a training, each a real secure sum; one table a member, three members or more."""
    members = addresses(len(tables))
    share_keys = {member: ShareKey.draw(rand) for member in members}
    state, totals = algorithm.start(params), list[bytes]()
    while not algorithm.done(params, state):
        vectors = {m: vector(algorithm, params, state, t, rand) for m, t in zip(members, tables, strict=True)}
        outcome = run_round(vectors, context=context_of(len(totals)), rand=rand, share_keys=share_keys)
        totals.append(to_bytes(outcome.total))
        state = advance(algorithm, params, state, outcome.total)
    return Training(state, tuple(totals))


def pooled(
    algorithm: Algorithm[Params, State], params: Params, table: Table, rand: Random | None = None
) -> Training[State]:
    """The same rounds with all records in one place and no masks: the oracle that `train` must equal bit for bit.

    `params.records` must allow as many records in one place. `rand` is for noise: with it, nothing is equal.
    """
    state, totals = algorithm.start(params), list[bytes]()
    while not algorithm.done(params, state):
        total = vector(algorithm, params, state, table, rand)
        totals.append(to_bytes(total))
        state = advance(algorithm, params, state, total)
    return Training(state, tuple(totals))
