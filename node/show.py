"""The ledger's records as the faces show them: names for numbers, one flat record a thing. The command line and the API
print the same ones. Pure: it decides nothing and asks nobody.

    for dataset in ledger.datasets.values(): print(show.dataset(dataset))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import TypeVar

from node import ledger as rules
from node.errors import Misuse, NotFound
from node.ledger import Ledger
from node.model import ZERO, Address, Card, DatasetId, Digest, GrantId, Terms, Time, TrainingId, TxHash, Use
from node.policy import names

Found = TypeVar("Found")
MIN_PREFIX = 4


@dataclass(frozen=True, slots=True)
class Member:
    """`card` is the digest, and inside its CID, of the public card with name and endpoints."""

    account: Address
    state: str
    roles: tuple[str, ...]
    card: Digest
    since: Time


@dataclass(frozen=True, slots=True)
class Version:
    """`uses` offered; `budget` and `spent` in thousandths of epsilon."""

    number: int
    uses: tuple[str, ...]
    budget: int
    spent: int
    commitment: Digest
    envelope: Digest
    policy: Digest
    block: int
    time: Time
    tx: TxHash


@dataclass(frozen=True, slots=True)
class Dataset:
    """`version` is the current one."""

    id: DatasetId
    owner: Address
    state: str
    version: int
    uses: tuple[str, ...]
    published: Time


@dataclass(frozen=True, slots=True)
class DatasetHistory:
    """One dataset with all its versions, oldest first."""

    id: DatasetId
    owner: Address
    state: str
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """`state`: waiting, withdrawn, or that of the grant it led to. `record` is the digest of the public request."""

    id: GrantId
    dataset: DatasetId
    version: int
    consumer: Address
    state: str
    record: Digest
    time: Time
    tx: TxHash


@dataclass(frozen=True, slots=True)
class Grant:
    """`count` 0: without limit. `from_` inclusive, `until` exclusive; `ended` is when it was revoked or replaced."""

    id: GrantId
    dataset: DatasetId
    version: int
    owner: Address
    consumer: Address
    state: str
    uses: tuple[str, ...]
    purposes: tuple[str, ...]
    count: int
    from_: Time
    until: Time
    granted: Time
    tx: TxHash
    ended: Time | None


@dataclass(frozen=True, slots=True)
class LostRound:
    """A round that gave no sum that counts, and why."""

    round: int
    reason: str


@dataclass(frozen=True, slots=True)
class Training:
    """`rounds`: the sums posted so far, of `of`. `lost`: the rounds that gave none and why; `spares`: how many more may
    be lost for want of members. `barred`: whom it goes on without. `model`: the result's digest, once it is final.
    """

    id: TrainingId
    opener: Address
    phase: str
    deadline: Time
    members: tuple[Address, ...]
    seats: int
    rounds: int
    of: int
    lost: tuple[LostRound, ...]
    spares: int
    barred: tuple[Address, ...]
    epsilon: int
    model: Digest | None
    void: str | None


@dataclass(frozen=True, slots=True)
class Round:
    """One posted sum: who contributed, who posted it, and where its bytes are (`blob` is the digest in their CID)."""

    number: int
    members: tuple[Address, ...]
    poster: Address
    root: Digest
    blob: Digest
    leaves: int


@dataclass(frozen=True, slots=True)
class MemberCard:
    """A member with what its public card says; `recipient` is the digest of the key its grants are wrapped for."""

    account: Address
    state: str
    roles: tuple[str, ...]
    name: str
    endpoints: tuple[str, ...]
    recipient: Digest


def member(found: rules.Member) -> Member:
    return Member(found.account, found.state.name.lower(), _words(found.roles), found.card, found.since)


def with_card(found: rules.Member, card: Card, recipient: Digest) -> MemberCard:
    words = (found.state.name.lower(), _words(found.roles))
    return MemberCard(found.account, *words, card.name, card.endpoints, recipient)


def dataset(found: rules.Dataset) -> Dataset:
    current = found.current
    uses = _words(Use(current.content.uses))
    return Dataset(found.id, found.owner, found.state.name.lower(), current.number, uses, current.at.time)


def history(ledger: Ledger, found: rules.Dataset) -> DatasetHistory:
    versions = tuple(_version(ledger, found.id, version) for version in found.versions)
    return DatasetHistory(found.id, found.owner, found.state.name.lower(), versions)


def request(ledger: Ledger, found: rules.Request) -> Request:
    granted = ledger.grants.get(found.id)
    state = "withdrawn" if found.id in ledger.withdrawn else granted.state.name.lower() if granted else "waiting"
    return Request(
        found.id, found.dataset, found.version, found.consumer, state, found.record, found.at.time, found.at.tx
    )


def grant(found: rules.Grant) -> Grant:
    terms: Terms = found.terms
    return Grant(
        id=found.id,
        dataset=terms.dataset,
        version=terms.version,
        owner=terms.owner,
        consumer=terms.consumer,
        state=found.state.name.lower(),
        uses=_words(Use(terms.uses)),
        purposes=names(terms.purposes),
        count=terms.count,
        from_=terms.from_,
        until=terms.until,
        granted=found.at.time,
        tx=found.at.tx,
        ended=found.ended.time if found.ended else None,
    )


def training(found: rules.Training) -> Training:
    return Training(
        id=found.id,
        opener=found.opener,
        phase=found.phase.name.lower(),
        deadline=found.deadline,
        members=tuple(seat.member for seat in found.seats),
        seats=found.terms.seats,
        rounds=len(found.sums),
        of=found.terms.rounds,
        lost=tuple(LostRound(r.number, r.lost.name.lower()) for r in found.rounds if r.lost),
        spares=found.spares,
        barred=tuple(seat.member for at, seat in enumerate(found.seats) if found.barred >> at & 1),
        epsilon=found.terms.epsilon,
        model=None if found.model == ZERO else found.model,
        void=found.void.name.lower() if found.void else None,
    )


def rounds(found: rules.Training) -> tuple[Round, ...]:
    """The sums posted so far that count."""
    shown = []
    for one in found.sums:
        if one.total is not None and one.poster is not None:
            members = tuple(found.seats[position].member for position in sorted(one.vectors))
            shown.append(Round(one.number, members, one.poster, one.total.root, one.total.blob, one.total.leaves))
    return tuple(shown)


def known(prefix: str, by_id: Mapping[Found, object], what: str) -> Found:
    """The one id that begins with `prefix`. Raises NotFound for none, Misuse for several or for what is no id."""
    text = prefix.lower()
    if not (text.startswith("0x") and set(text[2:]) <= set("0123456789abcdef") and 2 + MIN_PREFIX <= len(text) <= 66):
        needed = f"0x and 64 hex digits, or the first {MIN_PREFIX} or more of them"
        raise Misuse(f"this is no id of a {what}", clause=what, seen=prefix[:80], needed=needed)
    found = [key for key in list(by_id) if str(key).startswith(text)]
    if not found:
        hint = f"`hanse {what} list` shows what there is"
        raise NotFound(f"no {what} has an id that begins so", clause=what, seen=prefix, hint=hint)
    if len(found) > 1:
        few = ", ".join(str(key) for key in found[:3])
        raise Misuse(f"several ids of a {what} begin so", clause=what, seen=few, needed="more digits")
    return found[0]


def uses(words: Iterable[str]) -> Use:
    """The uses named. Raises Misuse for another word than `read` or `train`."""
    total = Use(0)
    for word in words:
        if word.upper() not in Use.__members__:
            raise Misuse("unknown use", clause="use", seen=word, needed="read or train")
        total |= Use[word.upper()]
    return total


def _version(ledger: Ledger, dataset: DatasetId, found: rules.PublishedVersion) -> Version:
    content = found.content
    return Version(
        number=found.number,
        uses=_words(Use(content.uses)),
        budget=content.budget,
        spent=ledger.spent.get((dataset, found.number), 0),
        commitment=content.commitment,
        envelope=content.envelope,
        policy=content.policy,
        block=found.at.block,
        time=found.at.time,
        tx=found.at.tx,
    )


def _words(flags: IntFlag) -> tuple[str, ...]:
    return tuple(flag.name.lower() for flag in type(flags) if flag in flags and flag.name)
