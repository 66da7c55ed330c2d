"""What a trained model answers, whatever its algorithm: a chance, a number, or one of several classes; and from what.

    answers = answers_of("ridge", params, state)
    scores = answers.scores(table)                       # (records,), for classes (records, classes)
    parts = answers.parts(table, best, second)           # what each column added to a score

Scores are log-odds for a chance, the target's units for a number, the logarithm for a rate, and for classes logarithms
of chances but for what all classes share. Contributions are exact for models that add up column by column: weight *
(x - mean) where there are weights (a missing value is taken to be the mean), the column's own log-likelihoods for naive
Bayes. Not here: algorithms that answer nothing about a record to be judged (k-means, components, statistics).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from federation import portable
from federation.algorithms import bayes, discriminant, held_out, linear, logistic, multinomial, poisson
from federation.algorithms.scaling import scale
from federation.algorithms.significance import Significance
from federation.errors import Refused
from federation.tables import Classes, Feature, Quantity, Table, Target, halves, middles
from federation.vectors import Integers, Reals

Kind: TypeAlias = Literal["chance", "number", "rate", "classes"]


@dataclass(frozen=True)
class Parts:
    """A score taken apart: `base` (records,) and what each column added, (records, columns)."""

    base: Reals
    columns: Reals


def _everything(table: Table) -> Table:
    return table


@dataclass(frozen=True)
class Answers:
    """A model that can be asked. `parts` of the score, for classes of the first class's over the second's (places,
    (records,) each); `effects` (columns,): by how much one deviation of a column moves the score, where it is one
    number; `judged`: the records that the model did not learn from, or all where the plan holds none out."""

    kind: Kind
    features: tuple[Feature, ...]
    target: Target | Quantity | Classes
    scores: Callable[[Table], Reals]
    parts: Callable[[Table, Integers, Integers], Parts]
    significance: Callable[[], Significance]
    effects: Reals | None = None
    held_out: bool = False
    judged: Callable[[Table], Table] = _everything

    @property
    def classes(self) -> tuple[str, ...]:
        return self.target.levels if isinstance(self.target, Classes) else ()


def answers_of(algorithm: str, params: Any, state: Any) -> Answers:
    """The model in the last state of a training; Refused for an algorithm that answers nothing about a record."""
    if algorithm not in ANSWERING:
        raise Refused("its result answers nothing about a single record", clause="algorithm", seen=algorithm,
                      needed=sorted(ANSWERING))  # fmt: skip
    return ANSWERING[algorithm](params, state)


def values_of(answers: Answers, scores: Reals) -> Reals:
    """Scores as people read them: chances, (records,) or (records, classes), numbers within the range, or rates."""
    if answers.kind == "chance":
        return portable.sigmoid(scores)
    if answers.kind == "classes":
        return portable.softmax(scores)
    if answers.kind == "rate":
        return portable.exp(scores)
    target = answers.target
    assert isinstance(target, Quantity)
    return np.clip(scores, target.low, target.high)


def _logistic(params: Any, state: Any) -> Answers:
    weights = np.array(state.weights[1:])

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        return _added(scale(state.scaling, table.values), weights, state.weights[0])

    return Answers("chance", params.features, params.target, lambda table: logistic.scores(params, state, table), parts,
                   lambda: logistic.significance(params, state), weights)  # fmt: skip


def _held_out(params: Any, state: Any) -> Answers:
    inner = _logistic(params.model, state.model)
    return Answers(inner.kind, inner.features, inner.target, inner.scores, inner.parts, inner.significance,
                   inner.effects, True, lambda table: held_out.split(params, table)[1])  # fmt: skip


def _ridge(params: Any, state: Any) -> Answers:
    weights = np.array(state.weights) * params.target.half

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        return _added(scale(state.scaling, table.values), weights[1:], weights[0] + params.target.middle)

    return Answers("number", params.features, params.target, lambda table: linear.predictions(params, state, table),
                   parts, lambda: linear.significance(params, state), weights[1:])  # fmt: skip


def _poisson(params: Any, state: Any) -> Answers:
    weights = np.array(state.weights)

    def scores(table: Table) -> Reals:
        found: Reals = portable.dot(scale(state.scaling, table.values), weights[1:]) + weights[0]
        return found

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        return _added(scale(state.scaling, table.values), weights[1:], float(weights[0]))

    return Answers("rate", params.features, params.target, scores, parts,
                   lambda: poisson.significance(params, state), weights[1:])  # fmt: skip


def _multinomial(params: Any, state: Any) -> Answers:
    weights = np.zeros((len(params.target.levels), len(params.columns) + 1))
    weights[list(state.alive)] = np.reshape(state.weights, (len(state.alive), -1))

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        between = weights[first] - weights[second]
        return Parts(between[:, 0], between[:, 1:] * scale(state.scaling, table.values))

    return Answers("classes", params.features, params.target, lambda table: multinomial.scores(params, state, table),
                   parts, _no_errors)  # fmt: skip


def _discriminant(params: Any, state: Any) -> Answers:
    weights, fill, half = np.array(state.weights), np.array(state.fill), halves(params.features)
    centre = fill * half + middles(params.features)

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        between = weights[first] - weights[second]
        known = np.where(np.isnan(table.values), fill, table.values)
        base = between[:, 0] + portable.product(between[:, 1:], centre[:, None])[:, 0]
        return Parts(base, between[:, 1:] * ((known - fill) * half))

    return Answers("classes", params.features, params.target, lambda table: discriminant.scores(params, state, table),
                   parts, _no_errors)  # fmt: skip


def _bayes(params: Any, state: Any) -> Answers:
    means, variances = np.array(state.means), np.array(state.variances)
    shares = portable.log(np.maximum(np.array(state.counts, dtype=np.float64), 1e-300) / state.records)
    logs = portable.log(variances.ravel()).reshape(variances.shape)

    def says(raw: Reals, place: Integers) -> Reals:
        found: Reals = -(logs[place] + (raw - means[place]) ** 2 / variances[place]) / 2.0
        return found

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        raw = table.values * halves(params.features) + middles(params.features)
        between = says(raw, first) - says(raw, second)
        return Parts(shares[first] - shares[second], np.where(np.isnan(raw), 0.0, between))

    return Answers("classes", params.features, params.target, lambda table: bayes.scores(params, state, table), parts,
                   _no_errors)  # fmt: skip


ANSWERING: Mapping[str, Callable[[Any, Any], Answers]] = {
    "logistic": _logistic,
    "logistic-held-out": _held_out,
    "ridge": _ridge,
    "poisson": _poisson,
    "multinomial": _multinomial,
    "linear-discriminant": _discriminant,
    "gaussian-naive-bayes": _bayes,
}


def _added(z: Reals, weights: Reals, intercept: float) -> Parts:
    return Parts(np.full(len(z), intercept), z * weights)


def _no_errors() -> Significance:
    raise Refused("standard errors are computed for regressions with one weight a column", clause="algorithm",
                  needed="logistic, ridge or poisson, without a ridge")  # fmt: skip
