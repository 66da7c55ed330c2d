"""Secure sums as the chain sees them: real rounds of `federation`, and the posts and sums that they leave on the board.

played = play(where, members, [Plan(dropped=(2,)), Plan()], ring=64, lanes=109)
evidence = played.evidence(0, wrong(played.outcomes[0], 5), block=0)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import numpy as np
from eth_account.signers.local import LocalAccount
from local_chain import CHAIN_ID, Alliance, digest
from training_steps import opened
from web3.types import TxReceipt

from federation.securesum import Context, Keys, Secrets, recover
from federation.securesum.round import Address
from federation.securesum.shares import Bundle
from federation.simulate import Absent, Outcome, run_round
from federation.vectors import to_bytes
from node import model, sums
from node.evidence import Bytes, History, evidence_of, rolled
from node.model import NO_KEYS, NO_VECTOR, ZERO, Digest, Evidence, Post, Sum, Vector
from node.signature import checksummed


@dataclass(frozen=True)
class Plan:
    """One round: positions that post keys and drop out, and those that post none."""

    dropped: tuple[int, ...] = ()
    away: tuple[int, ...] = ()


@dataclass
class Played:
    """`members` by position; `start`: the transcript before any sum; what each round left, and the posts so far."""

    members: Sequence[Address]
    outcomes: Sequence[Outcome]
    start: Digest
    form: Callable[[bytes], Vector]
    posts: list[Post] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)

    @property
    def transcript(self) -> bytes:
        return model.raw(rolled(self.start, self.sums))

    def vectors(self, number: int) -> dict[int, bytes]:
        return {self.members.index(who): data for who, data in self.outcomes[number].contributions.items()}

    def total(self, number: int) -> bytes:
        return to_bytes(self.outcomes[number].total)

    def evidence(self, number: int, posted: bytes, block: int) -> Evidence:
        outcome = self.outcomes[number]
        history = History(self.start, tuple(self.sums), tuple(self.posts))
        data = Bytes(self.vectors(number), posted)
        return evidence_of(history, outcome.round, secrets_of(outcome), data, block)

    # --- what members post, in order; each also gives what the contract is told ---

    def keys_alone(self, number: int, who: Sequence[Address]) -> list[Post]:
        return self._post([Post(*self._who(m), number, NO_VECTOR, self._keys(number, m)) for m in who])

    def contributions(self, number: int) -> list[Post]:
        """The vectors, with keys for the next round where the member has some there."""
        outcome = self.outcomes[number]
        order = sorted(outcome.contributions, key=lambda m: m[::-1])  # neither by position nor by address
        forms = {m: self.form(outcome.contributions[m]) for m in order}
        return self._post([Post(*self._who(m), number, forms[m], self._keys(number + 1, m)) for m in order])

    def returning(self, number: int) -> list[Post]:
        """Keys for round `number` of those who had no vector in the one before."""
        gone = self.outcomes[number].round.keys.keys() - self.outcomes[number - 1].contributions.keys()
        return self.keys_alone(number, sorted(gone))

    def aggregate(self, number: int, posted: bytes, poster: Address) -> Sum:
        outcome = self.outcomes[number]
        keyed, survivors = self._bits(outcome.round.keys), self._bits(outcome.round.survivors)
        vector, digest = self.form(posted), rolled(ZERO, self.posts)
        self.sums.append(Sum(number, digest, keyed, survivors, vector, checksummed(poster.hex())))
        return self.sums[-1]

    def _post(self, posts: list[Post]) -> list[Post]:
        self.posts += posts
        return posts

    def _who(self, member: Address) -> tuple[model.Address, int]:
        return checksummed(member.hex()), self.members.index(member)

    def _keys(self, number: int, member: Address) -> model.Keys:
        keys = self.outcomes[number].round.keys.get(member) if number < len(self.outcomes) else None
        return sums.posted(keys, model.digest(b"shares".rjust(32, b"."))) if keys else NO_KEYS

    def _bits(self, members: Sequence[Address] | Mapping[Address, Keys]) -> int:
        return sum(1 << self.members.index(member) for member in members)


def vector_form(data: bytes) -> Vector:
    """What a member posts of a vector; the blob's digest is of no meaning to a challenge."""
    return sums.vector_of(data, b"blob".rjust(32, b"."))


def secrets_of(outcome: Outcome) -> Secrets:
    bundles = {
        dealer: Bundle.parse(outcome.bundles[dealer], outcome.round.context, dealer=dealer, roster=outcome.round.roster)
        for dealer in outcome.round.dropped
    }
    return recover(outcome.round, outcome.reveals, bundles)


def rounds(
    where: Context, members: Sequence[Address], plans: Sequence[Plan], *, ring: int, lanes: int, seed: int = 1
) -> list[Outcome]:
    """Real rounds 0, 1, ... of `where`'s training, with random vectors over the whole ring."""
    draw = random.Random(seed)
    outcomes = []
    for number, plan in enumerate(plans):
        vectors = {m: np.frombuffer(draw.randbytes(lanes * ring // 8), dtype=f"<u{ring // 8}") for m in members}
        absent = Absent(keys=_at(members, plan.away), contribution=_at(members, plan.dropped))
        context = replace(where, round=number.to_bytes(32, "big"))
        outcomes.append(run_round(vectors, context=context, rand=draw.randbytes, absent=absent))
    return outcomes


def play(
    where: Context, members: Sequence[Address], plans: Sequence[Plan], *, ring: int, lanes: int,
    changed: Mapping[int, tuple[int, ...]] | None = None,
) -> Played:  # fmt: skip
    """All rounds on the board; `changed`: lanes of which rounds' sums are one too high."""
    outcomes = rounds(where, members, plans, ring=ring, lanes=lanes)
    played = Played(members, outcomes, model.digest(b"terms".rjust(32, b".")), vector_form)
    for number in range(len(plans)):
        if number == 0:
            played.keys_alone(0, [m for m in members if m in outcomes[0].round.keys])
        played.contributions(number)
        if number + 1 < len(plans):
            played.returning(number + 1)
        posted = wrong(outcomes[number], *(changed or {}).get(number, ()))
        played.aggregate(number, posted, members[0])
    return played


def wrong(outcome: Outcome, *lanes: int) -> bytes:
    """The sum with these lanes one too high."""
    total = outcome.total.copy()
    total[list(lanes)] += total.dtype.type(1)
    return to_bytes(total)


def members(n: int) -> list[Address]:
    """n addresses in an order that is not theirs by number."""
    draw = random.Random(n)
    return [Address(draw.randbytes(20)) for _ in range(n)]


def _at(members: Sequence[Address], positions: Sequence[int]) -> frozenset[Address]:
    return frozenset(members[at] for at in positions)


# --- the same on chain ---


@dataclass
class OnChain:
    """A training of real rounds, each step a transaction; `people` by position."""

    alliance: Alliance
    people: Sequence[LocalAccount]
    id: bytes
    played: Played

    @property
    def call(self) -> Any:
        return self.alliance.trainings.functions

    def key(self) -> None:
        """Everybody who has keys for round 0 posts them."""
        outcome = self.played.outcomes[0]
        self._send_keys(0, self.played.keys_alone(0, [m for m in self.played.members if m in outcome.round.keys]))

    def contribute(self, number: int) -> None:
        """Up to the aggregate: vectors, the deadline where somebody dropped out, keys of who returns, seeds."""
        outcome = self.played.outcomes[number]
        for post in self.played.contributions(number):
            call = self.call.contribute(self.id, number, astuple(post.vector), astuple(post.keys))
            self.alliance.send(call, by=self.people[post.position])
        if outcome.round.dropped:
            self.lapse()
        if number + 1 < len(self.played.outcomes):
            self._send_keys(number + 1, self.played.returning(number + 1))
        for answer in outcome.reveals:
            if answer.seed:
                shares = [digest("share")] * len(outcome.round.dropped)
                who = self.people[self.played.members.index(answer.member)]
                self.alliance.send(self.call.reveal(self.id, number, answer.seed, shares), by=who)

    def aggregate(self, number: int, posted: bytes, by: int, *, last: bool = False) -> TxReceipt:
        poster = self.people[by]
        sum_ = self.played.aggregate(number, posted, self.played.members[by])
        return self.alliance.send(self.call.aggregate(self.id, number, astuple(sum_.vector), last), by=poster)

    def challenging(self, evidence: Evidence, right: Vector, *, last: bool = False) -> Any:
        return self.call.challenge(self.id, astuple(evidence), astuple(right), last)

    def lapse(self) -> None:
        deadline = self.call.training(self.id).call()[7]
        self.alliance.sleep(deadline - self.alliance.now() + 1)
        self.alliance.send(self.call.lapse(self.id), by=self.people[0])

    def _send_keys(self, number: int, posts: Sequence[Post]) -> None:
        for post in posts:
            self.alliance.send(self.call.postKeys(self.id, number, astuple(post.keys)), by=self.people[post.position])


def on_chain(
    alliance: Alliance, people: Sequence[LocalAccount], plans: Sequence[Plan], *, ring: int, lanes: int,
    form: Callable[[bytes], Vector] = vector_form, **terms: Any,
) -> OnChain:  # fmt: skip
    """A training whose members have joined and posted their keys for round 0."""
    sized = {"seats": len(people), "threshold": 2 * len(people) // 3 + 1, "rounds": len(plans), "ring": ring}
    run = opened(alliance, people, **(sized | terms))
    run.join_all()
    addresses = [Address(bytes.fromhex(who.address[2:])) for who in people]
    ledger = bytes.fromhex(alliance.trainings.address[2:])
    where = Context(CHAIN_ID.to_bytes(32, "big"), ledger, run.id, bytes(32))
    outcomes = rounds(where, addresses, plans, ring=ring, lanes=lanes)
    start = model.digest(run.call.training(run.id).call()[-1])
    training = OnChain(alliance, people, run.id, Played(addresses, outcomes, start, form))
    training.key()
    return training
