"""The alliance's rules as a fold over what the chain said: who belongs, published, was granted what, and each round.

One rulebook, three uses: `follow` folds it into the local picture, `audit` judges history with it, and the tests use it
as the oracle the contracts are fuzzed against. No I/O, no clock: every event carries its block's time. Signatures,
hashes and bytes are not its matter; `audit` checks those.

    ledger = Ledger()
    for event in events: apply(ledger, event)
    require_allowed(ledger, grant_id, who=bob, use=Use.READ, purposes=1, at=now)

`apply` raises Untrusted, naming the rule, where an event breaks it, and leaves the ledger as it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.ledger import catalog, disputes, trainings
from node.ledger.checks import rule, take
from node.ledger.questions import (
    dataset_of,
    grant_of,
    member_of,
    require_active,
    require_allowed,
    require_owner,
    training_of,
)
from node.ledger.records import Dataset, Grant, Ledger, Member, PublishedVersion, Request, Round, Seat, Training
from node.model import Event

__all__ = [
    "Dataset",
    "Grant",
    "Ledger",
    "Member",
    "PublishedVersion",
    "Request",
    "Round",
    "Seat",
    "Training",
    "apply",
    "dataset_of",
    "fold",
    "grant_of",
    "member_of",
    "require_active",
    "require_allowed",
    "require_owner",
    "training_of",
]

RULES = (catalog, trainings, disputes)
"""Their rules are registered by being imported."""


def fold(events: Iterable[Event]) -> Ledger:
    """The ledger after all `events`, in chain order. Raises Untrusted at the first that breaks a rule."""
    ledger = Ledger()
    for event in events:
        apply(ledger, event)
    return ledger


def apply(ledger: Ledger, event: Event) -> None:
    """Take in one event. Raises Untrusted where its number or its content breaks a rule; then nothing has changed."""
    need = ledger.counts[event.contract] + 1
    rule(event.seq == need, "sequence", seen=event.seq, needed=need)
    take(event.said, ledger, event.at)
    ledger.counts[event.contract] = event.seq
