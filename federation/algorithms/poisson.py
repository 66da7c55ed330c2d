"""Regression of counts: the rate is e^(w . z), by Newton's method, equal to the same regression on all records pooled.

Minimise J(w) = sum of (m - y w . z + y ln y - y) over records + ridge/2 |w without intercept|^2, m = e^(w . z): half
the Poisson deviance, z = (1, scaled x). Each round every member adds up, record by record,
    gradient (m - y) z,   Hessian m z z^T (upper triangle),   loss,   1.
Round 0 finds the scaling and the mean count, from whose logarithm the weights start. Rates have a declared `ceiling`; a
record above it is not clipped but counted, adds nothing else, and the step is taken back half-way, as where J grew.
McCullagh & Nelder 1989, 2.5 and 6.2.

    params = PoissonParams(features, Quantity("failures", 0, 20), members=4, records=1000)
    weights = original_weights(params, state)      # (intercept, then one for each column): the logarithm of the rate
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.newton import (
    NewtonParams,
    NewtonState,
    back,
    floats,
    next_path,
    products,
    ridges,
    symmetric,
    triangle,
    varying,
)
from federation.algorithms.scaling import (
    counted,
    known,
    original,
    scale,
    scaling_blocks,
    scaling_from,
    scaling_sums,
)
from federation.algorithms.significance import Significance, of_minimum
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.tables import Columns, Quantity, Table, encode
from federation.vectors import Layout, Reals


@dataclass(frozen=True)
class PoissonParams(NewtonParams):
    """The plan. `ridge` is `alpha` times the records in scikit-learn's PoissonRegressor, `ceiling` the largest rate,
    None for four times the largest count."""

    target: Quantity
    ceiling: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target.low < 0 or self.most < self.target.high:
            raise Refused("counts are not below 0, and a rate may be as large as a count", clause="target",
                          seen=(self.target.low, self.ceiling), needed="low >= 0, ceiling >= high")  # fmt: skip

    @property
    def most(self) -> float:
        """The largest rate."""
        return 4.0 * self.target.high if self.ceiling is None else self.ceiling


@dataclass(frozen=True)
class PoissonState(NewtonState):
    """As of `logistic`; `over` counts the records that the last weights tried gave a rate over the ceiling."""

    hessian: tuple[float, ...] = ()
    over: int = 0


def prepare(params: PoissonParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: PoissonParams) -> PoissonState:
    return PoissonState()


def layout(params: PoissonParams, state: PoissonState) -> Layout:
    limits, size, high = params.limits, len(params.columns) + 1, params.target.high
    if state.scaling is None:
        return limits.layout(*scaling_blocks(limits, size - 1), limits.reals("count", 1, high))
    reach = (1.0, *state.scaling.reach)
    longest = max(reach)
    margin = math.fsum(abs(weight) * most for weight, most in zip(state.weights, reach, strict=True))
    logarithm = max(1, math.frexp(high)[1])  # of the largest count, to base 2 and rounded up
    loss = params.most + high * (margin + logarithm + 1.0)
    return limits.layout(
        limits.counts("records"),
        limits.counts("over"),
        limits.reals("loss", 1, loss),
        limits.reals("gradient", size, params.most * longest),
        limits.reals("hessian", triangle(size), params.most * longest * longest),
    )


def local(params: PoissonParams, state: PoissonState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan = layout(params, state)
    if state.scaling is None:
        found = scaling_sums(plan, table)
        for _, counts in slices(table, numbers=len(params.columns)):
            add(plan, found, {"count": counts[:, None]})
        return found
    sums, weights = zeros(plan), np.array(state.weights)
    for values, counts in slices(table, numbers=triangle(len(weights))):
        add(plan, sums, _rows(varying(state.scaling, values), counts, weights, params.most))
    return sums


def step(params: PoissonParams, state: PoissonState, sums: Sums) -> PoissonState:
    """The next weights: a Newton step, or half-way back where the objective grew or a rate was over the ceiling."""
    records, plan = counted(sums), layout(params, state)
    if state.scaling is None:
        first = _first(params, records, float(plan["count"].real(sums["count"])[0]))
        scaling = scaling_from(params.limits, sums)
        return replace(state, rounds=1, records=records, scaling=scaling, weights=first, best=first)
    after = replace(state, rounds=state.rounds + 1, records=records, over=int(sums["over"][0]))
    if after.over:
        return replace(after, weights=back(state.path).weights)
    size = len(state.weights)
    loss, gradient, upper = (plan[name].real(sums[name]) for name in ("loss", "gradient", "hessian"))
    path = next_path(state.path, float(loss[0]), gradient, symmetric(upper, size), ridge=ridges(size, params.ridge),
                     tolerance=params.tolerance)  # fmt: skip
    kept = floats(upper) if path.best == state.weights else state.hessian
    return replace(after, weights=path.weights, best=path.best, objective=path.objective, converged=path.converged,
                   hessian=kept)  # fmt: skip


def done(params: PoissonParams, state: PoissonState) -> bool:
    return state.converged or state.rounds >= params.rounds


def original_weights(params: PoissonParams, state: PoissonState) -> Reals:
    """Intercept, then a weight for each of `params.columns`, in the units of the records."""
    return original(params.features, known(state), np.array(state.weights))


def predictions(params: PoissonParams, state: PoissonState, table: Table) -> Reals:
    """The rate of each record."""
    weights = np.array(state.weights)
    return portable.exp(portable.dot(scale(known(state), table.values), weights[1:]) + weights[0])


def significance(params: PoissonParams, state: PoissonState) -> Significance:
    """Standard errors and p-values in the units of the records, as of `logistic`, and Refused as there."""
    return of_minimum(params, state, state.hessian)


def fitted(params: PoissonParams, state: PoissonState) -> Fitted:
    """`weights` (1 + columns,): intercept first, in the units of the records."""
    return Fitted(params.columns, state.records, {"weights": original_weights(params, state)})


def _first(params: PoissonParams, records: int, total: float) -> tuple[float, ...]:
    if total <= 0.0:
        raise Refused("nothing was ever counted", clause="target", seen=total, needed="a count above 0")
    return (float(portable.log(np.array([total / records]))[0]), *(0.0,) * len(params.columns))


def _rows(z: Reals, counts: Reals, weights: Reals, most: float) -> dict[str, Reals]:
    margins = portable.dot(z, weights)
    rates = portable.exp(margins)
    over = rates > most
    rates, margins, kept = np.where(over, 0.0, rates), np.where(over, 0.0, margins), np.where(over, 0.0, counts)
    known = kept * portable.log(np.maximum(kept, 1e-300)) - kept
    return {
        "records": np.ones((len(z), 1)),
        "over": over[:, None].astype(np.float64),
        "loss": (rates - kept * margins + known)[:, None],
        "gradient": (rates - kept)[:, None] * z,
        "hessian": products(rates[:, None] * z, z),
    }


POISSON = Algorithm(
    name="poisson", params=PoissonParams, state=PoissonState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"weights": ("1 + columns",)},
)  # fmt: skip
