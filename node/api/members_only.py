"""Routes for other members' nodes: each request is signed with a member's account.

The asking side is `node.peers`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response

from node import access
from node.api.guard import Asker, OurNode
from node.api.routes import DigestPath, GrantPath, TrainingPath, one
from node.db import documents
from node.documents import Manifest, Refusal, ViewList, encode
from node.errors import NotFound, Refused
from node.ledger import Ledger, dataset_of, training_of
from node.model import Address, Digest, Phase
from node.trainer import place_of
from node.views import Views

router = APIRouter(prefix="/peer", tags=["peer"])


@router.get("/manifests/{commitment}", **one(Manifest, 404))
def manifest(node: OurNode, asker: Asker, commitment: DigestPath) -> Any:
    """What one of our versions is about, as the very bytes that the commitment on chain is the digest of."""
    if not _ours(node.ledger, node.me, commitment):
        raise NotFound("not a version of this member's", clause="commitment", seen=commitment)
    with node.db.reading() as tx:
        return Response(documents.get(tx, commitment), media_type="application/json")


@router.get("/refusals/{grant}", **one(Refusal, 404))
def refusal(node: OurNode, asker: Asker, grant: GrantPath) -> Any:
    """Our signed no to the asking member's request."""
    asked = node.ledger.requests.get(grant)
    if asked is None or dataset_of(node.ledger, asked.dataset).owner != node.me:
        raise NotFound("no such request to this member", clause="request", seen=grant)
    if asked.consumer != asker:
        raise Refused("only the consumer may read the answer", clause="consumer", seen=asker, needed=asked.consumer)
    return Response(encode(access.refusal(node, grant)), media_type="application/json")


@router.get("/trainings/{number}/views/{round_number}/{phase}", **one(ViewList, 404))
def views(
    node: OurNode, asker: Asker, number: TrainingPath, round_number: Annotated[int, Path(ge=0, lt=1 << 31)],
    phase: Literal["contributing", "revealing"],
) -> Any:  # fmt: skip
    """Our signed view of a training's round before that step, and those of other members that we hold."""
    if training_of(node.ledger, number).position(asker) is None:
        raise Refused("only who has joined may ask", clause="joined", seen=asker)
    found = Views(node, place_of(node), number, round_number, Phase[phase.upper()])
    return Response(encode(found.answer()), media_type="application/json")


def _ours(ledger: Ledger, me: Address, commitment: Digest) -> bool:
    mine = (found for found in list(ledger.datasets.values()) if found.owner == me)
    return any(version.content.commitment == commitment for found in mine for version in found.versions)
