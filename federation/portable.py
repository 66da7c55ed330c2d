"""Float arithmetic with the same bits on every processor: members who never exchange a model hold the same one.

IEEE 754 fixes + - * / sqrt and scaling by powers of two, but neither `exp` and `log` nor the order in which BLAS adds.
These functions use the former only, in a fixed order, on each record by itself: the value for a record does not depend
on the records beside it. Slower than BLAS, and good to about 1 unit in the last place; no linear algebra but of
symmetric matrices.
(Totals of floats elsewhere use `math.fsum`: `sum` and `numpy.sum` add differently from version to version.)

    weights = solve(hessian, gradient)
    values, vectors = eigen(covariance)
    chances = sigmoid(dot(table, weights))
"""

from __future__ import annotations

import math

import numpy as np

from federation.errors import Refused
from federation.vectors import Reals

LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # the first 33 bits of ln 2: k * LN2_HIGH is exact for |k| < 2^20
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # what is left of ln 2 (fdlibm's split)
EXP_TERMS = 14
LOG_TERMS = 18
SWEEPS = 40


def dot(rows: Reals, weights: Reals) -> Reals:
    """rows @ weights for (records, d) and (d,), each record by itself, from the first column to the last."""
    total = np.zeros(len(rows))
    for column, weight in zip(rows.T, weights, strict=True):
        total += column * weight
    return total


def product(rows: Reals, weights: Reals) -> Reals:
    """rows @ weights for (records, d) and (d, k), as `dot` does it."""
    total = np.zeros((len(rows), weights.shape[1]))
    for column, line in zip(rows.T, weights, strict=True):
        total += column[:, None] * line
    return total


def exp_of_negative(values: Reals) -> Reals:
    """e^x for x <= 0: x = k ln 2 + r, a Taylor polynomial in |r| <= ln(2)/2, then 2^k."""
    clamped = np.maximum(values, -745.0)
    k = np.rint(clamped / LN2_HIGH)
    r = (clamped - k * LN2_HIGH) - k * LN2_LOW
    total = np.ones_like(r)
    for n in range(EXP_TERMS, 0, -1):
        total = 1.0 + r * total / n
    return np.ldexp(total, k.astype(np.int32))


def exp(values: Reals) -> Reals:
    """e^x: above 0 as 1 / e^-x, and e^709 for anything larger."""
    small = exp_of_negative(-np.minimum(np.abs(values), 709.0 + (values < 0) * 40.0))
    return np.where(values > 0, 1.0 / np.where(values > 0, small, 1.0), small)


def log(values: Reals) -> Reals:
    """ln x for x > 0: the exponent's part, then `log1p` of the rest in [1, 2)."""
    rest, exponent = np.frexp(values)
    k = exponent.astype(np.float64) - 1.0
    return k * LN2_HIGH + (log1p(2.0 * rest - 1.0) + k * LN2_LOW)


def log1p(values: Reals) -> Reals:
    """ln(1 + u) for 0 <= u <= 1: 2 artanh(s) with s = u / (2 + u) <= 1/3, as its odd power series."""
    s = values / (2.0 + values)
    square = s * s
    total = np.zeros_like(s)
    for n in range(2 * LOG_TERMS - 1, 0, -2):
        total = total * square + 1.0 / n
    return 2.0 * s * total


def sigmoid(values: Reals) -> Reals:
    """1 / (1 + e^-t), without overflow on either side."""
    small = exp_of_negative(-np.abs(values))
    return np.where(values >= 0, 1.0, small) / (1.0 + small)


def log_loss(values: Reals, labels: Reals) -> Reals:
    """-ln of the chance that sigmoid(values) gives to `labels` (0 or 1), each record by itself."""
    margin = np.where(labels > 0, values, -values)
    return np.maximum(-margin, 0.0) + log1p(exp_of_negative(-np.abs(values)))


def softmax(values: Reals) -> Reals:
    """Chances of the classes of each record, (records, classes), from their logarithms but for a constant."""
    small = exp_of_negative(values - values.max(axis=1, keepdims=True))
    return small / _across(small)[:, None]


def class_loss(values: Reals, target: Reals) -> Reals:
    """-ln of the chance that softmax(values) gives to each record's class, (records,)."""
    below = values - values.max(axis=1, keepdims=True)
    found: Reals = log(_across(exp_of_negative(below))) - below[np.arange(len(below)), target.astype(np.int64)]
    return found


def _across(values: Reals) -> Reals:
    """The sum of each record's values, from the first to the last."""
    return dot(values, np.ones(values.shape[1]))


def solve(matrix: Reals, right: Reals) -> Reals:
    """x with matrix @ x = right for a symmetric positive definite matrix, by LDL^T; Refused for any other."""
    lower, rest, size = np.eye(len(right)), matrix.copy(), len(right)
    pivots = np.zeros(size)
    for j in range(size):
        pivots[j] = rest[j, j]
        if not pivots[j] > 0.0 or not math.isfinite(pivots[j]):
            raise Refused("the columns depend on each other", clause="definite", seen=float(pivots[j]), needed="> 0")
        column = rest[j + 1 :, j] / pivots[j]
        rest[j + 1 :, j + 1 :] -= column[:, None] * rest[j, j + 1 :][None, :]
        lower[j + 1 :, j] = column
    x = right.copy()
    for j in range(size):
        x[j + 1 :] -= lower[j + 1 :, j] * x[j]
    x /= pivots
    for j in range(size - 1, -1, -1):
        x[:j] -= lower[j, :j] * x[j]
    return x


def eigen(matrix: Reals) -> tuple[Reals, Reals]:
    """Eigenvalues of a symmetric matrix, largest first, and its eigenvectors as rows, each's largest entry above 0.

    Jacobi's rotations on disjoint pairs at a time (Golub & Van Loan 2013, 8.5.5 and 8.5.6), until what is off the
    diagonal is lost against it. Refused if that takes more than SWEEPS rounds over all pairs (as with numbers that are
    none).
    """
    rest, vectors = matrix.copy(), np.eye(len(matrix))
    small = 2.0**-56 * float(np.abs(matrix).max())
    for _ in range(SWEEPS):
        if float(np.abs(rest - np.diag(np.diagonal(rest))).max()) <= small:
            break
        for p, q in _disjoint_pairs(len(matrix)):
            _rotate(rest, vectors, p, q)
    else:
        raise Refused("the eigenvalues were not found", clause="eigen", seen=SWEEPS, needed="finite numbers")
    order = np.argsort(-np.diagonal(rest), kind="stable")
    values, vectors = np.diagonal(rest)[order], vectors[order]
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    return values, vectors * np.where(largest < 0.0, -1.0, 1.0)[:, None]


def _disjoint_pairs(size: int) -> list[tuple[list[int], list[int]]]:
    """All pairs p < q, as in a tournament: in each round everybody meets one other."""
    places, rounds = list(range(size + size % 2)), []
    for _ in range(len(places) - 1):
        pairs = zip(places[: len(places) // 2], reversed(places), strict=False)
        met = [(min(pair), max(pair)) for pair in pairs if max(pair) < size]
        rounds.append(([p for p, _ in met], [q for _, q in met]))
        places = [places[0], places[-1], *places[1:-1]]
    return rounds


def _rotate(rest: Reals, vectors: Reals, p: list[int], q: list[int]) -> None:
    off, apart = rest[p, q], rest[q, q] - rest[p, p]
    idle = np.abs(off) * 2.0**500 <= np.abs(apart)  # and its square would not be a number
    ratio = np.where(idle, 0.0, apart) / np.where(idle, 1.0, 2.0 * off)
    t = np.where(ratio < 0.0, -1.0, 1.0) / (np.abs(ratio) + np.sqrt(ratio * ratio + 1.0))
    t = np.where(idle, 0.0, t)
    c = (1.0 / np.sqrt(t * t + 1.0))[:, None]
    s = t[:, None] * c
    for each in (rest, rest.T, vectors):
        first, second = each[p], each[q]
        each[p], each[q] = c * first - s * second, s * first + c * second
    rest[p, q] = rest[q, p] = 0.0
