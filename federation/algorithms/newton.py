"""What every Newton's method over sums shares: plan and state, triangles of products, and the next weights.

A step is taken back half-way wherever the objective grew, so that a start far away does no harm (step halving:
Nocedal & Wright 2006, 3.1). Arithmetic of `portable` only: equal sums give equal weights on every processor.
Not here: what is summed (each algorithm's `local`).

    rows = products(z, z)                 # (records, triangle(columns))
    path = next_path(state.path, loss, gradient, hessian, ridge=ridges(columns, 1.0), tolerance=1e-6)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from federation import portable
from federation.algorithms.plans import FeatureParams
from federation.algorithms.scaling import Scaling, scale
from federation.errors import Refused
from federation.vectors import Reals


@dataclass(frozen=True)
class NewtonParams(FeatureParams):
    """`ridge` on all weights but the intercepts, `tolerance` of the last move, `rounds` the most sums."""

    ridge: float = field(default=1.0, kw_only=True)
    tolerance: float = field(default=1e-6, kw_only=True)
    rounds: int = field(default=40, kw_only=True)

    def __post_init__(self) -> None:
        if not (self.features and self.ridge >= 0 and self.tolerance > 0 and self.rounds >= 2):
            raise Refused("a plan that cannot run", clause="plan", seen=(self.ridge, self.tolerance, self.rounds),
                          needed="features, ridge >= 0, tolerance > 0, rounds >= 2")  # fmt: skip


@dataclass(frozen=True)
class NewtonState:
    """`weights` (intercept first, for scaled columns) come next; `best` were tried and gave `objective`."""

    rounds: int = 0
    records: int = 0
    scaling: Scaling | None = None
    weights: tuple[float, ...] = ()
    best: tuple[float, ...] = ()
    objective: float | None = None
    converged: bool = False

    @property
    def path(self) -> Path:
        return Path(self.weights, self.best, self.objective)


@dataclass(frozen=True)
class Path:
    """`weights` come next; `best` were tried last without harm and gave `objective`."""

    weights: tuple[float, ...]
    best: tuple[float, ...]
    objective: float | None = None
    converged: bool = False


def next_path(path: Path, loss: float, gradient: Reals, hessian: Reals, *, ridge: Reals, tolerance: float) -> Path:
    """After the sums at `path.weights`: a Newton step, or half-way back to the best so far where the objective grew.

    The objective is the loss and half of `ridge` (size,) times the squared weights. With the ridge, `hessian`
    (size, size) is positive definite but for constant columns, or Refused (`solve`).
    """
    weights = np.array(path.weights)
    objective = loss + math.fsum(ridge * weights * weights) / 2.0
    if path.objective is not None and objective > path.objective * (1.0 + 2.0**-30):
        return back(path)
    move = solve(hessian + np.diag(ridge), gradient + ridge * weights)
    settled = bool(np.abs(move).max() < tolerance)
    return Path(floats(weights - move), path.weights, objective, settled)


def back(path: Path) -> Path:
    """Half the way back."""
    middle = (np.array(path.weights) + np.array(path.best)) / 2.0
    return Path(floats(middle), path.best, path.objective, path.converged)


def ridges(size: int, ridge: float) -> Reals:
    """Of each weight, (size,): none on the intercept, which is first."""
    found = np.full(size, ridge)
    found[0] = 0.0
    return found


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
