"""Any algorithm: members without records add zeros, and a million records take no more room than a few do."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from federation.algorithms import advance, fitted_of, vector
from federation.algorithms.bayes import BAYES, BayesParams
from federation.algorithms.cluster import KMEANS, KMeansParams
from federation.algorithms.discriminant import DISCRIMINANT, DiscriminantParams
from federation.algorithms.evaluation import EVALUATION, EvaluationParams, evaluation_table
from federation.algorithms.evaluation_classes import CLASS_EVALUATION, ClassEvaluationParams, class_table
from federation.algorithms.evaluation_numbers import REGRESSION_EVALUATION, RegressionEvaluationParams, number_table
from federation.algorithms.held_out import BAYES_HELD_OUT, LOGISTIC_HELD_OUT, RIDGE_HELD_OUT, HeldOutParams
from federation.algorithms.known import ALGORITHMS
from federation.algorithms.linear import RIDGE, RidgeParams
from federation.algorithms.logistic import LOGISTIC, LogisticParams
from federation.algorithms.multinomial import MULTINOMIAL, MultinomialParams
from federation.algorithms.pca import PCA, PcaParams
from federation.algorithms.poisson import POISSON, PoissonParams
from federation.algorithms.statistics import STATISTICS
from federation.algorithms.tally import StatisticsParams
from federation.errors import FederationError, Refused
from federation.tables import Classes, Feature, Quantity, Table, Target

FEATURES = tuple(Feature(f"x{i}", -1, 1) for i in range(3))
LIMITS = {"members": 3, "records": 10**7}
KINDS = Classes("y", ("a", "b", "c"))
NUMBER = Quantity("y", 0, 10)


def values(records):
    dice = np.random.default_rng(1)
    return dice.uniform(-1, 1, (records, 3)), dice


def numbers(records):
    x, dice = values(records)
    return Table(x, np.clip(5 + x[:, 0] * 3 + dice.normal(size=records), 0, 10))


def counts(records):
    x, dice = values(records)
    return Table(x, np.minimum(dice.poisson(np.exp(x[:, 0])), 10).astype(float))


def kinds(records, most=3):
    x, dice = values(records)
    return Table(x, np.clip(np.floor((x[:, 0] + 1 + dice.normal(size=records) / 4) * most / 2), 0, most - 1))


def binary(records):
    return kinds(records, 2)


def number_figures(records):
    table = numbers(records)
    return number_table(NUMBER, 5 + table.values[:, 0], table.target)


ALL = [
    (RIDGE, RidgeParams(FEATURES, NUMBER, **LIMITS), numbers),
    (POISSON, PoissonParams(FEATURES, NUMBER, **LIMITS), counts),
    (LOGISTIC, LogisticParams(FEATURES, Target("y", 0.5), **LIMITS), binary),
    (LOGISTIC_HELD_OUT, HeldOutParams(LogisticParams(FEATURES, Target("y", 0.5), rounds=2, **LIMITS)), binary),
    (RIDGE_HELD_OUT, HeldOutParams(RidgeParams(FEATURES, NUMBER, **LIMITS)), numbers),
    (BAYES_HELD_OUT, HeldOutParams(BayesParams(FEATURES, KINDS, **LIMITS)), kinds),
    (MULTINOMIAL, MultinomialParams(FEATURES, KINDS, **LIMITS), kinds),
    (BAYES, BayesParams(FEATURES, KINDS, **LIMITS), kinds),
    (DISCRIMINANT, DiscriminantParams(FEATURES, KINDS, **LIMITS), kinds),
    (KMEANS, KMeansParams(FEATURES, clusters=2, **LIMITS), numbers),
    (PCA, PcaParams(FEATURES, components=2, **LIMITS), numbers),
    (STATISTICS, StatisticsParams(FEATURES, **LIMITS), numbers),
    (EVALUATION, EvaluationParams(**LIMITS), lambda n: evaluation_table(binary(n).values[:, 0] * 9, binary(n).target)),
    (CLASS_EVALUATION, ClassEvaluationParams(KINDS, **LIMITS), lambda n: class_table(kinds(n).values, kinds(n).target)),
    (REGRESSION_EVALUATION, RegressionEvaluationParams(NUMBER, **LIMITS), number_figures),
]
QUICK = [one for one in ALL if one[0] is not MULTINOMIAL]  # 60 products a record: with the long ones
NAMES = [algorithm.name for algorithm, _, _ in ALL]


def test_all_of_them_can_be_named():
    assert [ALGORITHMS[name] for name in NAMES] == [algorithm for algorithm, _, _ in ALL]


def rounds(algorithm, params, table, most):
    """The states before each of the first rounds."""
    state = algorithm.start(params)
    for _ in range(most):
        if algorithm.done(params, state):
            return
        yield state
        state = advance(algorithm, params, state, vector(algorithm, params, state, table))


@pytest.mark.parametrize(("algorithm", "params", "make"), ALL, ids=NAMES)
def test_a_member_without_records_adds_zeros(algorithm, params, make):
    table = make(200)
    for state in rounds(algorithm, params, table, 4):
        assert not vector(algorithm, params, state, Table(table.values[:0], table.target[:0])).any()


@pytest.mark.parametrize(("algorithm", "params", "make"), ALL, ids=NAMES)
def test_before_its_sums_it_leaves_nothing(algorithm, params, make):
    with pytest.raises(FederationError):
        fitted_of(algorithm, params, algorithm.start(params))


def test_an_algorithm_without_a_model_says_so():
    with pytest.raises(Refused, match="leaves no model"):
        fitted_of(replace(RIDGE, fitted=None), ALL[0][1], RIDGE.start(ALL[0][1]))


def room(algorithm, params, table):
    """The most bytes that a member's sums take beside its records, over the first rounds."""
    few = Table(table.values[:500], table.target[:500])
    states = list(rounds(algorithm, params, few, 3))
    tracemalloc.start()
    for state in states:
        vector(algorithm, params, state, table)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize(("algorithm", "params", "make"), QUICK, ids=[one.name for one, _, _ in QUICK])
def test_a_million_records_take_the_room_of_a_few(algorithm, params, make):
    """Their values alone are 24 MB."""
    assert room(algorithm, params, make(10**6)) < 16 << 20


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("algorithm", "params", "make"), ALL, ids=NAMES)
def test_ten_million_records_take_the_room_of_a_few(algorithm, params, make):
    assert room(algorithm, params, make(10**7)) < 16 << 20
