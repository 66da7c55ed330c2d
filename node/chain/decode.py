"""ABI bytes to words: logs to events, return data and calldata to Python values. No I/O.

event(contract="Datasets", topics=topics, data=data, at=position)     # an Event
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from node import model
from node.chain import abi
from node.chain.abi import Param, Shape
from node.errors import Untrusted
from node.model import Event, Position


def event(contract: str, topics: list[bytes], data: bytes, at: Position) -> Event:
    """One log as the event it is. Untrusted where the contract cannot have said that."""
    plan = _plan(topics[0]) if topics else None
    if plan is None or plan.shape.contract != contract:
        seen = "0x" + topics[0].hex() if topics else "no topic"
        hint = "a newer contract may have been entered in the directory: update this node"
        raise Untrusted(f"{contract} has no such event", clause="event", seen=seen, hint=hint)
    words = b"".join(topics[1:]) + data
    if (len(topics), len(words)) != (plan.topics, plan.size):
        what = f"{plan.shape.name} has other arguments than that"
        raise Untrusted(what, clause="abi", seen=f"{len(words)} bytes", needed=f"{plan.size} bytes")
    found = values(plan.params, words)
    *said, seq = (found[i] for i in plan.order)
    return Event(contract, seq, at, plan.word(*said))


def outputs(shape: Shape, data: bytes) -> Any:
    """What a call returned: the value, or a tuple of them where the function returns several."""
    found = values(shape.outputs, data)
    return found[0] if len(found) == 1 else tuple(found)


def calldata(contract: str, data: bytes) -> tuple[str, tuple[Any, ...]]:
    """The function (as Solidity spells it) and arguments behind a transaction's input."""
    shape = abi.functions(contract).get(data[:4])
    if shape is None:
        raise Untrusted(f"{contract} has no such function", clause="selector", seen="0x" + data[:4].hex())
    return shape.name, tuple(values(shape.inputs, data[4:]))


def values(params: Iterable[Param], data: bytes) -> list[Any]:
    """The values that `data` encodes. Untrusted where it is no strict ABI encoding of them."""
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    params = tuple(params)
    try:
        return [abi.lift(p, v) for p, v in zip(params, decode(abi.types(params), data), strict=True)]
    except (DecodingError, OverflowError) as exc:
        named = ", ".join(f"{p.name} {p.type}" for p in params)
        raise Untrusted("bytes that are not what the ABI says", clause="abi", seen=str(exc), needed=named) from exc


class _Plan(NamedTuple):
    """How to read one kind of event at once: indexed arguments first, then the others, a word or more each.

    `order` is where each argument of the declaration is among them; `size` their bytes. No event of ours has an
    argument of changing length, so that its words simply follow each other.
    """

    shape: Shape
    word: Any
    params: tuple[Param, ...]
    order: tuple[int, ...]
    topics: int
    size: int


@lru_cache(maxsize=256)
def _plan(topic: bytes) -> _Plan | None:
    shape = abi.events().get(topic)
    if shape is None:
        return None
    params = tuple(sorted(shape.inputs, key=lambda p: not p.indexed))
    order = tuple(params.index(p) for p in shape.inputs)
    topics = 1 + sum(p.indexed for p in params)
    return _Plan(shape, getattr(model, shape.name), params, order, topics, 32 * sum(map(_words, params)))


def _words(param: Param) -> int:
    if param.type in ("bytes", "string") or param.type.endswith("]"):
        raise TypeError(f"{param.name} has no fixed length")
    return sum(map(_words, param.parts)) if param.parts else 1
