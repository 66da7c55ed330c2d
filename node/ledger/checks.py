"""How a rule is named, registered and checked; the checks that several rules share."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

from node.errors import Untrusted
from node.ledger.records import Dataset, Ledger, Member
from node.model import (
    Address,
    DatasetId,
    DatasetState,
    Position,
)


@singledispatch
def take(said: Any, ledger: Ledger, at: Position) -> None:
    raise Untrusted("an event this node does not know", clause="event", seen=type(said).__name__)


def on(kind: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(rule: Callable[..., None]) -> Callable[..., None]:
        take.register(kind)(rule)
        return rule

    return register


def rule(holds: bool, clause: str, *, seen: Any, needed: Any = None) -> None:
    if not holds:
        raise Untrusted("the chain says what its rules forbid", clause=clause, seen=seen, needed=needed)


def known(ledger: Ledger, account: Address) -> Member:
    found = ledger.members.get(account)
    rule(found is not None, "a member", seen=account)
    assert found is not None
    return found


def active(ledger: Ledger, account: Address, at: Position, *, even_paused: bool = False) -> Member:
    found = known(ledger, account)
    rule(found.may_act, "an active member", seen=f"{account} {found.state.name.lower()}")
    rule(even_paused or at.time >= ledger.paused_until, "not paused", seen=at.time, needed=ledger.paused_until)
    return found


def has_successor(ledger: Ledger, account: Address, at: Position) -> bool:
    """Whether the member of this account, at whatever account it is now, may act."""
    index = known(ledger, account).index
    return any(m.index == index and m.may_act for m in ledger.members.values()) and at.time >= ledger.paused_until


def advance(ledger: Ledger, epoch: int) -> None:
    """Each decision raises the epoch by one."""
    rule(epoch == ledger.epoch + 1, "epoch", seen=epoch, needed=ledger.epoch + 1)
    ledger.epoch = epoch


def published(ledger: Ledger, dataset: DatasetId, *, even_retired: bool = False) -> Dataset:
    found = ledger.datasets.get(dataset)
    rule(found is not None, "a published dataset", seen=dataset)
    assert found is not None
    rule(even_retired or found.state == DatasetState.ACTIVE, "not retired", seen=dataset)
    return found
