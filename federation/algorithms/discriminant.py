"""Linear discriminant analysis: the classes share one covariance, and two sums find it.

Round 0: for each class the records, and per column present values and their sum, so that everybody knows the classes'
means (a missing value counts as the mean over all classes). Round 1: (u - m)(u - m)^T of each record about its own
class's mean m, upper triangle. With S = that sum / records:
    score_k = m_k S^-1 u - 1/2 m_k S^-1 m_k + ln share_k,   means and u from the overall mean.
S is inverted in the directions in which its correlations have an eigenvalue over 1e-8; the others say nothing, as in
scikit-learn's `svd` solver. Fisher 1936; Hastie, Tibshirani & Friedman 2009, 4.3.

    params = DiscriminantParams(features, Classes("kind", ("a", "b", "c")), members=4, records=1000)
    labels = np.argmax(scores(params, state, table), axis=1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.newton import products, symmetric, triangle
from federation.algorithms.plans import FeatureParams
from federation.algorithms.scaling import counted
from federation.algorithms.slices import add, add_by, slices, zeros
from federation.errors import Refused
from federation.tables import Classes, Columns, Table, encode, halves, middles
from federation.vectors import Layout, Reals

FLAT = 1e-8  # eigenvalues of correlations up to this are none


@dataclass(frozen=True)
class DiscriminantParams(FeatureParams):
    """The plan."""

    rounds: ClassVar[int] = 2  # sums

    target: Classes

    def __post_init__(self) -> None:
        if not self.features:
            raise Refused("a plan that cannot run", clause="plan", seen=self.features, needed="features")


@dataclass(frozen=True)
class DiscriminantState:
    """Records of each class; `fill` for missing values and `means` (a row for each class) in units of the table;
    `weights`, a row for each class, intercept first, in units of the records; `constant` columns within all classes."""

    rounds: int = 0
    records: int = 0
    counts: tuple[int, ...] = ()
    fill: tuple[float, ...] = ()
    means: tuple[tuple[float, ...], ...] = ()
    weights: tuple[tuple[float, ...], ...] = ()
    constant: tuple[int, ...] = ()


def prepare(params: DiscriminantParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: DiscriminantParams) -> DiscriminantState:
    return DiscriminantState()


def layout(params: DiscriminantParams, state: DiscriminantState) -> Layout:
    limits, classes, columns = params.limits, len(params.target.levels), len(params.columns)
    if not state.rounds:
        return limits.layout(
            limits.counts("records"),
            limits.counts("class", classes),
            limits.counts("present", classes * columns),
            limits.reals("sum", classes * columns, 1.0),
        )
    return limits.layout(limits.counts("records"), limits.reals("scatter", triangle(columns), 4.0))


def local(params: DiscriminantParams, state: DiscriminantState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan, columns = layout(params, state), len(params.columns)
    sums = zeros(plan)
    for values, target in slices(table, numbers=triangle(columns) if state.rounds else columns):
        one, place = np.ones((len(values), 1)), target.astype(np.int64)
        add(plan, sums, {"records": one})
        if state.rounds:
            about = np.where(np.isnan(values), np.array(state.fill), values) - np.array(state.means)[place]
            add(plan, sums, {"scatter": products(about, about)})
        else:
            present = ~np.isnan(values)
            rows = {"class": one, "present": present.astype(np.float64), "sum": np.where(present, values, 0.0)}
            add_by(plan, sums, place, rows)
    return sums


def step(params: DiscriminantParams, state: DiscriminantState, sums: Sums) -> DiscriminantState:
    records = counted(sums)
    if not state.rounds:
        return _with_means(params, records, sums)
    classes = sum(count > 0 for count in state.counts)
    if records <= classes:
        raise Refused("fewer records than it takes", clause="records", seen=records, needed=f"more than {classes}")
    columns = len(params.columns)
    scatter = symmetric(layout(params, state)["scatter"].real(sums["scatter"]), columns)
    inverse, constant = _inverse(scatter / records)
    weights = _weights(params, state, inverse)
    return replace(state, rounds=2, records=records, weights=weights, constant=constant)


def done(params: DiscriminantParams, state: DiscriminantState) -> bool:
    return bool(state.weights)


def scores(params: DiscriminantParams, state: DiscriminantState, table: Table) -> Reals:
    """Logarithm of each class's chance but for what is the same for all classes, (records, classes)."""
    if not state.weights:
        raise Refused("no round has ended yet", clause="order", seen=state.rounds, needed="2 rounds")
    values = np.where(np.isnan(table.values), np.array(state.fill), table.values)
    raw = values * halves(params.features) + middles(params.features)
    weights = np.array(state.weights)
    found: Reals = portable.product(raw, weights[:, 1:].T) + weights[:, 0]
    return found


def fitted(params: DiscriminantParams, state: DiscriminantState) -> Fitted:
    """`counts` (classes,), and `weights` (classes, 1 + columns): intercept first, in units of the records."""
    arrays = {"counts": np.array(state.counts, dtype=np.float64), "weights": np.array(state.weights)}
    return Fitted(params.columns, state.records, arrays, params.target.levels)


def _with_means(params: DiscriminantParams, records: int, sums: Sums) -> DiscriminantState:
    shape = (len(params.target.levels), len(params.columns))
    scale, counts = params.limits.scale_for("sum", 1.0), sums["class"].tolist()
    present, total = (sums[name].reshape(shape).tolist() for name in ("present", "sum"))
    seen = [sum(row[j] for row in present) for j in range(shape[1])]
    fill = [float(Fraction(sum(row[j] for row in total), (seen[j] or 1) << scale)) for j in range(shape[1])]
    means = tuple(
        tuple(_mean(count, present[k][j], Fraction(total[k][j], 1 << scale), fill[j]) for j in range(shape[1]))
        for k, count in enumerate(counts)
    )
    return DiscriminantState(1, records, tuple(counts), tuple(fill), means)


def _mean(count: int, present: int, total: Fraction, fill: float) -> float:
    return float((total + (count - present) * Fraction(fill)) / count) if count else 0.0


def _inverse(scatter: Reals) -> tuple[Reals, tuple[int, ...]]:
    """The inverse in the directions that vary, and the places of the columns that do not."""
    still = np.diagonal(scatter) <= 0.0
    deviation = np.sqrt(np.where(still, 1.0, np.diagonal(scatter)))
    correlations = np.where(still[:, None] | still, 0.0, scatter) / (deviation[:, None] * deviation)
    values, vectors = portable.eigen(correlations)
    inverse = np.zeros_like(scatter)
    for value, vector in zip(values, vectors / deviation, strict=True):
        if value > FLAT:
            inverse += vector[:, None] * vector / value
    return inverse, tuple(np.flatnonzero(still).tolist())


def _weights(params: DiscriminantParams, state: DiscriminantState, inverse: Reals) -> tuple[tuple[float, ...], ...]:
    half, middle = halves(params.features), middles(params.features)
    shares = np.array(state.counts) / state.records
    means = np.array(state.means)
    centre = portable.dot(means.T, shares)
    rows = []
    for mean, share in zip(means - centre, shares, strict=True):
        slopes = portable.dot(inverse, mean)
        chance = float(portable.log(np.array([share]))[0]) if share > 0.0 else -1e300
        raw = slopes / half
        intercept = chance - math.fsum(slopes * (mean / 2.0 + centre)) - math.fsum(raw * middle)
        rows.append((intercept, *raw.tolist()))
    return tuple(rows)


DISCRIMINANT = Algorithm(
    name="linear-discriminant", params=DiscriminantParams, state=DiscriminantState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"counts": ("classes",), "weights": ("classes", "1 + columns")},
)  # fmt: skip
