"""Rows put to a model: answered as the training would, and each value that does not fit refused by name."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from federation import portable
from federation.algorithms import logistic
from federation.tables import encode
from node.errors import Misuse, Refused
from node.scoring import Trained, answered, columns_of_rows
from node.sums import plan_of
from tests.node import models_at_hand
from tests.node.models_at_hand import machines

trained = cache(models_at_hand.trained)
GOOD = {"load": 7.5, "kind": "b"}


def test_a_chance_is_the_models_own() -> None:
    found, records = trained("chance"), machines(40)
    columns = {name: records[name] for name in ("load", "kind")}
    table = encode(columns, found.plan.params.model.features)
    chances = portable.sigmoid(logistic.scores(found.plan.params.model, found.state.model, table))
    assert [answer.chance for answer in answered(found, columns)] == chances.tolist()


@pytest.mark.parametrize("kind", ["chance", "number", "classes"])
def test_contributions_name_every_input_and_add_up(kind: str) -> None:
    found = trained(kind)
    (answer,) = answered(found, columns_of_rows(found, [GOOD]))
    assert {(one.feature, one.value) for one in answer.because} == {("load", "7.5"), ("kind", "b")}
    score = answer.base + sum(one.amount for one in answer.because)
    if kind == "chance":
        assert answer.chance == pytest.approx(1 / (1 + np.exp(-score)))
    elif kind == "number":
        assert answer.number == pytest.approx(score)
    else:
        first, second = sorted(answer.chances, reverse=True)[:2]
        assert (answer.chance, answer.label) == (first, "bad")
        assert np.log(first / second) == pytest.approx(score)


def test_more_load_is_said_to_raise_the_chance() -> None:
    found = trained("chance")
    low, high = answered(found, columns_of_rows(found, [{"load": 1, "kind": "a"}, {"load": 9, "kind": "a"}]))
    assert (low.because[0].feature, low.because[0].amount < 0) == ("load", True)
    assert (high.because[0].feature, high.because[0].amount > 0) == ("load", True)
    assert (low.chance or 0) < (high.chance or 0)


@pytest.mark.parametrize(
    ("change", "clause", "message"),
    [
        ({"laod": 3}, "laod", "no such input"),
        ({"load": 10.5}, "load", "row 1: load is out of range"),
        ({"load": -0.1}, "load", "out of range"),
        ({"load": None}, "load", "is missing"),
        ({"load": ""}, "load", "is missing"),
        ({"load": -1}, "load", "is missing"),  # the plan's own word for it
        ({"load": float("nan")}, "load", "not a number"),
        ({"load": "NaN"}, "load", "not a number"),
        ({"load": float("inf")}, "load", "not a number"),
        ({"load": "seven"}, "load", "not a number"),
        ({"kind": "c"}, "kind", "none of the levels"),
        ({"kind": None}, "kind", "is missing"),
        ({"kind": "<script>"}, "kind", "none of the levels"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], clause: str, message: str) -> None:
    found = trained("chance")
    with pytest.raises(Misuse, match=message) as no:
        answered(found, columns_of_rows(found, [GOOD | change]))
    assert no.value.clause == clause


def test_a_column_that_is_not_there_is_named_and_so_is_the_row() -> None:
    found = trained("chance")
    with pytest.raises(Misuse) as no:
        answered(found, {"load": ["1"]})
    assert no.value.clause == "kind"
    with pytest.raises(Misuse, match="row 102: load"):
        answered(found, {"load": ["1", "2", "x"], "kind": ["a", "b", "a"]}, first=100)


def test_what_is_missing_counts_as_in_the_training_where_that_is_asked_for() -> None:
    found = trained("chance")
    missing, coded = answered(found, columns_of_rows(found, [{"kind": "a"}, {"load": -1, "kind": "a"}]), missing=True)
    assert missing.chance == coded.chance
    assert next(one.amount for one in missing.because if one.feature == "load") == 0.0
    with pytest.raises(Misuse, match="out of range"):
        answered(found, columns_of_rows(found, [{"load": 11, "kind": "a"}]), missing=True)


def test_a_result_that_answers_nothing_says_so() -> None:
    from node.cards import asked

    plan = plan_of(
        "groups", "k-means", {"features": models_at_hand.FEATURES, "clusters": 2, "members": 3, "records": 9}
    )
    with pytest.raises(Refused, match="nothing about a single record"):
        asked(plan, None)


def test_a_trained_model_is_one_record() -> None:
    found: Trained = trained("number")
    assert (found.answers.kind, found.answers.classes) == ("number", ())
