"""Why a model answers as it does: the same for any members, right where it can be worked out by hand, and honest."""

import os

import numpy as np
import pytest

from federation import records
from federation.algorithms import (
    bayes,
    boosting,
    discriminant,
    held_out,
    linear,
    logistic,
    multinomial,
    poisson,
    private,
)
from federation.algorithms.answers import answers_of, values_of
from federation.algorithms.binning import codes
from federation.algorithms.explanation import (
    EXPLANATION,
    ExplanationParams,
    curves,
    explanation_of,
    important,
    quality,
)
from federation.algorithms.importance import drawn, marginal_counts, replaced, stand_ins
from federation.algorithms.paths import sum_of_paths
from federation.algorithms.trees import LEAF, Tree
from federation.costs import Costs, cheapest
from federation.errors import FederationError, Refused
from federation.simulate import pooled
from federation.tables import Classes, Feature, Quantity, Table, Target, encode

FEATURES = (
    Feature("load", 0, 10),
    Feature("kind", levels=("a", "b", "c"), indicator=True),
    Feature("noise", -1, 1),
)
LIMITS = {"members": 50, "records": 300}


def machines(count=240):
    """Wear grows with the load and with kind b; noise says nothing. Some kinds are not known."""
    draw = np.random.default_rng(11)
    load, kind, noise = draw.uniform(0, 10, count), draw.integers(0, 4, count), draw.uniform(-1, 1, count)
    wear = 0.8 * load + 3.0 * (kind == 1) + draw.normal(0, 1, count)
    return {
        "load": load, "kind": np.array(["a", "b", "c", ""], dtype=object)[kind], "noise": noise,
        "wear": np.clip(wear, 0, 20), "failures": np.clip(np.rint(wear), 0, 20), "failed": (wear > 5).astype(float),
        "worn": np.where(wear > 5, "yes", "no"),
        "state": np.where(wear > 7, "bad", np.where(wear > 3, "fair", "good")),
    }  # fmt: skip


STATES = Classes("state", ("good", "fair", "bad"))
WORN = Classes("worn", ("no", "yes"))
SMALL = {"steps": 5, "depth": 3, "rate": 0.5}
MODELS = {
    "logistic": (logistic.LOGISTIC, logistic.LogisticParams(FEATURES, Target("failed", 0), **LIMITS, ridge=0.0)),
    "held-out": (
        held_out.LOGISTIC_HELD_OUT,
        held_out.HeldOutParams(logistic.LogisticParams(FEATURES, Target("failed", 0), **LIMITS)),
    ),
    "ridge held out": (
        held_out.RIDGE_HELD_OUT,
        held_out.HeldOutParams(linear.RidgeParams(FEATURES, Quantity("wear", 0, 20), **LIMITS)),
    ),
    "bayes held out": (
        held_out.BAYES_HELD_OUT,
        held_out.HeldOutParams(bayes.BayesParams(FEATURES, STATES, **LIMITS)),
    ),
    "ridge": (linear.RIDGE, linear.RidgeParams(FEATURES, Quantity("wear", 0, 20), **LIMITS)),
    "poisson": (poisson.POISSON, poisson.PoissonParams(FEATURES, Quantity("failures", 0, 20), **LIMITS)),
    "multinomial": (multinomial.MULTINOMIAL, multinomial.MultinomialParams(FEATURES, STATES, **LIMITS)),
    "discriminant": (discriminant.DISCRIMINANT, discriminant.DiscriminantParams(FEATURES, STATES, **LIMITS)),
    "bayes": (bayes.BAYES, bayes.BayesParams(FEATURES, STATES, **LIMITS)),
    "boosting": (boosting.BOOSTING, boosting.BoostingParams(FEATURES, Quantity("wear", 0, 20), **LIMITS, **SMALL)),
    "boosting of classes": (boosting.BOOSTING, boosting.BoostingParams(FEATURES, STATES, **LIMITS, **SMALL)),
    "boosting of two": (boosting.BOOSTING, boosting.BoostingParams(FEATURES, WORN, **LIMITS, **SMALL)),
    "bayes of two": (bayes.BAYES, bayes.BayesParams(FEATURES, WORN, **LIMITS)),
}
PRIVATE = (private.PRIVATE_LOGISTIC, private.PrivateParams(FEATURES, STATES, **LIMITS, total=240, rounds=20))
NUMBERS = ("ridge", "ridge held out", "poisson", "boosting")


@pytest.fixture(scope="module")
def trained():
    """`trained(name)`: algorithm, params, table and last state, each trained once."""
    kept = {}

    def find(name):
        if name not in kept:
            algorithm, params = PRIVATE if name == "private" else MODELS[name]
            table = algorithm.prepare(params, machines())
            kept[name] = (algorithm, params, table, pooled(algorithm, params, table, rand=os.urandom).state)
        return kept[name]

    return find


def explained(trained, name):
    algorithm, params, table, state = trained(name)
    plan = explanation_of(algorithm.name, params, state, members=50, records_=300, of="a test")
    return plan, table, pooled(EXPLANATION, plan, table).state


@pytest.mark.parametrize("name", ["held-out", "boosting of two"])
def test_federated_explanations_equal_pooled_ones(trained, name, same_everywhere):
    algorithm, params, table, state = trained(name)
    same_everywhere(EXPLANATION, explanation_of(algorithm.name, params, state, members=50, records_=300), table)


@pytest.mark.parametrize("name", list(MODELS))
def test_what_matters_is_found_and_noise_is_not(trained, name):
    plan, _, state = explained(trained, name)
    found = {one.feature: one for one in important(plan, state)}
    assert important(plan, state)[0].feature == "load"
    assert found["load"].loss > 5 * abs(found["noise"].loss)
    assert found["kind"].loss > abs(found["noise"].loss)
    if name not in NUMBERS:
        assert found["load"].wrong > 0.1
    else:
        assert found["load"].wrong is None


def test_the_figures_are_those_of_a_shuffle(trained):
    """In expectation: stand-ins are drawn from everybody's values, as a shuffle deals them."""
    plan, table, state = explained(trained, "ridge")
    answers, draw = answers_of("ridge", *trained("ridge")[1::2]), np.random.default_rng(5)

    def mae(values):
        return np.abs(answers.scores(Table(values, table.target)) - table.target).mean()

    grown = []
    for _ in range(40):
        values = table.values.copy()
        values[:, 0] = draw.permutation(values[:, 0])
        grown.append(mae(values) - mae(table.values))
    load = next(one for one in important(plan, state) if one.feature == "load")
    assert load.loss == pytest.approx(np.mean(grown), rel=0.15)


def test_curves_are_the_mean_answers(trained):
    for name in ("ridge", "logistic", "multinomial"):
        plan, table, state = explained(trained, name)
        algorithm, params, _, last = trained(name)
        answers = answers_of(algorithm.name, params, last)
        curve = curves(plan, state)[0]
        assert (curve.feature, len(curve.at)) == ("load", 9)
        for at, seen in zip(curve.at, curve.answers, strict=True):
            values = table.values.copy()
            values[:, 0] = (float(at) - 5.0) / 5.0
            wanted = values_of(answers, answers.scores(Table(values, table.target)))
            assert seen == pytest.approx(np.atleast_1d(wanted.mean(axis=0)), abs=1e-2)  # the label is rounded
        assert curves(plan, state)[1].at == ("a", "b", "c")


@pytest.mark.parametrize("name", [*MODELS, "private"])
def test_contributions_add_up_to_the_score(trained, name):
    algorithm, params, table, state = trained(name)
    answers = answers_of(algorithm.name, params, state)
    scores = answers.scores(table)
    first, second = np.zeros(len(table), dtype=np.int64), np.full(len(table), min(1, scores.ndim - 1))
    wanted = scores[:, 0] - scores[:, 1] if scores.ndim == 2 else scores
    parts = answers.parts(table, first, second)
    assert parts.base + parts.columns.sum(axis=1) == pytest.approx(wanted, abs=1e-8)


def test_a_record_at_the_mean_owes_nothing_to_any_column(trained):
    _, params, table, state = trained("ridge")
    answers = answers_of("ridge", params, state)
    mean = Table(np.array([state.scaling.mean]), np.zeros(1))
    zero = np.zeros(1, dtype=np.int64)
    assert np.abs(answers.parts(mean, zero, zero).columns).max() < 1e-12
    assert answers.parts(mean, zero, zero).base[0] == pytest.approx(table.target.mean())


def test_of_two_classes_the_second_has_a_chance(trained):
    for name in ("boosting of two", "bayes of two"):
        algorithm, params, table, state = trained(name)
        answers = answers_of(algorithm.name, params, state)
        assert (answers.kind, answers.classes) == ("chance", ())
        chance = values_of(answers, answers.scores(table))
        assert ((chance > 0.5) == (table.target > 0)).mean() > 0.8


def test_a_path_credits_the_columns_that_split():
    """Root on column 1 at half the range, its right child on column 0; worked out by hand."""
    half = 1 << 19
    tree = Tree(column=(1, LEAF, 0, LEAF, LEAF), edge=(half, 0, half, 0, 0), missing_left=(True,) + (False,) * 4,
                left=(1, 0, 3, 0, 0), value=(0.0, -1.0, 2.0, 1.5, 4.0), live=())  # fmt: skip
    values = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, np.nan]])
    assert sum_of_paths([tree], codes(values), 2).tolist() == [[0, -1], [-0.5, 2], [2, 2], [0, -1]]
    assert sum_of_paths([tree, tree], codes(values), 2)[1].tolist() == [-1, 4]
    assert sum_of_paths([Tree()], codes(values), 2).tolist() == [[0, 0]] * 4


def test_what_noise_protects_is_not_explained_by_exact_sums(trained):
    algorithm, params, _, state = trained("private")
    with pytest.raises(Refused, match="not one that answers"):
        explanation_of(algorithm.name, params, state, members=3, records_=300)


@pytest.mark.parametrize("name", ["held-out", "ridge held out", "bayes held out"])
def test_quality_is_judged_on_what_was_held_out(trained, name):
    plan, _, state = explained(trained, name)
    params, last = trained(name)[1], trained(name)[3]
    found, wanted = quality(plan, state), params.judging.report(last.evaluation)
    exact, near = (("records", "cut"), ("r2", "mae")) if name in NUMBERS else (("records", "accuracy"), ("log_loss",))
    assert [getattr(found, key) for key in exact] == [getattr(wanted, key) for key in exact]
    for key in near:  # its plan has other bits after the point
        assert getattr(found, key) == pytest.approx(getattr(wanted, key), abs=1e-8)
    whole, _, all_ = explained(trained, "logistic")
    assert quality(whole, all_).records == all_.judged == 240


def test_standard_errors_are_there_or_said_to_be_missing(trained):
    _, params, _, state = trained("logistic")
    assert answers_of("logistic", params, state).significance().columns[0] == "intercept"
    for name, why in (("ridge", "ridge"), ("bayes", "one weight a column")):
        algorithm, params, _, state = trained(name)
        with pytest.raises(Refused, match=why):
            answers_of(algorithm.name, params, state).significance()


def test_what_a_record_draws_depends_on_it_alone():
    table = encode(machines(), FEATURES)
    order = np.random.default_rng(2).permutation(len(table))
    moved = Table(table.values[order], table.target[order])
    assert drawn(moved, "s", 0, 1).tolist() == drawn(table, "s", 0, 1)[order].tolist()
    draws = {tuple(drawn(table, *key).tolist()) for key in (("s", 0, 1), ("s", 0, 2), ("s", 1, 1), ("t", 0, 1))}
    assert len(draws) == 4


def test_stand_ins_follow_everybodys_values():
    table = encode(machines(4000), FEATURES)
    counts = marginal_counts(FEATURES, table.values, 16)
    kinds = counts[17:21]
    other = replaced(table, FEATURES, 1, kinds.tolist(), draw=drawn(table, "", 1, 0))
    again = marginal_counts(FEATURES, other.values, 16)[17:21]
    assert np.abs(again - kinds).max() < 4 * np.sqrt(4000)
    assert np.array_equal(other.values[:, 3], np.isnan(other.values[:, 1]).astype(float))  # the indicator follows
    assert np.array_equal(other.values[:, [0, 4]], table.values[:, [0, 4]])
    assert stand_ins(FEATURES[0], 4)[:, 0].tolist()[:4] == [-0.75, -0.25, 0.25, 0.75]


def test_a_plan_must_quote_a_model_trained_to_its_end(trained):
    algorithm, params, _, state = trained("ridge")
    plan, last = records.dump(params).decode(), records.dump(state).decode()
    begun = records.dump(algorithm.start(params)).decode()
    for name, quoted, why in (("ridge", begun, "not trained"), ("k-means", last, "not one that answers"),
                              ("ridge", last[:-1], "not JSON"), ("logistic", last, "fields")):  # fmt: skip
        with pytest.raises(FederationError, match=why):
            ExplanationParams(name, plan, quoted, members=3, records=300)


NEGATIVES, POSITIVES = (40, 20, 5, 1), (1, 4, 10, 19)


@pytest.mark.parametrize(
    ("costs", "threshold", "cost", "missed", "alarms"),
    [
        # acting from 0, 1/4, 1/2, 3/4 or never costs 660, 350, 560, 1510, 3400 with miss 100 and alarm 10
        (Costs(miss=100, alarm=10), 0.25, 100 * 1 + 10 * 26, 1, 26),
        (Costs(miss=10, alarm=10), 0.5, 10 * 5 + 10 * 6, 5, 6),
        (Costs(miss=1, alarm=1000), 1.0, 34, 34, 0),
        (Costs(miss=1000, alarm=0), 0.0, 0, 0, 66),
        (Costs(miss=0, alarm=1), 1.0, 0, 34, 0),
    ],
)
def test_the_cheapest_threshold_by_hand(costs, threshold, cost, missed, alarms):
    found = cheapest(NEGATIVES, POSITIVES, costs)
    assert found.threshold == pytest.approx(threshold)
    assert (found.cost, found.missed, found.alarms) == (cost, missed, alarms)
    assert (found.never, found.always) == (costs.miss * 34, costs.alarm * 66)
    assert found.half == costs.miss * 5 + costs.alarm * 6
    assert found.caught + found.missed == 34


@pytest.mark.parametrize("costs", [(-1, 1), (1, float("nan")), (0, 0), (float("inf"), 1)])
def test_costs_that_are_none(costs):
    with pytest.raises(Refused):
        Costs(*costs)
