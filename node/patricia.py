"""Merkle-Patricia proofs (EIP-1186): what an Ethereum state root says of an account and of one word of its storage.

Not a trie: it only follows a path that somebody else laid out, and hashes every step of it. Pure: no I/O.

    account = account_in(state_root, address, proof.account)
    word = word_in(account.storage, slot, nodes)              # 32 bytes; zeros where the slot was never written

Source: Ethereum yellow paper, appendix D (modified Merkle-Patricia trie); keys are hashed first ("secure" trie).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from node.errors import Untrusted
from node.model import Address, raw
from node.signature import keccak

MAX_NODES = 64
"""A path has at most one node for each half byte of a hashed key."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the state holds of an account: root of its storage, keccak-256 of its code."""

    storage: bytes
    code_hash: bytes


def account_in(root: bytes, address: Address, nodes: Sequence[bytes]) -> Account:
    """Raises Untrusted (clause `proof`) unless the nodes lead from the state root to the account."""
    found = _value(root, raw(address), nodes)
    fields = _decoded(found) if found else None
    if not isinstance(fields, list) or len(fields) != 4:
        raise _broken("the state holds no such account")
    return Account(bytes(fields[2]), bytes(fields[3]))


def word_in(root: bytes, slot: int, nodes: Sequence[bytes]) -> bytes:
    """32 bytes of storage. Raises Untrusted (clause `proof`) unless the nodes lead from its root to the slot."""
    found = _value(root, slot.to_bytes(32, "big"), nodes)
    value = _decoded(found) if found else b""
    if not isinstance(value, bytes) or len(value) > 32:
        raise _broken("the storage holds no word there")
    return value.rjust(32, b"\0")


def _value(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """What the trie holds under `key`; empty where the path shows that there is nothing."""
    path, needed = keccak(key).hex(), root
    if len(nodes) > MAX_NODES:
        raise _broken("the path is too long")
    for data in nodes:
        if keccak(data) != needed:
            raise _broken("a node is not the one its parent names")
        node = _decoded(data)
        while isinstance(node, list):  # short children stand inside their parent
            path, node = _step(node, path)
        if not path or not node:
            return bytes(node)
        needed = bytes(node)
    raise _broken("the path ends before its value")


def _step(node: list[Any], path: str) -> tuple[str, Any]:
    """One node down: the half bytes that are left, and the child's hash, the child itself, or the value."""
    if len(node) == 17:
        return (path[1:], node[int(path[0], 16)]) if path else ("", node[16])
    if len(node) != 2:
        raise _broken("a node of another shape")
    flag, rest = bytes(node[0]).hex()[:1], bytes(node[0]).hex()
    partial, is_leaf = rest[1:] if flag in "13" else rest[2:], flag in "23"
    if not path.startswith(partial) or (is_leaf and path != partial):
        return "", b""
    return path[len(partial) :], node[1]


def _decoded(data: bytes) -> Any:
    import rlp

    try:
        return rlp.decode(data)
    except (rlp.DecodingError, TypeError, RecursionError) as exc:
        raise _broken("a node that is no RLP") from exc


def _broken(why: str) -> Untrusted:
    return Untrusted(f"the proof of state does not hold: {why}", clause="proof")
