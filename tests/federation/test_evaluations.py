"""Figures on held-out records: the same for any members, and those of scikit-learn on the pool."""

import numpy as np
import pytest
from datasets import load
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    mean_absolute_error,
    precision_score,
    r2_score,
    recall_score,
    root_mean_squared_error,
)

from federation import portable
from federation.algorithms import evaluation, evaluation_classes, evaluation_numbers, linear, multinomial
from federation.algorithms.evaluation import EVALUATION, EvaluationParams, calibration_error, evaluation_table
from federation.algorithms.evaluation_classes import CLASS_EVALUATION, ClassEvaluationParams, class_table
from federation.algorithms.evaluation_numbers import (
    REGRESSION_EVALUATION,
    RegressionEvaluationParams,
    number_table,
)
from federation.errors import Refused
from federation.simulate import pooled
from federation.tables import Classes, Quantity, Table

LIMITS = {"members": 50, "records": 1000}


@pytest.fixture(scope="module")
def wine():
    """Scores of a model that has seen every other record, on all of them."""
    features, columns, _ = load("wine")
    plan = multinomial.MultinomialParams(features[:2], Classes("y", ("0", "1", "2")), **LIMITS)
    table = multinomial.prepare(plan, columns)
    state = pooled(multinomial.MULTINOMIAL, plan, Table(table.values[::2], table.target[::2])).state
    return multinomial.scores(plan, state, table), table.target


CLASSES = ClassEvaluationParams(Classes("y", ("0", "1", "2")), **LIMITS)


def test_class_figures_are_the_same_for_any_members(wine, same_everywhere):
    same_everywhere(CLASS_EVALUATION, CLASSES, class_table(*wine))


def test_class_figures_are_scikit_learns(wine):
    scores, target = wine
    state = pooled(CLASS_EVALUATION, CLASSES, class_table(scores, target)).state
    report, taken, chances = (
        evaluation_classes.report_of(CLASSES, state),
        scores.argmax(axis=1),
        portable.softmax(scores),
    )
    assert report.records == 178
    assert report.accuracy == accuracy_score(target, taken)
    assert 0.6 < report.accuracy < 1.0, "some are wrong, so that the figures say something"
    assert np.array(report.confusion).tolist() == confusion_matrix(target, taken).tolist()
    assert report.log_loss == pytest.approx(log_loss(target, chances), abs=1e-9)
    assert np.allclose(report.recall, recall_score(target, taken, average=None))
    assert np.allclose(report.precision, precision_score(target, taken, average=None))
    rows = evaluation_classes.calibration(state)
    right, largest = taken == target, chances.max(axis=1)
    for row in rows:
        inside = (largest >= row.low) & ((largest < row.high) | (row.high == 1.0))
        assert row.records == inside.sum()
        assert row.share == (right[inside].mean() if inside.any() else None)


def test_a_class_that_is_never_taken_has_no_precision():
    params = ClassEvaluationParams(Classes("y", ("a", "b", "c")), members=3, records=10)
    columns = {"score a": [0, -9], "score b": [-1, -1e300], "score c": [-5.0, -1e300], "y": ["a", "b"]}
    state = pooled(CLASS_EVALUATION, params, CLASS_EVALUATION.prepare(params, columns)).state
    report = evaluation_classes.report_of(params, state)
    assert report.confusion == ((1, 0, 0), (1, 0, 0), (0, 0, 0))
    assert report.recall == (1.0, 0.0, None)
    assert report.precision == (0.5, None, None)
    assert 32 < report.log_loss < 33, "a chance of nothing counts as e^-64"


@pytest.fixture(scope="module")
def diabetes():
    features, columns, _ = load("diabetes")
    target = Quantity("y", 0, 400)
    plan = linear.RidgeParams(features, target, **LIMITS)
    table = linear.prepare(plan, columns)
    state = pooled(linear.RIDGE, plan, Table(table.values[::2], table.target[::2])).state
    return RegressionEvaluationParams(target, **LIMITS), linear.predictions(plan, state, table), columns["y"]


def test_regression_figures_are_the_same_for_any_members(diabetes, same_everywhere):
    params, predictions, numbers = diabetes
    same_everywhere(REGRESSION_EVALUATION, params, number_table(params.target, predictions, numbers))


def test_regression_figures_are_scikit_learns(diabetes):
    params, predictions, numbers = diabetes
    table = REGRESSION_EVALUATION.prepare(params, {"prediction": predictions, "y": numbers})
    report = evaluation_numbers.report_of(params, pooled(REGRESSION_EVALUATION, params, table).state)
    assert (report.records, report.cut) == (442, 0)
    assert report.r2 == pytest.approx(r2_score(numbers, predictions), abs=1e-9)
    assert report.rmse == pytest.approx(root_mean_squared_error(numbers, predictions), abs=1e-7)
    assert report.mae == pytest.approx(mean_absolute_error(numbers, predictions), abs=1e-7)


def test_a_wild_prediction_is_cut_and_counted_and_no_number_is_refused(diabetes):
    params = diabetes[0]
    table = number_table(params.target, np.array([1e9, 100.0]), np.array([100.0, 100.0]))
    report = evaluation_numbers.report_of(params, pooled(REGRESSION_EVALUATION, params, table).state)
    assert (report.cut, report.r2) == (1, None)
    assert report.mae == pytest.approx((800.0 - 100.0) / 2)
    with pytest.raises(Refused, match="no number"):
        number_table(params.target, np.array([np.nan]), np.array([1.0]))


def test_a_reliability_table_is_scikit_learns(rand):
    dice = np.random.default_rng(2)
    chances = dice.uniform(0.001, 0.999, 2000)
    labels = (dice.uniform(size=2000) < chances**2).astype(float)
    params = EvaluationParams(members=3, records=2000, bins=8)
    state = pooled(EVALUATION, params, evaluation_table(np.log(chances / (1 - chances)), labels)).state
    rows = evaluation.calibration(state)
    shares, _ = calibration_curve(labels, chances, n_bins=8)
    assert np.allclose([row.share for row in rows], shares)
    assert sum(row.records for row in rows) == 2000
    middles = (np.arange(8) + 0.5) / 8
    counts = np.array([row.records for row in rows])
    assert calibration_error(rows) == pytest.approx((counts * np.abs(shares - middles)).sum() / 2000)
    assert calibration_error(rows) > 0.1


def test_the_binary_evaluation_is_the_same_for_any_members(same_everywhere):
    dice = np.random.default_rng(4)
    table = evaluation_table(dice.normal(size=300) * 5, (dice.uniform(size=300) < 0.5).astype(float))
    same_everywhere(EVALUATION, EvaluationParams(members=50, records=300), table)


def test_nothing_evaluated_says_so(diabetes):
    empty = class_table(np.empty((0, 3)), np.empty(0))
    with pytest.raises(Refused, match="nothing was evaluated"):
        evaluation_classes.report_of(CLASSES, pooled(CLASS_EVALUATION, CLASSES, empty).state)
    params = diabetes[0]
    none = number_table(params.target, np.empty(0), np.empty(0))
    with pytest.raises(Refused, match="nothing was evaluated"):
        evaluation_numbers.report_of(params, pooled(REGRESSION_EVALUATION, params, none).state)
    with pytest.raises(Refused, match="nothing was evaluated"):
        evaluation.calibration(EVALUATION.start(EvaluationParams(members=3, records=9)))
    with pytest.raises(Refused):
        ClassEvaluationParams(Classes("y", ("a", "b")), members=3, records=9, bins=0)
