"""Gaussian naive Bayes: one sum, and a missing value says nothing for or against a class.

For each class k and column j every member adds up, record by record: records of the class, present values, their sum
and the sum of their squares. Everybody then has, in exact rationals, the class's share, mean and variance; a part
`smoothing` of the largest variance of any column is added to all variances, as scikit-learn does.
    score_k = ln share_k - 1/2 sum over present j of (ln(2 pi v_kj) + (x_j - m_kj)^2 / v_kj)
Chan, Golub & LeVeque 1979 on why sums of squares are to be exact or centred: here they are exact.

    params = BayesParams(features, Classes("kind", ("a", "b", "c")), members=4, records=1000)
    labels = np.argmax(scores(params, state, table), axis=1)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.plans import FeatureParams
from federation.algorithms.scaling import counted
from federation.algorithms.slices import add, add_by, slices, zeros
from federation.errors import Refused
from federation.tables import Classes, Columns, Table, encode, halves, middles
from federation.vectors import Integers, Layout, Reals

LN_2_PI = float.fromhex("0x1.d67f1c864beb5p+0")
NEVER = -1e300  # the score of a class that has no records


@dataclass(frozen=True)
class BayesParams(FeatureParams):
    """The plan. `smoothing` is `var_smoothing` of scikit-learn."""

    rounds: ClassVar[int] = 1  # sums

    target: Classes
    smoothing: float = 1e-9

    def __post_init__(self) -> None:
        if not (self.features and self.smoothing > 0):
            raise Refused("a plan that cannot run", clause="plan", seen=self.smoothing,
                          needed="features, smoothing > 0")  # fmt: skip


@dataclass(frozen=True)
class BayesState:
    """Records of each class, and in units of the records means and smoothed variances, a row for each class.

    A class has mean 0 and the smoothing alone as variance in a column where it has no values.
    """

    records: int = 0
    counts: tuple[int, ...] = ()
    means: tuple[tuple[float, ...], ...] = ()
    variances: tuple[tuple[float, ...], ...] = ()
    constant: tuple[int, ...] = ()


def prepare(params: BayesParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: BayesParams) -> BayesState:
    return BayesState()


def layout(params: BayesParams, state: BayesState) -> Layout:
    limits, classes = params.limits, len(params.target.levels)
    cells = classes * len(params.columns)
    return limits.layout(
        limits.counts("records"),
        limits.counts("class", classes),
        limits.counts("present", cells),
        limits.reals("sum", cells, 1.0),
        limits.reals("squares", cells, 1.0),
    )


def local(params: BayesParams, state: BayesState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan = layout(params, state)
    sums = zeros(plan)
    for values, target in slices(table, numbers=len(params.columns)):
        one, present = np.ones((len(values), 1)), ~np.isnan(values)
        known = np.where(present, values, 0.0)
        add(plan, sums, {"records": one})
        add_by(plan, sums, target.astype(np.int64), {"class": one, "present": present.astype(np.float64), "sum": known,
                                                     "squares": known * known})  # fmt: skip
    return sums


def step(params: BayesParams, state: BayesState, sums: Sums) -> BayesState:
    scale, shape = params.limits.scale_for("sum", 1.0), (len(params.target.levels), len(params.columns))
    present, total, squares = (sums[name].reshape(shape) for name in ("present", "sum", "squares"))
    overall = np.array([_moments(scale, *(int(one[:, j].sum()) for one in (present, total, squares)))[1]
                        for j in range(shape[1])])  # fmt: skip
    half, middle = halves(params.features), middles(params.features)
    more = params.smoothing * float((overall * half * half).max())
    if more <= 0.0:
        raise Refused("no column varies", clause="constant", seen=params.columns, needed="one that does")
    means, variances = _tables(scale, present, total, squares)
    means = np.where(present > 0, means * half + middle, 0.0)
    still = tuple(np.flatnonzero(overall == 0.0).tolist())
    variances = variances * (half * half) + more
    return BayesState(counted(sums), tuple(sums["class"].tolist()), _rows(means), _rows(variances), still)


def done(params: BayesParams, state: BayesState) -> bool:
    return state.records > 0


def scores(params: BayesParams, state: BayesState, table: Table) -> Reals:
    """Logarithm of each class's joint chance, (records, classes); NEVER for a class without records."""
    raw = table.values * halves(params.features) + middles(params.features)
    columns = []
    for count, means, variances in zip(state.counts, state.means, state.variances, strict=True):
        total = np.full(len(raw), _share(count, state.records))
        logs = portable.log(np.array(variances)) + LN_2_PI
        for column, mean, variance, log in zip(raw.T, means, variances, logs, strict=True):
            total -= np.where(np.isnan(column), 0.0, (log + (column - mean) ** 2 / variance) / 2.0)
        columns.append(total if count else np.full(len(raw), NEVER))
    return np.column_stack(columns)


def fitted(params: BayesParams, state: BayesState) -> Fitted:
    """`counts` (classes,), `means` and `variances` (classes, columns), the smoothing included."""
    arrays = {"counts": np.array(state.counts, dtype=np.float64), "means": np.array(state.means),
              "variances": np.array(state.variances)}  # fmt: skip
    return Fitted(params.columns, state.records, arrays, params.target.levels)


def _moments(scale: int, present: int, total: int, squares: int) -> tuple[float, float]:
    if present == 0:
        return 0.0, 0.0
    mean = Fraction(total, present << scale)
    variance = Fraction(squares, present << scale) - mean * mean
    return float(mean), float(variance) if variance > Fraction(4, 1 << scale) else 0.0  # what the rounding may leave


def _tables(scale: int, present: Integers, total: Integers, squares: Integers) -> tuple[Reals, Reals]:
    cells = zip(present.ravel().tolist(), total.ravel().tolist(), squares.ravel().tolist(), strict=True)
    moments = np.array([_moments(scale, *cell) for cell in cells]).reshape(*present.shape, 2)
    return moments[:, :, 0], moments[:, :, 1]


def _rows(values: Reals) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


def _share(count: int, records: int) -> float:
    return float(portable.log(np.array([count / records]))[0]) if count else NEVER


BAYES = Algorithm(
    name="gaussian-naive-bayes", params=BayesParams, state=BayesState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted,
    shapes={"counts": ("classes",), "means": ("classes", "columns"), "variances": ("classes", "columns")},
)  # fmt: skip
