"""Frozen records of what only this node knows; what the chain says has its records in `node.model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from node.model import Address, BlockHash, DatasetId, Digest, GrantId, Time, TxHash


@dataclass(frozen=True, slots=True)
class Kept:
    """A block the node has indexed up to: enough to see later whether the chain still has it."""

    number: int
    hash: BlockHash
    time: Time


class Progress(StrEnum):
    """Where a submission stands. FINAL and FAILED stay; a reorg can take the others back to PENDING."""

    PENDING = "pending"  # signed bytes on disk; whether they reached a pool is not a fact that a database can know
    MINED = "mined"
    REVERTED = "reverted"  # mined, and the contract said no
    FINAL = "final"
    FAILED = "failed"  # reverted in a block that stays


@dataclass(frozen=True, slots=True)
class Submission:
    """One intent in the outbox: `fees` are its fee fields in wei, `hash` is that of its newest signed form."""

    id: int
    key: str
    purpose: str
    sender: Address
    nonce: int
    to: Address
    data: bytes
    gas: int
    fees: Mapping[str, int]
    hash: TxHash
    state: Progress
    block: int | None
    block_hash: BlockHash | None
    missed_at: int | None  # head at which the nonce was first seen taken by a transaction we do not know
    error: str | None
    created: Time


@dataclass(frozen=True, slots=True)
class Attempt:
    """Signed bytes for a submission. None is ever forgotten: each of them could be the one that was mined."""

    hash: TxHash
    nonce: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Operation:
    """How far a story has come; `state` is the story's own JSON object, written before the step it describes."""

    key: str
    kind: str
    step: str
    state: Mapping[str, Any]
    error: str | None
    done: bool
    created: Time
    updated: Time


@dataclass(frozen=True, slots=True)
class Holding:
    """A dataset version of our own: where its description and its sealed bytes are. Its file key is in the keyring."""

    dataset: DatasetId
    version: int
    name: str
    salt: Digest
    manifest: Digest
    policy: Digest
    envelope: Digest
    cid: str
    created: Time


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A signed receipt as bytes; `root` is the batch it was anchored under, None while it waits."""

    digest: Digest
    grant: GrantId
    body: bytes
    root: Digest | None
    created: Time


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as kept: its secret is nowhere, only its SHA-256. `expires` exclusive."""

    hash: Digest
    prefix: str
    label: str
    scopes: tuple[str, ...]
    created: Time
    expires: Time
    used: Time | None = None
    revoked: Time | None = None
