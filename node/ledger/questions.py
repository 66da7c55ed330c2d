"""What the stories ask the ledger: who is who, what is what, and who may use what when."""

from __future__ import annotations

from typing import Any

from node.errors import NotFound, Refused
from node.ledger.records import Dataset, Grant, Ledger, Member, Training
from node.model import (
    Address,
    DatasetId,
    GrantId,
    GrantState,
    Time,
    TrainingId,
    Use,
)


def member_of(ledger: Ledger, account: Address) -> Member:
    """Raises NotFound where the account never belonged."""
    found = ledger.members.get(account)
    if found is None:
        raise NotFound("not a member of this alliance", clause="member", seen=account)
    return found


def require_active(ledger: Ledger, account: Address) -> Member:
    """Refuse anybody but an active member."""
    found = ledger.members.get(account)
    if found is None or not found.may_act:
        raise Refused(
            "only an active member may do this",
            clause="member",
            seen=f"{account} {found.state.name.lower() if found else 'unknown'}",
            needed="an active member",
            hint="the alliance admits members by a quorum of its members",
        )
    return found


def dataset_of(ledger: Ledger, dataset: DatasetId) -> Dataset:
    """Raises NotFound for an id nobody published."""
    found = ledger.datasets.get(dataset)
    if found is None:
        raise NotFound(
            "no such dataset", clause="dataset", seen=dataset, hint="`hanse dataset list` shows what there is"
        )
    return found


def require_owner(ledger: Ledger, dataset: DatasetId, who: Address) -> Dataset:
    """The dataset, refused unless it is `who`'s."""
    found = dataset_of(ledger, dataset)
    if found.owner != who:
        raise Refused("only the dataset's owner may do this", clause="owner", seen=who, needed=found.owner)
    return found


def grant_of(ledger: Ledger, grant: GrantId) -> Grant:
    """Raises NotFound where nothing was granted under that id."""
    found = ledger.grants.get(grant)
    if found is None:
        raise NotFound("no such grant", clause="grant", seen=grant, hint="`hanse grant list` shows what there is")
    return found


def training_of(ledger: Ledger, training: TrainingId) -> Training:
    """Raises NotFound for an id nobody opened."""
    found = ledger.trainings.get(training)
    if found is None:
        raise NotFound("no such training", clause="training", seen=training, hint="`hanse training list` shows them")
    return found


def require_allowed(ledger: Ledger, grant: GrantId, *, who: Address, use: Use, purposes: int, at: Time) -> Grant:
    """Refuse, naming the clause, unless `who` may use the granted version so at time `at` (Grants.requireAllowed)."""
    found = grant_of(ledger, grant)
    terms = found.terms
    _allow(found.state == GrantState.GRANTED, "state", found.state.name.lower(), "granted")
    _allow(terms.consumer == who, "consumer", who, terms.consumer)
    _allow(not int(use) & ~terms.uses, "use", Use(use), Use(terms.uses))
    _allow(not purposes & ~terms.purposes, "purpose", purposes, terms.purposes)
    _allow(at >= terms.from_, "from", at, f"at or after {terms.from_}")
    _allow(at < terms.until, "until", at, f"before {terms.until}")
    require_active(ledger, who)
    return found


def _allow(holds: bool, clause: str, seen: Any, needed: Any) -> None:
    if not holds:
        raise Refused("the grant does not allow this", clause=clause, seen=seen, needed=needed)
