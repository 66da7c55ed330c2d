"""What routes share: their path parameters, their answers in the OpenAPI.

@router.get("/grants/{grant}", **one(show.Grant, 404))
def grant(node: OurNode, grant: GrantPath) -> Any: ...
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Path

from node.api.shapes import ID, Problem, shape
from node.model import DatasetId, Digest, GrantId, TrainingId

_EXAMPLE = ["0x52ab0c6b1f5b8e0f3a7d94c2e61b7a8890d3f4c5a6b7e8d9f0a1b2c3d4e5f607"]
DatasetPath = Annotated[DatasetId, Path(pattern=ID, examples=_EXAMPLE)]
GrantPath = Annotated[GrantId, Path(pattern=ID, examples=_EXAMPLE)]
TrainingPath = Annotated[TrainingId, Path(pattern=ID, examples=_EXAMPLE)]
DigestPath = Annotated[Digest, Path(pattern=ID, examples=_EXAMPLE)]
Key = Annotated[
    str | None, Header(max_length=200, description="The same key names the same act; repeating it is harmless.")
]

_WHY = {
    401: "No token that opens anything.",
    403: "The rules, or the token's scope, say no; `clause` says which.",
    404: "Nothing is known under that name.",
    409: "It contradicts what exists.",
    413: "The body is too large.",
    422: "A bad argument.",
    502: "Somebody's bytes do not match what they claim to be.",
    503: "The chain, the store, the disk or another node does not answer: try again.",
    504: "Accepted, but not final in time: the same call goes on waiting.",
}
_ALWAYS = (401, 403, 422, 503)


def one(record: type, *more: int) -> dict[str, Any]:
    """Keywords of a route that answers with one record."""
    return {"response_model": shape(record), "responses": _problems(more)}


def many(record: type, *more: int) -> dict[str, Any]:
    """Keywords of a route that answers with a list of records."""
    return {"response_model": list[shape(record)], "responses": _problems(more)}  # type: ignore[misc]


def _problems(more: tuple[int, ...]) -> dict[int, dict[str, Any]]:
    return {code: {"model": Problem, "description": _WHY[code]} for code in sorted({*_ALWAYS, *more})}
