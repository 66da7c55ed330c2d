"""Routes about the alliance as this node knows it: its own state, members, datasets and their operating."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from node import publish, show, status
from node.api.guard import OurNode, needs
from node.api.routes import DatasetPath, Key, many, one
from node.api.shapes import ID
from node.api.uploads import Uploaded
from node.documents import Manifest, plain
from node.ledger import dataset_of
from node.model import DatasetId
from node.policy import Offer, bits
from node.purposes import PURPOSES
from node.show import uses
from node.status import Health, Status

public = APIRouter(tags=["node"])
reading = APIRouter(tags=["alliance"], dependencies=[Depends(needs("read"))])
operating = APIRouter(tags=["alliance"], dependencies=[Depends(needs("operate"))])


class Offered(BaseModel):
    """What a publication is called and what it is offered for."""

    title: str = Field(min_length=1, max_length=200, examples=["Mill 7, October"])
    description: str = Field("", max_length=10_000)
    dataset: str | None = Field(None, pattern=ID, description="Publish the next version of this one.")
    use: list[Literal["read", "train"]] = Field(["read", "train"], max_length=2)
    purpose: list[str] = Field(list(PURPOSES), max_length=len(PURPOSES), description=", ".join(PURPOSES))
    days: int = Field(365, ge=1, le=36_500, description="The longest period offered.")
    count: int = Field(0, ge=0, le=1 << 31, description="The most openings offered; 0: no limit.")
    budget: int = Field(0, ge=0, le=1 << 31, description="Thousandths of epsilon that trainings may spend.")

    profile: Literal["unixfs-v1-2025", "kubo-256k"] = Field(
        "unixfs-v1-2025", description="How the sealed file is cut into IPFS blocks."
    )

    def offer(self) -> Offer:
        bits(self.purpose)
        return Offer(uses(self.use), tuple(p for p in PURPOSES if p in self.purpose), self.days, self.count)


@public.get("/health", **one(Health))
def health(node: OurNode) -> Any:
    """Whose node this is, and that it and its chain answer. Needs no token."""
    return plain(status.health(node))


@reading.get("/status", **one(Status))
def node_status(node: OurNode) -> Any:
    """How far this node follows its chain, and what its store holds."""
    return plain(status.status(node))


@reading.get("/members", **many(show.Member))
def members(node: OurNode) -> Any:
    """Everybody who ever belonged."""
    return [plain(show.member(found)) for found in list(node.ledger.members.values())]


@reading.get("/datasets", **many(show.Dataset))
def datasets(node: OurNode) -> Any:
    """All datasets of the alliance. What they are about is in their manifests, which only members may read."""
    return [plain(show.dataset(found)) for found in list(node.ledger.datasets.values())]


@reading.get("/datasets/{dataset}", **one(show.DatasetHistory, 404))
def dataset(node: OurNode, dataset: DatasetPath) -> Any:
    """One dataset with its versions."""
    return plain(show.history(node.ledger, dataset_of(node.ledger, dataset)))


@reading.get("/datasets/{dataset}/versions/{version}/manifest", **one(Manifest, 403, 404, 503))
def manifest(node: OurNode, dataset: DatasetPath, version: int) -> Any:
    """What a version is about: from our own records, or from its owner's node."""
    return plain(node.manifest(dataset, version))


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "text/csv": {"schema": {"type": "string"}, "example": "hour,power\n0,12.5\n"},
        },
    }
}


@operating.post("/datasets", openapi_extra=BODY, **one(publish.PublishedVersion, 403, 404, 409, 413))
def publish_dataset(
    node: OurNode, upload: Uploaded, asked: Annotated[Offered, Query()], idempotency_key: Key = None
) -> Any:
    """Publish the body as a new dataset, or as the next version of `dataset`: sealed here, stored, committed on chain.

    The same bytes under the same title are the same publication, unless `Idempotency-Key` says otherwise."""
    key = idempotency_key or f"api:{upload.sha256}:{asked.title}:{asked.dataset or 'new'}"
    published = publish.publish(
        node,
        upload.path,
        title=asked.title,
        description=asked.description,
        offer=asked.offer(),
        budget=asked.budget,
        dataset=None if asked.dataset is None else DatasetId(asked.dataset),
        profile=asked.profile,
        key=key,
    )
    return plain(published)


@operating.post("/datasets/{dataset}/retire", **one(publish.Retirement, 403, 404, 409))
def retire(node: OurNode, dataset: DatasetPath) -> Any:
    """Offer a dataset no longer; what was granted stays as granted."""
    return plain(publish.retire(node, dataset))
