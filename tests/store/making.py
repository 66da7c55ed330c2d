"""Data that anyone can make again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms


def keystream(seed: str, size: int, step: int = 1 << 20) -> Iterator[bytes]:
    """The data of IPIP-499's vectors: ChaCha20 under the seed's SHA-256, nonce and counter 0."""
    cipher = Cipher(algorithms.ChaCha20(sha256(seed.encode()).digest(), bytes(16)), None).encryptor()
    for at in range(0, size, step):
        yield cipher.update(bytes(min(step, size - at)))


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)
