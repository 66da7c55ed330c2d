"""Learning and judging in one training: the same records held out whoever holds them, the same figures."""

import os

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from federation.algorithms.evaluation import report_of
from federation.algorithms.held_out import LOGISTIC_HELD_OUT, HeldOutParams, split
from federation.algorithms.logistic import LogisticParams, scores
from federation.errors import Refused
from federation.simulate import pooled, train
from federation.tables import Feature, Table, Target


@pytest.fixture(scope="module")
def everything():
    data = load_breast_cancer()
    values = data.data[:, :6]
    low, high = values.min(axis=0), values.max(axis=0)
    features = tuple(Feature(f"x{i}", float(low[i]), float(high[i])) for i in range(6))
    params = HeldOutParams(LogisticParams(features, Target("y", 0.5), members=4, records=600))
    columns = {f"x{i}": values[:, i] for i in range(6)} | {"y": data.target}
    return params, LOGISTIC_HELD_OUT.prepare(params, columns)


def part(table: Table, rows) -> Table:
    return Table(table.values[rows], table.target[rows])


def test_what_is_held_out_depends_on_the_record_alone(everything):
    params, table = everything
    order = np.random.default_rng(3).permutation(len(table))
    _, judged = split(params, table)
    _, again = split(params, part(table, order))
    assert sorted(map(bytes, judged.values)) == sorted(map(bytes, again.values))
    assert 0.15 < len(judged) / len(table) < 0.35


def test_a_missing_value_is_one_value_and_minus_zero_is_zero(everything):
    params, _ = everything
    other = np.array([np.nan]).view(np.uint64) | np.uint64(1)
    values = np.linspace(-1, 1, 200)
    one = Table(np.column_stack([values, np.full(200, np.nan), np.zeros(200)]), np.zeros(200))
    two = Table(np.column_stack([values, np.full(200, other.view(float)[0]), np.full(200, -0.0)]), np.zeros(200))
    assert 0 < len(split(params, one)[1]) < 200
    assert split(params, one)[1].values[:, 0].tolist() == split(params, two)[1].values[:, 0].tolist()


def test_federated_figures_equal_pooled_ones(everything):
    params, table = everything
    by_label = np.argsort(table.target, kind="stable")
    members = [part(table, rows) for rows in np.array_split(by_label, 4)]
    federated = train(LOGISTIC_HELD_OUT, params, members, rand=os.urandom)
    alone = pooled(LOGISTIC_HELD_OUT, params, table)
    assert federated.totals == alone.totals
    assert federated.state == alone.state


def test_the_figures_are_those_of_the_held_out_records(everything):
    params, table = everything
    state = pooled(LOGISTIC_HELD_OUT, params, table).state
    _, judged = split(params, table)
    right = (scores(params.model, state.model, judged) > 0) == (judged.target > 0)
    assert report_of(state.evaluation).accuracy == right.mean()
    assert report_of(state.evaluation).accuracy > 0.85


def test_nothing_left_to_learn_from_is_refused(everything):
    with pytest.raises(Refused, match="nothing would be left"):
        HeldOutParams(everything[0].model, every=1)
