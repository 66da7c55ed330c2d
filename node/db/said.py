"""What an event said, as canonical JSON text and back: sorted keys, no blanks, integers exact at any size. Pure.

The text is for this database only: the running hash is over the ABI encoding, not over this.

    said_from("Revoked", said_text(Revoked(id, dataset, by)))
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, cast, get_args, get_type_hints

from node import model
from node.model import Said

NAMES: dict[str, type] = {kind.__name__: kind for kind in get_args(Said)}


def said_text(said: Said) -> str:
    return json.dumps(_plain(said), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def said_from(name: str, text: str) -> Said:
    """The record called `name`. KeyError or TypeError where the text was not written by `said_text`."""
    return cast(Said, _record(NAMES[name], json.loads(text)))


def _plain(record: Any) -> dict[str, Any]:
    kind: type = type(record)
    found = ((name, nested, getattr(record, name)) for name, nested in _shape(kind))
    return {name: _plain(value) if nested else value for name, nested, value in found}


def _record(kind: type, plain: dict[str, Any]) -> Any:
    return kind(**{name: _record(nested, plain[name]) if nested else plain[name] for name, nested in _shape(kind)})


@cache
def _shape(kind: type) -> tuple[tuple[str, type | None], ...]:
    """Field names of a record class, each with its class where that is a record itself."""
    hints = get_type_hints(kind, vars(model))
    return tuple((f.name, hints[f.name] if is_dataclass(hints[f.name]) else None) for f in fields(kind))
