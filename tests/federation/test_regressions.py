"""Ridge, least squares and Poisson regression: federated equals pooled bit for bit, and pooled equals scikit-learn."""

import os

import numpy as np
import pytest
from datasets import load, parts
from scipy import stats
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.preprocessing import StandardScaler

from federation.algorithms import advance, logistic
from federation.algorithms.linear import RIDGE, RidgeParams, significance
from federation.algorithms.logistic import LOGISTIC, LogisticParams
from federation.algorithms.poisson import POISSON, PoissonParams
from federation.errors import Refused
from federation.estimators import FederatedLogisticRegression, FederatedPoissonRegressor, FederatedRidge
from federation.simulate import pooled
from federation.tables import Feature, Quantity, Target
from federation.vectors import from_bytes

FEATURES, COLUMNS, X = load("diabetes")
Y = COLUMNS["y"]
SCALER = StandardScaler().fit(X)
LIMITS = {"members": 50, "records": 500}
DIABETES = RidgeParams(FEATURES, Quantity("y", 0, 400), **LIMITS)


def test_ridge_is_the_same_for_any_members(same_everywhere):
    assert len(same_everywhere(RIDGE, DIABETES, RIDGE.prepare(DIABETES, COLUMNS)).totals) == 2


def test_ridge_is_scikit_learns():
    model = FederatedRidge(DIABETES, rand=os.urandom).fit(parts(COLUMNS))
    peer = Ridge(alpha=1.0).fit(SCALER.transform(X), Y)
    assert np.abs(model.coef_ * SCALER.scale_ - peer.coef_).max() < 1e-6
    assert np.abs(model.predict(COLUMNS) - peer.predict(SCALER.transform(X))).max() < 1e-6
    assert model.r2_ == pytest.approx(peer.score(SCALER.transform(X), Y), abs=1e-9)


def test_least_squares_and_its_errors_are_those_of_the_textbook():
    plan = RidgeParams(FEATURES, Quantity("y", 0, 400), ridge=0.0, **LIMITS)
    model = FederatedRidge(plan, rand=os.urandom).fit(parts(COLUMNS))
    peer = LinearRegression().fit(X, Y)
    assert np.abs(model.coef_ / peer.coef_ - 1).max() < 1e-6
    ones = np.column_stack([np.ones(len(X)), X])
    noise = ((Y - peer.predict(X)) ** 2).sum() / (len(X) - 11)
    errors = np.sqrt(noise * np.diag(np.linalg.inv(ones.T @ ones)))
    t = np.concatenate([[peer.intercept_], peer.coef_]) / errors
    found = model.significance_
    assert found.columns == ("intercept", *plan.columns)
    assert np.allclose(found.errors, errors, rtol=1e-6)
    assert np.allclose(found.p, 2 * stats.t.sf(np.abs(t), len(X) - 11), rtol=1e-5, atol=1e-300)


def test_poisson_is_the_same_for_any_members(same_everywhere):
    plan = PoissonParams(FEATURES, Quantity("y", 0, 400), **LIMITS)
    assert same_everywhere(POISSON, plan, POISSON.prepare(plan, COLUMNS)).state.converged


def test_poisson_is_scikit_learns():
    plan = PoissonParams(FEATURES, Quantity("y", 0, 400), **LIMITS)
    model = FederatedPoissonRegressor(plan, rand=os.urandom).fit(parts(COLUMNS))
    peer = PoissonRegressor(alpha=1.0 / len(Y), tol=1e-10, max_iter=10_000).fit(SCALER.transform(X), Y)
    assert np.abs(model.coef_ * SCALER.scale_ - peer.coef_).max() < 1e-5
    assert np.abs(model.predict(COLUMNS) / peer.predict(SCALER.transform(X)) - 1).max() < 1e-5


def test_a_rate_over_the_ceiling_takes_the_step_back(rand):
    """One far record: the first Newton steps overshoot, and a plan that allows no such rate says it has not settled."""
    x = np.concatenate([np.zeros(50), [10.0]])
    columns = {"x": x, "y": np.concatenate([np.full(50, 1.0), [100.0]])}
    roomy = PoissonParams((Feature("x", 0, 10),), Quantity("y", 0, 100), members=3, records=60, ridge=0.0)
    model = FederatedPoissonRegressor(roomy, rand=rand).fit(parts(columns))
    assert model.training_.state.converged
    assert model.predict(columns)[-1] == pytest.approx(100.0, rel=1e-6)
    assert model.predict(columns)[0] == pytest.approx(1.0, rel=1e-6)
    state, over = POISSON.start(roomy), []
    for total in model.training_.totals:
        state = advance(POISSON, roomy, state, from_bytes(64, total))
        over.append(state.over)
    assert max(over) > 0
    assert over[-1] == 0


@pytest.mark.parametrize("algorithm", [RIDGE, POISSON])
def test_a_constant_column_weighs_nothing_and_is_named(algorithm, rand):
    columns = COLUMNS | {"same": np.full(len(Y), 3.0), "gone": np.full(len(Y), np.nan)}
    kinds = {RIDGE: (RidgeParams, FederatedRidge), POISSON: (PoissonParams, FederatedPoissonRegressor)}
    params, estimator = kinds[algorithm]
    plan = params(
        (*FEATURES, Feature("same", 0, 10), Feature("gone", 0, 10)), Quantity("y", 0, 400), ridge=0.0, **LIMITS
    )
    model = estimator(plan, rand=rand).fit(parts(columns))
    assert model.coef_[-2:].tolist() == [0.0, 0.0]
    assert model.constant_ == ("same", "gone")
    with pytest.raises(Refused, match="same") as caught:
        _ = model.significance_
    assert caught.value.clause == "constant"


def test_columns_that_depend_on_each_other_are_refused_without_a_ridge():
    plan = RidgeParams((*FEATURES, Feature("again", -2, 2)), Quantity("y", 0, 400), ridge=0.0, **LIMITS)
    with pytest.raises(Refused, match="depend on each other"):
        pooled(RIDGE, plan, RIDGE.prepare(plan, COLUMNS | {"again": 2 * COLUMNS["x0"]}))


@pytest.fixture(scope="module")
def logistic_without_ridge():
    features, columns, values = load("breast_cancer")
    chosen = [0, 1, 4, 5]
    plan = LogisticParams(tuple(features[i] for i in chosen), Target("y", 0.5), members=50, records=600, ridge=0.0)
    return plan, columns, values[:, chosen]


def test_errors_of_a_logistic_regression_are_those_of_its_curvature(logistic_without_ridge, rand):
    plan, columns, values = logistic_without_ridge
    model = FederatedLogisticRegression(plan, rand=rand).fit(parts(columns))
    peer = LogisticRegression(C=np.inf, tol=1e-12, max_iter=100_000, solver="newton-cg").fit(values, columns["y"])
    ones = np.column_stack([np.ones(len(values)), values])
    weights = np.concatenate([model.intercept_, model.coef_[0]])
    chance = 1 / (1 + np.exp(-ones @ weights))
    errors = np.sqrt(np.diag(np.linalg.inv((ones * (chance * (1 - chance))[:, None]).T @ ones)))
    found = model.significance_
    assert np.allclose(found.weights[1:], peer.coef_[0], rtol=1e-3)
    assert np.allclose(found.errors, errors, rtol=1e-5)
    assert np.allclose(found.p, 2 * stats.norm.sf(np.abs(weights) / errors), rtol=1e-3)


def test_errors_are_refused_where_they_mean_nothing():
    with pytest.raises(Refused, match="ridge"):
        significance(DIABETES, pooled(RIDGE, DIABETES, RIDGE.prepare(DIABETES, COLUMNS)).state)
    perfect = LogisticParams((Feature("x", 0, 1),), Target("x", 0.5), members=3, records=10, ridge=0.0, rounds=8)
    state = pooled(LOGISTIC, perfect, LOGISTIC.prepare(perfect, {"x": [0, 0, 0, 1, 1, 1]})).state
    with pytest.raises(Refused, match="not settled"):
        logistic.significance(perfect, state)


def test_nobody_with_records_or_counts_is_refused():
    empty = {name: cells[:0] for name, cells in COLUMNS.items()}
    with pytest.raises(Refused, match="nobody has records"):
        pooled(RIDGE, DIABETES, RIDGE.prepare(DIABETES, empty))
    plan = PoissonParams((Feature("x", 0, 1),), Quantity("y", 0, 5), members=3, records=9)
    with pytest.raises(Refused, match="nothing was ever counted"):
        pooled(POISSON, plan, POISSON.prepare(plan, {"x": [0, 1], "y": [0, 0]}))


@pytest.mark.parametrize(
    "build",
    [
        lambda: RidgeParams((), Quantity("y", 0, 1), members=3, records=9),
        lambda: RidgeParams(FEATURES, Quantity("y", 0, 1), members=3, records=9, ridge=-1.0),
        lambda: Quantity("y", 1, 1),
        lambda: PoissonParams(FEATURES, Quantity("y", -1, 5), members=3, records=9),
        lambda: PoissonParams(FEATURES, Quantity("y", 0, 5), members=3, records=9, ceiling=4.0),
        lambda: PoissonParams(FEATURES, Quantity("y", 0, 5), members=3, records=9, rounds=1),
    ],
)
def test_a_plan_that_cannot_run_is_refused(build):
    with pytest.raises(Refused):
        build()
