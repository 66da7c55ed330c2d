"""The contracts' ABI as tables, and values between Python and the ABI.

Built once from the committed artifacts. Not a general ABI library: eth_abi does the bytes; here are the names. Bytes32
and the like are lower-case 0x hex on our side, addresses checksummed, structs model records where the words have one,
else named tuples.

    event(topic0).name              # "Published"
    lower(param, record)            # what eth_abi encodes
    lift(param, decoded)            # what the node works with
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from node import model
from node.chain.artifacts import NAMES, artifact
from node.errors import Misuse
from node.model import raw
from node.signature import checksummed as checksummed
from node.signature import keccak

_RECORDS: Mapping[str, Any] = {
    "IDatasets.Version": model.Version,
    "IGrants.Terms": model.Terms,
    "ITrainings.Terms": model.TrainingTerms,
    "ITrainings.Keys": model.Keys,
    "ITrainings.Vector": model.Vector,
    "ITrainings.Post": model.Post,
    "ITrainings.Sum": model.Sum,
    "ITrainings.Evidence": model.Evidence,
}


@dataclass(frozen=True, slots=True)
class Param:
    """One argument: `type` as eth_abi writes it; `parts` and `record` (a class) where it is a struct, or structs."""

    name: str
    type: str
    indexed: bool
    parts: tuple[Param, ...] = ()
    record: Any = None


@dataclass(frozen=True, slots=True)
class Shape:
    """One event, error or function of one contract; `id` is topic 0 (32 bytes) or the selector (4 bytes)."""

    contract: str
    name: str
    id: bytes
    inputs: tuple[Param, ...]
    outputs: tuple[Param, ...]


def snake(name: str) -> str:
    """The Python name of a Solidity one: codeHash -> code_hash, from -> from_."""
    flat = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), name)
    return "from_" if flat == "from" else flat


def types(params: Iterable[Param]) -> list[str]:
    return [p.type for p in params]


def events() -> Mapping[bytes, Shape]:
    """All events by topic 0."""
    return _by_id("event")


def errors() -> Mapping[bytes, Shape]:
    """All custom errors by selector. Contracts may share one: same name, same arguments."""
    return _by_id("error")


@cache
def event_of(contract: str, name: str) -> Shape:
    """The event called `name`; Misuse where the contract has none."""
    return _named("event", contract, name)


@cache
def function_of(contract: str, name: str) -> Shape:
    """The function called `name` as Solidity spells it; Misuse where the contract has none."""
    return _named("function", contract, name)


@cache
def constructor_of(contract: str) -> Shape:
    """The constructor, its selector empty."""
    found = _shapes("constructor", contract)
    return found[0] if found else Shape(contract, "", b"", (), ())


@cache
def functions(contract: str) -> Mapping[bytes, Shape]:
    """One contract's functions by selector."""
    return {s.id: s for s in _shapes("function", contract)}


def lower(param: Param, value: Any) -> Any:
    """`value` as eth_abi encodes it: records and tuples to tuples, hex to bytes."""
    if param.type.endswith("]"):
        item = _item(param)
        return [lower(item, v) for v in value]
    if param.parts:
        values = [getattr(value, f.name) for f in fields(value)] if is_dataclass(value) else list(value)
        if len(values) != len(param.parts):
            raise Misuse(f"{param.name} has {len(param.parts)} fields", clause=param.name, seen=len(values))
        return tuple(lower(p, v) for p, v in zip(param.parts, values, strict=True))
    return raw(value) if param.type.startswith("bytes") and isinstance(value, str) else value


def lift(param: Param, value: Any) -> Any:
    """What eth_abi decoded, as the node works with it."""
    if param.type.endswith("]"):
        item = _item(param)
        return tuple(lift(item, v) for v in value)
    if param.parts:
        return param.record(*(lift(p, v) for p, v in zip(param.parts, value, strict=True)))
    if param.type == "address":
        return checksummed(value)
    fixed = param.type.startswith("bytes") and param.type != "bytes"
    return "0x" + value.hex() if fixed else value


def _item(param: Param) -> Param:
    return Param(param.name, param.type[: param.type.rindex("[")], False, param.parts, param.record)


@cache
def _by_id(kind: str) -> Mapping[bytes, Shape]:
    return {s.id: s for c in NAMES for s in _shapes(kind, c)}


def _named(kind: str, contract: str, name: str) -> Shape:
    if contract not in NAMES:
        raise Misuse(f"no contract is called {contract}", clause="contract", needed=", ".join(NAMES))
    found = [s for s in _shapes(kind, contract) if s.name == name]
    if len(found) != 1:
        raise Misuse(f"{contract} has no {kind} {name}", clause=kind, seen=name)
    return found[0]


@cache
def _shapes(kind: str, contract: str) -> tuple[Shape, ...]:
    return tuple(_shape(contract, e) for e in artifact(contract).abi if e["type"] == kind)


def _shape(contract: str, entry: Mapping[str, Any]) -> Shape:
    inputs = tuple(_param(i) for i in entry["inputs"])
    outputs = tuple(_param(i) for i in entry.get("outputs", ()))
    name, size = entry.get("name", ""), {"event": 32, "constructor": 0}.get(entry["type"], 4)
    return Shape(contract, name, keccak(f"{name}({','.join(types(inputs))})".encode())[:size], inputs, outputs)


def _param(entry: Mapping[str, Any]) -> Param:
    parts = tuple(_param(c) for c in entry.get("components", ()))
    type_ = entry["type"]
    if type_.startswith("tuple"):
        type_ = f"({','.join(types(parts))}){type_.removeprefix('tuple')}"
    return Param(snake(entry["name"]), type_, entry.get("indexed", False), parts, _record(entry, parts))


def _record(entry: Mapping[str, Any], parts: tuple[Param, ...]) -> Any:
    if not parts:
        return None
    struct = entry["internalType"].removeprefix("struct ").removesuffix("[]")
    name = struct.rpartition(".")[2]
    return _RECORDS.get(struct) or namedtuple(name, [p.name for p in parts])
