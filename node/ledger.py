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

from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import Any

from node import model
from node.errors import NotFound, Refused, Untrusted
from node.model import (
    ZERO,
    Address,
    DatasetId,
    DatasetState,
    Digest,
    Event,
    GrantId,
    GrantState,
    Keys,
    MemberState,
    Phase,
    Position,
    Role,
    Terms,
    Time,
    TrainingId,
    TrainingTerms,
    Use,
    Vector,
    Version,
)

MAX_PAUSE = 7 * 86_400
"""Seconds; the contract's constant."""


@dataclass(frozen=True, slots=True)
class Member:
    account: Address
    index: int
    state: MemberState
    roles: Role
    card: Digest
    since: Time


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """One version as published, and when."""

    number: int
    content: Version
    at: Position


@dataclass(frozen=True, slots=True)
class Dataset:
    id: DatasetId
    owner: Address
    state: DatasetState
    versions: tuple[PublishedVersion, ...]

    @property
    def current(self) -> PublishedVersion:
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class Request:
    """What a consumer asked for; `record` is the digest of the public request record."""

    id: GrantId
    dataset: DatasetId
    version: int
    consumer: Address
    record: Digest
    at: Position


@dataclass(frozen=True, slots=True)
class Grant:
    id: GrantId
    terms: Terms
    wrap: Digest
    state: GrantState
    at: Position
    ended: Position | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """One member's place in a training."""

    member: Address
    dataset: DatasetId
    version: int
    hpke: Digest


@dataclass(frozen=True, slots=True)
class Round:
    """One secure sum: what each position posted, who survived, what was revealed and summed."""

    number: int
    keys: dict[int, Keys] = field(default_factory=dict)
    vectors: dict[int, Vector] = field(default_factory=dict)
    seeds: dict[int, Digest] = field(default_factory=dict)
    total: Vector | None = None
    poster: Address | None = None
    survivors: int = 0


@dataclass(frozen=True, slots=True)
class Training:
    id: TrainingId
    opener: Address
    terms: TrainingTerms
    phase: Phase
    deadline: Time
    seats: tuple[Seat, ...] = ()
    rounds: tuple[Round, ...] = ()
    void: model.Reason = model.Reason.NONE
    model: Digest = ZERO
    attested: frozenset[Address] = frozenset()
    """Who derived that same model."""
    disputed: frozenset[Address] = frozenset()
    """Who derived another one."""
    block: int = 0
    """In which the present phase began."""

    @property
    def round(self) -> int:
        """Number of the round under way: how many sums have been posted."""
        return sum(r.total is not None for r in self.rounds)

    def of(self, number: int) -> Round:
        """A round, empty where nothing was posted for it."""
        return next((r for r in self.rounds if r.number == number), Round(number))

    def position(self, member: Address) -> int | None:
        """The member's position in the roster, None where it has not joined."""
        return next((i for i, seat in enumerate(self.seats) if seat.member == member), None)

    def answered(self, member: Address) -> bool:
        """Whether the member has said what model it derived."""
        return member in self.attested | self.disputed

    @property
    def needed(self) -> int:
        """Fewest members with whom a round goes on."""
        return max(self.terms.minimum, self.terms.threshold)


@dataclass(slots=True)
class Ledger:
    """Everything the chain has said so far, by id. Owned by the fold: read it, never write it."""

    directory: dict[str, list[model.Entered]] = field(default_factory=lambda: defaultdict(list))
    members: dict[Address, Member] = field(default_factory=dict)
    epoch: int = 0
    paused_until: int = 0
    datasets: dict[DatasetId, Dataset] = field(default_factory=dict)
    requests: dict[GrantId, Request] = field(default_factory=dict)
    grants: dict[GrantId, Grant] = field(default_factory=dict)
    withdrawn: set[GrantId] = field(default_factory=set)
    anchors: dict[tuple[Address, Digest], model.Anchored] = field(default_factory=dict)
    receipts: list[model.Received] = field(default_factory=list)
    trainings: dict[TrainingId, Training] = field(default_factory=dict)
    spent: dict[tuple[DatasetId, int], int] = field(default_factory=lambda: defaultdict(int))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def copy(self) -> Ledger:
        """One that `apply` may change while others read this one."""
        return Ledger(**{name: copy(getattr(self, name)) for name in self.__slots__} | {
            "directory": defaultdict(list, {name: list(entries) for name, entries in self.directory.items()})
        })  # fmt: skip


def fold(events: Iterable[Event]) -> Ledger:
    """The ledger after all `events`, in chain order. Raises Untrusted at the first that breaks a rule."""
    ledger = Ledger()
    for event in events:
        apply(ledger, event)
    return ledger


def apply(ledger: Ledger, event: Event) -> None:
    """Take in one event. Raises Untrusted where its number or its content breaks a rule; then nothing has changed."""
    need = ledger.counts[event.contract] + 1
    _rule(event.seq == need, "sequence", seen=event.seq, needed=need)
    _apply(event.said, ledger, event.at)
    ledger.counts[event.contract] = event.seq


# --- questions ---


def member_of(ledger: Ledger, account: Address) -> Member:
    """Raises NotFound where the account never belonged."""
    found = ledger.members.get(account)
    if found is None:
        raise NotFound("not a member of this alliance", clause="member", seen=account)
    return found


def require_active(ledger: Ledger, account: Address) -> Member:
    """Refuse anybody but an active member."""
    found = ledger.members.get(account)
    if found is None or not _may_act(found):
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


# --- the rules, one event each ---


@singledispatch
def _apply(said: Any, ledger: Ledger, at: Position) -> None:
    raise Untrusted("an event this node does not know", clause="event", seen=type(said).__name__)


def _on(kind: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(rule: Callable[..., None]) -> Callable[..., None]:
        _apply.register(kind)(rule)
        return rule

    return register


@_on(model.Entered)
def _entered(said: model.Entered, ledger: Ledger, at: Position) -> None:
    need = sum(len(entries) for entries in ledger.directory.values())
    _rule(said.change == need, "change", seen=said.change, needed=need)
    name = model.raw(said.name).rstrip(b"\0").decode("ascii", "replace")
    ledger.directory[name].append(said)


@_on(model.Admitted)
def _admitted(said: model.Admitted, ledger: Ledger, at: Position) -> None:
    _rule(said.account not in ledger.members, "admitted once", seen=said.account)
    index = 1 + max((member.index for member in ledger.members.values()), default=0)
    _rule(said.index == index, "index", seen=said.index, needed=index)
    _rule(said.roles in range(1, 8), "roles", seen=said.roles)
    if not said.epoch == ledger.epoch == 0:  # the founders share epoch 0
        _advance(ledger, said.epoch)
    ledger.members[said.account] = Member(
        said.account, said.index, MemberState.ACTIVE, Role(said.roles), said.card, at.time
    )


@_on(model.StateChanged)
def _state_changed(said: model.StateChanged, ledger: Ledger, at: Position) -> None:
    found = _known(ledger, said.account)
    _rule(found.state != MemberState.EXPELLED, "expelled for good", seen=said.account)
    _rule(MemberState.ACTIVE <= said.state <= MemberState.EXPELLED, "state", seen=said.state)
    _rule(said.state != found.state, "a change", seen=said.state)
    _advance(ledger, said.epoch)
    ledger.members[said.account] = replace(found, state=MemberState(said.state))


@_on(model.AccountRotated)
def _rotated(said: model.AccountRotated, ledger: Ledger, at: Position) -> None:
    found = _known(ledger, said.from_)
    _rule(found.state != MemberState.EXPELLED, "expelled for good", seen=said.from_)
    _rule(said.to not in ledger.members, "new account", seen=said.to)
    _rule(found.index == said.index, "index", seen=said.index, needed=found.index)
    _advance(ledger, said.epoch)
    # The old account stays known by its index: its successor takes over what it owns.
    ledger.members[said.from_] = replace(found, state=MemberState.EXPELLED)
    ledger.members[said.to] = replace(found, account=said.to)


@_on(model.CardChanged)
def _card_changed(said: model.CardChanged, ledger: Ledger, at: Position) -> None:
    found = _active(ledger, said.account, at, even_paused=True)
    ledger.members[said.account] = replace(found, card=said.card)


@_on(model.Approved)
def _approved(said: model.Approved, ledger: Ledger, at: Position) -> None:
    _active(ledger, said.account, at, even_paused=True)


@_on(model.PauseSet)
def _pause_set(said: model.PauseSet, ledger: Ledger, at: Position) -> None:
    _rule(said.until <= at.time + MAX_PAUSE, "longest pause", seen=said.until, needed=at.time + MAX_PAUSE)
    _advance(ledger, said.epoch)
    ledger.paused_until = said.until


@_on(model.Published)
def _published(said: model.Published, ledger: Ledger, at: Position) -> None:
    _active(ledger, said.owner, at)
    found, content = ledger.datasets.get(said.id), said.content
    _rule(ZERO not in (content.commitment, content.envelope, content.policy), "digests", seen=said.id)
    _rule(content.uses in range(4), "uses", seen=content.uses)
    version = PublishedVersion(said.version, content, at)
    if found is None:
        _rule(said.version == 1, "first version", seen=said.version, needed=1)
        ledger.datasets[said.id] = Dataset(said.id, said.owner, DatasetState.ACTIVE, (version,))
        return
    _rule(found.owner == said.owner, "owner", seen=said.owner, needed=found.owner)
    _rule(found.state == DatasetState.ACTIVE, "not retired", seen=said.id)
    _rule(said.version == len(found.versions) + 1, "next version", seen=said.version, needed=len(found.versions) + 1)
    ledger.datasets[said.id] = replace(found, versions=(*found.versions, version))


@_on(model.Retired)
def _retired(said: model.Retired, ledger: Ledger, at: Position) -> None:
    found, owner = _dataset(ledger, said.id), _known(ledger, said.owner)
    _rule(owner.state == MemberState.ACTIVE, "an active member", seen=said.owner)
    _rule(found.owner == said.owner, "owner", seen=said.owner, needed=found.owner)
    ledger.datasets[said.id] = replace(found, state=DatasetState.RETIRED)


@_on(model.Transferred)
def _transferred(said: model.Transferred, ledger: Ledger, at: Position) -> None:
    found = _dataset(ledger, said.id)
    _rule(found.owner == said.from_, "owner", seen=said.from_, needed=found.owner)
    _rule(_has_successor(ledger, said.from_, at), "by its owner", seen=said.from_)
    _active(ledger, said.to, at)
    ledger.datasets[said.id] = replace(found, owner=said.to)


@_on(model.Anchored)
def _anchored(said: model.Anchored, ledger: Ledger, at: Position) -> None:
    _active(ledger, said.owner, at)
    _rule(ZERO not in (said.root, said.list) and said.size > 0, "digests", seen=said.root)
    key = (said.owner, said.root)
    _rule(key not in ledger.anchors, "anchored once", seen=said.root)
    ledger.anchors[key] = said


@_on(model.Requested)
def _requested(said: model.Requested, ledger: Ledger, at: Position) -> None:
    _active(ledger, said.consumer, at)
    found = _dataset(ledger, said.dataset)
    _rule(said.version == found.current.number, "current version", seen=said.version, needed=found.current.number)
    _rule(said.id not in ledger.grants and said.id not in ledger.withdrawn, "undecided", seen=said.id)
    first = ledger.requests.get(said.id)
    if first is not None and first.consumer != said.consumer:
        return  # the contract cannot know whose terms an id stands for: nobody takes another's request away
    ledger.requests[said.id] = Request(said.id, said.dataset, said.version, said.consumer, said.request, at)


@_on(model.Granted)
def _granted(said: model.Granted, ledger: Ledger, at: Position) -> None:
    terms, found = said.terms, _dataset(ledger, said.dataset)
    _rule(said.dataset == terms.dataset and said.consumer == terms.consumer, "terms", seen=said.id)
    _rule(said.id not in ledger.grants and said.id not in ledger.withdrawn, "decided once", seen=said.id)
    _rule(found.owner == terms.owner, "owner", seen=terms.owner, needed=found.owner)
    _active(ledger, terms.owner, at)
    _active(ledger, terms.consumer, at)
    current = found.current
    _rule(terms.version == current.number, "current version", seen=terms.version, needed=current.number)
    _rule(not terms.uses & ~current.content.uses, "uses offered", seen=terms.uses, needed=current.content.uses)
    _rule(terms.from_ < terms.until, "period", seen=(terms.from_, terms.until))
    _rule(at.time <= terms.deadline, "deadline", seen=at.time, needed=terms.deadline)
    _replace_grant(ledger, terms, at)
    ledger.grants[said.id] = Grant(said.id, terms, said.wrap, GrantState.GRANTED, at)


def _replace_grant(ledger: Ledger, terms: Terms, at: Position) -> None:
    if terms.replaces == GrantId(ZERO):
        return
    old = ledger.grants.get(terms.replaces)
    _rule(old is not None and old.state == GrantState.GRANTED, "replaces a standing grant", seen=terms.replaces)
    assert old is not None
    _rule(old.terms.consumer == terms.consumer and old.terms.dataset == terms.dataset, "same parties", seen=old.id)
    ledger.grants[old.id] = replace(old, state=GrantState.REPLACED, ended=at)


@_on(model.Revoked)
def _revoked(said: model.Revoked, ledger: Ledger, at: Position) -> None:
    found = ledger.grants.get(said.id)
    _rule(found is not None and found.state == GrantState.GRANTED, "revokes a standing grant", seen=said.id)
    assert found is not None
    _rule(said.dataset == found.terms.dataset, "dataset", seen=said.dataset, needed=found.terms.dataset)
    owner = _dataset(ledger, said.dataset, even_retired=True).owner
    _rule(said.by in (owner, found.terms.consumer), "a party", seen=said.by, needed=(owner, found.terms.consumer))
    ledger.grants[said.id] = replace(found, state=GrantState.REVOKED, ended=at)


@_on(model.Withdrawn)
def _withdrawn(said: model.Withdrawn, ledger: Ledger, at: Position) -> None:
    _known(ledger, said.consumer)
    _rule(said.id not in ledger.grants and said.id not in ledger.withdrawn, "undecided", seen=said.id)
    ledger.withdrawn.add(said.id)


@_on(model.Received)
def _received(said: model.Received, ledger: Ledger, at: Position) -> None:
    _active(ledger, said.consumer, at, even_paused=True)
    ledger.receipts.append(said)


@_on(model.Opened)
def _opened(said: model.Opened, ledger: Ledger, at: Position) -> None:
    _active(ledger, said.opener, at)
    _rule(said.id not in ledger.trainings, "opened once", seen=said.id)
    terms = said.terms
    _rule(3 <= terms.seats <= 64 and 3 <= terms.minimum <= terms.seats, "seats", seen=(terms.seats, terms.minimum))
    _rule(terms.seats < 2 * terms.threshold <= 2 * terms.seats, "threshold", seen=terms.threshold, needed=terms.seats)
    _rule(terms.ring in (32, 64) and terms.rounds > 0, "ring and rounds", seen=(terms.ring, terms.rounds))
    _rule(terms.plan != ZERO, "plan", seen=terms.plan)
    durations = (terms.join_seconds, terms.phase_seconds, terms.challenge_seconds)
    _rule(0 not in durations, "durations", seen=durations)
    _rule(said.join_until == at.time + terms.join_seconds, "deadline", seen=said.join_until)
    ledger.trainings[said.id] = Training(said.id, said.opener, terms, Phase.JOINING, said.join_until, block=at.block)


@_on(model.Joined)
def _joined(said: model.Joined, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, Phase.JOINING)
    _in_time(found, at)
    _active(ledger, said.member, at)
    _rule(found.position(said.member) is None, "joined once", seen=said.member)
    _rule(said.position == len(found.seats) < found.terms.seats, "position", seen=said.position)
    dataset = _dataset(ledger, said.dataset)
    version = dataset.current
    _rule(dataset.owner == said.member, "owner", seen=said.member, needed=dataset.owner)
    _rule(version.number == said.version, "current version", seen=said.version, needed=version.number)
    _rule(bool(version.content.uses & Use.TRAIN), "may be trained on", seen=said.dataset)
    left = version.content.budget - ledger.spent.get((said.dataset, said.version), 0)
    _rule(found.terms.epsilon <= left, "budget", seen=found.terms.epsilon, needed=left)
    ledger.spent[said.dataset, said.version] += found.terms.epsilon
    seat = Seat(said.member, said.dataset, said.version, said.hpke)
    ledger.trainings[said.id] = replace(found, seats=(*found.seats, seat))


@_on(model.Keyed)
def _keyed(said: model.Keyed, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, Phase.KEYING, Phase.CONTRIBUTING, Phase.REVEALING, Phase.AGGREGATING)
    _seated(found, said.member, said.position)
    need = found.round
    if found.phase == Phase.KEYING:
        _in_time(found, at)
    else:  # a member that missed a round returns with the next
        need += 1
    _rule(said.round == need, "round", seen=said.round, needed=need)
    round_ = found.of(said.round)
    _rule(said.position not in round_.keys, "keyed once", seen=said.position)
    _put(ledger, found, replace(round_, keys=round_.keys | {said.position: said.keys}))


@_on(model.Contributed)
def _contributed(said: model.Contributed, ledger: Ledger, at: Position) -> None:
    found, round_ = _posted(ledger, said, Phase.CONTRIBUTING, at)
    _rule(said.position in round_.keys, "posted keys for the round", seen=said.position)
    _rule(said.position not in round_.vectors, "contributes once", seen=said.position)
    after = found.of(said.round + 1)
    following = said.next.x != ZERO
    _rule(not following or said.position not in after.keys, "keyed once", seen=said.position)
    _put(ledger, found, replace(round_, vectors=round_.vectors | {said.position: said.vector}))
    if following:  # they wait in a round of their own until the aggregate opens it
        _put(ledger, found, replace(after, keys=after.keys | {said.position: said.next}))


@_on(model.Revealed)
def _revealed(said: model.Revealed, ledger: Ledger, at: Position) -> None:
    found, round_ = _posted(ledger, said, Phase.REVEALING, at)
    _rule(said.position in round_.vectors, "a survivor", seen=said.position)
    _rule(said.position not in round_.seeds, "reveals once", seen=said.position)
    _put(ledger, found, replace(round_, seeds=round_.seeds | {said.position: said.seed}))


@_on(model.Aggregated)
def _aggregated(said: model.Aggregated, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, Phase.AGGREGATING)
    _in_time(found, at)
    _rule(found.position(said.poster) is not None, "a joined member", seen=said.poster)
    _rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    round_ = found.of(said.round)
    _rule(said.survivors == _bits(round_.vectors), "survivors", seen=said.survivors, needed=_bits(round_.vectors))
    _rule(said.last or said.round + 1 < found.terms.rounds, "last round", seen=said.round, needed=found.terms.rounds)
    _put(ledger, found, replace(round_, total=said.vector, poster=said.poster, survivors=said.survivors))


@_on(model.PhaseChanged)
def _phase_changed(said: model.PhaseChanged, ledger: Ledger, at: Position) -> None:
    found, phase = _training(ledger, said.id), Phase(said.phase)
    _rule((found.phase, phase) in _STEPS, "phase", seen=(found.phase.name, phase.name))
    number = found.round - (phase == Phase.CHALLENGING)  # its sum is posted, and no other round follows
    _rule(said.round == number, "round", seen=said.round, needed=number)
    expected = _expected(found, phase, found.of(number))
    _rule(said.members == expected, "members", seen=said.members, needed=expected)
    _rule(_complete(found) or _late(found, at), "everybody, or past the deadline", seen=at.time, needed=found.deadline)
    few = expected.bit_count() < found.needed
    _rule(not few or phase == Phase.KEYING, "enough members", seen=expected.bit_count(), needed=found.needed)
    seconds = found.terms.challenge_seconds if phase == Phase.CHALLENGING else found.terms.phase_seconds
    _rule(said.deadline == at.time + seconds, "deadline", seen=said.deadline, needed=at.time + seconds)
    ledger.trainings[said.id] = replace(found, phase=phase, deadline=said.deadline, block=at.block)


@_on(model.Voided)
def _voided(said: model.Voided, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, *_VOID)
    _rule(said.reason == _VOID[found.phase], "reason", seen=said.reason, needed=_VOID[found.phase])
    _rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    _rule(at.time > found.deadline, "deadline", seen=at.time, needed=found.deadline)
    few = found.phase in (Phase.REVEALING, Phase.AGGREGATING) or _count(found) < found.needed
    _rule(few, "too few members", seen=_count(found), needed=found.needed)
    ledger.trainings[said.id] = replace(found, phase=Phase.VOID, void=model.Reason(said.reason))


@_on(model.Finalized)
def _finalized(said: model.Finalized, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, Phase.CHALLENGING)
    _rule(found.position(said.by) is not None, "a joined member", seen=said.by)
    _rule(at.time > found.deadline, "challenge window", seen=at.time, needed=found.deadline)
    ledger.trainings[said.id] = replace(found, phase=Phase.FINAL, model=said.model)


@_on(model.Attested)
def _attested(said: model.Attested, ledger: Ledger, at: Position) -> None:
    """The last word of each member counts."""
    found, who = _training(ledger, said.id, Phase.FINAL), {said.member}
    _rule(found.position(said.member) is not None, "a joined member", seen=said.member)
    same, other = (who, set()) if said.model == found.model else (set(), who)
    ledger.trainings[said.id] = replace(
        found, attested=found.attested - who | same, disputed=found.disputed - who | other
    )


_STEPS = {
    (Phase.JOINING, Phase.KEYING),
    (Phase.KEYING, Phase.CONTRIBUTING),
    (Phase.CONTRIBUTING, Phase.REVEALING),
    (Phase.REVEALING, Phase.AGGREGATING),
    (Phase.AGGREGATING, Phase.CONTRIBUTING),
    (Phase.AGGREGATING, Phase.KEYING),
    (Phase.AGGREGATING, Phase.CHALLENGING),
}

_VOID = {
    Phase.JOINING: model.Reason.TOO_FEW_JOINED,
    Phase.KEYING: model.Reason.TOO_FEW_KEYS,
    Phase.CONTRIBUTING: model.Reason.TOO_FEW_CONTRIBUTIONS,
    Phase.REVEALING: model.Reason.SILENT_AT_REVEAL,
    Phase.AGGREGATING: model.Reason.NO_AGGREGATE,
}
"""Why a phase that is past its deadline makes the training void."""


# --- rounds ---


def _posted(
    ledger: Ledger, said: model.Contributed | model.Revealed, phase: Phase, at: Position
) -> tuple[Training, Round]:
    """The training and its round under way, for what a member posts in time."""
    found = _training(ledger, said.id, phase)
    _seated(found, said.member, said.position)
    _in_time(found, at)
    _rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    return found, found.of(said.round)


def _expected(training: Training, phase: Phase, round_: Round) -> int:
    """Whom a phase waits for, as bits of positions."""
    if phase == Phase.KEYING:
        return _bits(range(len(training.seats)))
    return _bits(round_.keys if phase == Phase.CONTRIBUTING else round_.vectors)


def _count(training: Training) -> int:
    """How many have posted what the present phase asks for."""
    round_ = training.of(training.round)
    posted = {Phase.JOINING: training.seats, Phase.KEYING: round_.keys, Phase.CONTRIBUTING: round_.vectors,
              Phase.REVEALING: round_.seeds}  # fmt: skip
    return len(posted.get(training.phase, ()))


def _complete(training: Training) -> bool:
    """Whether all have posted whom the present phase waits for."""
    round_ = training.of(training.round)
    if training.phase == Phase.AGGREGATING:
        return not round_.vectors  # the sum is posted: this is the next round already
    waits = {Phase.JOINING: training.terms.seats, Phase.KEYING: len(training.seats),
             Phase.CONTRIBUTING: len(round_.keys), Phase.REVEALING: len(round_.vectors)}  # fmt: skip
    return _count(training) == waits[training.phase]


def _late(training: Training, at: Position) -> bool:
    """Whether a phase may end without some: seeds and sums cannot be done without."""
    return at.time > training.deadline and training.phase not in (Phase.REVEALING, Phase.AGGREGATING)


# --- small checks ---


def _rule(holds: bool, clause: str, *, seen: Any, needed: Any = None) -> None:
    if not holds:
        raise Untrusted("the chain says what its rules forbid", clause=clause, seen=seen, needed=needed)


def _allow(holds: bool, clause: str, seen: Any, needed: Any) -> None:
    if not holds:
        raise Refused("the grant does not allow this", clause=clause, seen=seen, needed=needed)


def _known(ledger: Ledger, account: Address) -> Member:
    found = ledger.members.get(account)
    _rule(found is not None, "a member", seen=account)
    assert found is not None
    return found


def _active(ledger: Ledger, account: Address, at: Position, *, even_paused: bool = False) -> Member:
    found = _known(ledger, account)
    _rule(_may_act(found), "an active member", seen=f"{account} {found.state.name.lower()}")
    _rule(even_paused or at.time >= ledger.paused_until, "not paused", seen=at.time, needed=ledger.paused_until)
    return found


def _has_successor(ledger: Ledger, account: Address, at: Position) -> bool:
    """Whether the member of this account, at whatever account it is now, may act."""
    index = _known(ledger, account).index
    return any(m.index == index and _may_act(m) for m in ledger.members.values()) and at.time >= ledger.paused_until


def _may_act(member: Member) -> bool:
    return member.state == MemberState.ACTIVE and bool(member.roles & Role.MEMBER)


def _advance(ledger: Ledger, epoch: int) -> None:
    """Each decision raises the epoch by one."""
    _rule(epoch == ledger.epoch + 1, "epoch", seen=epoch, needed=ledger.epoch + 1)
    ledger.epoch = epoch


def _dataset(ledger: Ledger, dataset: DatasetId, *, even_retired: bool = False) -> Dataset:
    found = ledger.datasets.get(dataset)
    _rule(found is not None, "a published dataset", seen=dataset)
    assert found is not None
    _rule(even_retired or found.state == DatasetState.ACTIVE, "not retired", seen=dataset)
    return found


def _training(ledger: Ledger, training: TrainingId, *phases: Phase) -> Training:
    found = ledger.trainings.get(training)
    _rule(found is not None, "an open training", seen=training)
    assert found is not None
    _rule(not phases or found.phase in phases, "phase", seen=found.phase.name, needed=[p.name for p in phases])
    return found


def _seated(training: Training, member: Address, position: int) -> None:
    _rule(training.position(member) == position, "seat", seen=(member, position), needed=training.position(member))


def _in_time(training: Training, at: Position) -> None:
    _rule(at.time <= training.deadline, "deadline", seen=at.time, needed=training.deadline)


def _put(ledger: Ledger, training: Training, round_: Round) -> None:
    others = [r for r in ledger.trainings[training.id].rounds if r.number != round_.number]
    rounds = tuple(sorted([*others, round_], key=lambda r: r.number))
    ledger.trainings[training.id] = replace(ledger.trainings[training.id], rounds=rounds)


def _bits(positions: Iterable[int]) -> int:
    return sum(1 << p for p in positions)
