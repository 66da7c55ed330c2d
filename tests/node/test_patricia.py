"""State proofs: a trie of five accounts and a hundred slots made here, every path followed, every byte flipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import rlp

from node.errors import Untrusted
from node.model import Address
from node.patricia import account_in, word_in
from node.signature import keccak

ADDRESSES = [Address(f"0x{i:040x}") for i in range(1, 6)]
SLOTS = {slot: (slot * 7 + 1).to_bytes(32, "big") for slot in range(100)}


class Trie:
    """A secure Merkle-Patricia trie, built whole; nodes under 32 bytes stand inside their parents."""

    def __init__(self, items: Mapping[bytes, bytes]) -> None:
        self.nodes: dict[bytes, bytes] = {}
        top = self._node({keccak(key).hex(): value for key, value in items.items()})
        self.root = self._keep(rlp.encode(top))

    def path(self, key: bytes) -> list[bytes]:
        """The hashed nodes from the root towards a key."""
        found, needed, path = [], self.root, keccak(key).hex()
        while needed in self.nodes:
            found.append(self.nodes[needed])
            node: Any = rlp.decode(found[-1])
            while isinstance(node, list):
                node, path = self._down(node, path)
            needed = node
        return found

    def _down(self, node: list[Any], path: str) -> tuple[Any, str]:
        if len(node) == 17:
            return node[int(path[0], 16)], path[1:]
        flag = node[0].hex()
        partial = flag[1:] if flag[0] in "13" else flag[2:]
        if flag[0] in "23" or not path.startswith(partial):
            return b"", path
        return node[1], path[len(partial) :]

    def _keep(self, data: bytes) -> bytes:
        self.nodes[keccak(data)] = data
        return keccak(data)

    def _child(self, items: Mapping[str, bytes]) -> Any:
        if not items:
            return b""
        node = self._node(items)
        data = rlp.encode(node)
        return node if len(data) < 32 else self._keep(data)

    def _node(self, items: Mapping[str, bytes]) -> list[Any]:
        if len(items) == 1:
            ((path, value),) = items.items()
            return [_packed(path, leaf=True), value]
        shared = _shared(list(items))
        if shared:
            return [_packed(shared, leaf=False), self._child({p[len(shared) :]: v for p, v in items.items()})]
        return [self._child({p[1:]: v for p, v in items.items() if p[0] == f"{i:x}"}) for i in range(16)] + [b""]


def _packed(path: str, *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(path) % 2
    return bytes.fromhex(f"{flag:x}" + ("" if len(path) % 2 else "0") + path)


def _shared(paths: list[str]) -> str:
    first, last = min(paths), max(paths)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=True)) if a != b), len(first))
    return first[:length]


@pytest.fixture(scope="module")
def storage() -> Trie:
    return Trie({slot.to_bytes(32, "big"): rlp.encode(value.lstrip(b"\0")) for slot, value in SLOTS.items()})


@pytest.fixture(scope="module")
def state(storage: Trie) -> Trie:
    fields = [b"\1", b"", storage.root, keccak(b"code")]
    return Trie({bytes.fromhex(address[2:]): rlp.encode(fields) for address in ADDRESSES})


def test_every_account_and_every_slot_is_found(state: Trie, storage: Trie) -> None:
    for address in ADDRESSES:
        found = account_in(state.root, address, state.path(bytes.fromhex(address[2:])))
        assert (found.storage, found.code_hash) == (storage.root, keccak(b"code"))
    for slot, value in SLOTS.items():
        assert word_in(storage.root, slot, storage.path(slot.to_bytes(32, "big"))) == value


def test_a_slot_never_written_is_zero_and_a_stranger_is_no_account(state: Trie, storage: Trie) -> None:
    assert word_in(storage.root, 1000, storage.path((1000).to_bytes(32, "big"))) == bytes(32)
    stranger = Address("0x" + "99" * 20)
    with pytest.raises(Untrusted, match="no such account"):
        account_in(state.root, stranger, state.path(bytes.fromhex("99" * 20)))


def _flip(path: list[bytes]) -> list[list[bytes]]:
    every = []
    for i, node in enumerate(path):
        every += [
            [*path[:i], node[:at] + bytes([node[at] ^ 1]) + node[at + 1 :], *path[i + 1 :]]
            for at in range(0, len(node), 5)
        ]
    return every


CUTS: dict[str, Callable[[list[bytes]], list[list[bytes]]]] = {
    "a byte flipped": _flip,
    "the end missing": lambda path: [path[:-1], []],
    "the start missing": lambda path: [path[1:]],
    "another order": lambda path: [path[::-1]],
    "nodes without end": lambda path: [path[:1] * 65],
    "no RLP": lambda path: [[b"\xff\xff"], [b""]],
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_path_that_was_touched_proves_nothing(cut: str, storage: Trie) -> None:
    for path in CUTS[cut](storage.path((7).to_bytes(32, "big"))):
        with pytest.raises(Untrusted) as lied:
            word_in(storage.root, 7, path)
        assert lied.value.clause == "proof"


def test_the_path_of_one_slot_is_not_that_of_another(storage: Trie) -> None:
    path = storage.path((7).to_bytes(32, "big"))
    for slot in set(SLOTS) - {7}:
        try:
            assert word_in(storage.root, slot, path) == SLOTS[slot], "a wrong word was proven"
        except Untrusted:
            continue
