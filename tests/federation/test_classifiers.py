"""Naive Bayes, discriminant analysis, multinomial logistic: federated equals pooled, and pooled equals scikit-learn."""

import numpy as np
import pytest
from datasets import load, parts
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from federation.algorithms import bayes, discriminant, multinomial
from federation.algorithms.bayes import BAYES, BayesParams
from federation.algorithms.discriminant import DISCRIMINANT, DiscriminantParams
from federation.algorithms.logistic import LogisticParams
from federation.algorithms.multinomial import MULTINOMIAL, MultinomialParams
from federation.errors import Refused
from federation.estimators import (
    FederatedGaussianNB,
    FederatedLDA,
    FederatedLogisticRegression,
    FederatedMultinomialLogistic,
)
from federation.simulate import pooled
from federation.tables import Classes, Feature, Target

ALL = [(BAYES, BayesParams), (DISCRIMINANT, DiscriminantParams), (MULTINOMIAL, MultinomialParams)]
SCORES = dict(zip(("gaussian-naive-bayes", "linear-discriminant", "multinomial"),
                  (bayes.scores, discriminant.scores, multinomial.scores), strict=True))  # fmt: skip
NAMES = [algorithm.name for algorithm, _ in ALL]


def plan_of(params, name, records=2000, **more):
    features, columns, _ = load(name)
    levels = tuple(str(level) for level in sorted(set(columns["y"].tolist())))
    return params(features, Classes("y", levels), members=50, records=records, **more), columns


@pytest.mark.parametrize(("algorithm", "params"), ALL, ids=NAMES)
def test_it_is_the_same_for_any_members(algorithm, params, same_everywhere):
    """Sorted by label, so that most members lack most classes, and with 50 members of 178 records some lack records."""
    plan, columns = plan_of(params, "wine")
    same_everywhere(algorithm, plan, algorithm.prepare(plan, columns))


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "digits"])
def test_naive_bayes_says_what_scikit_learn_says(name, rand):
    plan, columns = plan_of(BayesParams, name)
    model, values = FederatedGaussianNB(plan, rand=rand).fit(parts(columns)), load(name)[2]
    peer = GaussianNB().fit(values, columns["y"].astype(str))
    assert (model.predict(columns) == peer.predict(values)).all()
    assert model.classes_.tolist() == peer.classes_.tolist()
    assert model.class_count_.tolist() == peer.class_count_.tolist()
    assert np.abs(model.theta_ - peer.theta_).max() < 1e-8
    assert np.allclose(model.var_, peer.var_, rtol=1e-6)
    assert np.allclose(model.predict_proba(columns), peer.predict_proba(values), atol=1e-6)


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "digits"])
def test_discriminant_analysis_says_what_scikit_learn_says(name, rand):
    plan, columns = plan_of(DiscriminantParams, name)
    model, values = FederatedLDA(plan, rand=rand).fit(parts(columns)), load(name)[2]
    peer = LinearDiscriminantAnalysis().fit(values, columns["y"].astype(str))
    assert (model.predict(columns) == peer.predict(values)).all()
    assert np.allclose(model.means_, peer.means_, atol=1e-8)
    assert np.allclose(model.priors_, peer.priors_)
    if name == "wine":
        assert np.allclose(model.coef_, peer.coef_, rtol=1e-6, atol=1e-8)
        assert np.allclose(model.intercept_, peer.intercept_, rtol=1e-6)
        assert np.allclose(model.predict_proba(columns), peer.predict_proba(values), atol=1e-8)
    assert (model.constant_ == ()) == (name != "digits")


def test_multinomial_weights_are_scikit_learns(rand):
    plan, columns = plan_of(MultinomialParams, "wine")
    model, values = FederatedMultinomialLogistic(plan, rand=rand).fit(parts(columns)), load("wine")[2]
    scaler = StandardScaler().fit(values)
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(scaler.transform(values), columns["y"].astype(str))
    assert model.training_.state.converged
    assert np.abs(model.coef_ * scaler.scale_ - peer.coef_).max() < 1e-5
    assert np.allclose(model.predict_proba(columns), peer.predict_proba(scaler.transform(values)), atol=1e-5)
    assert (model.predict(columns) == peer.predict(scaler.transform(values))).all()


def test_two_classes_are_logistic_regression(rand):
    """The two rows of weights are opposite, and half the ridge on each is the ridge on their difference."""
    features, columns, _ = load("breast_cancer")
    few = features[:5]
    two = MultinomialParams(few, Classes("y", ("0", "1")), members=3, records=600, ridge=2.0)
    one = LogisticParams(few, Target("y", 0.5), members=3, records=600, ridge=1.0)
    model = FederatedMultinomialLogistic(two, rand=rand).fit(parts(columns))
    other = FederatedLogisticRegression(one, rand=rand).fit(parts(columns))
    assert np.allclose(model.coef_[1] - model.coef_[0], other.coef_[0], rtol=1e-6)
    assert np.allclose(model.coef_[1] + model.coef_[0], 0.0, atol=1e-9)


@pytest.mark.parametrize(("algorithm", "params"), ALL, ids=NAMES)
def test_a_class_that_nobody_has_is_never_said(algorithm, params):
    features, columns, _ = load("wine")
    plan = params(features, Classes("y", ("0", "1", "2", "unheard of")), members=3, records=200)
    table = algorithm.prepare(plan, columns)
    state = pooled(algorithm, plan, table).state
    assert set(np.argmax(SCORES[algorithm.name](plan, state, table), axis=1).tolist()) == {0, 1, 2}


@pytest.mark.parametrize(("algorithm", "params"), ALL, ids=NAMES)
def test_constant_and_empty_columns_change_nothing(algorithm, params):
    features, columns, _ = load("wine")
    more = (*features, Feature("same", 0, 10), Feature("gone", 0, 10))
    wide = columns | {"same": np.full(178, 3.0), "gone": np.full(178, np.nan)}
    found = []
    for given, cells in ((features, columns), (more, wide)):
        plan = params(given, Classes("y", ("0", "1", "2")), members=3, records=200)
        table = algorithm.prepare(plan, cells)
        state = pooled(algorithm, plan, table).state
        values = SCORES[algorithm.name](plan, state, table)
        found.append(values - values[:, :1])
    assert np.allclose(found[0], found[1], atol=1e-6)


def test_a_missing_value_says_nothing_to_naive_bayes():
    features, columns, _ = load("wine")
    plan = BayesParams(features, Classes("y", ("0", "1", "2")), members=3, records=200)
    state = pooled(BAYES, plan, BAYES.prepare(plan, columns)).state
    holes = {name: np.full(178, np.nan) for name in columns if name != "y"} | {"y": columns["y"]}
    shares = np.array(state.counts) / 178
    assert np.allclose(bayes.scores(plan, state, BAYES.prepare(plan, holes)), np.log(shares))


def test_what_cannot_be_learnt_is_refused():
    one, two = (Feature("x", 0, 1),), Classes("y", ("0", "1"))
    limits = {"members": 3, "records": 9}
    still, few = BayesParams(one, two, **limits), DiscriminantParams(one, two, **limits)
    with pytest.raises(Refused, match="no column varies"):
        pooled(BAYES, still, BAYES.prepare(still, {"x": [1, 1], "y": [0, 1]}))
    with pytest.raises(Refused, match="fewer records"):
        pooled(DISCRIMINANT, few, DISCRIMINANT.prepare(few, {"x": [0, 1], "y": [0, 1]}))
    alone = MultinomialParams(one, two, **limits)
    with pytest.raises(Refused, match="one class only"):
        pooled(MULTINOMIAL, alone, MULTINOMIAL.prepare(alone, {"x": [0, 1], "y": [1, 1]}))
    for build in (lambda: BayesParams((), two, **limits), lambda: BayesParams(one, two, **limits, smoothing=0.0),
                  lambda: DiscriminantParams((), two, **limits),
                  lambda: MultinomialParams(one, two, **limits, ridge=-1.0)):  # fmt: skip
        with pytest.raises(Refused):
            build()
