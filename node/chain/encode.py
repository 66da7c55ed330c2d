"""Words to ABI bytes: calldata, and the running hash over a contract's events. No I/O.

calldata("Datasets", "retire", dataset_id)
head = extend(head, event)            # equals the contract's head() after that event
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from node.chain import abi
from node.chain.abi import Param
from node.errors import Misuse, Untrusted
from node.model import Event, Head, raw
from node.signature import keccak

EMPTY = Head("0x" + "00" * 28, 0)
"""The running hash of a contract that has said nothing."""


def calldata(contract: str, function: str, *args: Any) -> bytes:
    """Selector and arguments of a call; structs as model records, named tuples or tuples."""
    shape = abi.function_of(contract, function)
    return shape.id + arguments(shape.inputs, args, what=f"{contract}.{function}")


def arguments(params: Iterable[Param], args: Iterable[Any], *, what: str) -> bytes:
    """abi.encode of `args`. Misuse where they do not fit."""
    from eth_abi.abi import encode
    from eth_abi.exceptions import EncodingError

    params, args = tuple(params), tuple(args)
    if len(params) != len(args):
        raise Misuse(f"{what} takes {len(params)} arguments", clause="arguments", seen=len(args))
    try:
        return encode(abi.types(params), [abi.lower(p, a) for p, a in zip(params, args, strict=True)])
    except (EncodingError, TypeError, ValueError) as exc:
        named = ", ".join(f"{p.name} {p.type}" for p in params)
        raise Misuse(f"an argument does not fit {what}: {exc}", clause="arguments", needed=named) from exc


def event_bytes(event: Event) -> bytes:
    """abi.encode(topic 0, every argument in order of declaration but seq)."""
    shape = abi.event_of(event.contract, type(event.said).__name__)
    said = [getattr(event.said, f.name) for f in fields(event.said)]
    return shape.id + arguments(shape.inputs[:-1], said, what=shape.name)


def event_digest(event: Event) -> bytes:
    """keccak256 of `event_bytes`."""
    return keccak(event_bytes(event))


def extend(head: Head, event: Event) -> Head:
    """The running hash after `event`: bytes28(keccak256(abi.encodePacked(bytes28 head, uint32 seq, digest))).

    Untrusted where the event is not the next one: an event is missing, doubled or out of order.
    """
    if event.seq != head.seq + 1:
        what = f"{event.contract}'s events are not in sequence"
        raise Untrusted(what, clause="sequence", seen=event.seq, needed=head.seq + 1)
    packed = raw(head.hash) + event.seq.to_bytes(4, "big") + event_digest(event)
    return Head("0x" + keccak(packed)[:28].hex(), event.seq)
