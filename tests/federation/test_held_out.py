"""Learning and judging in one training: the same records held out whoever holds them, the same figures."""

import hashlib
from functools import cache

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score, roc_auc_score

from federation import records
from federation.algorithms import advance, fitted_of, vector
from federation.algorithms.answers import answers_of, values_of
from federation.algorithms.averaging import AveragingParams
from federation.algorithms.bayes import BayesParams
from federation.algorithms.boosting import BoostingParams
from federation.algorithms.discriminant import DiscriminantParams
from federation.algorithms.evaluation import Evaluation
from federation.algorithms.held_out import HELD_OUT, HeldOutParams
from federation.algorithms.known import named
from federation.algorithms.linear import RidgeParams
from federation.algorithms.logistic import LogisticParams
from federation.algorithms.multinomial import MultinomialParams
from federation.algorithms.neural import NeuralParams
from federation.algorithms.poisson import PoissonParams
from federation.errors import Refused
from federation.simulate import pooled, train
from federation.tables import Classes, Feature, Quantity, Table, Target
from federation.vectors import from_bytes, to_bytes

FEATURES = (Feature("load", 0, 10), Feature("kind", levels=("a", "b"), indicator=True), Feature("noise", -1, 1))
LIMITS = {"members": 50, "records": 400}
SMALL = {"steps": 4, "depth": 2, "rate": 0.5}
STATES, WORN = Classes("state", ("good", "fair", "bad")), Classes("worn", ("no", "yes"))
WEAR, FAILURES = Quantity("wear", 0, 20), Quantity("failures", 0, 20)
NETWORK = AveragingParams(members=3, records=400, rounds=4, epochs=4)


MODELS = {
    "logistic": LogisticParams(FEATURES, Target("failed", 0), **LIMITS),
    "ridge": RidgeParams(FEATURES, WEAR, **LIMITS),
    "poisson": PoissonParams(FEATURES, FAILURES, **LIMITS),
    "multinomial": MultinomialParams(FEATURES, STATES, **LIMITS),
    "gaussian-naive-bayes": BayesParams(FEATURES, STATES, **LIMITS),
    "gaussian-naive-bayes of two": BayesParams(FEATURES, WORN, **LIMITS),
    "linear-discriminant": DiscriminantParams(FEATURES, STATES, **LIMITS),
    "boosting": BoostingParams(FEATURES, WEAR, **LIMITS, **SMALL),
    "boosting of two": BoostingParams(FEATURES, WORN, **LIMITS, **SMALL),
    "boosting of three": BoostingParams(FEATURES, STATES, **LIMITS, **SMALL),
    "neural": NeuralParams(FEATURES, WEAR, NETWORK, hidden=(4,)),
    "neural of two": NeuralParams(FEATURES, WORN, NETWORK, hidden=(4,)),
    "neural of three": NeuralParams(FEATURES, STATES, NETWORK, hidden=(4,)),
}
EXACT = [name for name in MODELS if not name.startswith("neural")]
NEURAL = [name for name in MODELS if name.startswith("neural")]


def machines(count=400):
    """Wear grows with the load and with kind b; noise says nothing. Some kinds are not known."""
    draw = np.random.default_rng(5)
    load, kind, noise = draw.uniform(0, 10, count), draw.integers(0, 3, count), draw.uniform(-1, 1, count)
    wear = np.clip(0.8 * load + 3.0 * (kind == 1) + draw.normal(0, 1, count), 0, 20)
    return {
        "load": load, "kind": np.array(["a", "b", ""], dtype=object)[kind], "noise": noise,
        "wear": wear, "failures": np.rint(wear), "failed": (wear > 5).astype(float),
        "worn": np.where(wear > 5, "yes", "no"), "state": np.where(wear > 7, "bad", np.where(wear > 3, "fair", "good")),
    }  # fmt: skip


@cache
def judged(name):
    """Algorithm, plan, records and the state of all of them in one place."""
    algorithm, params = named(f"{name.split(' of ')[0]}-held-out"), HeldOutParams(MODELS[name])
    table = algorithm.prepare(params, machines())
    return algorithm, params, table, pooled(algorithm, params, table).state


def part(table, rows):
    return Table(table.values[rows], table.target[rows])


def test_what_is_held_out_depends_on_the_record_alone():
    _, params, table, _ = judged("logistic")
    order = np.random.default_rng(3).permutation(len(table))
    _, out = params.split(table)
    _, again = params.split(part(table, order))
    assert sorted(map(bytes, out.values)) == sorted(map(bytes, again.values))
    assert 0.15 < len(out) / len(table) < 0.35


def test_a_missing_value_is_one_value_and_minus_zero_is_zero():
    params = HeldOutParams(MODELS["ridge"])
    other = np.array([np.nan]).view(np.uint64) | np.uint64(1)
    values = np.linspace(-1, 1, 200)
    one = Table(np.column_stack([values, np.full(200, np.nan), np.zeros(200)]), np.zeros(200))
    two = Table(np.column_stack([values, np.full(200, other.view(float)[0]), np.full(200, -0.0)]), np.zeros(200))
    assert 0 < len(params.split(one)[1]) < 200
    assert params.split(one)[1].values[:, 0].tolist() == params.split(two)[1].values[:, 0].tolist()


@pytest.mark.parametrize("name", EXACT)
def test_federated_figures_equal_pooled_ones(name, same_everywhere):
    algorithm, params, table, state = judged(name)
    assert same_everywhere(algorithm, params, table).state == state


@pytest.mark.parametrize("name", NEURAL)
def test_a_networks_figures_are_the_sum_of_its_members(name, rand):
    """Not those of the pool, by nature; but the same through masks and without, to the last bit."""
    algorithm, params, table, _ = judged(name)
    members = [part(table, rows) for rows in np.array_split(np.arange(len(table)), 3)]
    masked, state = train(algorithm, params, members, rand=rand), algorithm.start(params)
    for total in masked.totals:
        added = np.sum([vector(algorithm, params, state, one) for one in members], axis=0, dtype=np.uint32)
        assert hashlib.sha256(to_bytes(added)).digest() == hashlib.sha256(total).digest()
        state = advance(algorithm, params, state, from_bytes(32, total))
    assert state == masked.state
    assert records.load(algorithm.state, records.dump(state)) == state
    assert records.load(algorithm.params, records.dump(params)) == params
    assert params.rounds == len(masked.totals) == 5
    held = sum(len(params.split(one)[1]) for one in members)
    assert params.judging.report(state.evaluation).records == held == len(params.split(table)[1])
    assert fitted_of(algorithm, params, state).records == len(table) - held


@pytest.mark.parametrize("name", list(MODELS))
def test_the_figures_are_those_of_scikit_learn_on_the_held_out_records(name):
    algorithm, params, table, state = judged(name)
    answers, (_, out) = answers_of(algorithm.name, params, state), params.split(table)
    found, said = params.judging.report(state.evaluation), values_of(answers, answers.scores(out))
    assert (answers.held_out, len(answers.judged(table)), found.records) == (True, len(out), len(out))
    near = 1e-3 if name in NEURAL else 1e-6  # in a ring of 32 bits
    if answers.kind in ("number", "rate"):
        assert found.r2 == pytest.approx(r2_score(out.target, said), abs=near)
        assert found.mae == pytest.approx(mean_absolute_error(out.target, said), abs=20 * near)
        return
    labels = said.argmax(axis=1) if answers.kind == "classes" else said > 0.5
    assert found.accuracy == accuracy_score(out.target, labels)
    assert found.log_loss == pytest.approx(log_loss(out.target, said), abs=10 * near)
    if isinstance(found, Evaluation):  # ties within one of 64 bins
        assert found.area == pytest.approx(roc_auc_score(out.target, said), abs=0.01)


@pytest.mark.parametrize("name", list(MODELS))
def test_the_model_is_that_of_the_records_not_held_out(name):
    algorithm, params, table, state = judged(name)
    inner = named(algorithm.name.removesuffix("-held-out"))
    alone = pooled(inner, params.model, params.split(table)[0]).state
    found, wanted = fitted_of(algorithm, params, state), fitted_of(inner, params.model, alone)
    assert found.records == wanted.records == len(params.split(table)[0])
    assert {key: value.tobytes() for key, value in found.arrays.items()} == {
        key: value.tobytes() for key, value in wanted.arrays.items()
    }


def test_there_is_one_for_every_model_that_foretells():
    assert {one.name for one in HELD_OUT} == {f"{name.split(' of ')[0]}-held-out" for name in MODELS}


def test_plans_that_cannot_be():
    with pytest.raises(Refused, match="nothing would be left"):
        HeldOutParams(MODELS["ridge"], every=1)
    with pytest.raises(Refused) as no:
        HeldOutParams(MODELS["ridge"], bins=0)
    assert no.value.clause == "bins"


def test_a_ring_that_is_too_narrow_for_the_figures_is_refused():
    wide = AveragingParams(members=64, records=10_000, rounds=1, clip=0.01)
    with pytest.raises(Refused) as no:
        _ = HeldOutParams(NeuralParams(FEATURES, STATES, wide)).judging
    assert no.value.clause == "overflow"
