"""Models as files: the same bytes for the same sums, and nothing of a foreign file is believed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save

from node.errors import Untrusted
from node.model import TrainingId
from node.models import LIMIT, decode_model, encode_model, model_of, records_of
from node.sums import Plan, plan_of, state_after

TRAINING = TrainingId("0x" + "77" * 32)
LINEAGE = {"training": TRAINING, "algorithm": "logistic", "columns": ["x"]}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of("one column", "logistic", {
        "features": [{"name": "x", "low": 0, "high": 10}], "target": {"name": "y", "above": 0}, "members": 3,
        "records": 30, "rounds": 3,
    })  # fmt: skip


@pytest.fixture(scope="module")
def totals(plan: Plan) -> list[bytes]:
    from federation.simulate import pooled

    table = {"x": [str(v % 10) for v in range(20)], "y": [str(int(v % 3 == 0)) for v in range(20)]}
    return list(pooled(plan.steps, plan.params, plan.steps.prepare(plan.params, table)).totals)


def test_a_model_survives_its_file_and_the_file_is_the_same_everywhere(plan: Plan, totals: list[bytes]) -> None:
    state = state_after(plan, totals, width=64)
    data = encode_model(plan, state, TRAINING)
    assert data == encode_model(plan, state_after(plan, totals, width=64), TRAINING)
    found, made = decode_model(data), model_of(plan, state, TRAINING)
    assert (found.training, found.algorithm, found.columns) == (made.training, made.algorithm, made.columns)
    assert np.array_equal(found.weights, made.weights)
    assert records_of(plan, state) == 20


def file(weights: object, lineage: object = LINEAGE, **more: object) -> bytes:
    return bytes(save({"weights": weights, **more}, metadata={"hanse": json.dumps(lineage)}))


def test_the_files_of_this_table_are_models_but_for_one_thing() -> None:
    assert decode_model(file(np.zeros(2))).columns == ("x",)


@pytest.mark.parametrize(
    ("data", "clause"),
    [
        (b"", "model"),
        (b"\x00" * 8, "model"),
        (b"\xff" * 100, "model"),
        (file(np.zeros(2))[:-1], "model"),
        (bytes(save({"weights": np.zeros(2)})), "model"),
        (file(np.zeros(2), {}), "model"),
        (file(np.zeros(2), LINEAGE | {"columns": 3}), "model"),
        (file(np.zeros(3)), "shape"),
        (file(np.zeros((1, 2))), "shape"),
        (file(np.zeros(2, dtype=np.float32)), "shape"),
        (file(np.zeros(2), other=np.zeros(1)), "shape"),
        (file(np.array([1.0, np.nan])), "finite"),
        (file(np.array([np.inf, 1.0])), "finite"),
        (b"\x00" * (LIMIT + 1), "size"),
        (file(np.zeros(2), LINEAGE | {"algorithm": "oracle"}), "model"),
        (file(np.zeros(2), LINEAGE | {"algorithm": "k-means"}), "shape"),
    ],
)
def test_a_foreign_file_is_not_believed(data: bytes, clause: str) -> None:
    with pytest.raises(Untrusted) as caught:
        decode_model(data)
    assert caught.value.clause == clause


FEATURES = [{"name": "x", "low": 0, "high": 10}, {"name": "z", "low": 0, "high": 10}]
LIMITS = {"features": FEATURES, "members": 3, "records": 60}
KINDS = {"name": "kind", "levels": ["a", "b", "c"]}
NUMBER = {"name": "z", "low": 0, "high": 10}
PLANS = {
    "ridge": {"target": NUMBER},
    "poisson": {"target": NUMBER},
    "gaussian-naive-bayes": {"target": KINDS},
    "linear-discriminant": {"target": KINDS},
    "multinomial": {"target": KINDS},
    "k-means": {"clusters": 2},
    "pca": {"components": 1},
    "statistics": {"minimum": 1},
}
CLASSED = {"gaussian-naive-bayes", "linear-discriminant", "multinomial"}
RECORDS = {
    "x": [str(v * 7 % 11 % 10) for v in range(40)],
    "z": [str(v * 5 % 13 % 10) for v in range(40)],
    "kind": ["abc"[(v * 7 % 11) // 4] for v in range(40)],
}


def trained(name: str) -> tuple[Plan, list[bytes]]:
    from federation.simulate import pooled

    plan = plan_of(name, name, LIMITS | PLANS[name])
    return plan, list(pooled(plan.steps, plan.params, plan.steps.prepare(plan.params, RECORDS)).totals)


@pytest.mark.parametrize("name", PLANS)
def test_any_algorithms_model_survives_its_file(name: str) -> None:
    plan, totals = trained(name)
    assert Plan.decode(plan.encode()) == plan
    state = state_after(plan, totals, width=64)
    data = encode_model(plan, state, TRAINING)
    assert data == encode_model(plan, state_after(plan, totals, width=64), TRAINING)
    found, made = decode_model(data), model_of(plan, state, TRAINING)
    assert (found.algorithm, found.columns, found.classes) == (name, ("x", "z"), made.classes)
    assert found.arrays.keys() == made.arrays.keys() == plan.steps.shapes.keys()
    assert all(np.array_equal(found.arrays[key], made.arrays[key]) for key in found.arrays)
    assert found.classes == (("a", "b", "c") if name in CLASSED else ())
    assert len(found.weights) == (3 if name in ("ridge", "poisson") else 0)
    assert records_of(plan, state) == 40


@pytest.mark.parametrize("name", PLANS)
def test_arrays_that_do_not_fit_together_are_not_believed(name: str) -> None:
    plan, totals = trained(name)
    model = model_of(plan, state_after(plan, totals, width=64), TRAINING)
    lineage = {"training": TRAINING, "algorithm": name, "columns": ["x", "z"], "classes": list(model.classes)}
    arrays = {key: np.array(array) for key, array in model.arrays.items()}

    def refused(changed: dict[str, np.ndarray], lineage: dict[str, object], clause: str) -> None:
        with pytest.raises(Untrusted) as caught:
            decode_model(bytes(save(changed, metadata={"hanse": json.dumps(lineage)})))
        assert caught.value.clause == clause

    refused(arrays, lineage | {"columns": ["x"]}, "shape")
    refused(arrays, lineage | {"algorithm": "oracle"}, "model")
    for key, array in arrays.items():
        refused({k: a for k, a in arrays.items() if k != key} | {"other": array}, lineage, "shape")
        refused(arrays | {key: np.full(array.shape, np.nan)}, lineage, "finite")
        refused(arrays | {key: array.astype(np.float32)}, lineage, "shape")
        refused(arrays | {key: array[None]}, lineage, "shape")
    if model.classes:
        refused(arrays, lineage | {"classes": ["a", "b"]}, "shape")
