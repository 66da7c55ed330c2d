"""Raw columns as bounded numbers, read alike by every member or refused."""

import numpy as np
import pandas as pd
import pytest

from federation.errors import Refused
from federation.tables import Feature, Target, encode

AGE = Feature("age", 0, 120)
CHOL = Feature("chol", 50, 250, missing=(0.0,))
SEX = Feature("sex", levels=("Female", "Male"))
PAIN = Feature("pain", levels=("none", "some", "much"), indicator=True)
ILL = Target("num", above=0)
RAW = {
    "age": [0, 60, 120],
    "chol": [0, 150, None],
    "sex": ["Male", "Female", None],
    "pain": ["much", "none", ""],
    "num": [0, 3, 1],
}


def test_numbers_go_to_the_middle_of_their_range():
    table = encode(RAW, [AGE], ILL)
    assert table.values.tolist() == [[-1.0], [0.0], [1.0]]
    assert table.target.tolist() == [0.0, 1.0, 1.0]
    assert len(table) == 3


def test_what_stands_for_missing_is_missing():
    assert np.array_equal(encode(RAW, [CHOL], ILL).values, [[np.nan], [0.0], [np.nan]], equal_nan=True)


def test_levels_become_columns_and_missing_is_no_level():
    assert SEX.columns == ("sex=Male",)
    assert PAIN.columns == ("pain=some", "pain=much", "pain missing")
    values = encode(RAW, [SEX, PAIN], ILL).values
    expected = [[1, 0, 1, 0], [0, 0, 0, 0], [np.nan, np.nan, np.nan, 1]]
    assert np.array_equal(values, expected, equal_nan=True)


def test_a_data_frame_will_do():
    assert np.array_equal(encode(pd.DataFrame(RAW), [AGE, CHOL, SEX, PAIN], ILL).values,
                          encode(RAW, [AGE, CHOL, SEX, PAIN], ILL).values, equal_nan=True)  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value", "clause"),
    [
        ("age", 121, "range"),
        ("age", -1, "range"),
        ("age", "old", "number"),
        ("age", float("inf"), "number"),
        ("sex", "male", "levels"),
        ("num", None, "target"),
        ("num", "ill", "number"),
    ],
)
def test_a_value_the_plan_does_not_allow_is_named(column, value, clause):
    raw = {**RAW, column: [*RAW[column][:2], value]}
    with pytest.raises(Refused) as caught:
        encode(raw, [AGE, SEX], ILL)
    assert caught.value.clause == clause
    assert column in str(caught.value)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(Refused, match="no column height"):
        encode(RAW, [Feature("height", 0, 3)], ILL)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Feature("x", 1, 1),
        lambda: Feature("x", 2, 1),
        lambda: Feature("x", levels=("one",)),
        lambda: Feature("x", levels=("one", "one")),
        lambda: Feature("x", float("nan"), 1),
    ],
)
def test_a_feature_that_says_nothing_is_refused(build):
    with pytest.raises(Refused):
        build()


def test_every_value_in_range_stays_within_one():
    """Whatever the division rounds to."""
    dice = np.random.default_rng(3)
    for low, high in dice.uniform(-1000, 1000, (2000, 2)):
        if low < high:
            values = encode({"x": [low, high], "num": [0, 1]}, [Feature("x", low, high)], ILL).values
            assert np.abs(values).max() <= 1.0
