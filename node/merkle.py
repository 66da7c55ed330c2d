"""Merkle trees of RFC 6962 section 2.1 / RFC 9162 section 2.1, SHA-256: roots, inclusion and consistency proofs.

It is not a log: it stores nothing and numbers nothing. A long byte vector is a tree over its fixed-size leaves (the
last may be shorter), so that one lane of a contribution can be shown on chain without the rest.

    root = root_of(leaves)
    verify_inclusion(leaves[5], 5, len(leaves), inclusion_proof(leaves, 5), root)
    root = vector_root(array)           # 1,000,000 uint32 values: 15,625 leaves of 256 bytes
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from node.errors import Misuse, Untrusted

LEAF_SIZE = 256
MAX_PROOF = 64  # a path through 2**64 leaves
EMPTY_ROOT = hashlib.sha256(b"").digest()
_LEAF, _NODE = hashlib.sha256(b"\x00"), hashlib.sha256(b"\x01")

Buffer = bytes | bytearray | memoryview


def leaf_hash(leaf: Buffer) -> bytes:
    """SHA-256(0x00 || leaf)."""
    state = _LEAF.copy()
    state.update(leaf)
    return state.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    state = _NODE.copy()
    state.update(left + right)
    return state.digest()


class RootStream:
    """The root of leaves seen one after the other: memory is one hash a level, whatever the number of leaves."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # roots of the perfect subtrees of the size's binary digits, largest first

    def append(self, leaf: Buffer) -> None:
        """Add one leaf."""
        current, size = leaf_hash(leaf), self.size
        while size & 1:
            current = node_hash(self._peaks.pop(), current)
            size >>= 1
        self._peaks.append(current)
        self.size += 1

    def root(self) -> bytes:
        """The root so far; more leaves may follow."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Iterable[Buffer]) -> bytes:
    """Merkle tree hash of the leaves; of none, SHA-256 of nothing."""
    return _root([leaf_hash(leaf) for leaf in leaves])


def inclusion_proof(leaves: Sequence[Buffer], index: int) -> tuple[bytes, ...]:
    """Audit path of leaf `index`, from the leaf up (RFC 6962 section 2.1.1). Raises Misuse for an index outside."""
    return _path([leaf_hash(leaf) for leaf in leaves], index)


def vector_root(vector: Buffer, leaf_size: int = LEAF_SIZE) -> bytes:
    """Root over a contiguous buffer (bytes, a numpy array's memory) cut into leaves of `leaf_size` bytes."""
    return _root(_vector_hashes(vector, leaf_size))


def vector_proof(vector: Buffer, index: int, leaf_size: int = LEAF_SIZE) -> tuple[bytes, ...]:
    """Audit path of leaf `index` of the tree of `vector_root`."""
    return _path(_vector_hashes(vector, leaf_size), index)


def verify_inclusion(leaf: Buffer, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise Untrusted unless `leaf` is number `index` of the `size` leaves under `root` (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        raise Untrusted("the leaf is outside the tree", clause="index", seen=index, needed=f"below {size}")
    _check_proof(proof)
    current = leaf_hash(leaf)
    for sibling, on_the_left in _climb(index, size - 1, proof):
        current = node_hash(sibling, current) if on_the_left else node_hash(current, sibling)
    _check_root(current, root)


def consistency_proof(leaves: Sequence[Buffer], first: int) -> tuple[bytes, ...]:
    """Proof that the tree of the `first` leaves is a prefix of the tree of all (RFC 6962 section 2.1.2)."""
    if not 0 < first <= len(leaves):
        raise Misuse("no such earlier tree", clause="first", seen=first, needed=f"1 to {len(leaves)}")
    return tuple(_consistency([leaf_hash(leaf) for leaf in leaves], first, whole=True))


def verify_consistency(sizes: tuple[int, int], proof: Sequence[bytes], first: bytes, second: bytes) -> None:
    """Raise Untrusted unless root `first` is that of a prefix of root `second` (RFC 9162 section 2.1.4.2)."""
    small, large = sizes
    if not 0 < small <= large:
        raise Untrusted("the earlier tree is not the smaller one", clause="index", seen=small, needed=f"1 to {large}")
    _check_proof(proof)
    hashes = list(proof)
    if small & (small - 1) == 0:
        hashes.insert(0, first)  # the earlier tree is a perfect subtree: its root is where the climb starts
    if small == large or not hashes:
        if proof or small != large:
            raise Untrusted("the proof has not the length of the trees", clause="length", seen=len(proof))
        return _check_root(first, second)
    shift = (small & -small).bit_length() - 1  # as many levels as small - 1 has trailing ones
    before = after = hashes[0]
    for sibling, on_the_left in _climb((small - 1) >> shift, (large - 1) >> shift, hashes[1:]):
        before = node_hash(sibling, before) if on_the_left else before
        after = node_hash(sibling, after) if on_the_left else node_hash(after, sibling)
    _check_root(before, first)
    _check_root(after, second)


def _climb(node: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each sibling and whether it stands on the left, from node `node` of a level whose last is `last` to the root."""
    for sibling in proof:
        if last == 0:
            raise Untrusted("the proof is too long for the tree", clause="length", seen=len(proof))
        on_the_left = bool(node & 1) or node == last
        yield sibling, on_the_left
        while on_the_left and node and not node & 1:  # a last node without a sibling was carried up
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    if last:
        raise Untrusted("the proof is too short for the tree", clause="length", seen=len(proof))


def _vector_hashes(vector: Buffer, leaf_size: int) -> list[bytes]:
    if leaf_size < 1:
        raise Misuse("a leaf has at least one byte", clause="leaf_size", seen=leaf_size)
    view = memoryview(vector).cast("B")
    copy = _LEAF.copy
    hashes = []
    for start in range(0, len(view), leaf_size):
        state = copy()
        state.update(view[start : start + leaf_size])
        hashes.append(state.digest())
    return hashes


def _levels(level: list[bytes]) -> Iterator[list[bytes]]:
    """Every level from the leaves to the root; an odd last node is carried up unchanged."""
    copy = _NODE.copy
    yield level
    while len(level) > 1:
        above = []
        for left, right in zip(level[::2], level[1::2], strict=False):
            state = copy()
            state.update(left + right)
            above.append(state.digest())
        if len(level) & 1:
            above.append(level[-1])
        level = above
        yield level


def _root(hashes: list[bytes]) -> bytes:
    *_, top = _levels(hashes)
    return top[0] if top else EMPTY_ROOT


def _path(hashes: list[bytes], index: int) -> tuple[bytes, ...]:
    if not 0 <= index < len(hashes):
        raise Misuse("no such leaf", clause="index", seen=index, needed=f"below {len(hashes)}")
    path = []
    for level in _levels(hashes):
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index >>= 1
    return tuple(path)


def _consistency(hashes: list[bytes], first: int, *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962; `whole` while the earlier tree is still a subtree whose root the verifier knows."""
    if first == len(hashes):
        return [] if whole else [_root(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    left, right = hashes[:split], hashes[split:]
    if first <= split:
        return [*_consistency(left, first, whole=whole), _root(right)]
    return [*_consistency(right, first - split, whole=False), _root(left)]


def _check_proof(proof: Sequence[bytes]) -> None:
    if len(proof) > MAX_PROOF or any(len(item) != 32 for item in proof):
        raise Untrusted(f"a proof has at most {MAX_PROOF} hashes of 32 bytes", clause="length", seen=len(proof))


def _check_root(seen: bytes, needed: bytes) -> None:
    if seen != needed:
        raise Untrusted("the proof leads to another root", clause="root", seen=seen.hex(), needed=needed.hex())
