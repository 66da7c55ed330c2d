"""A trained model as a file: safetensors with its lineage, the same bytes wherever the same sums are known.

Never pickle, joblib or npz: a model comes from others. The one metadata entry is canonical JSON, because safetensors
does not order several.

    data = encode_model(plan, state, training_id)
    card = decode_model(data)            # Untrusted for other names, shapes, types or values
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import rfc8785
from numpy.typing import NDArray

from federation.algorithms import Fitted, check_arrays, fitted_of
from federation.algorithms.held_out import HeldOutState
from federation.algorithms.judging import Report
from federation.algorithms.known import named
from federation.errors import FederationError, Refused
from node.errors import Untrusted
from node.model import TrainingId
from node.sums import Plan

LIMIT = 64 << 20
_ENTRY = "hanse"


@dataclass(frozen=True)
class Model:
    """The named arrays that the algorithm's `shapes` describe, in the units of the records; `classes` may be empty."""

    training: TrainingId
    algorithm: str
    columns: tuple[str, ...]
    arrays: Mapping[str, NDArray[np.float64]]
    classes: tuple[str, ...] = ()

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of a model with one weight for each column: (1 + columns,), intercept first. Empty for any other."""
        one_each = named(self.algorithm).shapes.get("weights") == ("1 + columns",)
        return self.arrays["weights"] if one_each else np.empty(0)


def model_of(plan: Plan, state: Any, training: TrainingId) -> Model:
    """The model in an algorithm's last state."""
    found = fitted_of(plan.steps, plan.params, state)
    return Model(training, plan.algorithm, found.columns, found.arrays, found.classes)


def records_of(plan: Plan, state: Any) -> int:
    """Over how many records the last sum of the model ran."""
    return fitted_of(plan.steps, plan.params, state).records


def evaluation_of(plan: Plan, state: Any) -> Report | None:
    """The figures on held-out records, None where the plan holds none out, or nobody had one to hold out."""
    if not isinstance(state, HeldOutState):
        return None
    try:
        found: Report = plan.params.judging.report(state.evaluation)
    except Refused:
        return None
    return found


def encode_model(plan: Plan, state: Any, training: TrainingId) -> bytes:
    """The file's bytes."""
    from safetensors.numpy import save

    model = model_of(plan, state, training)
    lineage: dict[str, Any] = {"training": training, "algorithm": model.algorithm, "columns": list(model.columns)}
    if model.classes:
        lineage["classes"] = list(model.classes)
    arrays = {name: np.ascontiguousarray(array) for name, array in model.arrays.items()}
    return bytes(save(arrays, metadata={_ENTRY: rfc8785.dumps(lineage).decode()}))


def decode_model(data: bytes) -> Model:
    """The model behind a file from anywhere: names, shapes, types and finite values are checked."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if len(data) > LIMIT:
        raise Untrusted("the model is too large", clause="size", seen=len(data), needed=f"at most {LIMIT} bytes")
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        lineage = json.loads(header["__metadata__"][_ENTRY])
        columns, classes = tuple(lineage["columns"]), tuple(lineage.get("classes", ()))
        model = Model(lineage["training"], lineage["algorithm"], columns, tensors, classes)
        shapes = named(model.algorithm).shapes
    except (SafetensorError, KeyError, TypeError, ValueError) as exc:
        raise Untrusted(f"not a model of this alliance: {exc}", clause="model") from exc
    try:
        check_arrays(shapes, Fitted(columns, 0, tensors, classes))
    except FederationError as exc:
        raise Untrusted(f"the model's arrays are not its own: {exc}", clause=exc.clause) from exc
    return model
