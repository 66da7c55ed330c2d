"""Which of the three evaluations fits what a model foretells, and a record's line in it.

A yes or no, or one of two classes, is judged as a chance (`evaluation`), one of more classes by `evaluation_classes`, a
number or a rate by `evaluation_numbers`. Who adds up, and over which records, is elsewhere: `held_out` in the training
itself, `explanation` after it.

    judging = judging_of(target, members=4, records=1000, bins=64)
    sums = judging.local(judging_table(answers, table))
    report = judging.report(judging.step(sums))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from federation.algorithms import Algorithm, Sums, evaluation, evaluation_classes, evaluation_numbers
from federation.algorithms.answers import Answers, values_of
from federation.algorithms.evaluation import Evaluation, EvaluationParams, EvaluationState, Reliability
from federation.algorithms.evaluation_classes import ClassEvaluation, ClassEvaluationParams, ClassEvaluationState
from federation.algorithms.evaluation_numbers import (
    RegressionEvaluation,
    RegressionEvaluationParams,
    RegressionEvaluationState,
)
from federation.tables import Classes, Quantity, Table, Target
from federation.vectors import Layout, Reals

Report: TypeAlias = Evaluation | ClassEvaluation | RegressionEvaluation
State: TypeAlias = EvaluationState | ClassEvaluationState | RegressionEvaluationState


@dataclass(frozen=True)
class Judging:
    """One of the evaluations with its plan; each is one sum."""

    steps: Algorithm[Any, Any]
    params: Any

    def start(self) -> State:
        found: State = self.steps.start(self.params)
        return found

    def layout(self) -> Layout:
        return self.steps.layout(self.params, self.start())

    def local(self, made: Table) -> Sums:
        """One member's sums; `made` is of `judging_table`."""
        return self.steps.local(self.params, self.start(), made)

    def step(self, sums: Sums) -> State:
        """What its blocks of a sum come to."""
        own = {block.name: sums[block.name] for block in self.layout().blocks}
        found: State = self.steps.step(self.params, self.start(), own)
        return found

    def done(self, state: State) -> bool:
        return self.steps.done(self.params, state)

    def report(self, state: State) -> Report:
        """The figures; Refused before the sum is there, or over no records."""
        if isinstance(state, EvaluationState):
            return evaluation.report_of(state)
        if isinstance(state, ClassEvaluationState):
            return evaluation_classes.report_of(self.params, state)
        return evaluation_numbers.report_of(self.params, state)


def judging_of(
    target: Target | Quantity | Classes, *, members: int, records: int, bins: int, width: Literal[32, 64] = 64,
    scale: int | None = None,
) -> Judging:  # fmt: skip
    """The evaluation for a target. `bins`: into how many ranges chances are counted, if there are any."""
    if isinstance(target, Quantity):
        return Judging(evaluation_numbers.REGRESSION_EVALUATION,
                       RegressionEvaluationParams(target, members, records, width, scale))  # fmt: skip
    if isinstance(target, Classes) and len(target.levels) > 2:
        return Judging(evaluation_classes.CLASS_EVALUATION,
                       ClassEvaluationParams(target, members, records, bins, width, scale))  # fmt: skip
    return Judging(evaluation.EVALUATION, EvaluationParams(members, records, bins, width, scale))


def judging_table(answers: Answers, table: Table) -> Table:
    """What a model answers to each record beside what is true, as its evaluation reads them."""
    scores = answers.scores(table)
    if answers.kind == "chance":
        return evaluation.evaluation_table(scores, table.target)
    if answers.kind == "classes":
        return evaluation_classes.class_table(scores, table.target)
    return judged_numbers(answers, scores, table.target)


def judged_numbers(answers: Answers, scores: Reals, target: Reals) -> Table:
    """Numbers foretold and true ones as the table that `evaluation_numbers` reads."""
    assert isinstance(answers.target, Quantity)
    return evaluation_numbers.number_table(answers.target, values_of(answers, scores), target)


def calibration(state: State) -> tuple[Reliability, ...]:
    """How often which chance came true, () for numbers; Refused before the sum is there."""
    if isinstance(state, EvaluationState):
        return evaluation.calibration(state)
    return evaluation_classes.calibration(state) if isinstance(state, ClassEvaluationState) else ()
