"""Masks: ChaCha20 keystreams added to or taken from a vector of lanes.

G(k) is the keystream of RFC 8439 under key k, nonce 0, counter from 0, read as little-endian lanes, so one 64-byte
block masks 16 lanes of Z_2^32 or 8 of Z_2^64. Which keys with which sign is for `member` and `aggregate`.

    add_keystreams(lanes, [Mask(seed, +1), Mask(pair, -1)])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms

from federation.vectors import Lanes, in_stretches

CHUNK = 1 << 17  # bytes: the chunk, its keystream and the zeros they come from stay in a core's own cache
STRETCH = 8 * CHUNK  # what one thread does at a time; a shorter vector starts no thread
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
    seen: Callable[[memoryview], object] | None = None,
) -> None:
    """lanes += sum of `vectors` + sum of sign * G(key) mod 2^w, in place, chunk by chunk without temporary vectors.

    `vectors` have the shape and type of `lanes`. `seen` gets every finished stretch, in order, while later ones are
    being worked on.
    """
    streams, per = tuple(masks), STRETCH // lanes.itemsize

    def stretch(start: int) -> Lanes:
        part = lanes[start : start + per]
        _add(part, [vector[start : start + per] for vector in vectors], streams, start * lanes.itemsize)
        return part

    for part in in_stretches(stretch, len(lanes), per):
        if seen is not None:
            seen(part.data)


def _add(lanes: Lanes, vectors: Sequence[Lanes], masks: Sequence[Mask], offset: int) -> None:
    running = [(_keystream(mask.key, offset), np.add if mask.sign > 0 else np.subtract) for mask in masks]
    stream = bytearray(CHUNK)
    pad = np.frombuffer(stream, dtype=lanes.dtype)
    for start in range(0, len(lanes), len(pad)):
        part = lanes[start : start + len(pad)]
        for vector in vectors:
            np.add(part, vector[start : start + len(pad)], out=part)
        blank = ZEROS if len(part) == len(pad) else ZEROS[: part.nbytes]
        for cipher, combine in running:
            cipher.update_into(blank, stream)
            combine(part, pad[: len(part)], out=part)


def _keystream(key: bytes, offset: int) -> CipherContext:
    nonce = (offset // BLOCK).to_bytes(4, "little") + bytes(12)
    return Cipher(algorithms.ChaCha20(key, nonce), mode=None).encryptor()
