"""The words of the alliance as frozen records with distinct id types. No behaviour, no I/O.

Ids and digests are lower-case `0x` hex strings of 32 bytes; addresses are checksummed (EIP-55). Times are seconds
since the epoch. The records under *What the chain says* mirror the events of contracts/interfaces one to one: same
name, same fields in snake_case, so that `ledger.apply` can fold them and an auditor can re-encode them for the
running hash.

    event = Event(contract="Datasets", seq=1, at=Position(block=7, time=1_760_000_000, ...), said=Published(...))
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NewType, TypeAlias

Address = NewType("Address", str)
Digest = NewType("Digest", str)
DatasetId = NewType("DatasetId", str)
GrantId = NewType("GrantId", str)
TrainingId = NewType("TrainingId", str)
TxHash = NewType("TxHash", str)
BlockHash = NewType("BlockHash", str)
Time = NewType("Time", int)

ZERO = Digest("0x" + "00" * 32)

CONTRACTS = ("Members", "Datasets", "Grants", "Trainings")
"""Names in the Consortium's directory, left to right: each knows only those before it."""


def raw(hex_text: str) -> bytes:
    """The bytes behind an id, digest or address."""
    return bytes.fromhex(hex_text.removeprefix("0x"))


def digest(data: bytes) -> Digest:
    """A 32-byte digest as the chain, the database and JSON write it."""
    return Digest("0x" + data.hex())


class MemberState(IntEnum):
    UNKNOWN, ACTIVE, SUSPENDED, EXPELLED = range(4)


class Role(IntFlag):
    MEMBER, AUDITOR, OPERATOR = 1, 2, 4


class DatasetState(IntEnum):
    UNKNOWN, ACTIVE, RETIRED = range(3)


class Use(IntFlag):
    READ, TRAIN = 1, 2


class GrantState(IntEnum):
    UNKNOWN, GRANTED, REVOKED, REPLACED, WITHDRAWN = range(5)


class Phase(IntEnum):
    (
        UNKNOWN,
        JOINING,
        KEYING,
        CONTRIBUTING,
        REVEALING,
        RECOVERING,
        AGGREGATING,
        CHALLENGING,
        FINAL,
        VOID,
    ) = range(10)


class Reason(IntEnum):
    (
        NONE,
        TOO_FEW_JOINED,
        TOO_FEW_KEYS,
        TOO_FEW_CONTRIBUTIONS,
        SILENT_AT_REVEAL,
        NO_AGGREGATE,
        WRONG_AGGREGATE,
        WITHHELD,
    ) = range(8)


# --- parts of events ---


@dataclass(frozen=True, slots=True)
class Version:
    """What a dataset version puts on chain; `budget` in thousandths of epsilon."""

    commitment: Digest
    envelope: Digest
    policy: Digest
    uses: int
    budget: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What owner and consumer both sign (EIP-712 struct of Grants); `from_` inclusive, `until` exclusive."""

    dataset: DatasetId
    version: int
    owner: Address
    consumer: Address
    policy: Digest
    document: Digest
    recipient: Digest
    uses: int
    purposes: int
    count: int
    from_: Time
    until: Time
    deadline: Time
    replaces: GrantId
    nonce: Digest


@dataclass(frozen=True, slots=True)
class TrainingTerms:
    """The on-chain frame of a training: `rounds` most sums, `spares` rounds that may be lost for want of members.

    Durations in seconds, `epsilon` in thousandths."""

    plan: Digest
    ring: int
    seats: int
    minimum: int
    threshold: int
    rounds: int
    spares: int
    join_seconds: int
    phase_seconds: int
    challenge_seconds: int
    epsilon: int


@dataclass(frozen=True, slots=True)
class Keys:
    """One member's keys for one round: compressed point (x, parity), SHA-256 of the seed, share bundle's digest."""

    x: Digest
    parity: int
    seed: Digest
    shares: Digest


NO_KEYS = Keys(ZERO, 0, ZERO, ZERO)


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector in the store: RFC 6962 root over 256-byte leaves, digest inside its CID, number of leaves."""

    root: Digest
    blob: Digest
    leaves: int


NO_VECTOR = Vector(ZERO, ZERO, 0)


@dataclass(frozen=True, slots=True)
class Post:
    """What a member posted: a vector of `round` with keys for the next, or keys for `round` and NO_VECTOR."""

    member: Address
    position: int
    round: int
    vector: Vector
    keys: Keys


@dataclass(frozen=True, slots=True)
class Sum:
    """A posted sum: the rolling digest of posts before it, who had keys and who contributed (bits), and whose it is."""

    round: int
    posts: Digest
    keyed: int
    survivors: int
    vector: Vector
    poster: Address


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows block `block` of the first of `sums` to be wrong; ITrainings.sol says what each part is."""

    before: Digest
    sums: tuple[Sum, ...]
    posts_before: Digest
    posts: tuple[Post, ...]
    block: int
    leaves: tuple[bytes, ...]
    paths: tuple[tuple[Digest, ...], ...]
    seeds: tuple[Digest, ...]
    scalars: tuple[Digest, ...]
    points: tuple[tuple[Digest, Digest], ...]


# --- what the chain says ---


@dataclass(frozen=True, slots=True)
class Entered:
    name: Digest
    at: Address
    code_hash: Digest
    from_: Time
    change: int


@dataclass(frozen=True, slots=True)
class Admitted:
    account: Address
    index: int
    roles: int
    card: Digest
    epoch: int


@dataclass(frozen=True, slots=True)
class StateChanged:
    account: Address
    state: int
    epoch: int


@dataclass(frozen=True, slots=True)
class AccountRotated:
    from_: Address
    to: Address
    index: int
    epoch: int


@dataclass(frozen=True, slots=True)
class CardChanged:
    account: Address
    card: Digest


@dataclass(frozen=True, slots=True)
class Approved:
    account: Address
    digest: Digest


@dataclass(frozen=True, slots=True)
class PauseSet:
    until: Time
    epoch: int


@dataclass(frozen=True, slots=True)
class Published:
    id: DatasetId
    owner: Address
    version: int
    content: Version


@dataclass(frozen=True, slots=True)
class Retired:
    id: DatasetId
    owner: Address


@dataclass(frozen=True, slots=True)
class Transferred:
    id: DatasetId
    from_: Address
    to: Address


@dataclass(frozen=True, slots=True)
class Anchored:
    root: Digest
    owner: Address
    size: int
    list: Digest


@dataclass(frozen=True, slots=True)
class Requested:
    id: GrantId
    dataset: DatasetId
    consumer: Address
    version: int
    request: Digest


@dataclass(frozen=True, slots=True)
class Granted:
    id: GrantId
    dataset: DatasetId
    consumer: Address
    terms: Terms
    wrap: Digest


@dataclass(frozen=True, slots=True)
class Revoked:
    id: GrantId
    dataset: DatasetId
    by: Address


@dataclass(frozen=True, slots=True)
class Withdrawn:
    id: GrantId
    consumer: Address


@dataclass(frozen=True, slots=True)
class Received:
    consumer: Address
    root: Digest
    size: int
    list: Digest


@dataclass(frozen=True, slots=True)
class Opened:
    id: TrainingId
    opener: Address
    terms: TrainingTerms
    join_until: Time


@dataclass(frozen=True, slots=True)
class Joined:
    id: TrainingId
    member: Address
    dataset: DatasetId
    version: int
    position: int
    hpke: Digest


@dataclass(frozen=True, slots=True)
class Keyed:
    id: TrainingId
    member: Address
    round: int
    position: int
    keys: Keys


@dataclass(frozen=True, slots=True)
class Contributed:
    id: TrainingId
    member: Address
    round: int
    position: int
    vector: Vector
    next: Keys


@dataclass(frozen=True, slots=True)
class Revealed:
    id: TrainingId
    member: Address
    round: int
    position: int
    seed: Digest


@dataclass(frozen=True, slots=True)
class ShareOpened:
    id: TrainingId
    holder: Address
    round: int
    dealer: int
    share: Digest


@dataclass(frozen=True, slots=True)
class Recovered:
    id: TrainingId
    member: Address
    round: int
    position: int


@dataclass(frozen=True, slots=True)
class Accused:
    id: TrainingId
    member: Address
    round: int
    positions: int


@dataclass(frozen=True, slots=True)
class Barred:
    id: TrainingId
    round: int
    positions: int


@dataclass(frozen=True, slots=True)
class RoundLost:
    id: TrainingId
    reason: int
    round: int


@dataclass(frozen=True, slots=True)
class Aggregated:
    id: TrainingId
    poster: Address
    round: int
    vector: Vector
    survivors: int
    transcript: Digest
    last: bool


@dataclass(frozen=True, slots=True)
class Challenged:
    id: TrainingId
    by: Address
    round: int
    block: int


@dataclass(frozen=True, slots=True)
class Overruled:
    id: TrainingId
    member: Address
    round: int
    vector: Vector
    last: bool


@dataclass(frozen=True, slots=True)
class Corrected:
    id: TrainingId
    by: Address
    round: int
    vector: Vector
    transcript: Digest
    last: bool


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    id: TrainingId
    phase: int
    round: int
    members: int
    deadline: Time


@dataclass(frozen=True, slots=True)
class Voided:
    id: TrainingId
    reason: int
    round: int


@dataclass(frozen=True, slots=True)
class Finalized:
    id: TrainingId
    by: Address
    model: Digest


@dataclass(frozen=True, slots=True)
class Attested:
    id: TrainingId
    member: Address
    model: Digest


Said: TypeAlias = (
    Entered
    | Admitted
    | StateChanged
    | AccountRotated
    | CardChanged
    | Approved
    | PauseSet
    | Published
    | Retired
    | Transferred
    | Anchored
    | Requested
    | Granted
    | Revoked
    | Withdrawn
    | Received
    | Opened
    | Joined
    | Keyed
    | Contributed
    | Revealed
    | ShareOpened
    | Recovered
    | Accused
    | Barred
    | RoundLost
    | Aggregated
    | Challenged
    | Overruled
    | Corrected
    | PhaseChanged
    | Voided
    | Finalized
    | Attested
)


@dataclass(frozen=True, slots=True)
class Position:
    """Where an event stands on chain; `time` is its block's."""

    block: int
    index: int
    time: Time
    block_hash: BlockHash
    tx: TxHash


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one contract: `seq` is its number in that contract's running hash."""

    contract: str
    seq: int
    at: Position
    said: Said


@dataclass(frozen=True, slots=True)
class Head:
    """A contract's running hash (28 bytes, hex) and how many events it covers."""

    hash: str
    seq: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block as the node keeps it."""

    number: int
    hash: BlockHash
    parent: BlockHash
    time: Time


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the Consortium's directory."""

    name: str
    at: Address
    code_hash: Digest
    from_: Time


@dataclass(frozen=True, slots=True)
class Directory:
    """The alliance's contracts on one chain; `born` is the block of their first event."""

    chain_id: int
    genesis: BlockHash
    consortium: Address
    born: int
    entries: tuple[Entry, ...]

    def address(self, name: str) -> Address:
        """Address of the contract called `name`; KeyError where the directory has none."""
        return next(e.at for e in self.entries if e.name == name)


@dataclass(frozen=True, slots=True)
class Card:
    """A member's public card: a raw block in the store whose digest is on chain."""

    name: str
    endpoints: tuple[str, ...]
    hpke: str  # the public HPKE key, base64
