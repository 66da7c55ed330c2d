"""A training moved along step by step, each step a real transaction.

run = opened(alliance, [alice, bob, carol], rounds=1)
run.join_all(); run.key_all(); run.contribute_all(); run.reveal_all(); run.aggregate()
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from local_chain import NO_KEYS, NO_VECTOR, ZERO, Alliance, digest, events, keys, person, plan, vector, version
from web3.types import TxReceipt

_salts = itertools.count(1)

PHASES = (
    "Unknown", "Joining", "Keying", "Contributing", "Revealing", "Recovering", "Aggregating", "Challenging", "Final",
    "Void",
)  # fmt: skip
REASONS = (
    "None", "TooFewJoined", "TooFewKeys", "TooFewContributions", "SilentAtReveal", "NoAggregate", "WrongAggregate",
    "Withheld",
)  # fmt: skip
NO_SUM = (0, ZERO, 0, 0, NO_VECTOR, "0x" + "00" * 20)
NO_EVIDENCE = (ZERO, [], ZERO, [], 0, [], [], [], [], [])


@dataclass
class Run:
    alliance: Alliance
    id: bytes
    people: Sequence[LocalAccount]
    datasets: dict[str, bytes] = field(default_factory=dict)
    before: bytes = ZERO
    """The transcript before the newest sum."""
    newest: tuple[Any, ...] = ()
    """The newest sum, as the contract's Sum."""

    @property
    def call(self) -> Any:
        return self.alliance.trainings.functions

    def join(self, who: LocalAccount) -> TxReceipt:
        return self.alliance.send(self.joining(who), by=who)

    def joining(self, who: LocalAccount) -> Any:
        if who.address not in self.datasets:
            self.datasets[who.address] = published(self.alliance, who)
        return self.call.join(self.id, self.datasets[who.address], 1, digest(f"hpke {who.address}"))

    def key(self, who: LocalAccount, round_: int = 0) -> TxReceipt:
        return self.alliance.send(self.call.postKeys(self.id, round_, keys(f"{who.address} {round_}")), by=who)

    def contributing(self, who: LocalAccount, round_: int = 0, *, next_keys: bool = True) -> Any:
        following = keys(f"{who.address} {round_ + 1}") if next_keys else NO_KEYS
        return self.call.contribute(self.id, round_, vector(f"{who.address} {round_}"), following)

    def contribute(self, who: LocalAccount, round_: int = 0, *, next_keys: bool = True) -> TxReceipt:
        return self.alliance.send(self.contributing(who, round_, next_keys=next_keys), by=who)

    def reveal(self, who: LocalAccount, round_: int = 0, shares: Sequence[bytes] = ()) -> TxReceipt:
        return self.alliance.send(self.revealing(who, round_, shares), by=who)

    def revealing(self, who: LocalAccount, round_: int = 0, shares: Sequence[bytes] = ()) -> Any:
        return self.call.reveal(self.id, round_, digest(f"seed {who.address} {round_}"), shares)

    def recover(self, who: LocalAccount, round_: int, shares: Sequence[bytes]) -> TxReceipt:
        return self.alliance.send(self.call.recover(self.id, round_, shares), by=who)

    def accuse(self, who: LocalAccount, *positions: int, round_: int = 0) -> TxReceipt:
        return self.alliance.send(self.call.accuse(self.id, round_, bits(*positions)), by=who)

    def aggregate(
        self,
        round_: int = 0,
        *,
        last: bool = False,
        by: LocalAccount | None = None,
        of: str = "sum",
        leaves: int = 4096,
    ) -> TxReceipt:
        poster, board, summed = by or self.people[0], self.state(), vector(f"{of} {round_}", leaves)
        receipt = self.alliance.send(self.call.aggregate(self.id, round_, summed, last), by=poster)
        self.before = board["transcript"]
        self.newest = (round_, board["posts"], board["keyed"], board["contributed"], summed, poster.address)
        return receipt

    def challenging(self, of: str, *, last: bool = False) -> Any:
        """Where the newest sum has other leaves than what it is the sum of, which shows it to be wrong at once."""
        evidence = (self.before, [self.newest], ZERO, self.posts(), 0, [], [], [], [], [])
        return self.call.challenge(self.id, evidence, vector(of), last)

    def posts(self) -> list[tuple[Any, ...]]:
        """All posts up to the newest sum, from the events."""
        trainings, found, posts = self.alliance.trainings, [], ZERO
        for name, of in (("Keyed", "keys"), ("Contributed", "next")):
            for log in trainings.events[name]().get_logs(from_block=0, argument_filters={"id": self.id}):
                said = log["args"]
                given, keys_ = said.get("vector"), tuple(said[of].values())
                post = (
                    said["member"],
                    said["position"],
                    said["round"],
                    tuple(given.values()) if given else NO_VECTOR,
                    keys_,
                )
                found.append((said["seq"], post))
        ordered = [post for _, post in sorted(found)]
        for at, post in enumerate(ordered):
            posts = keccak(encode(["bytes32", POST], [posts, post]))
            if posts == self.newest[1]:
                return ordered[: at + 1]
        raise AssertionError("the posts do not lead to the sum")

    def overruling(self, of: str, *, last: bool = False) -> Any:
        return self.call.overrule(self.id, self.before, self.newest, vector(of), last)

    def overrule(self, *voters: LocalAccount, of: str = "right", last: bool = False) -> TxReceipt:
        """One after the other, the same; the newest sum is the last one's from then on, where it was replaced."""
        for who in voters:
            receipt = self.alliance.send(self.overruling(of, last=last), by=who)
        if transcripts := events(self.alliance.trainings, receipt, "Corrected"):
            self.newest = (*self.newest[:4], vector(of), voters[-1].address)
            assert transcripts[0]["transcript"] == rolled(self.before, self.newest) == self.state()["transcript"]
        return receipt

    def join_all(self) -> None:
        for who in self.people:
            self.join(who)

    def key_all(self, round_: int = 0) -> None:
        for who in self.people:
            self.key(who, round_)

    def contribute_all(self, round_: int = 0, *, next_keys: bool = True) -> None:
        for who in self.people:
            self.contribute(who, round_, next_keys=next_keys)

    def reveal_all(self, round_: int = 0) -> None:
        for who in self.people:
            self.reveal(who, round_)

    def lapse(self, by: LocalAccount | None = None) -> TxReceipt:
        """Let the phase's deadline pass, and end it: anybody may."""
        self.alliance.sleep(self.state()["deadline"] - self.alliance.now() + 1)
        return self.alliance.send(self.call.lapse(self.id), by=by or person(9))

    def to_revealing(self, round_: int = 0, *, next_keys: bool = True) -> None:
        """Everybody expected contributes."""
        for who in self.at(self.state()["keyed"]):
            self.contribute(who, round_, next_keys=next_keys)

    def to_sum(self, round_: int = 0, **how: Any) -> TxReceipt:
        """Everybody expected contributes and reveals, then the sum is posted."""
        self.to_revealing(round_)
        for who in self.at(self.state()["contributed"]):
            self.reveal(who, round_)
        return self.aggregate(round_, **how)

    def at(self, positions: int) -> list[LocalAccount]:
        return [who for at, who in enumerate(self.people) if positions >> at & 1]

    def said(self, receipt: TxReceipt, name: str) -> list[dict[str, Any]]:
        return events(self.alliance.trainings, receipt, name)

    def moved(self, receipt: TxReceipt) -> tuple[str, int, int]:
        """The one phase that began: its name, its round, whom it expects."""
        (event,) = self.said(receipt, "PhaseChanged")
        return PHASES[event["phase"]], event["round"], event["members"]

    def why(self, receipt: TxReceipt, name: str) -> str:
        """The reason of the one event of that name."""
        (event,) = self.said(receipt, name)
        return REASONS[event["reason"]]

    def state(self) -> dict[str, Any]:
        fields = (
            "phase", "ring", "size", "threshold", "minimum", "rounds", "round", "deadline", "keyed", "contributed",
            "revealed", "recovered", "barred", "lost", "spares", "posts", "transcript",
        )  # fmt: skip
        return dict(zip(fields, self.call.training(self.id).call(), strict=True))

    @property
    def phase(self) -> str:
        return PHASES[self.state()["phase"]]


def bits(*positions: int) -> int:
    return sum(1 << at for at in positions)


POST = "(address,uint16,uint16,(bytes32,bytes32,uint32),(bytes32,uint8,bytes32,bytes32))"
SUM = "(uint16,bytes32,uint64,uint64,(bytes32,bytes32,uint32),address)"


def rolled(transcript: bytes, summed: tuple[Any, ...]) -> bytes:
    """The transcript after a sum."""
    return keccak(encode(["bytes32", SUM], [transcript, summed]))


def published(alliance: Alliance, owner: LocalAccount, **changes: Any) -> bytes:
    """A fresh dataset of `owner`'s that may be trained on."""
    salt = digest(f"salt {next(_salts)}")
    alliance.send(alliance.datasets.functions.publish(salt, version(**changes)), by=owner)
    return bytes(alliance.datasets.functions.idOf(owner.address, salt).call())


def opened(alliance: Alliance, people: Sequence[LocalAccount], **changes: Any) -> Run:
    """A training opened by the first of `people`, with a seat for each unless `changes` says otherwise."""
    salt, sized = digest(f"salt {next(_salts)}"), {"seats": len(people), "threshold": 2 * len(people) // 3 + 1}
    call = alliance.trainings.functions.open(salt, plan(**(sized | changes)))
    id_ = bytes(call.call({"from": people[0].address}))
    alliance.send(call, by=people[0])
    return Run(alliance, id_, people)


def keyed(alliance: Alliance, people: Sequence[LocalAccount], **changes: Any) -> Run:
    """A training in its first round's Contributing phase."""
    run = opened(alliance, people, **changes)
    run.join_all()
    run.key_all()
    return run
