"""Logistic regression that is judged in the same training on records it has never seen.

One record in `every` is held out, chosen by the record's own values and nothing else, so that the choice does not
depend on who holds it or where it stands: federated and pooled hold out the same records. The rounds of `logistic` run
on the others; one more round then adds up `evaluation` over those held out, and nobody shows its own figures.

    params = HeldOutParams(LogisticParams(...), every=4)
    train, test = split(params, table)
    report_of(state.evaluation)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from federation.algorithms import Algorithm, Fitted, Sums, evaluation, logistic
from federation.algorithms.evaluation import EvaluationParams, EvaluationState, evaluation_table
from federation.algorithms.logistic import LogisticParams, LogisticState
from federation.algorithms.slices import slices, zeros
from federation.errors import Refused
from federation.tables import Columns, Table
from federation.vectors import Layout

_UNKNOWN = np.uint64(0x7FF8000000000000)  # every NaN counts as this one


@dataclass(frozen=True)
class HeldOutParams:
    """`every`: one record in so many is held out. `bins`: ranges of the chance counted for the area under the curve."""

    model: LogisticParams
    every: int = 4
    bins: int = 64

    def __post_init__(self) -> None:
        if self.every < 2:
            raise Refused("nothing would be left to learn from", clause="every", seen=self.every, needed="2 or more")

    @property
    def rounds(self) -> int:
        """The most sums: the model's and one more."""
        return self.model.rounds + 1

    @property
    def evaluation(self) -> EvaluationParams:
        model = self.model
        return EvaluationParams(model.members, model.records, self.bins, model.width, model.scale)


@dataclass(frozen=True)
class HeldOutState:
    """The model's state, and the figures on held-out records once they are summed."""

    model: LogisticState = field(default_factory=LogisticState)
    evaluation: EvaluationState = field(default_factory=EvaluationState)


def split(params: HeldOutParams, table: Table) -> tuple[Table, Table]:
    """Records to learn from, and those held out."""
    out = chosen(table, params.every)
    return Table(table.values[~out], table.target[~out]), Table(table.values[out], table.target[out])


def chosen(table: Table, every: int) -> NDArray[np.bool_]:
    """Which records are held out, (records,): one in `every`, by their own values."""
    out: NDArray[np.bool_] = _hash(table) % np.uint64(every) == 0
    return out


def _hash(table: Table) -> NDArray[np.uint64]:
    """64 bits for each record from its values: FNV-1a over the columns' bits, then the last step of splitmix64."""
    columns = np.column_stack([table.values, table.target]) + 0.0  # minus zero becomes zero
    bits = np.where(np.isnan(columns), _UNKNOWN, columns.view(np.uint64))
    total = np.full(len(table), 0xCBF29CE484222325, dtype=np.uint64)
    for column in bits.T:
        total = (total ^ column ^ (column >> np.uint64(32))) * np.uint64(0x100000001B3)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        total = (total ^ (total >> np.uint64(shift))) * np.uint64(factor)
    mixed: NDArray[np.uint64] = total ^ (total >> np.uint64(31))
    return mixed


def prepare(params: HeldOutParams, columns: Columns) -> Table:
    return logistic.prepare(params.model, columns)


def start(params: HeldOutParams) -> HeldOutState:
    return HeldOutState(logistic.start(params.model))


def layout(params: HeldOutParams, state: HeldOutState) -> Layout:
    if logistic.done(params.model, state.model):
        return evaluation.layout(params.evaluation, state.evaluation)
    return logistic.layout(params.model, state.model)


def local(params: HeldOutParams, state: HeldOutState, table: Table) -> Sums:
    sums = zeros(layout(params, state))
    for values, target in slices(table, numbers=table.values.shape[1]):
        for name, part in _part(params, state, Table(values, target)).items():
            sums[name] += part
    return sums


def _part(params: HeldOutParams, state: HeldOutState, table: Table) -> Sums:
    learn, judge = split(params, table)
    if not logistic.done(params.model, state.model):
        return logistic.local(params.model, state.model, learn)
    scores = logistic.scores(params.model, state.model, judge)
    return evaluation.local(params.evaluation, state.evaluation, evaluation_table(scores, judge.target))


def step(params: HeldOutParams, state: HeldOutState, sums: Sums) -> HeldOutState:
    if logistic.done(params.model, state.model):
        return replace(state, evaluation=evaluation.step(params.evaluation, state.evaluation, sums))
    return replace(state, model=logistic.step(params.model, state.model, sums))


def done(params: HeldOutParams, state: HeldOutState) -> bool:
    return evaluation.done(params.evaluation, state.evaluation)


def fitted(params: HeldOutParams, state: HeldOutState) -> Fitted:
    """That of the model; the figures are `state.evaluation`'s."""
    return logistic.fitted(params.model, state.model)


LOGISTIC_HELD_OUT = Algorithm(
    name="logistic-held-out", params=HeldOutParams, state=HeldOutState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes=logistic.LOGISTIC.shapes,
)  # fmt: skip
