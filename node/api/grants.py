"""Routes about access: requests, the answers to them, fetching what was granted, and why not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from node import access, show
from node.api.guard import OurNode, needs
from node.api.routes import GrantPath, Key, many, one
from node.api.shapes import ACCOUNT, ID
from node.documents import Refusal, plain
from node.fetch import Fetched
from node.fetch import fetch as fetch_granted
from node.ledger import grant_of
from node.model import Address, DatasetId, Time
from node.show import uses

reading = APIRouter(tags=["access"], dependencies=[Depends(needs("read"))])
operating = APIRouter(tags=["access"], dependencies=[Depends(needs("operate"))])

_ID = "0x52ab0c6b1f5b8e0f3a7d94c2e61b7a8890d3f4c5a6b7e8d9f0a1b2c3d4e5f607"


class Asking(BaseModel):
    """A request for the current version of a dataset."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"dataset": _ID, "purposes": ["research"], "days": 30}}
    )
    dataset: str = Field(pattern=ID)
    purposes: list[str] = Field(min_length=1, max_length=16)
    uses: list[Literal["read", "train"]] = Field(["read"], min_length=1, max_length=2)
    days: int = Field(30, ge=1, le=36_500)
    count: int = Field(0, ge=0, le=1 << 31)


class Refusing(BaseModel):
    """What the consumer will read."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"message": "please ask for research"}})
    message: str = Field(min_length=1, max_length=2000)


class Fetching(BaseModel):
    """Why the version is opened."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"purposes": ["research"]}})
    purposes: list[str] = Field(min_length=1, max_length=16)


@reading.get("/requests", **many(show.Request))
def requests(node: OurNode) -> Any:
    """All requests of the alliance."""
    ledger = node.ledger
    return [plain(show.request(ledger, found)) for found in list(ledger.requests.values())]


@reading.get("/requests/waiting", **many(access.Waiting))
def waiting(node: OurNode) -> Any:
    """Requests for our datasets that wait for our answer; `breaks` is the clause of our offer they go beyond."""
    return [plain(found) for found in access.inbox(node)]


@operating.post("/requests", **one(access.Asked, 404, 409, 504))
def request(node: OurNode, asked: Asking, idempotency_key: Key = None) -> Any:
    """Ask a dataset's owner for its current version, under signed terms."""
    made = access.request(
        node,
        DatasetId(asked.dataset),
        purposes=asked.purposes,
        uses=uses(asked.uses),
        days=asked.days,
        count=asked.count,
        key=idempotency_key,
    )
    return plain(made)


@operating.post("/requests/{grant}/grant", **one(access.Decided, 404, 409, 502, 504))
def grant_request(node: OurNode, grant: GrantPath) -> Any:
    """Grant a request: both signatures and the wrapped key go to the contract."""
    return plain(access.grant(node, grant))


@operating.post("/requests/{grant}/refuse", **one(Refusal, 404))
def refuse(node: OurNode, grant: GrantPath, answer: Refusing) -> Any:
    """Answer a request with a signed no, which the consumer's node can ask for."""
    return plain(access.refuse(node, grant, answer.message))


@reading.get("/requests/{grant}/refusal", **one(Refusal, 404, 502))
def refusal(node: OurNode, grant: GrantPath) -> Any:
    """The owner's signed no to a request, if it gave one."""
    return plain(access.refusal(node, grant))


@reading.get("/grants", **many(show.Grant))
def grants(node: OurNode) -> Any:
    """All grants of the alliance, ended ones too."""
    return [plain(show.grant(found)) for found in list(node.ledger.grants.values())]


@reading.get("/grants/{grant}", **one(show.Grant, 404))
def grant(node: OurNode, grant: GrantPath) -> Any:
    """One grant."""
    return plain(show.grant(grant_of(node.ledger, grant)))


@reading.get("/grants/{grant}/why", **one(access.Allowed, 404))
def why(
    node: OurNode,
    grant: GrantPath,
    who: Annotated[str | None, Query(pattern=ACCOUNT, description="Default: this node's member.")] = None,
    purpose: Annotated[list[str], Query(max_length=16)] = [],  # noqa: B006  (FastAPI copies it)
    at: Annotated[int | None, Query(ge=0, le=1 << 48, description="Default: now.")] = None,
) -> Any:
    """The clauses under which somebody may read a granted version; 403 names the one that forbids it."""
    account, moment = Address(who or node.me), Time(at if at is not None else node.clock())
    return plain(access.why(node, grant, who=account, purposes=purpose, at=moment))


@operating.post("/grants/{grant}/fetch", **one(Fetched, 404, 409, 502, 504))
def fetch(node: OurNode, grant: GrantPath, asked: Fetching) -> Any:
    """Fetch, verify and open a granted version into the node's own folder `fetched`; posts a receipt."""
    folder = node.settings.home / "fetched"
    folder.mkdir(mode=0o700, exist_ok=True)
    return plain(fetch_granted(node, grant, folder / grant, purposes=asked.purposes))


@operating.post("/grants/{grant}/revoke", **one(access.Decided, 404, 409, 504))
def revoke(node: OurNode, grant: GrantPath) -> Any:
    """End a grant, as owner or consumer. Looks forward only: what was opened before stays opened."""
    return plain(access.revoke(node, grant))
