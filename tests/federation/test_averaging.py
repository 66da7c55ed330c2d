"""Networks trained in rounds: McMahan's averaging, and what others make of the same mean."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from federation import records
from federation.adapters import keras_model, scikit
from federation.algorithms import advance, fitted_of, vector
from federation.algorithms.answers import answers_of
from federation.algorithms.averaging import (
    AveragingParams,
    AveragingState,
    Learner,
    Pull,
    averaging,
    pack,
    shuffled,
    uniform,
    unpack,
    weights_of,
)
from federation.algorithms.known import named
from federation.algorithms.neural import LEARNER, NEURAL, NeuralParams, gradient, layers, outputs, prepare, start
from federation.errors import Refused
from federation.estimators import FederatedMLPClassifier, FederatedMLPRegressor
from federation.tables import Classes, Feature, Quantity, Table

X, Y = load_digits(return_X_y=True)
PIXELS = tuple(Feature(f"p{i}", 0, 16) for i in range(64))
DIGIT = Classes("digit", tuple(str(i) for i in range(10)))
LEARN, JUDGE = train_test_split(np.arange(len(Y)), test_size=0.25, random_state=0, stratify=Y)
ALIKE = np.array_split(LEARN, 5)
SORTED = np.array_split(LEARN[np.argsort(Y[LEARN], kind="stable")], 5)


def plan(hidden=(32,), **more):
    return NeuralParams(PIXELS, DIGIT, AveragingParams(**{"members": 5, "records": 400, "rounds": 5, **more}), hidden)


def digits(rows):
    return Table(X[rows] / 8 - 1, Y[rows].astype(float))


def summed(algorithm, params, tables, rounds=None):
    state = algorithm.start(params)
    while not algorithm.done(params, state) and rounds != state.rounds:
        vectors = [vector(algorithm, params, state, table) for table in tables]
        state = advance(algorithm, params, state, np.sum(vectors, axis=0, dtype=vectors[0].dtype))
    return state


def accuracy(params, state):
    return (outputs(params, state, digits(JUDGE)).argmax(axis=1) == Y[JUDGE]).mean()


def test_five_members_learn_digits_through_the_secure_sum(rand):
    """Through masks, in a ring of 32 bits; twice, with other masks: the same bytes."""
    params = plan(rounds=8, epochs=4, rate=0.05)
    columns = [{"digit": Y[rows], **{f"p{i}": X[rows, i] for i in range(64)}} for rows in ALIKE]
    model, again = (FederatedMLPClassifier(params, rand=rand).fit(columns) for _ in range(2))
    assert (model.predict({"digit": Y[JUDGE], **{f"p{i}": X[JUDGE, i] for i in range(64)}}) == Y[JUDGE].astype(str)
            ).mean() >= 0.94  # fmt: skip
    assert model.training_ == again.training_
    assert model.training_.state.clipped == 0
    assert [matrix.shape for matrix in model.coefs_] == [(64, 32), (32, 10)]
    assert [bias.shape for bias in model.intercepts_] == [(32,), (10,)]
    assert model.n_rounds_ == 8


def test_a_regression_is_learnt_too(rand):
    x, y = load_diabetes(return_X_y=True)
    features = tuple(Feature(f"f{j}", low, high) for j, (low, high) in enumerate(zip(x.min(0), x.max(0))))
    params = NeuralParams(features, Quantity("y", 0, 400), AveragingParams(3, 200, rounds=10, epochs=3), hidden=(8,))
    columns = [{"y": y[rows], **{f"f{j}": x[rows, j] for j in range(10)}} for rows in np.array_split(np.arange(442), 3)]
    model = FederatedMLPRegressor(params, rand=rand).fit(columns)
    found = model.predict({"y": y, **{f"f{j}": x[:, j] for j in range(10)}})
    assert 1 - np.square(found - y).sum() / np.square(y - y.mean()).sum() > 0.4


def test_one_step_over_all_records_is_a_step_over_the_pool():
    """With one epoch and one batch, averaging is gradient descent on everybody's records."""
    params = plan(rounds=3, batch=0, rate=0.5)
    weights = start(params)
    for _ in range(3):
        weights = weights - 0.5 * gradient(params, weights, digits(LEARN))
    state = summed(NEURAL, params, [digits(rows) for rows in SORTED])
    assert np.abs(weights_of(state) - weights).max() < 1e-4


def test_the_gradient_is_the_slope_of_the_loss():
    params, table = plan(hidden=(5, 4)), digits(np.arange(30))
    weights = start(params) + 0.01
    found, dice = gradient(params, weights, table), np.random.default_rng(0)
    for i in dice.integers(0, len(weights), 40):
        nudge = np.zeros(len(weights))
        nudge[i] = 1e-6
        slope = (loss(params, weights + nudge, table) - loss(params, weights - nudge, table)) / 2e-6
        assert found[i] == pytest.approx(slope, abs=1e-7)


def loss(params, weights, table):
    answers = outputs(params, AveragingState(pack(weights)), table)
    answers = answers - answers.max(axis=1, keepdims=True)
    right = answers[np.arange(len(table)), table.target.astype(int)]
    return (np.log(np.exp(answers).sum(axis=1)) - right).mean()


def test_fedprox_stays_nearer_to_where_the_round_began():
    table, far = digits(SORTED[0]), []
    for params in (plan(epochs=5), plan(epochs=5, method="fedprox", proximal=5.0)):
        state = NEURAL.start(params)
        far.append(np.abs(NEURAL.layout(params, state).decode(vector(NEURAL, params, state, table))["delta"]).sum())
    assert far[1] < far[0] / 2


def test_fedadam_follows_its_paper():
    params = plan(rounds=2, method="fedadam", server_rate=0.1)
    tables = [digits(rows) for rows in ALIKE]
    state, first, second = NEURAL.start(params), 0.0, 1e-6
    weights = start(params)
    for _ in range(2):
        lanes = np.sum([vector(NEURAL, params, state, table) for table in tables], axis=0, dtype="<u4")
        sums = NEURAL.layout(params, state).decode(lanes)
        mean = sums["delta"] * 2.0**-params.averaging.scale / len(LEARN)
        first, second = 0.9 * first + 0.1 * mean, 0.99 * second + 0.01 * mean**2
        weights = weights + 0.1 * first / (np.sqrt(second) + 1e-3)
        state = advance(NEURAL, params, state, lanes)
    assert np.allclose(weights_of(state), weights, rtol=1e-12, atol=1e-15)


def test_scaffold_is_not_led_astray_by_members_that_know_two_digits_each():
    """With the same rate and rounds it ends well above plain averaging."""
    tables = [digits(rows) for rows in SORTED]
    found = [accuracy(params, summed(NEURAL, params, tables))
             for params in (plan(rounds=5, rate=0.05, method=method) for method in ("fedavg", "scaffold"))]  # fmt: skip
    assert found[1] > found[0] + 0.05


def test_the_first_round_of_scaffold_is_plain_averaging():
    tables = [digits(rows) for rows in SORTED]
    plain, scaffold = (
        summed(NEURAL, plan(method=method, clip=4.0), tables, rounds=1) for method in ("fedavg", "scaffold")
    )
    assert plain.weights == scaffold.weights
    assert np.abs(unpack(scaffold.control) - gradient(plan(), start(plan()), digits(LEARN))).max() < 1e-4
    assert scaffold.before == NEURAL.start(plan()).weights


def test_weights_that_were_cut_are_counted():
    tables = [digits(rows) for rows in SORTED]
    state = summed(NEURAL, plan(clip=0.01, rounds=1), tables)
    deltas = [LEARNER.train(plan(), start(plan()), table, 0, Pull())[0] for table in tables]
    assert state.clipped == sum(int((np.abs(delta) > 0.01).sum()) for delta in deltas) > 1000
    assert summed(NEURAL, plan(clip=2.0, rounds=1), tables).clipped == 0


def test_members_count_by_their_records_and_may_have_none():
    """A member's lanes are its change times its records; nobody's change is sent bare."""
    params, few = plan(), digits(LEARN[:7])
    state = NEURAL.start(params)
    alone = NEURAL.layout(params, state).decode(vector(NEURAL, params, state, few))
    assert (alone["delta"] % 7 == 0).all()
    none = NEURAL.layout(params, state).decode(vector(NEURAL, params, state, digits(LEARN[:0])))
    assert not any(part.any() for part in none.values())
    with pytest.raises(Refused, match="nobody has records"):
        summed(NEURAL, params, [digits(LEARN[:0])])


def test_the_network_of_a_paper_fits_a_ring_of_32_bits():
    """784 pixels, 128 units, 10 digits; the planner leaves it 15 bits for 50 members with 1000 records."""
    pixels = tuple(Feature(f"p{i}", 0, 255) for i in range(784))
    params = NeuralParams(pixels, DIGIT, AveragingParams(50, 1000, rounds=1))
    assert params.weights == 101_770 == sum(w.size + b.size for w, b in layers(params, start(params)))
    assert params.averaging.scale == 15
    assert NEURAL.layout(params, NEURAL.start(params)).length == 101_773


def test_a_plan_without_room_for_changes_is_refused():
    with pytest.raises(Refused) as caught:
        _ = AveragingParams(1000, 100_000, rounds=1).scale
    assert caught.value.clause == "overflow"
    assert AveragingParams(1000, 100_000, rounds=1, width=64).scale == 32


@pytest.mark.parametrize(
    ("change", "clause"),
    [({"rounds": 0}, "plan"), ({"beta1": 1.0}, "plan"), ({"clip": 0.0}, "plan"), ({"proximal": 1.0}, "proximal"),
     ({"method": "fedprox"}, "proximal")],
)  # fmt: skip
def test_a_plan_that_cannot_run_is_refused(change, clause):
    with pytest.raises(Refused) as caught:
        replace(AveragingParams(5, 100, rounds=3), **change)
    assert caught.value.clause == clause


def test_a_training_that_runs_away_is_refused():
    with np.errstate(all="ignore"), pytest.raises(Refused, match="left no numbers"):
        summed(NEURAL, plan(rate=1e200, epochs=5), [digits(rows) for rows in ALIKE])


def test_draws_follow_from_the_seed_alone():
    """Written down: they must be the same on every processor and in every version."""
    assert [f"{one:.6f}" for one in uniform(7, 3)] == DRAWS
    assert shuffled(7, 8).tolist() == ORDER
    assert sorted(shuffled(1, 1000)) == list(range(1000))
    many = uniform(3, 100_000)
    assert abs(many.mean() - 0.5) < 0.005
    assert np.histogram(many, 20, (0, 1))[0].min() > 4700


DRAWS = ["0.831442", "0.738094", "0.841427"]
ORDER = [5, 3, 7, 4, 6, 1, 0, 2]


def test_plan_and_state_are_plain_records():
    params = plan(method="scaffold", rounds=2)
    state = summed(NEURAL, params, [digits(rows) for rows in ALIKE])
    assert records.load(AveragingState, records.dump(state)) == state
    assert records.load(NeuralParams, records.dump(params)) == params
    assert params.rounds == 2
    assert np.array_equal(fitted_of(NEURAL, params, state).arrays["weights"], weights_of(state))
    with pytest.raises(Refused, match="no round has ended"):
        fitted_of(NEURAL, params, NEURAL.start(params))
    assert named("neural") is NEURAL


def test_holes_count_as_the_middle():
    table = prepare(plan(), {"digit": ["3"], **{f"p{i}": [None] for i in range(64)}})
    state = NEURAL.start(plan())
    assert np.array_equal(outputs(plan(), state, table), outputs(plan(), state, Table(np.zeros((1, 64)), table.target)))


MLP = MLPClassifier((32,), solver="sgd", learning_rate_init=0.05, batch_size=32, random_state=1)
SGD = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=1)


@pytest.mark.parametrize(("template", "least"), [(MLP, 0.93), (SGD, 0.9)])
def test_a_model_of_scikit_learn_is_trained_in_rounds(template, least):
    learner = scikit.learner_of(template, columns=64, classes=10)
    algorithm = averaging("peer", AveragingParams, scikit.tables_only, learner)
    params = AveragingParams(5, 400, rounds=6, epochs=3, clip=2.0)
    state, again = (summed(algorithm, params, [digits(rows) for rows in ALIKE]) for _ in range(2))
    model = scikit.model_of(template, weights_of(state), columns=64, classes=10)
    assert (model.predict(digits(JUDGE).values) == Y[JUDGE]).mean() >= least
    assert again == state


def test_what_a_model_of_scikit_learn_cannot_do_is_refused():
    learner = scikit.learner_of(SGD, columns=64, classes=10)
    algorithm = averaging("peer", AveragingParams, scikit.tables_only, learner)
    with pytest.raises(Refused, match="scaffold needs gradients"):
        algorithm.start(AveragingParams(5, 400, rounds=1, method="scaffold"))
    with pytest.raises(Refused, match="shows no gradient"):
        summed(algorithm, AveragingParams(5, 400, rounds=1, method="fedprox", proximal=1.0), [digits(LEARN[:9])])
    with pytest.raises(Refused, match="start elsewhere"):
        scikit.learner_of(SGDClassifier(), columns=64, classes=10)
    with pytest.raises(Refused, match="names no columns"):
        algorithm.prepare(AveragingParams(5, 400, rounds=1), {})


def test_a_learner_is_a_function_away():
    """The smallest there is: everybody's mean, found by averaging."""

    def train(plan, weights, table, seed, pull):
        return table.values.mean(axis=0) - weights, len(table)

    learner = Learner(averaging=lambda plan: plan, start=lambda plan: np.zeros(64), train=train)
    algorithm = averaging("mean", AveragingParams, scikit.tables_only, learner)
    state = summed(algorithm, AveragingParams(5, 400, rounds=1), [digits(rows) for rows in SORTED])
    assert np.abs(weights_of(state) - digits(LEARN).values.mean(axis=0)).max() < 1e-4


@pytest.mark.parametrize("hidden", [(), (16,), (12, 6)])
def test_what_columns_add_to_an_answer(hidden):
    """They add up; without a hidden layer they are weight times value; else slopes along the way, finely added up."""
    params = plan(hidden=hidden, rounds=2, epochs=2, rate=0.05)
    state, table = summed(NEURAL, params, [digits(rows) for rows in ALIKE]), digits(JUDGE[:7])
    answers, scores = answers_of("neural", params, state), outputs(params, state, table)
    best, second = np.argsort(-scores, axis=1)[:, :2].T
    parts, rows = answers.parts(table, best, second), np.arange(7)
    assert parts.base + parts.columns.sum(axis=1) == pytest.approx(scores[rows, best] - scores[rows, second], abs=1e-9)
    if not hidden:
        matrix, _ = layers(params, weights_of(state))[0]
        assert parts.columns == pytest.approx((matrix[:, best] - matrix[:, second]).T * table.values, abs=1e-12)
        return
    steps, shift, way = 2000, 1e-6, np.zeros(64)
    for step in range(steps):
        at = table.values[:1] * ((step + 0.5) / steps)
        moved = Table(at + np.vstack([np.eye(64), -np.eye(64)]) * shift, np.zeros(128))
        up, down = np.split(outputs(params, state, moved)[:, [best[0], second[0]]] @ [1.0, -1.0], 2)
        way += (up - down) / (2 * shift) / steps
    assert np.abs(parts.columns[0] - way * table.values[0]).max() < 0.02 * np.abs(parts.columns[0]).max()


@pytest.mark.outside
def test_a_keras_model_is_trained_in_rounds(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("jax", reason="the jax back end is not installed (pip install hanse[keras])")
    keras = pytest.importorskip("keras", reason="Keras 3 is not installed (pip install hanse[keras])")

    def build():
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, activation="relu"),
                                  keras.layers.Dense(10, activation="softmax")])  # fmt: skip
        model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
        return model

    algorithm = averaging("keras", AveragingParams, scikit.tables_only, keras_model.learner_of(build))
    params = AveragingParams(5, 400, rounds=4, epochs=4, clip=2.0)
    state, again = (summed(algorithm, params, [digits(rows) for rows in ALIKE]) for _ in range(2))
    model = keras_model.model_of(build, weights_of(state))
    assert (model.predict(digits(JUDGE).values, verbose=0).argmax(axis=1) == Y[JUDGE]).mean() >= 0.9
    assert again == state
