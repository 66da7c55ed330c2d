"""Canonical JSON (RFC 8785): the one byte form of a document, for everything that is hashed or signed.

It is not a schema: which fields a document must have is the business of whoever parses it further.

    data = encode({"name": "mill-7", "rows": 3})
    assert digest({"rows": 3, "name": "mill-7"}) == hashlib.sha256(data).digest()
    document = parse(data, limit=1 << 20)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import rfc8785

from node.errors import Misuse, Untrusted

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # RFC 8785, appendix D: beyond it two integers share one IEEE 754 double
# Possessive, and any string matches to its end or the document's: linear in whatever bytes.
_STRINGS_AND_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)


def encode(document: Mapping[str, Any]) -> bytes:
    """Canonical bytes of a JSON object. Raises Misuse for what has no canonical form (NaN, 2**53, bytes, too deep)."""
    try:
        _check(document)
        return rfc8785.dumps(dict(document))
    except (_Unfit, rfc8785.CanonicalizationError) as error:
        raise Misuse(f"the document has no canonical JSON form: {error}", clause="canonical") from error


def digest(document: Mapping[str, Any]) -> bytes:
    """SHA-256 of the canonical bytes, 32 bytes."""
    return hashlib.sha256(encode(document)).digest()


def parse(data: bytes, *, limit: int) -> dict[str, Any]:
    """The JSON object whose canonical form is exactly `data`.

    Raises Untrusted with clause `size` (more than `limit` bytes), `json` (no JSON object in UTF-8, a key given twice),
    `depth`, `number`, or `canonical` (another byte form of the same document).
    """
    if len(data) > limit:
        raise Untrusted("the document is too large", clause="size", seen=len(data), needed=f"at most {limit} bytes")
    try:
        _check_brackets(data)
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant, parse_int=_integer
        )
        if not isinstance(document, dict):
            raise _Unfit("json", "a document is a JSON object")
        _check(document)
        again = rfc8785.dumps(document)
    except _Unfit as error:
        raise Untrusted(str(error), clause=error.clause) from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, CanonicalizationError (a lone surrogate)
        raise Untrusted(f"the document is not JSON: {error}", clause="json") from error
    if again != data:
        raise Untrusted("the document is not in canonical form", clause="canonical", needed="the bytes of RFC 8785")
    return document


class _Unfit(Exception):
    def __init__(self, clause: str, message: str) -> None:
        super().__init__(message)
        self.clause = clause


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _Unfit("json", "a key is given twice")
    return document


def _no_constant(name: str) -> NoReturn:
    raise _Unfit("number", f"{name} is not JSON")


def _integer(digits: str) -> int:
    # Checked before int(): converting a million digits takes quadratic time.
    if len(digits) > len(str(-MAX_INTEGER)):
        raise _Unfit("number", "an integer is beyond 2**53 - 1")
    return int(digits)


def _check_brackets(data: bytes) -> None:
    """Refuse deep nesting before the parser meets it: how deep that can go is the interpreter's setting, not ours."""
    depth = 0
    for token in _STRINGS_AND_BRACKETS.findall(data):
        depth += (token in b"[{") - (token in b"]}")
        if depth > MAX_DEPTH:
            raise _Unfit("depth", f"the document is nested deeper than {MAX_DEPTH}")


def _check(value: Any, depth: int = 1) -> None:
    """Refuse deep nesting, and numbers of integer value that a double cannot tell from their neighbour."""
    if depth > MAX_DEPTH:
        raise _Unfit("depth", f"the document is nested deeper than {MAX_DEPTH}")
    if isinstance(value, float) and value.is_integer() and abs(value) > MAX_INTEGER:
        raise _Unfit("number", "a number of integer value is beyond 2**53 - 1")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise _Unfit("number", "an integer is beyond 2**53 - 1")
    for child in _children(value):
        _check(child, depth + 1)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
