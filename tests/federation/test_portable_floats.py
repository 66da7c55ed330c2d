"""Functions whose bits do not depend on the processor: right, and independent of what stands beside a record."""

import hashlib

import numpy as np
import pytest

from federation import portable
from federation.errors import Refused


@pytest.fixture
def numbers():
    return np.random.default_rng(5).normal(scale=30, size=20_001)


def test_exp_and_log_are_good_to_the_last_places(numbers):
    below = -np.abs(numbers)
    assert np.abs(portable.exp_of_negative(below) / np.exp(below) - 1).max() < 5e-16
    unit = np.random.default_rng(6).uniform(size=20_001)
    assert np.abs(portable.log1p(unit) / np.log1p(unit) - 1).max() < 5e-16


def test_the_ends_of_the_scale():
    assert portable.exp_of_negative(np.array([0.0, -0.0, -1e9])).tolist() == [1.0, 1.0, 5e-324]
    assert portable.sigmoid(np.array([0.0, 1e9, -1e9])).tolist() == [0.5, 1.0, 5e-324]
    assert portable.log1p(np.array([0.0])).tolist() == [0.0]
    assert portable.log_loss(np.array([1e6, -1e6]), np.array([1.0, 1.0])).tolist() == [0.0, 1e6]


def test_log_loss_is_that_of_the_sigmoid(numbers):
    labels = (numbers > 10).astype(float)
    narrow = np.clip(numbers, -30, 30)
    chance = portable.sigmoid(narrow)
    expected = -np.where(labels > 0, np.log(chance), np.log1p(-chance))
    assert np.allclose(portable.log_loss(narrow, labels), expected, rtol=1e-3, atol=1e-12)


def test_a_records_value_does_not_depend_on_its_neighbours(numbers):
    """As a matrix product need not: BLAS may add a row in another order when there are more rows."""
    rows = numbers[:20_000].reshape(800, 25)
    weights = numbers[:25]
    whole = portable.sigmoid(portable.dot(rows, weights))
    for size in (1, 3, 7, 64):
        parts = [portable.sigmoid(portable.dot(rows[i : i + size], weights)) for i in range(0, 800, size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_the_bits_are_these_everywhere():
    """Taken once; another processor, compiler or NumPy must find the same."""
    steps = np.arange(-4000, 4000) / 64.0
    found = [portable.sigmoid(steps), portable.log_loss(steps, np.ones(8000))]
    assert hashlib.sha256(b"".join(part.astype("<f8").tobytes() for part in found)).hexdigest() == BITS


BITS = "3478360fee72ab7f13c31493644e587d1a91c6923f5ab60b96626fe600c36059"


@pytest.mark.parametrize("size", [1, 2, 31])
def test_solve_solves(size):
    half = np.random.default_rng(size).normal(size=(size, size + 3))
    matrix, right = half @ half.T, half[:, 0].copy()
    kept = matrix.copy()
    assert np.allclose(matrix @ portable.solve(matrix, right), right, atol=1e-9)
    assert (matrix == kept).all()


@pytest.mark.parametrize("matrix", [[[0.0]], [[1.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[float("nan")]]])
def test_what_is_not_positive_definite_is_refused(matrix):
    with pytest.raises(Refused) as caught:
        portable.solve(np.array(matrix), np.ones(len(matrix)))
    assert caught.value.clause == "definite"


def test_exp_on_both_sides_and_log_of_anything(numbers):
    wide = np.clip(numbers, -600, 600)
    assert np.abs(portable.exp(wide) / np.exp(wide) - 1).max() < 1e-15
    assert portable.exp(np.array([0.0, 1e9, -1e9])).tolist() == [1.0, portable.exp(np.array([709.0]))[0], 5e-324]
    positive = np.exp(wide)
    assert np.allclose(portable.log(positive), np.log(positive), rtol=1e-15, atol=3e-16)
    assert portable.log(np.array([1.0])).tolist() == [0.0]


def test_product_is_dot_for_each_column(numbers):
    rows, weights = numbers[:20_000].reshape(800, 25), numbers[:75].reshape(25, 3)
    whole = portable.product(rows, weights)
    assert whole.tobytes() == np.column_stack([portable.dot(rows, column) for column in weights.T]).tobytes()
