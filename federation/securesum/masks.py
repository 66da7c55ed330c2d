"""Masks: ChaCha20 keystreams added to or taken from a vector of lanes.

G(k) is the keystream of RFC 8439 under key k, nonce 0, counter from 0, read as little-endian lanes, so one 64-byte
block masks 16 lanes of Z_2^32 or 8 of Z_2^64. Which keys with which sign is for `member` and `aggregate`.

    add_keystreams(lanes, [Mask(seed, +1), Mask(pair, -1)])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms

from federation.vectors import Lanes, in_stretches

CHUNK = 1 << 18  # bytes: half of a core's own cache; in smaller ones two threads wait for the interpreter more often
STRETCH = 4 * CHUNK  # what one thread does at a time; a shorter vector starts no thread
BLOCK = 64
ZEROS = bytes(CHUNK)


@dataclass(frozen=True)
class Mask:
    """A ChaCha20 key and whether its keystream is added (+1) or taken away (-1)."""

    key: bytes
    sign: int


def add_keystreams(
    lanes: Lanes,
    masks: Iterable[Mask],
    *,
    vectors: Sequence[Lanes] = (),
    digest: Callable[[memoryview], Any] = len,
) -> list[Any]:
    """lanes += sum of `vectors` + sum of sign * G(key) mod 2^w, in place, chunk by chunk without temporary vectors.

    `vectors` have the shape and type of `lanes`. Returns the `digest` of every stretch, taken while it is in cache.
    """
    streams, per = tuple(masks), STRETCH // lanes.itemsize

    def stretch(start: int) -> Any:
        part = lanes[start : start + per]
        _add(part, [vector[start : start + per] for vector in vectors], streams, start * lanes.itemsize)
        return digest(part.data)

    return in_stretches(stretch, len(lanes), per)


def _add(lanes: Lanes, vectors: Sequence[Lanes], masks: Sequence[Mask], offset: int) -> None:
    running = [(_keystream(mask.key, offset), np.add if mask.sign > 0 else np.subtract) for mask in masks]
    stream, per = bytearray(CHUNK), CHUNK // lanes.itemsize
    for start in range(0, len(lanes), per):
        part = lanes[start : start + per]
        for vector in vectors:
            np.add(part, vector[start : start + per], out=part)
        blank, pad = ZEROS[: part.nbytes], np.frombuffer(stream, dtype=lanes.dtype, count=len(part))
        for cipher, combine in running:
            cipher.update_into(blank, stream)
            combine(part, pad, out=part)


def _keystream(key: bytes, offset: int) -> CipherContext:
    nonce = (offset // BLOCK).to_bytes(4, "little") + bytes(12)
    return Cipher(algorithms.ChaCha20(key, nonce), mode=None).encryptor()
