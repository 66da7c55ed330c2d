"""A model that is judged in the same training on records it has never seen: `ridge-held-out`, `boosting-held-out`, ...

One record in `every` is held out, chosen by the record's own values and nothing else, so that the choice does not
depend on who holds it or where it stands: federated and pooled hold out the same records. The rounds of the model run
on the others; one more round then adds up the evaluation that fits its target (`judging`) over those held out, and
nobody shows its own figures. Not for models whose sums are noisy (`private`): an exact sum over the same records would
undo it.

    params = HeldOutParams(RidgeParams(...), every=4)
    train, test = params.split(table)
    params.judging.report(state.evaluation)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.answers import answers_of
from federation.algorithms.bayes import BAYES
from federation.algorithms.boosting import BOOSTING
from federation.algorithms.discriminant import DISCRIMINANT
from federation.algorithms.evaluation import LARGEST
from federation.algorithms.judging import Judging, State, judging_of, judging_table
from federation.algorithms.linear import RIDGE
from federation.algorithms.logistic import LOGISTIC
from federation.algorithms.multinomial import MULTINOMIAL
from federation.algorithms.neural import NEURAL
from federation.algorithms.poisson import POISSON
from federation.algorithms.slices import slices, zeros
from federation.errors import Refused
from federation.planner import Limits
from federation.tables import Classes, Columns, Quantity, Table, Target
from federation.vectors import Layout

_UNKNOWN = np.uint64(0x7FF8000000000000)  # every NaN counts as this one
LEAST = 8  # bits after the point of a figure in a narrow ring: a record's log-loss to a few thousandths


class Predicting(Protocol):
    """The plan of any model that foretells a target."""

    @property
    def target(self) -> Any: ...

    @property
    def rounds(self) -> int: ...


Model = TypeVar("Model", bound=Predicting)
ModelState = TypeVar("ModelState")


@dataclass(frozen=True)
class HeldOutParams(Generic[Model]):
    """`every`: one record in so many is held out. `bins`: ranges of the chance counted, for calibration and the area
    under the curve; of no matter for numbers."""

    model: Model
    every: int = 4
    bins: int = 64

    def __post_init__(self) -> None:
        if self.every < 2:
            raise Refused("nothing would be left to learn from", clause="every", seen=self.every, needed="2 or more")
        if self.bins < 1:
            raise Refused("a plan that cannot run", clause="bins", seen=self.bins, needed="a bin or more")

    @property
    def rounds(self) -> int:
        """The most sums: the model's and one more."""
        return self.model.rounds + 1

    @property
    def judging(self) -> Judging:
        """The evaluation, within the model's limits and in its ring."""
        target: Target | Quantity | Classes = self.model.target
        limits: Any = getattr(self.model, "averaging", self.model)
        scale = limits.scale
        if limits is not self.model:  # its scale is that of changes of weights
            worst = LARGEST + max(1, len(getattr(target, "levels", ())))
            scale = Limits(limits.members, limits.records, limits.width).scale_for("loss", worst, least=LEAST)
        return judging_of(target, members=limits.members, records=limits.records, bins=self.bins, width=limits.width,
                          scale=scale)  # fmt: skip

    def split(self, table: Table) -> tuple[Table, Table]:
        """Records to learn from, and those held out."""
        out = chosen(table, self.every)
        return Table(table.values[~out], table.target[~out]), Table(table.values[out], table.target[out])


@dataclass(frozen=True)
class HeldOutState(Generic[ModelState]):
    """The model's state, and the figures on held-out records once they are summed."""

    model: ModelState
    evaluation: State


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


def held_out(inner: Algorithm[Any, Any], *, whole: bool = False) -> Algorithm[Any, Any]:
    """`inner`, judged. `whole`: a member's sum is not that of its parts, so all its records are taken at once."""

    def prepare(params: HeldOutParams[Any], columns: Columns) -> Table:
        return inner.prepare(params.model, columns)

    def start(params: HeldOutParams[Any]) -> HeldOutState[Any]:
        return HeldOutState(inner.start(params.model), params.judging.start())

    def learnt(params: HeldOutParams[Any], state: HeldOutState[Any]) -> bool:
        return inner.done(params.model, state.model)

    def layout(params: HeldOutParams[Any], state: HeldOutState[Any]) -> Layout:
        if learnt(params, state):
            return params.judging.layout()
        return inner.layout(params.model, state.model)

    def local(params: HeldOutParams[Any], state: HeldOutState[Any], table: Table) -> Sums:
        sums, judged = zeros(layout(params, state)), learnt(params, state)
        answers = answers_of(inner.name, params.model, state.model) if judged else None
        for learn, judge in _pieces(params, table, whole=whole):
            if answers is None:
                part = inner.local(params.model, state.model, learn)
            else:
                part = params.judging.local(judging_table(answers, judge))
            for name in sums:
                sums[name] += part[name]
        return sums

    def step(params: HeldOutParams[Any], state: HeldOutState[Any], sums: Sums) -> HeldOutState[Any]:
        if learnt(params, state):
            return replace(state, evaluation=params.judging.step(sums))
        return replace(state, model=inner.step(params.model, state.model, sums))

    def done(params: HeldOutParams[Any], state: HeldOutState[Any]) -> bool:
        return params.judging.done(state.evaluation)

    def fitted(params: HeldOutParams[Any], state: HeldOutState[Any]) -> Fitted:
        """That of the model; the figures are `state.evaluation`'s."""
        assert inner.fitted is not None
        return inner.fitted(params.model, state.model)

    return Algorithm(
        name=f"{inner.name}-held-out",
        params=HeldOutParams[inner.params],  # type: ignore[name-defined]
        state=HeldOutState[inner.state],  # type: ignore[name-defined]
        prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
        fitted=fitted, shapes=inner.shapes,
    )  # fmt: skip


def _pieces(params: HeldOutParams[Any], table: Table, *, whole: bool) -> Iterator[tuple[Table, Table]]:
    """What is learnt from and what is held out, of a few records at a time."""
    if whole:
        yield params.split(table)
        return
    for values, target in slices(table, numbers=table.values.shape[1]):
        yield params.split(Table(values, target))


LOGISTIC_HELD_OUT = held_out(LOGISTIC)
RIDGE_HELD_OUT = held_out(RIDGE)
POISSON_HELD_OUT = held_out(POISSON)
MULTINOMIAL_HELD_OUT = held_out(MULTINOMIAL)
BAYES_HELD_OUT = held_out(BAYES)
DISCRIMINANT_HELD_OUT = held_out(DISCRIMINANT)
BOOSTING_HELD_OUT = held_out(BOOSTING)
NEURAL_HELD_OUT = held_out(NEURAL, whole=True)

HELD_OUT = (
    LOGISTIC_HELD_OUT,
    RIDGE_HELD_OUT,
    POISSON_HELD_OUT,
    MULTINOMIAL_HELD_OUT,
    BAYES_HELD_OUT,
    DISCRIMINANT_HELD_OUT,
    BOOSTING_HELD_OUT,
    NEURAL_HELD_OUT,
)
