"""Noise: from the distribution it is said to be from, as much as the plan promises, room for it, and what it hides."""

import hashlib
import math
import os
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_breast_cancer

from federation import privacy, records
from federation.algorithms import advance, fitted_of, vector
from federation.algorithms.known import named
from federation.algorithms.private import PRIVATE_LOGISTIC, PrivateParams, PrivateState, noise_for, scores
from federation.errors import Refused, Untrusted
from federation.privacy import (
    Noise,
    discrete_gaussian,
    epsilon_of,
    plan_noise,
    rounded,
    stream,
)
from federation.simulate import pooled, train
from federation.tables import Classes, Feature, Table
from federation.vectors import Block, Layout

X, Y = load_breast_cancer(return_X_y=True)
CANCER = PrivateParams(
    tuple(Feature(f"f{j}", 2 * low - high, high) for j, (low, high) in enumerate(zip(X.min(0), X.max(0)))),
    Classes("y", ("0", "1")), members=5, records=600, total=569, rounds=30, rate=10.0,
)  # fmt: skip


def cancer(rows):
    return PRIVATE_LOGISTIC.prepare(CANCER, {"y": Y[rows], **{f"f{j}": X[rows, j] for j in range(30)}})


def chances(variance):
    """Of each whole number within 12 deviations."""
    reach = math.ceil(12 * math.sqrt(variance)) + 1
    x = np.arange(-reach, reach + 1)
    weights = np.exp(-(x**2) / (2 * variance))
    return x, weights / weights.sum()


@pytest.mark.parametrize("variance", [1, 3, 16, 100])
def test_draws_are_from_the_discrete_gaussian(variance):
    """Chi-square of 40,000 draws against the chances themselves; the seed is fixed, so is the outcome."""
    x, expected = chances(variance)
    found = discrete_gaussian(variance, 40_000, stream(b"chi-square"))
    seen = np.bincount(found - x[0], minlength=len(x))
    often = expected * 40_000 >= 5
    observed, wanted = np.append(seen[often], seen[~often].sum()), np.append(expected[often], expected[~often].sum())
    assert stats.chisquare(observed, wanted * 40_000).pvalue > 0.001


def test_the_test_sees_a_distribution_that_is_a_little_off():
    """Rounded normals of the same variance are refused at this size: the test above can fail."""
    x, expected = chances(1)
    found = np.rint(np.random.default_rng(0).normal(0, 1, 40_000)).astype(int)
    seen = np.bincount(found - x[0], minlength=len(x))
    often = expected * 40_000 >= 5
    wanted = expected[often] / expected[often].sum() * seen[often].sum()
    assert stats.chisquare(seen[often], wanted).pvalue < 1e-6


def test_large_noise_has_its_moments():
    deviation = 1 << 20
    found = discrete_gaussian(deviation**2, 50_000, stream(b"moments")) / deviation
    assert abs(found.mean()) < 4 / math.sqrt(50_000)
    assert abs(found.var() - 1) < 4 * math.sqrt(2 / 50_000)
    assert stats.kstest(found, "norm").pvalue > 0.001


def test_a_hundred_thousand_draws_take_seconds():
    start = time.process_time()
    assert len(discrete_gaussian(10**10, 100_000, os.urandom)) == 100_000
    assert time.process_time() - start < 5


def test_what_doubles_cannot_tell_is_decided_exactly(monkeypatch):
    """With so wide a slack that every draw is decided by integers: the same distribution, another way."""
    monkeypatch.setattr(privacy, "SLACK", 2.0)
    x, expected = chances(4)
    found = discrete_gaussian(4, 500, stream(b"exact"))
    seen = np.bincount(found - x[0], minlength=len(x))
    often = expected * 500 >= 5
    observed, wanted = np.append(seen[often], seen[~often].sum()), np.append(expected[often], expected[~often].sum())
    assert stats.chisquare(observed, wanted * 500).pvalue > 0.001


@given(st.fractions(min_value=0, max_value=60, max_denominator=10**6), st.integers(53, 300))
def test_bounds_hold_the_chance_between_them(gamma, bits):
    low, high = privacy._bounds(gamma, bits)
    assert 0 <= low <= high <= low + 2
    assert low / 2**bits <= math.exp(-gamma) * (1 + 1e-12)
    assert high / 2**bits >= math.exp(-gamma) * (1 - 1e-12)


def test_a_chance_of_one_half_is_decided_by_the_bits():
    """e^-ln 2, from both sides: the first bit of the number decides, whatever comes after."""
    near = Fraction(math.log(2.0))
    assert privacy._decide((1 << 52) - 2, near, os.urandom)
    assert not privacy._decide((1 << 52) + 2, near, os.urandom)


def divergence(variance, shift, epsilon):
    """The exact delta of one sum: what of P lies above e^epsilon Q, for noise moved by `shift`."""
    x, chance = chances(variance)
    moved = np.exp(-((x - shift) ** 2) / (2 * variance)) * chance.max()
    return np.maximum(chance - math.exp(epsilon) * moved, 0).sum()


@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 1e-5), (1.0, 1e-5), (4.0, 1e-6), (8.0, 1e-5)])
def test_what_is_promised_is_kept_and_not_much_more(epsilon, delta):
    """The exact divergence of a single sum is under delta, and over it with a fifth less noise."""
    planned = plan_noise(int(1000 * epsilon), delta=delta, survivors=1, rounds=1, sensitivity=20.0, length=1)
    variance = planned.deviation**2
    assert divergence(variance, 20, epsilon) <= delta
    assert divergence(variance * 0.64, 20, epsilon) > delta
    assert planned.spent(20.0, 1) <= epsilon


@pytest.mark.parametrize("rho", [1e-6, 1e-4, 0.02, 0.5, 10.0])
def test_the_orders_of_the_account_are_fine_enough(rho):
    """Against the bound at its best order, found by trying many (Canonne, Kamath & Steinke 2020, corollary 13)."""
    delta = 1e-5
    above = math.sqrt(math.log(1 / delta) / rho) * np.geomspace(0.01, 10, 1_000_000)
    best = ((above + 1) * rho + np.log1p(-1 / (above + 1)) - np.log(delta * (above + 1)) / above).min()
    assert best <= epsilon_of(rho, delta) * (1 + 1e-12)
    assert epsilon_of(rho, delta) == pytest.approx(best, rel=1e-4)


def test_the_fewest_survivors_bring_enough():
    """More members or fewer rounds only help; each part is as large as the fewest must bring."""
    moved = rounded(1.0, scale=16, length=650)
    three, twelve = (
        plan_noise(2000, delta=1e-5, survivors=n, rounds=50, sensitivity=moved, length=650) for n in (3, 12)
    )
    assert 2.0 * twelve.deviation == pytest.approx(three.deviation, rel=1e-3)
    assert three.spent(moved, 650) == pytest.approx(2.0, rel=1e-3)
    assert three.spent(moved, 650) <= 2.0
    assert replace(three, survivors=5).spent(moved, 650) < 1.6
    assert replace(three, deviation=three.deviation - 1).spent(moved, 650) > 2.0
    three.check(moved, 650)
    with pytest.raises(Refused, match="too small for what the plan promises"):
        replace(three, epsilon=1990).check(moved, 650)
    with pytest.raises(Refused, match="too coarse"):
        replace(three, deviation=7)


def test_rounding_counts_as_sensitivity():
    """The worst record there is: a gradient of norm 1 whose every lane is rounded up."""
    length, scale = 100, 4
    worst = np.full(length, 0.1)
    steps = Layout(64, 1, 1, (Block("g", length, scale, 1.0),))["g"].quantise(worst)
    assert np.linalg.norm(steps) > 2**scale
    assert np.linalg.norm(steps) <= rounded(1.0, scale=scale, length=length)


def test_a_layout_leaves_room_for_the_tails_of_all_members():
    noise = Noise(1000, 1e-5, survivors=3, rounds=1, deviation=1 << 16)
    assert noise.most == 40 << 16
    Layout(32, 10, 1000, (Block("g", 1, 16, 1.0),))
    Layout(32, 10, 1000, (Block("g", 1, 16, 1.0, noise=noise.most),))
    with pytest.raises(Refused) as caught:
        Layout(32, 10, 3000, (Block("g", 1, 16, 1.0, noise=noise.most * 10),))
    assert caught.value.clause == "overflow"
    layout = Layout(32, 2, 1, (Block("g", 1, 0, 1.0, noise=5),))
    lanes = layout.encode({"g": np.array([1])}, records=1, noise={"g": np.array([-5])})
    assert layout.decode(lanes)["g"] == [-4]
    with pytest.raises(Refused, match="noise without room"):
        layout.encode({"g": np.array([1])}, records=1, noise={"g": np.array([6])})
    assert layout.decode(np.array([12], dtype="<u4"))["g"] == [12]
    with pytest.raises(Untrusted):
        layout.decode(np.array([13], dtype="<u4"))


def test_a_member_that_comes_back_draws_the_same_noise():
    params = replace(CANCER, noise=noise_for(CANCER, epsilon=1000, delta=1e-5, survivors=3))
    state, table = PRIVATE_LOGISTIC.start(params), cancer(np.arange(50))
    first, again, other = (vector(PRIVATE_LOGISTIC, params, state, table, stream(s)) for s in (b"s", b"s", b"t"))
    assert (first == again).all()
    assert (first != other).mean() > 0.9
    with pytest.raises(Refused, match="drawn from something"):
        vector(PRIVATE_LOGISTIC, params, state, table)


def test_beneath_the_noise_split_records_equal_the_pool():
    parts, state = np.array_split(np.argsort(Y, kind="stable"), 5), PRIVATE_LOGISTIC.start(CANCER)
    whole = pooled(PRIVATE_LOGISTIC, CANCER, cancer(np.arange(569)), os.urandom)
    for total in whole.totals:
        lanes = [vector(PRIVATE_LOGISTIC, CANCER, state, cancer(rows), os.urandom) for rows in parts]
        assert hashlib.sha256(np.sum(lanes, axis=0, dtype="<u8")).digest() == hashlib.sha256(total).digest()
        state = advance(PRIVATE_LOGISTIC, CANCER, state, np.frombuffer(total, dtype="<u8"))
    assert state == whole.state
    weights = fitted_of(PRIVATE_LOGISTIC, CANCER, state).arrays["weights"]
    assert np.allclose(weights[:, 0] + X @ weights[:, 1:].T, scores(CANCER, state, cancer(np.arange(569))), atol=1e-9)


def test_no_record_moves_a_sum_by_more_than_the_plan_says():
    """Over single records and wild weights: the norm of what each adds, in steps."""
    dice = np.random.default_rng(0)
    wild = replace(PRIVATE_LOGISTIC.start(CANCER), weights=dice.normal(0, 30, CANCER.length).astype("<f8").tobytes())
    norms = [np.linalg.norm(PRIVATE_LOGISTIC.local(CANCER, wild, cancer([i]))["gradient"].astype(float))
             for i in range(100)]  # fmt: skip
    assert max(norms) > 0.99 * 2**CANCER.scale
    assert max(norms) <= CANCER.sensitivity


def test_noise_costs_accuracy_by_how_much_it_hides(rand):
    """Through masks; epsilon 8 is near to none, 0.05 is near to guessing."""
    parts = [cancer(rows) for rows in np.array_split(np.random.default_rng(0).permutation(569), 3)]
    found = {}
    for epsilon in (8000, 50):
        short = replace(CANCER, rounds=20)
        params = replace(short, noise=noise_for(short, epsilon=epsilon, delta=1e-5, survivors=3))
        state = train(PRIVATE_LOGISTIC, params, parts, rand=rand).state
        found[epsilon] = (scores(params, state, cancer(np.arange(569))).argmax(axis=1) == Y).mean()
    assert found[8000] > 0.9
    assert found[8000] > found[50]


def test_plan_and_state_are_plain_records():
    params = replace(CANCER, noise=noise_for(CANCER, epsilon=500, delta=1e-6, survivors=3))
    assert records.load(PrivateParams, records.dump(params)) == params
    assert records.load(PrivateParams, records.dump(CANCER)) == CANCER
    state = PRIVATE_LOGISTIC.start(params)
    assert records.load(PrivateState, records.dump(state)) == state
    assert named("private-logistic") is PRIVATE_LOGISTIC


def test_a_plan_that_promises_more_than_its_noise_keeps_is_refused():
    noise = noise_for(CANCER, epsilon=1000, delta=1e-5, survivors=3)
    for change, clause in (({"clip": 2.0}, "epsilon"), ({"rounds": 31}, "rounds"), ({"scale": 17}, "epsilon"),
                           ({"rate": 0.0}, "plan")):  # fmt: skip
        with pytest.raises(Refused) as caught:
            replace(CANCER, noise=noise, **change)
        assert caught.value.clause == clause


def test_holes_are_no_news():
    table = Table(np.full((1, 30), np.nan), np.zeros(1))
    found = PRIVATE_LOGISTIC.local(CANCER, PRIVATE_LOGISTIC.start(CANCER), table)["gradient"].reshape(31, 2)
    assert found[0].tolist() == [-(1 << 15), 1 << 15]
    assert not found[1:].any()
