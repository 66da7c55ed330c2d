"""What the fold remembers: members, datasets, grants, trainings, by id. Read them; only the rules make new ones."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from node import model
from node.model import (
    ZERO,
    Address,
    DatasetId,
    DatasetState,
    Digest,
    GrantId,
    GrantState,
    Keys,
    MemberState,
    Phase,
    Position,
    Post,
    Reason,
    Role,
    Terms,
    Time,
    TrainingId,
    TrainingTerms,
    Vector,
    Version,
)


@dataclass(frozen=True, slots=True)
class Member:
    account: Address
    index: int
    state: MemberState
    roles: Role
    card: Digest
    since: Time

    @property
    def may_act(self) -> bool:
        """Active, and a member: auditors read only."""
        return self.state == MemberState.ACTIVE and bool(self.roles & Role.MEMBER)


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
    """One secure sum: what each position posted, who survived, what was revealed and summed.

    `shares` by (holder, dealer): of the dropped ones' scalars and the silent survivors' seeds. `recovered`: who opened
    the latter. `lost`: why it gave no sum that counts. `posted`: how many posts the training had when it was summed.
    """

    number: int
    keys: dict[int, Keys] = field(default_factory=dict)
    vectors: dict[int, Vector] = field(default_factory=dict)
    seeds: dict[int, Digest] = field(default_factory=dict)
    shares: dict[tuple[int, int], Digest] = field(default_factory=dict)
    recovered: frozenset[int] = frozenset()
    total: Vector | None = None
    poster: Address | None = None
    survivors: int = 0
    posted: int = 0
    lost: Reason = Reason.NONE


@dataclass(frozen=True, slots=True)
class Dispute:
    """Found against members (bits of positions) and not acted on yet: they are barred, then a round lost, or a sum
    corrected."""

    reason: Reason
    round: int
    culprits: int
    by: Address
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Training:
    id: TrainingId
    opener: Address
    terms: TrainingTerms
    phase: Phase
    deadline: Time
    seats: tuple[Seat, ...] = ()
    rounds: tuple[Round, ...] = ()
    void: Reason = Reason.NONE
    model: Digest = ZERO
    attested: frozenset[Address] = frozenset()
    """Who derived that same model."""
    disputed: frozenset[Address] = frozenset()
    """Who derived another one."""
    block: int = 0
    """In which the present phase began."""
    round: int = 0
    """Number of the round under way, or of the last one."""
    ended: bool | None = None
    """Once the round gave a sum or was lost, until the phase changes: whether all rounds end with it."""
    spares: int = 0
    """How many more rounds may be lost for want of members."""
    barred: int = 0
    """Positions (bits) that the training goes on without."""
    posts: tuple[Post, ...] = ()
    """All keys and vectors in order."""
    votes: frozenset[tuple[Any, int]] = frozenset()
    """Who (by position) accused or overruled what."""
    dispute: Dispute | None = None

    @property
    def sums(self) -> tuple[Round, ...]:
        """The rounds whose sums count, in order."""
        return tuple(r for r in self.rounds if r.total is not None)

    @property
    def lost(self) -> int:
        """How many rounds gave no sum that counts."""
        return sum(r.lost != Reason.NONE for r in self.rounds)

    @property
    def free(self) -> int:
        """Positions (bits) of all who joined and are not barred."""
        return (1 << len(self.seats)) - 1 & ~self.barred

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
