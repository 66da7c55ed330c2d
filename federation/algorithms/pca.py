"""Principal components: two sums, and eigenvectors that every member derives with the same bits.

Round 0 finds the means (`scaling`); in round 1 every member adds up (u - mean)(u - mean)^T of each record, upper
triangle; the covariance, divided by records - 1, is put into the units of the records and its eigenvectors are found by
Jacobi's rotations in IEEE arithmetic (`portable.eigen`). Each component's largest entry is above 0. A missing value
counts as the mean. Pearson 1901; Golub & Van Loan 2013, 8.5. It takes columns^2 / 2 lanes.

    params = PcaParams(features, components=2, members=4, records=1000)
    projected = project(params, state, table)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.newton import floats, products, scaled, symmetric, triangle
from federation.algorithms.plans import FeatureParams
from federation.algorithms.scaling import Scaling, counted, known, scaling_blocks, scaling_from, scaling_sums
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.tables import Columns, Table, encode, halves, middles
from federation.vectors import Layout, Reals


@dataclass(frozen=True)
class PcaParams(FeatureParams):
    """The plan. `standardise`: components of the correlations, and so of standardised columns."""

    rounds: ClassVar[int] = 2  # sums

    components: int
    standardise: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.components <= len(self.columns):
            raise Refused("a plan that cannot run", clause="plan", seen=self.components,
                          needed=f"1 to {len(self.columns)} components")  # fmt: skip


@dataclass(frozen=True)
class PcaState:
    """`components` (a row for each) and their `variances`; `total` is the variance of all columns together."""

    rounds: int = 0
    records: int = 0
    scaling: Scaling | None = None
    components: tuple[tuple[float, ...], ...] = ()
    variances: tuple[float, ...] = ()
    total: float = 0.0


def prepare(params: PcaParams, columns: Columns) -> Table:
    return encode(columns, params.features)


def start(params: PcaParams) -> PcaState:
    return PcaState()


def layout(params: PcaParams, state: PcaState) -> Layout:
    limits, columns = params.limits, len(params.columns)
    if state.scaling is None:
        return limits.layout(*scaling_blocks(limits, columns))
    longest = max(_about(params, state.scaling).reach)
    return limits.layout(limits.counts("records"), limits.reals("scatter", triangle(columns), longest * longest))


def local(params: PcaParams, state: PcaState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan = layout(params, state)
    if state.scaling is None:
        return scaling_sums(plan, table)
    sums, about = zeros(plan), _about(params, state.scaling)
    for values, _ in slices(table, numbers=triangle(len(params.columns))):
        z = scaled(about, values)[:, 1:]
        add(plan, sums, {"records": np.ones((len(z), 1)), "scatter": products(z, z)})
    return sums


def step(params: PcaParams, state: PcaState, sums: Sums) -> PcaState:
    records = counted(sums)
    if state.scaling is None:
        return replace(state, rounds=1, records=records, scaling=scaling_from(params.limits, sums))
    if records < 2:
        raise Refused("one record does not vary", clause="records", seen=records, needed="two or more")
    scatter = layout(params, state)["scatter"].real(sums["scatter"]) / (records - 1)
    unit = np.ones(len(params.columns)) if params.standardise else halves(params.features)
    covariance = symmetric(scatter, len(unit)) * (unit[:, None] * unit)
    values, vectors = portable.eigen(covariance)
    kept, variances = vectors[: params.components], np.maximum(values, 0.0)
    return replace(state, rounds=2, records=records, components=tuple(floats(row) for row in kept),
                   variances=floats(variances[: params.components]), total=math.fsum(variances))  # fmt: skip


def done(params: PcaParams, state: PcaState) -> bool:
    return bool(state.components)


def mean(params: PcaParams, state: PcaState) -> Reals:
    """Of each column, in units of the records, (columns,)."""
    return np.array(_scaling(state).mean) * halves(params.features) + middles(params.features)


def project(params: PcaParams, state: PcaState, table: Table) -> Reals:
    """(records, components): each record's place along the components; a missing value counts as the mean."""
    unit = np.ones(len(params.columns)) if params.standardise else halves(params.features)
    centred = scaled(_about(params, _scaling(state)), table.values)[:, 1:] * unit
    return portable.product(centred, np.array(state.components).T)


def fitted(params: PcaParams, state: PcaState) -> Fitted:
    """`mean` and `deviation` (columns,), `components` (components, columns), `variances` (components,): a record's
    place is (x - mean) / deviation along each component; deviations are 1 unless the plan standardises."""
    deviation = np.array(_scaling(state).deviation) * halves(params.features)
    arrays = {"mean": mean(params, state), "deviation": deviation if params.standardise else np.ones_like(deviation),
              "components": np.array(state.components), "variances": np.array(state.variances)}  # fmt: skip
    return Fitted(params.columns, state.records, arrays)


def _about(params: PcaParams, scaling: Scaling) -> Scaling:
    """The means, with deviations of 1 where columns keep their units."""
    return scaling if params.standardise else Scaling(scaling.mean, (1.0,) * len(scaling.mean))


def _scaling(state: PcaState) -> Scaling:
    return known(state, ended=bool(state.components))


PCA = Algorithm(
    name="pca", params=PcaParams, state=PcaState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted,
    shapes={"mean": ("columns",), "deviation": ("columns",), "components": ("components", "columns"),
            "variances": ("components",)},
)  # fmt: skip
