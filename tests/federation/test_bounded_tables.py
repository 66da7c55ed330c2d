"""Raw columns as bounded numbers, read alike by every member or refused."""

import numpy as np
import pandas as pd
import pytest

from federation.errors import Refused
from federation.tables import Classes, Feature, Quantity, Target, encode

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


PRICE = Quantity("num", 0, 10)
KIND = Classes("pain", ("none", "some", "much"))


def test_a_number_to_predict_stays_as_it_is():
    assert encode(RAW, [AGE], PRICE).target.tolist() == [0.0, 3.0, 1.0]
    assert (PRICE.middle, PRICE.half) == (5.0, 5.0)


def test_a_class_to_predict_is_its_place():
    raw = RAW | {"pain": ["much", "none", "some"]}
    assert encode(raw, [AGE], KIND).target.tolist() == [2.0, 0.0, 1.0]


def test_whole_numbers_may_be_levels():
    levels = Classes("num", ("0", "3", "1"))
    for cells in (RAW["num"], np.array(RAW["num"]), [str(cell) for cell in RAW["num"]]):
        assert encode(RAW | {"num": cells}, [AGE], levels).target.tolist() == [0.0, 1.0, 2.0]


def test_without_a_target_it_is_nothing():
    assert encode(RAW, [AGE]).target.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("target", "column", "value", "clause"),
    [
        (PRICE, "num", 11, "range"),
        (PRICE, "num", None, "target"),
        (PRICE, "num", float("nan"), "target"),
        (PRICE, "num", float("-inf"), "number"),
        (PRICE, "num", "dear", "number"),
        (PRICE, "num", [1], "number"),
        (PRICE, "age", {}, "number"),
        (KIND, "pain", "awful", "levels"),
        (KIND, "pain", None, "target"),
        (KIND, "pain", 3, "levels"),
    ],
)
def test_a_target_that_does_not_fit_is_named(target, column, value, clause):
    full = RAW | {"pain": ["much", "none", "some"]}
    raw = {**full, column: [*full[column][:2], value]}
    with pytest.raises(Refused) as caught:
        encode(raw, [AGE], target)
    assert caught.value.clause == clause
    assert column in str(caught.value)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Quantity("y", 1, 1),
        lambda: Quantity("y", float("nan"), 1),
        lambda: Classes("y", ("one",)),
        lambda: Classes("y", ("one", "one")),
        lambda: Classes("y", ("one", "")),
    ],
)
def test_a_target_that_says_nothing_is_refused(build):
    with pytest.raises(Refused) as caught:
        build()
    assert caught.value.clause == "target"


def test_numpy_columns_read_as_lists_do():
    numbers = np.array([0.0, 60.0, np.nan])
    for cells in (numbers, numbers.astype(np.float32), pd.Series(numbers), numbers.tolist()):
        assert np.array_equal(
            encode(RAW | {"age": cells}, [AGE], ILL).values, [[-1.0], [0.0], [np.nan]], equal_nan=True
        )


def test_columns_of_two_lengths_are_refused():
    with pytest.raises(Refused) as caught:
        encode(RAW | {"age": [1, 2]}, [AGE, SEX], ILL)
    assert caught.value.clause == "length"
    with pytest.raises(Refused):
        encode(RAW | {"num": [1, 2]}, [AGE], ILL)


def test_a_column_of_lists_is_refused():
    with pytest.raises(Refused, match="not one value a record"):
        encode(RAW | {"age": [[1], [2], [3]]}, [AGE], ILL)
