"""Our mappings as they are kept: private documents by digest, the versions of one plan, and the one we joined with.

A changed mapping is a new document with the next version; none is ever changed or removed. It decides nothing.

    mapping = current(node, training.terms.plan)             # None where our table has the plan's columns as they are
    mapping = required(node, key.mapping)                    # the one fixed by a join
    columns(plan, mapping, own_columns)
"""

from __future__ import annotations

import hashlib
from typing import Any

from federation.mapping import mapped, wanted
from federation.tables import Columns
from node import documents, ledger, model
from node.db import Tx
from node.db import documents as private
from node.documents import Mapping, PublicKey, digest_of
from node.errors import Conflict
from node.model import Digest
from node.sums import Plan
from node.wiring import Node

KIND = "mapping"


def versions(tx: Tx, plan: Digest) -> list[Mapping]:
    """All our mappings for a plan, oldest first."""
    kept = (documents.decode(Mapping, body) for body in private.of_kind(tx, KIND))
    return sorted((one for one in kept if one.plan == plan), key=lambda one: one.version)


def current(node: Node, plan: Digest) -> Mapping | None:
    """The newest."""
    with node.db.reading() as tx:
        return next(reversed(versions(tx, plan)), None)


def required(node: Node, digest: Digest) -> Mapping:
    """The very one. Raises NotFound where this node no longer has it, Untrusted where it is not what was kept."""
    with node.db.reading() as tx:
        return documents.decode(Mapping, private.get(tx, digest))


def joined_with(node: Node, training: ledger.Training) -> Digest | None:
    """The digest of the mapping that our seat was taken with; None without one, or without a seat."""
    seat = next((one for one in training.seats if one.member == node.me), None)
    return node.get_document(PublicKey, seat.hpke, member=node.me).mapping if seat else None


def require_joined_with(node: Node, training: ledger.Training) -> None:
    """Raise Conflict where the mapping was changed after we joined: the training goes on with the one on chain."""
    now, then = current(node, training.terms.plan), joined_with(node, training)
    if (digest_of(now) if now else None) != then:
        raise Conflict(
            "the mapping was changed after this training was joined, which goes on with the earlier one",
            clause="mapping", seen=f"version {now.version if now else 0}",
            needed=f"version {required(node, then).version}" if then else "none",
            hint="the new version is for the next training with this plan",
        )  # fmt: skip


def columns(plan: Plan, mapping: Mapping, own: Columns) -> dict[str, list[Any]]:
    """The plan's columns from our own. Raises federation's Refused naming the feature, the text and its row."""
    return mapped(mapping.sources, wanted(plan.params), own)


def plan_digest(plan: Plan) -> Digest:
    """What a mapping is for: the digest under which the plan is on chain."""
    return model.digest(hashlib.sha256(plan.encode()).digest())
