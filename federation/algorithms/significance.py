"""How sure a regression is of its weights: standard errors and p-values from the curvature where it ended.

Wald: the inverse of the negative log-likelihood's Hessian is the weights' covariance; weight / error is compared with
the normal distribution, or with Student's where the noise is estimated too (McCullagh & Nelder 1989, 4.4 and 9.2;
Student's distribution as an incomplete beta function: Press et al., Numerical Recipes, 6.4).
Figures for a report, not part of any state: `erfc` and `lgamma` differ in their last digits between processors.

    found = wald(features, scaling, weights, hessian)
    for name, weight, error, p in zip(found.columns, found.weights, found.errors, found.p): ...
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federation import portable
from federation.algorithms.newton import NewtonParams, NewtonState, symmetric
from federation.algorithms.scaling import Scaling, known, original
from federation.errors import Refused
from federation.tables import Feature, columns_of


@dataclass(frozen=True)
class Significance:
    """One entry for "intercept" and for each column; `p` is two-sided."""

    columns: tuple[str, ...]
    weights: tuple[float, ...]
    errors: tuple[float, ...]
    p: tuple[float, ...]


def wald(
    features: Sequence[Feature], scaling: Scaling, weights: Sequence[float], hessian: Sequence[float], *,
    noise: float = 1.0, freedom: int | None = None,
) -> Significance:  # fmt: skip
    """For weights of scaled columns and the upper triangle of the Hessian there; the covariance is times `noise`.

    With `freedom` degrees of freedom: Student's distribution. Refused where a column is constant or depends on others.
    """
    names = columns_of(features)
    if scaling.constant:
        raise Refused("a constant column has no weight to be sure of", clause="constant",
                      seen=[names[i] for i in scaling.constant], needed="columns that vary")  # fmt: skip
    size = len(weights)
    matrix = symmetric(np.array(hessian), size)
    inverse = np.column_stack([portable.solve(matrix, unit) for unit in np.eye(size)])
    units = np.column_stack([original(features, scaling, unit) for unit in np.eye(size)])
    variances = np.einsum("ij,jk,ik->i", units, inverse, units) * noise
    found, errors = original(features, scaling, np.array(weights)), np.sqrt(variances)
    p = tuple(
        _chance(abs(weight) / error, freedom) for weight, error in zip(found.tolist(), errors.tolist(), strict=True)
    )
    return Significance(("intercept", *names), tuple(found.tolist()), tuple(errors.tolist()), p)


def of_minimum(params: NewtonParams, state: NewtonState, hessian: Sequence[float]) -> Significance:
    """Of the weights where Newton's method settled; Refused with a ridge, before it has settled, and as `wald`."""
    require_no_ridge(params.ridge)
    if not state.converged:
        raise Refused("the weights have not settled", clause="converged", seen=state.rounds, needed="more rounds")
    return wald(params.features, known(state), state.weights, hessian)


def require_no_ridge(ridge: float) -> None:
    """Refused with one."""
    if ridge > 0:
        raise Refused("with a ridge the weights are drawn to 0, and their errors are not known", clause="ridge",
                      seen=ridge, needed=0)  # fmt: skip


def _chance(distance: float, freedom: int | None) -> float:
    """Of being as far from 0 on either side."""
    return math.erfc(distance / math.sqrt(2.0)) if freedom is None else _student(distance, freedom)


def _student(t: float, freedom: int) -> float:
    """The chance that Student's t is further from 0 than `t`: I_x(freedom / 2, 1 / 2) at freedom / (freedom + t^2)."""
    return _beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Lentz)."""
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _beta(b, a, 1.0 - x)
    if x <= 0.0:
        return 0.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    total = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1.0 / (1.0 + term * d), 1.0 + term / c
            total *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return front * total
