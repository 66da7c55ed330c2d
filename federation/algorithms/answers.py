"""What a trained model answers, whatever its algorithm: a chance, a number, or one of several classes; and from what.

    answers = answers_of("ridge", params, state)
    scores = answers.scores(table)                       # (records,), for classes (records, classes)
    parts = answers.parts(table, best, second)           # what each column added to a score

Scores are log-odds for a chance (of the second of two classes too), the target's units for a number, the logarithm for
a rate, and for classes logarithms of chances but for what all classes share. Contributions are exact for models that
add up column by column: weight * (x - mean) where there are weights (a missing value is taken to be the mean; from the
middle of the range for `private-logistic`, which learns no mean), a column's own log-likelihoods for naive Bayes. For
trees they are what each split on the way to the leaf changes (Saabas 2014), for networks integrated gradients from the
middle of every range (Sundararajan et al. 2017). Not here: algorithms that answer nothing about a record to be judged
(k-means, components, statistics).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from federation import portable
from federation.algorithms import (
    bayes,
    boosting,
    discriminant,
    linear,
    logistic,
    multinomial,
    neural,
    poisson,
    private,
)
from federation.algorithms.averaging import unpack
from federation.algorithms.binning import codes
from federation.algorithms.paths import sum_of_paths
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
    (records,) each); `judged`: the records that the model did not learn from, or all where the plan holds none out."""

    kind: Kind
    features: tuple[Feature, ...]
    target: Target | Quantity | Classes
    scores: Callable[[Table], Reals]
    parts: Callable[[Table, Integers, Integers], Parts]
    significance: Callable[[], Significance]
    held_out: bool = False
    judged: Callable[[Table], Table] = _everything

    @property
    def classes(self) -> tuple[str, ...]:
        """Of more than two; the second of two has a chance."""
        return self.target.levels if isinstance(self.target, Classes) and self.kind == "classes" else ()


def answers_of(algorithm: str, params: Any, state: Any) -> Answers:
    """The model in the last state of a training; Refused for an algorithm that answers nothing about a record."""
    if algorithm not in ANSWERING:
        raise Refused("its result answers nothing about a single record", clause="algorithm", seen=algorithm,
                      needed=sorted(ANSWERING))  # fmt: skip
    found = ANSWERING[algorithm](params, state)
    return _of_two(found) if len(found.classes) == 2 else found


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
                   lambda: logistic.significance(params, state))  # fmt: skip


def _ridge(params: Any, state: Any) -> Answers:
    weights = np.array(state.weights) * params.target.half

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        return _added(scale(state.scaling, table.values), weights[1:], weights[0] + params.target.middle)

    return Answers("number", params.features, params.target, lambda table: linear.predictions(params, state, table),
                   parts, lambda: linear.significance(params, state))  # fmt: skip


def _poisson(params: Any, state: Any) -> Answers:
    weights = np.array(state.weights)

    def scores(table: Table) -> Reals:
        found: Reals = portable.dot(scale(state.scaling, table.values), weights[1:]) + weights[0]
        return found

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        return _added(scale(state.scaling, table.values), weights[1:], float(weights[0]))

    return Answers("rate", params.features, params.target, scores, parts,
                   lambda: poisson.significance(params, state))  # fmt: skip


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


def _boosting(params: Any, state: Any) -> Answers:
    unit, middle = (1.0, 0.0) if params.levels else (params.target.half, params.target.middle)

    def scores(table: Table) -> Reals:
        margins = boosting.scores(params, state, table)
        if params.loss == "squares":
            return middle + unit * margins[:, 0]
        return np.column_stack([np.zeros(len(margins)), margins]) if params.loss == "logistic" else margins

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        coded, size = codes(table.values), len(params.columns)
        places = range(params.margins)
        added = [sum_of_paths([one.trees[k] for one in state.steps], coded, size) for k in places]
        base = np.array(state.base)
        if params.loss == "squares":
            return Parts(np.full(len(table), middle + unit * base[0]), unit * added[0])
        if params.loss == "logistic":
            base, added = np.append(0.0, base), [np.zeros_like(added[0]), *added]
        stacked, rows = np.stack(added), np.arange(len(table))
        return Parts(base[first] - base[second], stacked[first, rows] - stacked[second, rows])

    kind: Kind = "classes" if params.levels else "number"
    return Answers(kind, params.features, params.target, scores, parts, _no_errors)


def _private(params: Any, state: Any) -> Answers:
    matrix = unpack(state.mean).reshape(-1, len(params.target.levels))

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        between = (matrix[:, first] - matrix[:, second]).T
        return Parts(between[:, 0], between[:, 1:] * np.nan_to_num(table.values, nan=0.0))

    return Answers("classes", params.features, params.target, lambda table: private.scores(params, state, table), parts,
                   _no_errors)  # fmt: skip


def _neural(params: Any, state: Any) -> Answers:
    def scores(table: Table) -> Reals:
        found = neural.outputs(params, state, table)
        return found if isinstance(params.target, Classes) else neural.values(params, state, table)

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        if not isinstance(params.target, Classes):
            base, added = neural.contributions(params, state, table, np.ones((len(table), 1)))
            return Parts(params.target.middle + params.target.half * base, params.target.half * added)
        level = np.eye(len(params.target.levels))
        return Parts(*neural.contributions(params, state, table, level[first] - level[second]))

    kind: Kind = "classes" if isinstance(params.target, Classes) else "number"
    return Answers(kind, params.features, params.target, scores, parts, _no_errors)


def _of_two(found: Answers) -> Answers:
    """Two classes as the chance of the second."""

    def scores(table: Table) -> Reals:
        both = found.scores(table)
        difference: Reals = both[:, 1] - both[:, 0]
        return difference

    def parts(table: Table, first: Integers, second: Integers) -> Parts:
        nothing = np.zeros(len(table), dtype=np.int64)
        return found.parts(table, nothing + 1, nothing)

    return replace(found, kind="chance", scores=scores, parts=parts)


def _held_out(inner: Callable[[Any, Any], Answers]) -> Callable[[Any, Any], Answers]:
    """Of a plan that holds records out, whatever its model."""

    def found(params: Any, state: Any) -> Answers:
        return replace(inner(params.model, state.model), held_out=True, judged=lambda table: params.split(table)[1])

    return found


_MODELS: Mapping[str, Callable[[Any, Any], Answers]] = {
    "logistic": _logistic,
    "ridge": _ridge,
    "poisson": _poisson,
    "multinomial": _multinomial,
    "linear-discriminant": _discriminant,
    "gaussian-naive-bayes": _bayes,
    "boosting": _boosting,
    "neural": _neural,
}
ANSWERING: Mapping[str, Callable[[Any, Any], Answers]] = {
    **_MODELS,
    **{f"{name}-held-out": _held_out(inner) for name, inner in _MODELS.items()},
    "private-logistic": _private,
}


def _added(z: Reals, weights: Reals, intercept: float) -> Parts:
    return Parts(np.full(len(z), intercept), z * weights)


def _no_errors() -> Significance:
    raise Refused("standard errors are computed for regressions with one weight a column", clause="algorithm",
                  needed="logistic, ridge or poisson, without a ridge")  # fmt: skip
