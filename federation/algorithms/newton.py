"""What every Newton's method over sums shares: triangles of products, and the next weights.

A step is taken back half-way wherever the objective grew, so that a start far away does no harm (step halving:
Nocedal & Wright 2006, 3.1). Arithmetic of `portable` only: equal sums give equal weights on every processor.
Not here: what is summed (each algorithm's `local`).

    rows = products(z, z)                 # (records, triangle(columns))
    path = next_path(path, objective, gradient, hessian, tolerance=1e-6)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federation import portable
from federation.algorithms.scaling import Scaling, scale
from federation.vectors import Reals


@dataclass(frozen=True)
class Path:
    """`weights` come next; `best` were tried last without harm and gave `objective`."""

    weights: tuple[float, ...]
    best: tuple[float, ...]
    objective: float | None = None
    converged: bool = False


def next_path(path: Path, objective: float, gradient: Reals, hessian: Reals, *, tolerance: float) -> Path:
    """After the sums at `path.weights`: a Newton step, or half-way back to the best so far where the objective grew.

    `hessian` (size, size) is positive definite but for constant columns, or Refused (`solve`).
    """
    if path.objective is not None and objective > path.objective * (1.0 + 2.0**-30):
        return back(path)
    move = solve(hessian, gradient)
    settled = bool(np.abs(move).max() < tolerance)
    return Path(floats(np.array(path.weights) - move), path.weights, objective, settled)


def back(path: Path) -> Path:
    """Half the way back."""
    middle = (np.array(path.weights) + np.array(path.best)) / 2.0
    return Path(floats(middle), path.best, path.objective, path.converged)


def scaled(scaling: Scaling, values: Reals) -> Reals:
    """(records, 1 + columns): 1, then the scaled values."""
    return np.column_stack([np.ones(len(values)), scale(scaling, values)])


def varying(scaling: Scaling, values: Reals) -> Reals:
    """As `scaled`, with columns that hardly vary at exactly 0."""
    z = scaled(scaling, values)
    z[:, [place + 1 for place in scaling.constant]] = 0.0
    return z


def triangle(size: int) -> int:
    """Entries of the upper triangle of a (size, size) matrix, its diagonal included."""
    return size * (size + 1) // 2


def products(left: Reals, right: Reals) -> Reals:
    """left_i * right_j for i <= j of each record, (records, triangle)."""
    first, second = np.triu_indices(left.shape[1])
    return left[:, first] * right[:, second]


def symmetric(upper: Reals, size: int) -> Reals:
    """The (size, size) matrix of that upper triangle."""
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = upper
    matrix.T[np.triu_indices(size)] = upper
    return matrix


def solve(matrix: Reals, right: Reals) -> Reals:
    """`portable.solve`, but 0 where a column is constant, that is where the diagonal is exactly 0."""
    constant = np.diagonal(matrix) == 0.0
    kept = np.where(constant[:, None] | constant, 0.0, matrix)
    kept[np.diag_indices(len(kept))] = np.where(constant, 1.0, np.diagonal(matrix))
    return portable.solve(kept, np.where(constant, 0.0, right))


def floats(values: Reals) -> tuple[float, ...]:
    return tuple(float(value) for value in values.ravel())
