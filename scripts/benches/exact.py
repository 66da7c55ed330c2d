"""Is federated pooled? Every algorithm with 1, 3, 10 and 50 members sorted by label, against scikit-learn on the pool.

For each algorithm and data set one row a number of members: the largest difference to scikit-learn; and one row
`..._hashes`: how many different hashes the sums of all rounds and the last state have over the four ways to spread the
records. Three members go through the masks; the others' vectors are added in the ring as they are.

    python scripts/benches/exact.py
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA as PeerPCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from federation import records
from federation.algorithms import (
    Algorithm,
    advance,
    bayes,
    discriminant,
    evaluation_classes,
    evaluation_numbers,
    fitted_of,
    linear,
    vector,
)
from federation.algorithms.bayes import BAYES, BayesParams
from federation.algorithms.cluster import KMEANS, KMeansParams
from federation.algorithms.discriminant import DISCRIMINANT, DiscriminantParams
from federation.algorithms.evaluation_classes import CLASS_EVALUATION, ClassEvaluationParams, class_table
from federation.algorithms.evaluation_numbers import REGRESSION_EVALUATION, RegressionEvaluationParams, number_table
from federation.algorithms.held_out import BAYES_HELD_OUT, RIDGE_HELD_OUT, HeldOutParams, chosen
from federation.algorithms.linear import RIDGE, RidgeParams
from federation.algorithms.logistic import LOGISTIC, LogisticParams
from federation.algorithms.multinomial import MULTINOMIAL, MultinomialParams
from federation.algorithms.pca import PCA, PcaParams
from federation.algorithms.poisson import POISSON, PoissonParams
from federation.algorithms.statistics import STATISTICS, describe
from federation.algorithms.tally import StatisticsParams
from federation.simulate import Training, pooled, train
from federation.tables import Classes, Feature, Quantity, Table, Target
from federation.vectors import from_bytes, ring, to_bytes
from scripts.benches.securesum import result

MEMBERS = (1, 3, 10, 50)
LIMITS: dict[str, Any] = {"members": 50, "records": 2000}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """A data set of scikit-learn and the plan's words for it."""

    name: str
    x: Array
    y: Array
    features: tuple[Feature, ...]

    @property
    def classes(self) -> Classes:
        return Classes("y", tuple(str(level) for level in np.unique(self.y).tolist()))

    @property
    def standard(self) -> Array:
        return np.asarray(StandardScaler().fit_transform(self.x))

    @property
    def deviation(self) -> Array:
        return np.asarray(StandardScaler().fit(self.x).scale_)


@dataclass(frozen=True)
class Case:
    """One algorithm on one data set: its plan, its table with something to sort members by, and how far a state is."""

    name: str
    algorithm: Algorithm[Any, Any]
    params: Any
    table: Table
    apart: Callable[[Any, Training[Any]], float]
    unit: str
    goal: float


def load(name: str) -> Data:
    """Ranges are the whole numbers around what there is."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    low, high = np.floor(x.min(axis=0)), np.ceil(x.max(axis=0))
    high = np.where(high > low, high, low + 1.0)
    features = tuple(Feature(f"x{i}", float(low[i]), float(high[i])) for i in range(x.shape[1]))
    return Data(name, x, np.asarray(y), features)


def run() -> dict[str, Any]:
    """The bench document; half a minute."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn about columns that depend on each other
        cases = [*regressions(), *classifiers(), *groups(), *figures(), *judged_in_training()]
        return {"bench": "exact", "runs": 1, "results": [row for case in cases for row in rows(case)]}


def rows(case: Case) -> list[dict[str, Any]]:
    """A row for each number of members, and one for the hashes."""
    found, hashes = [], set()
    for members in MEMBERS:
        training = spread(case, members)
        text = b"".join([*training.totals, records.dump(training.state)])
        hashes.add(hashlib.sha256(text).hexdigest())
        value = case.apart(training.state, training)
        found.append(result(f"{case.name}_{members}", value, case.unit, against={"scikit-learn": 0.0}, goal=case.goal))
    return [*found, result(f"{case.name}_hashes", len(hashes), "hashes", goal=1)]


def spread(case: Case, members: int) -> Training[Any]:
    """The training of so many members, each with a part of the records sorted by label."""
    order = np.argsort(case.table.target, kind="stable")
    parts = [Table(case.table.values[part], case.table.target[part]) for part in np.array_split(order, members)]
    if members == 3:
        return train(case.algorithm, case.params, parts, rand=os.urandom)
    return added(case, parts)


def added(case: Case, parts: Sequence[Table]) -> Training[Any]:
    """As `train`, without masks."""
    state, totals = case.algorithm.start(case.params), list[bytes]()
    width = case.algorithm.layout(case.params, state).width
    while not case.algorithm.done(case.params, state):
        vectors = [vector(case.algorithm, case.params, state, part) for part in parts]
        totals.append(to_bytes(np.sum(vectors, axis=0, dtype=ring(width))))
        state = advance(case.algorithm, case.params, state, from_bytes(width, totals[-1]))
    return Training(state, tuple(totals))


def case(
    data: Data, algorithm: Algorithm[Any, Any], params: Any, apart: Callable[[Any], float], unit: str, goal: float
) -> Case:  # fmt: skip
    columns = {f"x{i}": data.x[:, i] for i in range(data.x.shape[1])} | {"y": data.y}
    table = Table(algorithm.prepare(params, columns).values, data.y.astype(np.float64))
    name = f"{algorithm.name}_{data.name}"
    return Case(name, algorithm, params, table, lambda state, _: apart(state), unit, goal)


def regressions() -> list[Case]:
    """Weights of standardised columns."""
    diabetes, cancer, wine = load("diabetes"), load("breast_cancer"), load("wine")
    price, exact = Quantity("y", 0, 400), {"tol": 1e-10, "max_iter": 10_000}
    ridge, count = RidgeParams(diabetes.features, price, **LIMITS), PoissonParams(diabetes.features, price, **LIMITS)
    two, more = (LogisticParams(cancer.features, Target("y", 0.5), scale=None, **LIMITS),
                 MultinomialParams(wine.features, wine.classes, **LIMITS))  # fmt: skip
    return [
        case(diabetes, RIDGE, ridge, weights(RIDGE, ridge, diabetes, Ridge(alpha=1.0)), "weight", 1e-6),
        case(diabetes, POISSON, count,
             weights(POISSON, count, diabetes, PoissonRegressor(alpha=1.0 / len(diabetes.y), **exact)), "weight", 1e-5),
        case(cancer, LOGISTIC, two, weights(LOGISTIC, two, cancer, LogisticRegression(**exact)), "weight", 1e-5),
        case(wine, MULTINOMIAL, more, weights(MULTINOMIAL, more, wine, LogisticRegression(**exact)), "weight", 1e-5),
    ]  # fmt: skip


def weights(algorithm: Algorithm[Any, Any], params: Any, data: Data, peer: Any) -> Callable[[Any], float]:
    """The largest difference to a fitted peer's `coef_`."""
    peer.fit(data.standard, data.y)

    def apart(state: Any) -> float:
        found = fitted_of(algorithm, params, state).arrays["weights"]
        return float(np.abs(found[..., 1:] * data.deviation - peer.coef_).max())

    return apart


def classifiers() -> list[Case]:
    """Records that get another label than from scikit-learn."""
    cases = []
    for data in map(load, ("wine", "digits", "breast_cancer")):
        for algorithm, params, scores, peer in (
            (BAYES, BayesParams(data.features, data.classes, **LIMITS), bayes.scores, GaussianNB()),
            (DISCRIMINANT, DiscriminantParams(data.features, data.classes, **LIMITS), discriminant.scores,
             LinearDiscriminantAnalysis()),
        ):  # fmt: skip
            cases.append(case(data, algorithm, params, labels(algorithm, params, scores, data, peer), "labels", 0))
    return cases


def labels(algorithm: Algorithm[Any, Any], params: Any, scores: Any, data: Data, peer: Any) -> Callable[[Any], float]:
    table = algorithm.prepare(params, {f.name: data.x[:, i] for i, f in enumerate(data.features)} | {"y": data.y})
    said = peer.fit(data.x, data.y).predict(data.x)
    return lambda state: float((np.argmax(scores(params, state, table), axis=1) != said).sum())


def groups() -> list[Case]:
    """Centres in units of the ranges, from the same seeds; components of unit length."""
    cases = []
    for data, clusters in ((load("wine"), 3), (load("digits"), 10), (load("breast_cancer"), 2)):
        means, parts = KMeansParams(data.features, clusters, **LIMITS), PcaParams(data.features, 5, **LIMITS)
        bare = case(data, KMEANS, means, lambda state: 0.0, "range", 1e-9)
        peer = KMeans(clusters, init=seeds(bare), n_init=1, max_iter=300, tol=0, algorithm="lloyd")
        cases.append(case(data, KMEANS, means, centres(peer.fit(bare.table.values)), "range", 1e-9))
        cases.append(case(data, PCA, parts, components(PeerPCA(5).fit(data.x)), "component", 1e-9))
    return cases


def seeds(of: Case) -> Array:
    """The first centres that the secure sums lead to."""
    state = of.algorithm.start(of.params)
    while not state.centres:
        state = advance(of.algorithm, of.params, state, vector(of.algorithm, of.params, state, of.table))
    return np.array(state.centres)


def centres(peer: Any) -> Callable[[Any], float]:
    return lambda state: float(np.abs(np.array(state.centres) - peer.cluster_centers_).max())


def components(peer: Any) -> Callable[[Any], float]:
    return lambda state: float(np.abs(np.array(state.components) - peer.components_).max())


def figures() -> list[Case]:
    """Statistics and evaluations, against NumPy and scikit-learn's metrics."""
    cancer, wine, diabetes = load("breast_cancer"), load("wine"), load("diabetes")
    plan = StatisticsParams(cancer.features, **LIMITS)
    more, price = MultinomialParams(wine.features, wine.classes, **LIMITS), Quantity("y", 0, 400)
    ridge = RidgeParams(diabetes.features, price, **LIMITS)
    columns = {f.name: diabetes.x[:, i] for i, f in enumerate(diabetes.features)} | {"y": diabetes.y}
    table = linear.prepare(ridge, columns)
    predicted = linear.predictions(ridge, pooled(RIDGE, ridge, table).state, table)
    return [
        case(cancer, STATISTICS, plan, moments(plan, cancer), "relative", 1e-9),
        judged_classes(wine, more), judged_numbers(diabetes, price, predicted),
    ]  # fmt: skip


def judged_in_training() -> list[Case]:
    """Models that hold records out: what scikit-learn's, of the same records, come to on the same ones held out."""
    diabetes, wine = load("diabetes"), load("wine")
    number = HeldOutParams(RidgeParams(diabetes.features, Quantity("y", 0, 400), **LIMITS))
    classes = HeldOutParams(BayesParams(wine.features, wine.classes, **LIMITS))
    ridge, bayesian = split(RIDGE_HELD_OUT, number, diabetes), split(BAYES_HELD_OUT, classes, wine)
    line = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(*ridge[0])
    true = r2_score(ridge[1][1], np.clip(line.predict(ridge[1][0]), 0, 400))
    right = GaussianNB().fit(*bayesian[0]).score(*bayesian[1])
    return [
        case(diabetes, RIDGE_HELD_OUT, number, figure(number, "r2", true), "R2", 1e-6),
        case(wine, BAYES_HELD_OUT, classes, figure(classes, "accuracy", right), "accuracy", 1e-9),
    ]


def figure(params: Any, name: str, true: float) -> Callable[[Any], float]:
    """How far a figure on the records held out is from the true one."""
    return lambda state: float(abs(getattr(params.judging.report(state.evaluation), name) - true))


def split(algorithm: Algorithm[Any, Any], params: Any, data: Data) -> list[tuple[Array, Array]]:
    """The raw records that are learnt from, and those held out."""
    columns = {f.name: data.x[:, i] for i, f in enumerate(data.features)} | {"y": data.y}
    out = chosen(algorithm.prepare(params, columns), params.every)
    return [(data.x[rows], data.y[rows]) for rows in (~out, out)]


def moments(params: StatisticsParams, data: Data) -> Callable[[Any], float]:
    """Means, variances and correlations."""

    def apart(state: Any) -> float:
        report = describe(params, state)
        mean, variance = (np.array([getattr(one, name) for one in report.numbers]) for name in ("mean", "variance"))
        correlation = np.abs(np.array(report.correlations, dtype=np.float64) - np.corrcoef(data.x.T)).max()
        figures = (mean / data.x.mean(axis=0), variance / data.x.var(axis=0, ddof=1))
        return float(max(correlation, *(np.abs(one - 1.0).max() for one in figures)))

    return apart


def judged_classes(data: Data, model: MultinomialParams) -> Case:
    """The log-loss of scikit-learn's chances."""
    peer = LogisticRegression().fit(data.standard, data.y)
    params = ClassEvaluationParams(model.target, **LIMITS)
    table = class_table(peer.decision_function(data.standard), data.y.astype(np.float64))
    true = log_loss(data.y, peer.predict_proba(data.standard))

    def apart(state: Any, training: Training[Any]) -> float:
        return float(abs(evaluation_classes.report_of(params, state).log_loss - true))

    return Case(f"{CLASS_EVALUATION.name}_{data.name}", CLASS_EVALUATION, params, table, apart, "log-loss", 1e-9)


def judged_numbers(data: Data, target: Quantity, predicted: Array) -> Case:
    """R^2 of predictions."""
    params = RegressionEvaluationParams(target, **LIMITS)
    table, true = number_table(target, predicted, data.y), r2_score(data.y, predicted)

    def apart(state: Any, training: Training[Any]) -> float:
        return float(abs((evaluation_numbers.report_of(params, state).r2 or 0.0) - true))

    return Case(f"{REGRESSION_EVALUATION.name}_{data.name}", REGRESSION_EVALUATION, params, table, apart, "R2", 1e-9)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
