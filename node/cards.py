"""The model card: what a training came to, in figures that everybody derives alike from public bytes.

    card = card_of(plan, state, explanation)          # explanation: a later training about this one, or None
    choice = choice_of(plan, state, explanation, Costs(miss=900, alarm=50))

Pure. Not here: what only one member can know, its own records (`report`), and how it looks (`paper`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from federation.algorithms import fitted_of, judging
from federation.algorithms.answers import Answers, answers_of
from federation.algorithms.evaluation import Evaluation, EvaluationState, Reliability, calibration_error
from federation.algorithms.evaluation_numbers import RegressionEvaluation
from federation.algorithms.explanation import ExplanationParams, ExplanationState, curves, important, quality
from federation.algorithms.held_out import HeldOutState
from federation.algorithms.judging import Report
from federation.costs import Choice, Costs, cheapest
from federation.errors import FederationError
from federation.tables import Classes, Feature, Target
from node.errors import Refused
from node.models import evaluation_of
from node.sums import Plan

RANGES = 8
"""Into how many ranges of the chance a card's calibration is cut."""


@dataclass(frozen=True)
class Explanation:
    """A finished training of `federation.algorithms.explanation` about this one."""

    params: ExplanationParams
    state: ExplanationState


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A weight in the units of the records; `error` and `p` (two-sided) where the model has them."""

    column: str
    weight: float
    error: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Input:
    """One feature that the model asks for: a range, or levels."""

    name: str
    low: float | None
    high: float | None
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures over `records`; those that a model of this kind does not have are None. `unseen`: the model had not
    learned from them. `accuracy`, `r2` and `area` between 0 and 1; `mae` and `rmse` in units of the target."""

    records: int
    unseen: bool
    accuracy: float | None = None
    log_loss: float | None = None
    area: float | None = None
    r2: float | None = None
    mae: float | None = None
    rmse: float | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Of the records with a chance from `low` to `high`: how many, and the share for which it came true."""

    low: float
    high: float
    records: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Weighing:
    """Without `feature` the mean loss grows by `loss`, and the share of wrong answers by `wrong`."""

    feature: str
    loss: float
    wrong: float | None


@dataclass(frozen=True, slots=True)
class Course:
    """The mean answer with `feature` at each of `at`, a row of outputs each."""

    feature: str
    at: tuple[str, ...]
    answers: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Card:
    """`kind`: chance, number, rate or classes. What is not known is empty or None, and `unknown` says why."""

    kind: str
    target: str
    classes: tuple[str, ...]
    inputs: tuple[Input, ...]
    coefficients: tuple[Coefficient, ...]
    quality: Quality | None
    calibration: tuple[Range, ...]
    calibration_error: float | None
    importance: tuple[Weighing, ...]
    curves: tuple[Course, ...]
    unknown: tuple[str, ...]


def card_of(plan: Plan, state: Any, explanation: Explanation | None = None) -> Card:
    """Raises Refused for a training whose result answers nothing about a record."""
    answers = asked(plan, state)
    coefficients, missing = _coefficients(plan, state, answers)
    rows = _calibration(state, explanation)
    unknown = list(missing)
    if explanation is None:
        unknown.append("importance and dependence: no training explained this one (`hanse training explain`)")
    found = _quality(plan, state, answers, explanation)
    if found is None:
        unknown.append("quality: no records were held out to judge by, and no training explained this one")
    return Card(
        kind=answers.kind, target=target_words(answers), classes=answers.classes,
        inputs=tuple(_input(feature) for feature in answers.features), coefficients=coefficients, quality=found,
        calibration=rows, calibration_error=_error(rows),
        importance=tuple(Weighing(one.feature, one.loss, one.wrong) for one in _important(explanation)),
        curves=tuple(Course(one.feature, one.at, one.answers) for one in _curves(explanation)),
        unknown=tuple(unknown),
    )  # fmt: skip


def asked(plan: Plan, state: Any) -> Answers:
    """The model, ready to be asked. Raises Refused where it answers nothing about a record."""
    try:
        return answers_of(plan.algorithm, plan.params, state)
    except FederationError as exc:
        raise Refused(exc.message, clause=exc.clause, seen=plan.algorithm) from exc


def choice_of(state: Any, explanation: Explanation | None, costs: Costs) -> Choice:
    """The cheapest threshold. Raises Refused where no chances were counted."""
    counted = chances_counted(state, explanation)
    if counted is None:
        raise Refused("no chances were counted on which costs could be weighed", clause="cost-miss", seen="none",
                      needed="a yes-or-no model with records held out, or explained")  # fmt: skip
    return cheapest(counted.negatives, counted.positives, costs)


def chances_counted(state: Any, explanation: Explanation | None) -> EvaluationState | None:
    """How often which chance came true, of a yes-or-no model."""
    counted = _evaluated(state, explanation)
    return counted if isinstance(counted, EvaluationState) else None


def target_words(answers: Answers) -> str:
    """What is foretold: `failed > 0`, or the column's name."""
    target = answers.target
    if isinstance(target, Target):
        return f"{target.name} > {target.above:g}"
    if isinstance(target, Classes) and answers.kind == "chance":
        return f"{target.name} = {target.levels[1]}"
    return target.name


def quality_of(report: Report, *, unseen: bool) -> Quality:
    """The figures of any of the three evaluations."""
    if isinstance(report, RegressionEvaluation):
        return Quality(report.records, unseen, r2=report.r2, mae=report.mae, rmse=report.rmse)
    area = report.area if isinstance(report, Evaluation) else None
    return Quality(report.records, unseen, report.accuracy, report.log_loss, area)


def _quality(plan: Plan, state: Any, answers: Answers, explanation: Explanation | None) -> Quality | None:
    found = evaluation_of(plan, state)
    if found is not None:
        return quality_of(found, unseen=True)
    if explanation is None:
        return None
    return quality_of(quality(explanation.params, explanation.state), unseen=answers.held_out)


def _evaluated(state: Any, explanation: Explanation | None) -> judging.State | None:
    """The sum that judged the model: of its own training, or of the one that explained it."""
    if isinstance(state, HeldOutState):
        found: judging.State = state.evaluation
        return found
    return explanation.state.chances or explanation.state.classes or explanation.state.numbers if explanation else None


def _coefficients(plan: Plan, state: Any, answers: Answers) -> tuple[tuple[Coefficient, ...], tuple[str, ...]]:
    try:
        found = answers.significance()
        rows = zip(found.columns, found.weights, found.errors, found.p, strict=True)
        return tuple(Coefficient(*row) for row in rows), ()
    except FederationError as exc:
        why = (f"standard errors and p-values: {exc.message}",)
    if plan.steps.shapes.get("weights") != ("1 + columns",):
        return (), why
    fitted = fitted_of(plan.steps, plan.params, state)
    pairs = zip(("intercept", *fitted.columns), fitted.arrays["weights"].tolist(), strict=True)
    return tuple(Coefficient(*pair, None, None) for pair in pairs), why


def _calibration(state: Any, explanation: Explanation | None) -> tuple[Range, ...]:
    counted = _evaluated(state, explanation)
    return _coarser(judging.calibration(counted)) if counted is not None else ()


def _coarser(rows: tuple[Reliability, ...]) -> tuple[Range, ...]:
    size = max(1, len(rows) // RANGES)
    found = []
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        records = sum(row.records for row in part)
        true = sum(round((row.share or 0.0) * row.records) for row in part)
        found.append(Range(part[0].low, part[-1].high, records, true / records if records else None))
    return tuple(found)


def _error(rows: tuple[Range, ...]) -> float | None:
    if not rows:
        return None
    return calibration_error([Reliability(row.low, row.high, row.records, row.share) for row in rows])


def _important(explanation: Explanation | None) -> Any:
    return important(explanation.params, explanation.state) if explanation else ()


def _curves(explanation: Explanation | None) -> Any:
    return curves(explanation.params, explanation.state) if explanation else ()


def _input(feature: Feature) -> Input:
    low, high = (None, None) if feature.levels else (feature.low, feature.high)
    return Input(feature.name, low, high, feature.levels)
