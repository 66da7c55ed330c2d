"""Masks: ChaCha20 keystreams added to or taken from a vector of lanes.

G(k) is the keystream of RFC 8439 under key k, nonce 0, counter from 0, read as little-endian lanes, so one 64-byte
block masks 16 lanes of Z_2^32 or 8 of Z_2^64. Which keys with which sign is for `member` and `aggregate`.

    add_keystreams(lanes, [Mask(seed, +1), Mask(pair, -1)])
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms

from federation.vectors import Lanes

CHUNK = 1 << 18  # bytes: the chunk and its keystream stay in a core's own cache


@dataclass(frozen=True)
class Mask:
    """A ChaCha20 key and whether its keystream is added (+1) or taken away (-1)."""

    key: bytes
    sign: int


def add_keystreams(lanes: Lanes, masks: Iterable[Mask]) -> None:
    """lanes += sum of sign * G(key) mod 2^w, in place, chunk by chunk without temporary vectors."""
    running = [(_keystream(mask.key), np.add if mask.sign > 0 else np.subtract) for mask in masks]
    zeros, stream = bytes(CHUNK), bytearray(CHUNK)
    pad = np.frombuffer(stream, dtype=lanes.dtype)
    for start in range(0, len(lanes), len(pad)):
        part = lanes[start : start + len(pad)]
        blank = zeros if len(part) == len(pad) else zeros[: part.nbytes]
        for cipher, combine in running:
            cipher.update_into(blank, stream)
            combine(part, pad[: len(part)], out=part)


def _keystream(key: bytes) -> CipherContext:
    return Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
