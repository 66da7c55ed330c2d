"""What the tests of `federation` share: randomness that a failing run can repeat, and vectors to add up."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from federation import records
from federation.algorithms import advance, fitted_of, vector
from federation.algorithms.known import named
from federation.securesum import Address
from federation.simulate import addresses, pooled, train
from federation.tables import Table
from federation.vectors import Lanes, from_bytes, ring, to_bytes


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


def shares(table: Table, members: int) -> list[Table]:
    """The records sorted by label and cut into as many parts, some of them empty: the worst split there is."""
    order = np.argsort(table.target, kind="stable")
    return [Table(table.values[rows], table.target[rows]) for rows in np.array_split(order, members)]


@pytest.fixture
def same_everywhere(rand):
    """`same_everywhere(algorithm, params, table)`: the pooled training, once 1, 10 and 50 members sorted by label have
    added up to the same bytes in every round, and 3 have through the masks, to the same state."""

    def check(algorithm, params, table):
        whole, state = pooled(algorithm, params, table), algorithm.start(params)
        splits = [shares(table, members) for members in (1, 10, 50)]
        for total in whole.totals:
            for parts in splits:
                vectors = [vector(algorithm, params, state, part) for part in parts]
                added = np.sum(vectors, axis=0, dtype=ring(algorithm.layout(params, state).width))
                assert hashlib.sha256(to_bytes(added)).digest() == hashlib.sha256(total).digest()
            state = advance(algorithm, params, state, from_bytes(algorithm.layout(params, state).width, total))
        masked = train(algorithm, params, shares(table, 3), rand=rand)
        assert masked.totals == whole.totals
        assert records.dump(masked.state) == records.dump(whole.state) == records.dump(state)
        assert records.load(algorithm.state, records.dump(state)) == state
        assert records.load(algorithm.params, records.dump(params)) == params
        assert named(algorithm.name) is algorithm
        assert params.rounds >= len(whole.totals)
        fitted_of(algorithm, params, state)
        return whole

    return check
