"""Response models out of the records: one pydantic model a frozen dataclass, with an example made from its field types.

What a route returns is `documents.plain(record)`; the model describes it in the OpenAPI and checks it on the way out.

    @router.get("/members", response_model=list[shape(show.Member)])
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from node import model
from node.purposes import PURPOSES

ID = "^0x[0-9a-f]{64}$"
ACCOUNT = "^0x[0-9a-fA-F]{40}$"

_ACCOUNT = "0x8BcD5e92D62A3fCb3b95c6F4Ae11c4a6BcB38d11"
_ID = "0x52ab0c6b1f5b8e0f3a7d94c2e61b7a8890d3f4c5a6b7e8d9f0a1b2c3d4e5f607"
_KINDS: dict[Any, tuple[Any, Any]] = {
    model.Address: (Annotated[str, Field(pattern=ACCOUNT)], _ACCOUNT),
    model.Digest: (Annotated[str, Field(pattern=ID)], _ID),
    model.DatasetId: (Annotated[str, Field(pattern=ID)], _ID),
    model.GrantId: (Annotated[str, Field(pattern=ID)], _ID),
    model.TrainingId: (Annotated[str, Field(pattern=ID)], _ID),
    model.TxHash: (Annotated[str, Field(pattern=ID)], _ID),
    model.Time: (int, 1_760_000_000),
    int: (int, 1),
    bool: (bool, False),
    float: (float, 0.5),
}
_TEXTS = {
    "state": "active",
    "title": "Mill 7, October",
    "name": "Alice Mills",
    "path": "/var/lib/hanse/fetched/mill.csv",
    "phase": "contributing",
    "prefix": "hanse_abc123",
    "clause": "until",
    "signature": "0x" + "ab" * 65,
    "cid": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
    "envelope": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
}
_LISTS = {"uses": ["read", "train"], "roles": ["member"], "purposes": list(PURPOSES[:1]), "scopes": ["read"]}


class Problem(BaseModel):
    """What went wrong, for programs and people: which clause, what was seen, what was needed, what helps."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "code": "refused",
                "message": "the grant does not allow this",
                "clause": "until",
                "seen": "1760000001",
                "needed": "before 1760000000",
            }
        },
    )
    code: str
    message: str
    clause: str | None = None
    seen: str | None = None
    needed: str | None = None
    hint: str | None = None


@cache
def shape(record: type) -> type[BaseModel]:
    """The model of what `documents.plain` makes of a record."""
    hints = get_type_hints(record)
    wanted: dict[str, Any] = {}
    for field in fields(record):
        public = field.name.removesuffix("_")
        wanted[field.name] = (_kind(hints[field.name]), Field(alias=public))
    config = ConfigDict(extra="forbid", populate_by_name=False, json_schema_extra={"example": example(record)})
    return create_model(record.__name__, __config__=config, __doc__=record.__doc__, **wanted)


def example(record: type) -> dict[str, Any]:
    """One valid value of a record's shape."""
    hints = get_type_hints(record)
    return {f.name.removesuffix("_"): _example(hints[f.name], f.name.removesuffix("_")) for f in fields(record)}


def _kind(hint: Any) -> Any:
    if hint in _KINDS:
        return _KINDS[hint][0]
    if is_dataclass(hint):
        return shape(hint)  # type: ignore[arg-type]
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(_kind(part) for part in get_args(hint))]  # noqa: UP007  (made at run time)
    if get_origin(hint) in (tuple, list):
        return list[_kind(get_args(hint)[0])]  # type: ignore[misc]
    return hint


def _example(hint: Any, name: str) -> Any:
    if hint in _KINDS:
        return _KINDS[hint][1]
    if is_dataclass(hint):
        return example(hint)  # type: ignore[arg-type]
    if get_origin(hint) in (Union, UnionType):
        return _example(next(part for part in get_args(hint) if part is not NoneType), name)
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    if get_origin(hint) in (tuple, list):
        return _LISTS.get(name) or [_example(get_args(hint)[0], name)]
    return _TEXTS.get(name, name)
