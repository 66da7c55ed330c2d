"""What a member is told about suspicious columns: named, and never refused."""

import numpy as np
import pytest

from federation.leaks import warnings_of
from federation.tables import Classes, Feature, Quantity, Target

N = 60
DICE = np.random.default_rng(11)
LABEL = (DICE.uniform(size=N) < 0.5).astype(int)
COLUMNS = {
    "id": np.arange(N),
    "name": [f"n{i}" for i in range(N)],
    "age": DICE.integers(20, 60, N),
    "speed": DICE.uniform(size=N),
    "outcome": np.where(LABEL == 1, "ill", "well"),
    "dose": LABEL * 0.5 + DICE.uniform(size=N) * 0.4,
    "same": np.full(N, 3.0),
    "gone": [None] * N,
    "price": DICE.uniform(0, 10, N),
    "y": LABEL,
}
COLUMNS["pounds"] = COLUMNS["price"] * 0.8 + 1
ID, NAME = Feature("id", 0, 100), Feature("name", levels=tuple(COLUMNS["name"]))
AGE, SPEED, DOSE = Feature("age", 0, 100), Feature("speed", 0, 1), Feature("dose", 0, 1)
OUTCOME = Feature("outcome", levels=("ill", "well"))
SAME, GONE, POUNDS = Feature("same", 0, 10), Feature("gone", 0, 1), Feature("pounds", 0, 20)
ILL, KIND, PRICE = Target("y", 0.5), Classes("y", ("0", "1")), Quantity("price", 0, 10)


@pytest.mark.parametrize(
    ("feature", "target", "kinds"),
    [
        (ID, ILL, ["identifies"]),
        (NAME, KIND, ["identifies"]),
        (AGE, ILL, []),
        (SPEED, ILL, []),
        (OUTCOME, ILL, ["decides"]),
        (OUTCOME, KIND, ["decides"]),
        (DOSE, KIND, ["decides"]),
        (SAME, ILL, ["constant"]),
        (GONE, ILL, ["constant"]),
        (POUNDS, PRICE, ["decides"]),
        (SPEED, PRICE, []),
        (ID, None, ["identifies"]),
        (OUTCOME, None, []),
    ],
)
def test_each_column_gets_what_it_deserves(feature, target, kinds):
    found = warnings_of(COLUMNS, [AGE, feature], target)
    assert [(one.column, one.kind) for one in found] == [(feature.name, kind) for kind in kinds]
    assert all(one.column in one.text for one in found)


def test_an_id_in_the_order_of_the_labels_decides_too():
    order = np.argsort(LABEL, kind="stable")
    found = warnings_of({"id": np.arange(N), "y": LABEL[order]}, [ID], ILL)
    assert [one.kind for one in found] == ["identifies", "decides"]


def test_one_exception_is_enough_to_decide_nothing():
    outcome = COLUMNS["outcome"].copy()
    outcome[0] = "well" if LABEL[0] == 1 else "ill"
    assert warnings_of(COLUMNS | {"outcome": outcome}, [OUTCOME], ILL) == ()


def test_holes_are_not_counted_and_do_not_hide():
    outcome = COLUMNS["outcome"].astype(object)
    outcome[:20] = None
    assert [one.kind for one in warnings_of(COLUMNS | {"outcome": outcome}, [OUTCOME], ILL)] == ["decides"]


def test_few_records_say_nothing_and_one_label_decides_nothing():
    few = {name: cells[:9] for name, cells in COLUMNS.items()}
    assert warnings_of(few, [ID, NAME, OUTCOME, SAME], ILL) == ()
    assert warnings_of(COLUMNS | {"y": np.ones(N)}, [OUTCOME, DOSE], ILL) == ()
