"""The compiled contracts this node ships (`node/chain/contracts/*.json`, written by `scripts/abi`).

Not a compiler, and no connection: bytes and interfaces only, read once.

    members = artifact("Members")
    members.abi, members.bytecode, members.runtime
    same_code(members, chain_code)    # equal to the shipped runtime, immutables aside
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from node.errors import NotFound

NAMES = ("Consortium", "Members", "Datasets", "Grants", "Trainings")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One contract: `bytecode` is the creation code, `runtime` the deployed code with zeros at `immutables`.

    `immutables` are (start, length) in bytes of what the constructor filled in.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    runtime: bytes
    immutables: tuple[tuple[int, int], ...]


@cache
def artifact(name: str) -> Artifact:
    """The shipped contract called `name`. Raises NotFound for any other name."""
    if name not in NAMES:
        raise NotFound("no such contract is shipped", clause="contract", seen=name, needed=", ".join(NAMES))
    read = json.loads(files("node.chain").joinpath(f"contracts/{name}.json").read_text())
    return Artifact(
        name=name,
        abi=tuple(read["abi"]),
        bytecode=bytes.fromhex(read["bytecode"][2:]),
        runtime=bytes.fromhex(read["deployedBytecode"][2:]),
        immutables=tuple((start, length) for start, length in read["immutableReferences"]),
    )


def same_code(shipped: Artifact, code: bytes) -> bool:
    """Whether `code`, read from a chain, is the shipped contract: all bytes equal but those of its immutables."""
    masked = bytearray(code)
    for start, length in shipped.immutables:
        masked[start : start + length] = bytes(length)
    return bytes(masked) == shipped.runtime
