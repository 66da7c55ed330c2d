"""The public documents of the alliance and the private manifest: frozen records and their one canonical byte form.

Each document is canonical JSON (RFC 8785) with its `schema` named, up to 1 MiB, so that it is one raw block in a store
and its SHA-256 digest, which is what the chain holds, is its CID. Pure: no I/O.

    data = encode(Card(name="Alice Mills", endpoints=("https://alice.example",), hpke="..."))
    card = decode(Card, data)                   # Untrusted where a byte differs from what the schema says
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from federation.records import ADDED, is_unset
from federation.sources import Source
from node import canon, model
from node.errors import Untrusted
from node.model import Address, Card, DatasetId, Digest, GrantId, Terms, Time, TrainingId

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LIMIT = 1 << 20
SUITE = "FLOE-AES256GCM-64KiB"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `type` is a JSON Table Schema type: integer, number, boolean, string."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where the sealed bytes of a version are: public, says nothing about their content but the size."""

    dataset: DatasetId
    version: int
    cid: str
    size: int
    suite: str = SUITE
    profile: str = "unixfs-v1-2025"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a version is: for members only. Its digest is the commitment on chain, hidden by the salt (hex)."""

    dataset: DatasetId
    version: int
    title: str
    description: str
    media_type: str
    size: int
    envelope: Digest
    created: Time
    salt: str
    rows: int | None = None
    columns: tuple[Column, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A consumer's request: the terms and its signature over them (65 bytes, hex)."""

    chain_id: int
    grants: Address
    id: GrantId
    terms: Terms
    signature: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """An owner's answer to a request it does not grant: which clause, what was seen, what was needed; signed."""

    id: GrantId
    clause: str
    message: str
    seen: str
    needed: str
    at: Time
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A consumer's note that it fetched and verified a granted version; signed. `opening` counts them from 1: two
    openings in one second are two."""

    grant: GrantId
    dataset: DatasetId
    version: int
    envelope: str
    size: int
    purposes: int
    at: Time
    opening: int = 1
    signature: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptList:
    """The list behind one anchored root: digests of receipts in order."""

    receipts: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A member's public key for the share bundles of one training (2432 hex digits).

    Its digest is what a member joins with, so `mapping`, the digest of the member's private Mapping, is fixed with it;
    None, and not written, where the table has the plan's columns as they are."""

    member: Address
    key: str
    mapping: Digest | None = field(default=None, metadata=ADDED)


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a member's own columns become those that the plan with the digest `plan` names. Private, as it shows the
    table's columns and codes: the salt (hex, 32 bytes) hides it behind its digest. `version` counts from 1."""

    member: Address
    plan: Digest
    version: int
    sources: tuple[Source, ...]
    salt: str


@dataclass(frozen=True, slots=True)
class OverlapRequest:
    """A member asks another which record keys they have in common: of `dataset` and `version`, the owner's, whose key
    is described by `key`. `reveal`: the keys themselves, else only their number. `message` is the digest of the blinded
    keys, of which there are `keys`; signed. For the owner's node only."""

    asker: Address
    owner: Address
    dataset: DatasetId
    version: int
    key: str
    reveal: bool
    keys: int
    message: Digest
    at: Time
    signature: str = ""


@dataclass(frozen=True, slots=True)
class OverlapAnswer:
    """What the owner answered to one request (its digest): digests of its two messages; signed. For the asker only."""

    request: Digest
    setup: Digest
    response: Digest
    at: Time
    signature: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What a member sees of a round before it acts on it: signed, for the other members (`node.views`).

    Digests (SHA-256): `roster` over terms and seats, `sums` over the roots of earlier sums, `keys` over the key list
    (U1), `survivors` over accounts and roots of vectors (U3; zero while `phase` is "contributing")."""

    chain_id: int
    trainings: Address
    training: TrainingId
    round: int
    phase: str
    member: Address
    roster: Digest
    sums: Digest
    keys: Digest
    survivors: Digest
    signature: str = ""


@dataclass(frozen=True, slots=True)
class ViewList:
    """A member's view of a round, first, and those of others that it holds."""

    views: tuple[View, ...]


SCHEMAS: dict[type, str] = {
    Card: "hanse/card/1",
    Envelope: "hanse/envelope/1",
    Manifest: "hanse/manifest/1",
    RequestRecord: "hanse/request/1",
    Refusal: "hanse/refusal/1",
    Receipt: "hanse/receipt/1",
    ReceiptList: "hanse/receipts/1",
    PublicKey: "hanse/training-key/1",
    View: "hanse/view/1",
    ViewList: "hanse/views/1",
    Mapping: "hanse/mapping/1",
    OverlapRequest: "hanse/overlap-request/1",
    OverlapAnswer: "hanse/overlap-answer/1",
}

Record = TypeVar("Record")


def encode(record: Any) -> bytes:
    """Canonical bytes of a document. Raises Misuse where it is over 1 MiB or has no canonical form."""
    unset = {one.name for one in fields(record) if is_unset(record, one)}
    kept = {name: value for name, value in plain(record).items() if name not in unset}
    return canon.encode({"schema": SCHEMAS[type(record)], **kept})


def digest_of(record: Any) -> Digest:
    """SHA-256 of the canonical bytes: what goes on chain, and the digest in the block's CID."""
    return model.digest(hashlib.sha256(encode(record)).digest())


def decode(kind: type[Record], data: bytes) -> Record:
    """The record behind canonical bytes. Raises Untrusted (clause `schema`) for anything but exactly that document."""
    from pydantic import ValidationError

    document = canon.parse(data, limit=LIMIT)
    if document.pop("schema", None) != SCHEMAS[kind]:
        raise Untrusted("another kind of document", clause="schema", seen=data[:80], needed=SCHEMAS[kind])
    try:
        record: Record = _adapter(kind).validate_python(_fields(document))  # type: ignore[arg-type]
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Untrusted(f"the document's {where} is wrong: {first['msg']}", clause="schema", seen=where) from exc
    if encode(record) != data:
        raise Untrusted("the document has fields its schema does not know", clause="schema", needed=SCHEMAS[kind])
    return record


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Making one costs far more than using it."""
    from pydantic import TypeAdapter

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


_adapters: dict[type, TypeAdapter[Any]] = {}


def plain(record: Any) -> dict[str, Any]:
    """A record as JSON shows it: lists for tuples, `from` for `from_`. The API and the command line use it too."""
    return {name: _plain(value) for name, value in _renamed(asdict(record), "_", "").items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in _renamed(value, "_", "").items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def _renamed(fields: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {name.removesuffix(old) + new: value for name, value in fields.items()}


def _fields(document: Any) -> Any:
    """JSON names back to Python's: `from` is a keyword there."""
    if isinstance(document, dict):
        return {"from_" if name == "from" else name: _fields(value) for name, value in document.items()}
    return [_fields(value) for value in document] if isinstance(document, list) else document
