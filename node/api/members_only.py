"""Routes for other members' nodes: each request is signed with a member's account.

The asking side is `node.peers`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response

from node import access, overlap
from node.api.guard import Asker, OurNode
from node.api.routes import DigestPath, GrantPath, TrainingPath, many, one
from node.db import documents
from node.documents import Manifest, OverlapAnswer, OverlapRequest, Refusal, ViewList, encode, plain
from node.errors import NotFound, Refused
from node.ledger import Ledger, dataset_of, training_of
from node.model import Address, Digest, Phase
from node.trainer import place_of
from node.views import Views

BYTES: dict[int | str, dict[str, Any]] = {
    **one(Manifest, 404)["responses"],
    200: {"description": "Bytes, at most 1 MiB."},
}

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


@router.get("/overlaps", **many(OverlapRequest))
def overlaps(node: OurNode, asker: Asker) -> Any:
    """What this member asks of the asking one: private set intersections that wait for its answer."""
    return [plain(one) for one in overlap.addressed_to(node, asker)]


@router.get("/overlaps/{digest}", **one(OverlapAnswer, 404))
def overlap_answer(node: OurNode, asker: Asker, digest: DigestPath) -> Any:
    """Our signed answer to the asking member's request, once a person here has approved it."""
    return Response(encode(overlap.answer_to(node, digest, asker)), media_type="application/json")


@router.get("/overlaps/{digest}/{part}", response_class=Response, responses=BYTES)
def overlap_part(
    node: OurNode, asker: Asker, digest: DigestPath, part: Literal["message", "setup", "response"]
) -> Any:  # fmt: skip
    """The bytes of one message of the protocol, for the member that it is meant for."""
    return Response(overlap.part_for(node, digest, part, asker), media_type="application/octet-stream")


def _ours(ledger: Ledger, me: Address, commitment: Digest) -> bool:
    mine = (found for found in list(ledger.datasets.values()) if found.owner == me)
    return any(version.content.commitment == commitment for found in mine for version in found.versions)
