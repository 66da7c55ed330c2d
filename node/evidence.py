"""What a challenge brings to the contract: a round's posts, a few leaves, and the secrets that take the masks off.

Not a judge: the sum is made again by `federation.securesum`, the verdict is the contract's
(contracts/lib/FraudProof.sol), and this makes the evidence it asks for, from what a member or an auditor has anyway.

    block = first_difference(ours, posted)
    evidence = evidence_of(History(start_of(terms), sums, posts), round, secrets, Bytes(by_position, posted), block)
    trainings.challenge(training, evidence, vector, last)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import chain
from typing import Any

from federation.securesum import Round, Secrets
from federation.securesum.keys import shared_point
from node.errors import Misuse
from node.merkle import LEAF_SIZE, vector_proof
from node.model import NO_VECTOR, ZERO, Digest, Evidence, Post, Sum, TrainingTerms, digest, raw
from node.signature import keccak

BLOCK_SIZE = 64  # one ChaCha20 block: 16 lanes of Z_2^32 or 8 of Z_2^64


@dataclass(frozen=True, slots=True)
class History:
    """What a training has on the board: `start` is its transcript before any sum; posts and the sums that stand, all of
    them in order. Posts after the challenged sum may be there or not."""

    start: Digest
    sums: tuple[Sum, ...]
    posts: tuple[Post, ...]


@dataclass(frozen=True)
class Bytes:
    """The round's bytes in the store: each survivor's vector by position, and the posted sum."""

    vectors: Mapping[int, bytes]
    posted: bytes


def first_difference(ours: bytes, posted: bytes) -> int:
    """Number of the first 64-byte block that is not the same in both. Raises Misuse where they are equal."""
    for start in range(0, max(len(ours), len(posted)), BLOCK_SIZE):
        if ours[start : start + BLOCK_SIZE] != posted[start : start + BLOCK_SIZE]:
            return start // BLOCK_SIZE
    raise Misuse("equal sums: nothing to challenge", clause="difference", seen="none")


def start_of(terms: TrainingTerms) -> Digest:
    """The transcript of a training without a sum: keccak256(abi.encode(terms))."""
    return digest(keccak(_words(terms)))


def rolled(before: Digest, records: Iterable[Post | Sum]) -> Digest:
    """`posts` or `transcript` after these: keccak256(abi.encode(before, record)) for one after the other."""
    for record in records:
        before = digest(keccak(raw(before) + _words(record)))
    return before


def evidence_of(history: History, round: Round, secrets: Secrets, data: Bytes, block: int) -> Evidence:
    """Evidence that block `block` of the sum posted for `round` is wrong; the contract says Honest where it is right.

    Raises Misuse where the history lacks the sum or its posts, or the vectors are not those of all survivors.
    """
    number = int.from_bytes(round.context.round, "big")
    before, sums = _sums(history, number)
    posts_before, posts = _posts(history, sums[0])
    places = {raw(post.member): post.position for post in posts}
    if data.vectors.keys() != (survivors := {places[member] for member in round.survivors}):
        raise Misuse(
            "not the survivors' vectors", clause="vectors", seen=sorted(data.vectors), needed=sorted(survivors)
        )
    vectors = [*(data.vectors[at] for at in sorted(data.vectors)), data.posted]
    if len({_leaves(vector) for vector in vectors}) > 1:  # wrong at once: nothing has to be shown
        return Evidence(before, sums, posts_before, posts, 0, (), (), (), (), ())
    leaf = block * BLOCK_SIZE // LEAF_SIZE
    alive = sorted(round.survivors, key=lambda member: places[member])
    gone = sorted(round.dropped, key=lambda member: places[member])
    return Evidence(
        before, sums, posts_before, posts, block,
        leaves=tuple(vector[leaf * LEAF_SIZE : (leaf + 1) * LEAF_SIZE] for vector in vectors),
        paths=tuple(tuple(digest(node) for node in vector_proof(vector, leaf)) for vector in vectors),
        seeds=tuple(digest(secrets.seeds[member]) for member in alive),
        scalars=tuple(digest(secrets.scalars[member]) for member in gone),
        points=tuple(_point(secrets.scalars[d], round.keys[u].point) for d in gone for u in alive),
    )  # fmt: skip


def _sums(history: History, number: int) -> tuple[Digest, tuple[Sum, ...]]:
    """From the sum of round `number` to the newest, and the transcript before them."""
    at = next((i for i, one in enumerate(history.sums) if one.round == number), None)
    if at is None:
        raise Misuse("no sum of this round", clause="round", seen=number, needed=[one.round for one in history.sums])
    return rolled(history.start, history.sums[:at]), history.sums[at:]


def _posts(history: History, wrong: Sum) -> tuple[Digest, tuple[Post, ...]]:
    """From the first post with keys for the round to the last one the sum knows, and the digest before them."""
    digests = [ZERO]
    for post in history.posts:
        if digests[-1] == wrong.posts:
            break
        digests.append(rolled(digests[-1], [post]))
    first = next((i for i, post in enumerate(history.posts) if _has_keys(post, wrong.round)), None)
    if digests[-1] != wrong.posts or first is None or first >= len(digests):
        raise Misuse("posts that do not lead to the sum", clause="posts", seen=digests[-1], needed=wrong.posts)
    return digests[first], history.posts[first : len(digests) - 1]


def _has_keys(post: Post, number: int) -> bool:
    meant = post.round if post.vector == NO_VECTOR else post.round + 1
    return meant == number and post.keys.seed != ZERO


def _point(scalar: bytes, point: bytes) -> tuple[Digest, Digest]:
    shared = shared_point(scalar, point)
    return digest(shared[:32]), digest(shared[32:])


def _leaves(vector: bytes) -> int:
    return -(-len(vector) // LEAF_SIZE)


def _words(record: Any) -> bytes:
    """abi.encode of a record of static fields: a word for each, numbers and addresses to the right."""
    return b"".join(_word(value) for value in _flat(astuple(record)))


def _flat(values: Sequence[Any]) -> Iterable[Any]:
    return chain.from_iterable(_flat(one) if isinstance(one, tuple) else (one,) for one in values)


def _word(value: int | str) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else raw(value).rjust(32, b"\0")
