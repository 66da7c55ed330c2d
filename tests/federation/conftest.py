"""What the tests of `federation` share: randomness that a failing run can repeat, and vectors to add up."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from federation.securesum import Address
from federation.simulate import addresses
from federation.vectors import Lanes, ring


@pytest.fixture
def rand() -> Callable[[int], bytes]:
    """Bytes from SHA-256 in counter mode: the same in every run."""
    count = 0

    def drawn(n: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(count.to_bytes(8, "big")).digest(n)

    return drawn


@pytest.fixture
def vectors(rand: Callable[[int], bytes]) -> Callable[[int, int, int], dict[Address, Lanes]]:
    """`vectors(n, lanes, width)`: a uniform vector for each of n members."""
    return lambda n, lanes, width: {
        member: np.frombuffer(rand(lanes * width // 8), dtype=ring(width)) for member in addresses(n)
    }
