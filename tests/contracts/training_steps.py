"""A training moved along step by step, each step a real transaction.

run = opened(alliance, [alice, bob, carol], rounds=1)
run.join_all(); run.key_all(); run.contribute_all(); run.reveal_all(); run.aggregate()
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account.signers.local import LocalAccount
from local_chain import NO_KEYS, Alliance, digest, keys, plan, vector, version
from web3.types import TxReceipt

_salts = itertools.count(1)

PHASES = (
    "Unknown", "Joining", "Keying", "Contributing", "Revealing", "Aggregating", "Challenging", "Final", "Void",
)  # fmt: skip


@dataclass
class Run:
    alliance: Alliance
    id: bytes
    people: Sequence[LocalAccount]
    datasets: dict[str, bytes] = field(default_factory=dict)

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

    def reveal(self, who: LocalAccount, round_: int = 0) -> TxReceipt:
        return self.alliance.send(self.call.reveal(self.id, round_, digest(f"seed {who.address} {round_}")), by=who)

    def aggregate(self, round_: int = 0, *, last: bool = False) -> TxReceipt:
        summed = self.call.aggregate(self.id, round_, vector(f"sum {round_}"), last)
        return self.alliance.send(summed, by=self.people[0])

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

    def lapse(self) -> TxReceipt:
        """Let the phase's deadline pass, and end it."""
        self.alliance.sleep(self.state()["deadline"] - self.alliance.now() + 1)
        return self.alliance.send(self.call.lapse(self.id), by=self.people[0])

    def state(self) -> dict[str, Any]:
        fields = (
            "phase", "ring", "size", "threshold", "minimum", "rounds", "round", "deadline", "keyed", "contributed",
            "revealed", "posts", "transcript",
        )  # fmt: skip
        return dict(zip(fields, self.call.training(self.id).call(), strict=True))

    @property
    def phase(self) -> str:
        return PHASES[self.state()["phase"]]


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
