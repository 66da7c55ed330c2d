"""The rules of Consortium, Members, Datasets and Grants, one event each."""

from __future__ import annotations

from dataclasses import replace

from node import model
from node.ledger.checks import active, advance, has_successor, known, on, published, rule
from node.ledger.records import Dataset, Grant, Ledger, Member, PublishedVersion, Request
from node.model import (
    ZERO,
    DatasetState,
    GrantId,
    GrantState,
    MemberState,
    Position,
    Role,
    Terms,
)

MAX_PAUSE = 7 * 86_400
"""Seconds; the contract's constant."""


@on(model.Entered)
def _entered(said: model.Entered, ledger: Ledger, at: Position) -> None:
    need = sum(len(entries) for entries in ledger.directory.values())
    rule(said.change == need, "change", seen=said.change, needed=need)
    name = model.raw(said.name).rstrip(b"\0").decode("ascii", "replace")
    ledger.directory[name].append(said)


@on(model.Admitted)
def _admitted(said: model.Admitted, ledger: Ledger, at: Position) -> None:
    rule(said.account not in ledger.members, "admitted once", seen=said.account)
    index = 1 + max((member.index for member in ledger.members.values()), default=0)
    rule(said.index == index, "index", seen=said.index, needed=index)
    rule(said.roles in range(1, 8), "roles", seen=said.roles)
    if not said.epoch == ledger.epoch == 0:  # the founders share epoch 0
        advance(ledger, said.epoch)
    ledger.members[said.account] = Member(
        said.account, said.index, MemberState.ACTIVE, Role(said.roles), said.card, at.time
    )


@on(model.StateChanged)
def _state_changed(said: model.StateChanged, ledger: Ledger, at: Position) -> None:
    found = known(ledger, said.account)
    rule(found.state != MemberState.EXPELLED, "expelled for good", seen=said.account)
    rule(MemberState.ACTIVE <= said.state <= MemberState.EXPELLED, "state", seen=said.state)
    rule(said.state != found.state, "a change", seen=said.state)
    advance(ledger, said.epoch)
    ledger.members[said.account] = replace(found, state=MemberState(said.state))


@on(model.AccountRotated)
def _rotated(said: model.AccountRotated, ledger: Ledger, at: Position) -> None:
    found = known(ledger, said.from_)
    rule(found.state != MemberState.EXPELLED, "expelled for good", seen=said.from_)
    rule(said.to not in ledger.members, "new account", seen=said.to)
    rule(found.index == said.index, "index", seen=said.index, needed=found.index)
    advance(ledger, said.epoch)
    # The old account stays known by its index: its successor takes over what it owns.
    ledger.members[said.from_] = replace(found, state=MemberState.EXPELLED)
    ledger.members[said.to] = replace(found, account=said.to)


@on(model.CardChanged)
def _card_changed(said: model.CardChanged, ledger: Ledger, at: Position) -> None:
    found = active(ledger, said.account, at, even_paused=True)
    ledger.members[said.account] = replace(found, card=said.card)


@on(model.Approved)
def _approved(said: model.Approved, ledger: Ledger, at: Position) -> None:
    active(ledger, said.account, at, even_paused=True)


@on(model.PauseSet)
def _pause_set(said: model.PauseSet, ledger: Ledger, at: Position) -> None:
    rule(said.until <= at.time + MAX_PAUSE, "longest pause", seen=said.until, needed=at.time + MAX_PAUSE)
    advance(ledger, said.epoch)
    ledger.paused_until = said.until


@on(model.Published)
def _published(said: model.Published, ledger: Ledger, at: Position) -> None:
    active(ledger, said.owner, at)
    found, content = ledger.datasets.get(said.id), said.content
    rule(ZERO not in (content.commitment, content.envelope, content.policy), "digests", seen=said.id)
    rule(content.uses in range(4), "uses", seen=content.uses)
    version = PublishedVersion(said.version, content, at)
    if found is None:
        rule(said.version == 1, "first version", seen=said.version, needed=1)
        ledger.datasets[said.id] = Dataset(said.id, said.owner, DatasetState.ACTIVE, (version,))
        return
    rule(found.owner == said.owner, "owner", seen=said.owner, needed=found.owner)
    rule(found.state == DatasetState.ACTIVE, "not retired", seen=said.id)
    rule(said.version == len(found.versions) + 1, "next version", seen=said.version, needed=len(found.versions) + 1)
    ledger.datasets[said.id] = replace(found, versions=(*found.versions, version))


@on(model.Retired)
def _retired(said: model.Retired, ledger: Ledger, at: Position) -> None:
    found, owner = published(ledger, said.id), known(ledger, said.owner)
    rule(owner.state == MemberState.ACTIVE, "an active member", seen=said.owner)
    rule(found.owner == said.owner, "owner", seen=said.owner, needed=found.owner)
    ledger.datasets[said.id] = replace(found, state=DatasetState.RETIRED)


@on(model.Transferred)
def _transferred(said: model.Transferred, ledger: Ledger, at: Position) -> None:
    found = published(ledger, said.id)
    rule(found.owner == said.from_, "owner", seen=said.from_, needed=found.owner)
    rule(has_successor(ledger, said.from_, at), "by its owner", seen=said.from_)
    active(ledger, said.to, at)
    ledger.datasets[said.id] = replace(found, owner=said.to)


@on(model.Anchored)
def _anchored(said: model.Anchored, ledger: Ledger, at: Position) -> None:
    active(ledger, said.owner, at)
    rule(ZERO not in (said.root, said.list) and said.size > 0, "digests", seen=said.root)
    key = (said.owner, said.root)
    rule(key not in ledger.anchors, "anchored once", seen=said.root)
    ledger.anchors[key] = said


@on(model.Requested)
def _requested(said: model.Requested, ledger: Ledger, at: Position) -> None:
    active(ledger, said.consumer, at)
    found = published(ledger, said.dataset)
    rule(said.version == found.current.number, "current version", seen=said.version, needed=found.current.number)
    rule(said.id not in ledger.grants and said.id not in ledger.withdrawn, "undecided", seen=said.id)
    first = ledger.requests.get(said.id)
    if first is not None and first.consumer != said.consumer:
        return  # the contract cannot know whose terms an id stands for: nobody takes another's request away
    ledger.requests[said.id] = Request(said.id, said.dataset, said.version, said.consumer, said.request, at)


@on(model.Granted)
def _granted(said: model.Granted, ledger: Ledger, at: Position) -> None:
    terms, found = said.terms, published(ledger, said.dataset)
    rule(said.dataset == terms.dataset and said.consumer == terms.consumer, "terms", seen=said.id)
    rule(said.id not in ledger.grants and said.id not in ledger.withdrawn, "decided once", seen=said.id)
    rule(found.owner == terms.owner, "owner", seen=terms.owner, needed=found.owner)
    active(ledger, terms.owner, at)
    active(ledger, terms.consumer, at)
    current = found.current
    rule(terms.version == current.number, "current version", seen=terms.version, needed=current.number)
    rule(not terms.uses & ~current.content.uses, "uses offered", seen=terms.uses, needed=current.content.uses)
    rule(terms.from_ < terms.until, "period", seen=(terms.from_, terms.until))
    rule(at.time <= terms.deadline, "deadline", seen=at.time, needed=terms.deadline)
    _replace_grant(ledger, terms, at)
    ledger.grants[said.id] = Grant(said.id, terms, said.wrap, GrantState.GRANTED, at)


def _replace_grant(ledger: Ledger, terms: Terms, at: Position) -> None:
    if terms.replaces == GrantId(ZERO):
        return
    old = ledger.grants.get(terms.replaces)
    rule(old is not None and old.state == GrantState.GRANTED, "replaces a standing grant", seen=terms.replaces)
    assert old is not None
    rule(old.terms.consumer == terms.consumer and old.terms.dataset == terms.dataset, "same parties", seen=old.id)
    ledger.grants[old.id] = replace(old, state=GrantState.REPLACED, ended=at)


@on(model.Revoked)
def _revoked(said: model.Revoked, ledger: Ledger, at: Position) -> None:
    found = ledger.grants.get(said.id)
    rule(found is not None and found.state == GrantState.GRANTED, "revokes a standing grant", seen=said.id)
    assert found is not None
    rule(said.dataset == found.terms.dataset, "dataset", seen=said.dataset, needed=found.terms.dataset)
    owner = published(ledger, said.dataset, even_retired=True).owner
    rule(said.by in (owner, found.terms.consumer), "a party", seen=said.by, needed=(owner, found.terms.consumer))
    ledger.grants[said.id] = replace(found, state=GrantState.REVOKED, ended=at)


@on(model.Withdrawn)
def _withdrawn(said: model.Withdrawn, ledger: Ledger, at: Position) -> None:
    known(ledger, said.consumer)
    rule(said.id not in ledger.grants and said.id not in ledger.withdrawn, "undecided", seen=said.id)
    ledger.withdrawn.add(said.id)


@on(model.Received)
def _received(said: model.Received, ledger: Ledger, at: Position) -> None:
    active(ledger, said.consumer, at, even_paused=True)
    ledger.receipts.append(said)
