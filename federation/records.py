"""Frozen records to canonical JSON and back: states that must survive a crash, plans, messages.

One value has one text: keys sorted, no blanks, bytes as hex, floats as the shortest text that reads back exactly.
Not a schema language: fields are str, int, float, bool, bytes, Literal, None, records, one of several records that
have different fields, and tuples of these; a generic record says of what (`HeldOutParams[RidgeParams]`). A field that
came later (`metadata=ADDED`) is left out while it has its default, so that older texts keep their bytes.

    text = dump(state)
    state = load(MemberState, text)
"""

from __future__ import annotations

import functools
import json
import math
import types
from dataclasses import Field, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from federation.errors import Untrusted

T = TypeVar("T")
MAX_TEXT = 1 << 24
ADDED = types.MappingProxyType({"added": True})
"""Metadata of a field that came later: `unit: str = field(default="", metadata=ADDED)`."""


def plain(record: Any) -> Any:
    """A record as what `json` prints; a whole number in a float's field becomes a float."""
    return _plain(record, type(record))


def _plain(value: Any, kind: Any) -> Any:
    if is_dataclass(value):
        hints = _hints(value.__class__)
        kept = {field.name: getattr(value, field.name) for field in fields(value) if not is_unset(value, field)}
        return {name: _plain(item, hints[name]) for name, item in kept.items()}
    if isinstance(value, tuple):
        return [_plain(item, get_args(kind)[0]) for item in value]
    if type(value) is int and float in (kind, *get_args(kind)):
        return float(value)
    return value.hex() if isinstance(value, bytes) else value


def is_unset(record: Any, field: Field[Any]) -> bool:
    """Whether a field that came later has its default, and so no place in the canonical text."""
    return "added" in field.metadata and getattr(record, field.name) == field.default


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """The fields' types; those of `HeldOutParams[RidgeParams]` have its arguments in place of its variables."""
    hints = get_type_hints(get_origin(kind) or kind)
    given = dict(zip(getattr(get_origin(kind), "__parameters__", ()), get_args(kind), strict=True))
    return {name: given.get(hint, hint) if isinstance(hint, TypeVar) else hint for name, hint in hints.items()}


def dump(record: Any) -> bytes:
    """The canonical text of a record. Raises ValueError on NaN and infinity: they have no place in a record."""
    return json.dumps(plain(record), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def load(kind: type[T], text: bytes) -> T:
    """The record of which `text` is the canonical text, or Untrusted."""
    if len(text) > MAX_TEXT:
        raise Untrusted(f"{len(text)} bytes are over the {MAX_TEXT} of a record", clause="size")
    try:
        record = parse(kind, json.loads(text))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as exc:
        raise Untrusted(f"no {kind.__name__}: not JSON", clause="json") from exc
    if dump(record) != text:
        raise Untrusted(f"no {kind.__name__}: the text is not the canonical one", clause="canonical")
    return record


def parse(kind: type[T], value: Any) -> T:
    """A record from parsed JSON (a whole number may stand for a float); Untrusted names the field that is wrong."""
    record: T = _build(kind, value, kind.__name__)
    return record


def _build(kind: Any, value: Any, at: str) -> Any:
    kind = getattr(kind, "__supertype__", kind)
    if is_dataclass(get_origin(kind) or kind):
        return _record(kind, value, at)
    origin, options = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, list):
        return tuple(_build(options[0], item, f"{at}[{i}]") for i, item in enumerate(value))
    if origin in (Union, types.UnionType):
        return None if value is None else _build(_chosen(options, value), value, at)
    if origin is Literal and value in options:
        return value
    return _scalar(kind, value, at)


def _chosen(options: tuple[Any, ...], value: Any) -> Any:
    """Of several records the first that has the fields there are; else the first option, which names what is wrong."""
    known = [kind for kind in options if is_dataclass(kind) and isinstance(value, dict)]
    fitting = [kind for kind in known if _required(kind) <= set(value) <= {field.name for field in fields(kind)}]
    return (fitting or [kind for kind in options if kind is not types.NoneType])[0]


def _required(kind: Any) -> set[str]:
    return {field.name for field in fields(kind) if "added" not in field.metadata}


def _record(kind: Any, value: Any, at: str) -> Any:
    hints = _hints(kind)
    known = {field.name for field in fields(get_origin(kind) or kind)}
    if not isinstance(value, dict) or not value.keys() <= known:
        raise Untrusted(f"{at} does not have the fields {sorted(known)}", clause="fields")
    try:
        return kind(**{name: _build(hints[name], item, f"{at}.{name}") for name, item in value.items()})
    except TypeError as exc:
        raise Untrusted(f"{at} lacks a field", clause="fields") from exc


def _scalar(kind: Any, value: Any, at: str) -> Any:
    if kind is bytes and isinstance(value, str):
        try:
            return bytes.fromhex(value)
        except ValueError as exc:
            raise Untrusted(f"{at} is not hexadecimal", clause="fields") from exc
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    raise Untrusted(f"{at} is not a {kind}", clause="fields")
