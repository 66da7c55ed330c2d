"""A trained model as a file: safetensors with its lineage, the same bytes wherever the same sums are known.

Never pickle, joblib or npz: a model comes from others. The one metadata entry is canonical JSON, because safetensors
does not order several.

    data = encode_model(plan, state, training_id)
    card = decode_model(data)            # Untrusted for other names, shapes, types or values
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import rfc8785
from numpy.typing import NDArray

from federation.algorithms.evaluation import Evaluation, report_of
from federation.algorithms.held_out import HeldOutState
from federation.algorithms.logistic import LogisticParams, LogisticState, original_weights
from node.errors import Untrusted
from node.model import TrainingId
from node.sums import Plan

LIMIT = 64 << 20
_ENTRY = "hanse"


@dataclass(frozen=True)
class Model:
    """`weights` (1 + columns,): intercept first, in the units of the records."""

    training: TrainingId
    algorithm: str
    columns: tuple[str, ...]
    weights: NDArray[np.float64]


_LOGISTIC: dict[str, Callable[[Any, Any], tuple[LogisticParams, LogisticState]]] = {
    "logistic": lambda params, state: (params, state),
    "logistic-held-out": lambda params, state: (params.model, state.model),
}


def model_of(plan: Plan, state: Any, training: TrainingId) -> Model:
    """The model in an algorithm's last state."""
    params, fitted = _LOGISTIC[plan.algorithm](plan.params, state)
    return Model(training, plan.algorithm, params.columns, original_weights(params, fitted))


def records_of(state: Any) -> int:
    """Over how many records the last sum of the model ran."""
    fitted: LogisticState = state.model if isinstance(state, HeldOutState) else state
    return fitted.records


def evaluation_of(state: Any) -> Evaluation | None:
    """The figures on held-out records, None where the plan holds none out."""
    return report_of(state.evaluation) if isinstance(state, HeldOutState) else None


def encode_model(plan: Plan, state: Any, training: TrainingId) -> bytes:
    """The file's bytes."""
    from safetensors.numpy import save

    model = model_of(plan, state, training)
    lineage = {"training": training, "algorithm": model.algorithm, "columns": list(model.columns)}
    return bytes(save({"weights": model.weights}, metadata={_ENTRY: rfc8785.dumps(lineage).decode()}))


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
        model = Model(lineage["training"], lineage["algorithm"], tuple(lineage["columns"]), tensors["weights"])
    except (SafetensorError, KeyError, TypeError, ValueError) as exc:
        raise Untrusted(f"not a model of this alliance: {exc}", clause="model") from exc
    shape = (len(model.columns) + 1,)
    if set(tensors) != {"weights"} or model.weights.shape != shape or model.weights.dtype != np.float64:
        raise Untrusted("the model's tensors are not its own", clause="shape", seen=model.weights.shape, needed=shape)
    if not np.isfinite(model.weights).all():
        raise Untrusted("the model holds numbers that are none", clause="finite")
    return model
