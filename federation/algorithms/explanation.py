"""Why a trained model answers as it does, over all members' records, in two sums: a training about a training.

The plan quotes the model whole: its algorithm, the canonical text of its plan and of its last state, all public. Then
    round 0   how records are spread (`importance`), and how good the model is (`evaluation`, or those of its kind)
    round 1   how much worse it gets without each feature (`importance`), and its average answers (`dependence`)
both over the records that the model did not learn from, or over all where its plan held none out. Not for models whose
sums are noisy (`private`): exact sums over the same records would undo it. Nor for networks (`neural`), whose answers
differ in their last bits between processors.

    params = ExplanationParams(algorithm="ridge", plan=text, state=text, members=4, records=1000)
    for feature in important(params, state): ...      # most important first
    for curve in curves(params, state): ...
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from federation import records
from federation.algorithms import (
    Algorithm,
    Fitted,
    Sums,
    bayes,
    boosting,
    dependence,
    discriminant,
    held_out,
    importance,
    linear,
    logistic,
    multinomial,
    poisson,
)
from federation.algorithms.answers import Answers, answers_of
from federation.algorithms.evaluation import EvaluationState
from federation.algorithms.evaluation_classes import ClassEvaluationState
from federation.algorithms.evaluation_numbers import RegressionEvaluationState
from federation.algorithms.judging import Judging, Report, judging_of, judging_table
from federation.algorithms.newton import floats
from federation.algorithms.slices import add, slices, zeros
from federation.errors import Refused
from federation.planner import Limits
from federation.tables import Columns, Quantity, Table
from federation.vectors import Layout, Reals

EXPLAINED: dict[str, Algorithm[Any, Any]] = {
    one.name: one
    for one in (
        logistic.LOGISTIC,
        linear.RIDGE,
        poisson.POISSON,
        multinomial.MULTINOMIAL,
        discriminant.DISCRIMINANT,
        bayes.BAYES,
        boosting.BOOSTING,
    )
} | {one.name: one for one in held_out.HELD_OUT if one is not held_out.NEURAL_HELD_OUT}


@dataclass(frozen=True)
class ExplanationParams:
    """`plan` and `state`: the texts of `records.dump`. `of` names the training explained, for readers.

    `bins` parts of a range are counted, `repeats` stand-ins drawn for each value, `points` of a grid asked for.
    """

    algorithm: str
    plan: str
    state: str
    members: int
    records: int
    of: str = ""
    bins: int = 64
    repeats: int = 3
    points: int = 9
    seed: str = ""
    width: Literal[32, 64] = 64
    scale: int | None = None

    def __post_init__(self) -> None:
        sizes = (self.bins, self.repeats, self.points)
        if self.bins < 2 or self.repeats < 1 or self.points < 2:
            raise Refused("a plan that cannot run", clause="plan", seen=sizes, needed="2 bins, 1 repeat, 2 points")
        model_of(self)

    @property
    def rounds(self) -> int:
        """Two sums."""
        return 2

    @property
    def limits(self) -> Limits:
        return Limits(self.members, self.records, self.width, self.scale)


@dataclass(frozen=True)
class ExplanationState:
    """`marginals`: counts of each feature's values. One of the three evaluations is there, by the model's kind.

    `loss` and `wrong` are sums over `judged` records, first as the model is, then without each feature in turn;
    `answers` sums at each value of the grids.
    """

    rounds: int = 0
    records: int = 0
    judged: int = 0
    marginals: tuple[tuple[int, ...], ...] = ()
    chances: EvaluationState | None = None
    classes: ClassEvaluationState | None = None
    numbers: RegressionEvaluationState | None = None
    loss: tuple[float, ...] = ()
    wrong: tuple[float, ...] = ()
    answers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Importance:
    """Without `feature` the mean loss grows by `loss`, and the share of wrong answers by `wrong` (None for numbers)."""

    feature: str
    loss: float
    wrong: float | None


@dataclass(frozen=True)
class Curve:
    """The mean answer with `feature` at each of `at`, (points, outputs): chances, or numbers in the target's units."""

    feature: str
    at: tuple[str, ...]
    answers: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Quoted:
    """The model that a plan quotes."""

    steps: Algorithm[Any, Any]
    params: Any
    answers: Answers


def explanation_of(
    algorithm: str, params: Any, state: Any, *, members: int, records_: int, of: str = ""
) -> ExplanationParams:
    """The plan that explains a model."""
    plan, last = records.dump(params).decode(), records.dump(state).decode()
    return ExplanationParams(algorithm, plan, last, members, records_, of)


def model_of(params: ExplanationParams) -> Quoted:
    """Refused or Untrusted where the plan quotes no model that answers."""
    return _quoted(params.algorithm, params.plan, params.state)


@lru_cache(maxsize=8)  # reading the texts takes longer than most sums; equal texts are equal models
def _quoted(algorithm: str, plan: str, state: str) -> Quoted:
    if algorithm not in EXPLAINED:
        raise Refused(
            "its model is not one that answers, exactly and in public",
            clause="algorithm",
            seen=algorithm,
            needed=sorted(EXPLAINED),
        )
    steps = EXPLAINED[algorithm]
    params, last = records.load(steps.params, plan.encode()), records.load(steps.state, state.encode())
    if not steps.done(params, last):
        raise Refused("the model is not trained to its end", clause="state", seen=algorithm, needed="a last state")
    return Quoted(steps, params, answers_of(algorithm, params, last))


def prepare(params: ExplanationParams, columns: Columns) -> Table:
    quoted = model_of(params)
    return quoted.steps.prepare(quoted.params, columns)


def start(params: ExplanationParams) -> ExplanationState:
    return ExplanationState()


def layout(params: ExplanationParams, state: ExplanationState) -> Layout:
    limits, answers = params.limits, model_of(params).answers
    size, features, judging = 1 + len(answers.features), answers.features, _judging(params)
    if not state.rounds:
        marginals = limits.counts("marginals", sum(importance.cells(one, params.bins) for one in features))
        return limits.layout(limits.counts("everybody"), limits.counts("judged"), marginals, *judging.layout().blocks)
    points = sum(len(grid) for grid in _grids(params, state)) * dependence.outputs(answers)
    return limits.layout(
        limits.reals("loss", size, importance.worst(answers)),
        limits.reals("wrong", size, 1.0),
        limits.reals("answers", points, dependence.bound(answers)),
    )


def local(params: ExplanationParams, state: ExplanationState, table: Table) -> Sums:
    """One member's integer sums, each value a function of its own record only."""
    plan, answers, judging = layout(params, state), model_of(params).answers, _judging(params)
    sums = zeros(plan)
    for values, target in slices(table, numbers=table.values.shape[1] + plan.length):
        everybody = Table(values, target)
        judged = answers.judged(everybody)
        if state.rounds:
            add(plan, sums, _rows(params, state, answers, judged))
            continue
        sums["everybody"] += len(everybody)
        sums["judged"] += len(judged)
        sums["marginals"] += importance.marginal_counts(answers.features, values, params.bins)
        for name, part in judging.local(judging_table(answers, judged)).items():
            sums[name] += part
    return sums


def step(params: ExplanationParams, state: ExplanationState, sums: Sums) -> ExplanationState:
    plan, answers = layout(params, state), model_of(params).answers
    if state.rounds:
        reals = {name: floats(plan[name].real(sums[name])) for name in ("loss", "wrong", "answers")}
        return replace(state, rounds=2, loss=reals["loss"], wrong=reals["wrong"], answers=reals["answers"])
    everybody, judged = int(sums["everybody"][0]), int(sums["judged"][0])
    if min(everybody, judged) < 1:
        raise Refused("nobody has records to judge by", clause="records", seen=judged, needed="at least one")
    marginals = importance.by_feature(answers.features, sums["marginals"].tolist(), params.bins)
    after = replace(state, rounds=1, records=everybody, judged=judged, marginals=marginals)
    evaluated: Any = _judging(params).step(sums)
    return replace(after, **{{"chance": "chances", "classes": "classes"}.get(answers.kind, "numbers"): evaluated})


def done(params: ExplanationParams, state: ExplanationState) -> bool:
    return state.rounds >= params.rounds


def important(params: ExplanationParams, state: ExplanationState) -> tuple[Importance, ...]:
    """Most important first; of equals in the order of the plan."""
    answers = _ended(params, state)
    numbers = isinstance(answers.target, Quantity)
    unit = answers.target.half if isinstance(answers.target, Quantity) else 1.0
    found = [
        Importance(
            feature.name, (state.loss[i] - state.loss[0]) / state.judged * unit,
            None if numbers else (state.wrong[i] - state.wrong[0]) / state.judged,
        )
        for i, feature in enumerate(answers.features, start=1)
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: -one.loss))


def curves(params: ExplanationParams, state: ExplanationState) -> tuple[Curve, ...]:
    """One for each feature, in the order of the plan."""
    answers = _ended(params, state)
    means = np.reshape(np.array(state.answers) / state.judged, (-1, dependence.outputs(answers)))
    found, first = [], 0
    for feature, grid in zip(answers.features, _grids(params, state), strict=True):
        part = means[first : first + len(grid)].tolist()
        first += len(grid)
        units = tuple(tuple(dependence.in_units(answers, mean) for mean in row) for row in part)
        found.append(Curve(feature.name, dependence.labels(feature, grid), units))
    return tuple(found)


def quality(params: ExplanationParams, state: ExplanationState) -> Report:
    """The report of the model's kind: of `evaluation`, `evaluation_classes` or `evaluation_numbers`."""
    _ended(params, state)
    found = state.chances or state.classes or state.numbers
    assert found is not None
    return _judging(params).report(found)


def fitted(params: ExplanationParams, state: ExplanationState) -> Fitted:
    """`loss` and `wrong` (1 + columns,): sums as the model is, then without each feature; `answers` (points,)."""
    answers = _ended(params, state)
    arrays = {name: np.array(getattr(state, name)) for name in ("loss", "wrong", "answers")}
    return Fitted(tuple(feature.name for feature in answers.features), state.records, arrays)


def _ended(params: ExplanationParams, state: ExplanationState) -> Answers:
    if not done(params, state):
        raise Refused("the sums are not there yet", clause="order", seen=state.rounds, needed="2 rounds")
    return model_of(params).answers


def _grids(params: ExplanationParams, state: ExplanationState) -> list[Reals]:
    features = model_of(params).answers.features
    pairs = zip(features, state.marginals, strict=True)
    return [dependence.grid(feature, counts, params.points) for feature, counts in pairs]


def _rows(params: ExplanationParams, state: ExplanationState, answers: Answers, table: Table) -> dict[str, Reals]:
    found = [importance.losses(answers, table)]
    for place, counts in enumerate(state.marginals):
        total = np.zeros((len(table), 2))
        for repeat in range(params.repeats):
            draw = importance.drawn(table, params.seed, place, repeat)
            other = importance.replaced(table, answers.features, place, counts, draw=draw)
            total += importance.losses(answers, other)
        found.append(total / params.repeats)
    both = np.stack(found, axis=2)
    return {"loss": both[:, 0], "wrong": both[:, 1], "answers": dependence.rows(answers, table, _grids(params, state))}


def _judging(params: ExplanationParams) -> Judging:
    answers = model_of(params).answers
    return judging_of(answers.target, members=params.members, records=params.records, width=params.width,
                      scale=params.scale, bins=10 if answers.kind == "classes" else 64)  # fmt: skip


EXPLANATION = Algorithm(
    name="explanation", params=ExplanationParams, state=ExplanationState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done,
    fitted=fitted, shapes={"loss": ("1 + columns",), "wrong": ("1 + columns",), "answers": ("points",)},
)  # fmt: skip
