"""The bytes of a trained model: the numbers of an algorithm's state as safetensors, the same bytes on every processor.

Never pickle, never a container that runs code. Which state a plan came to is for `sums`. Pure: no I/O.

    data = model_of(plan, state)                  # for the store; its digest is what `finalize` posts
    tensors = read(data)                          # {"weights": array([...]), "scaling.mean": array([...])}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation import records
from node.errors import Untrusted
from node.sums import Plan


def model_of(plan: Plan, state: Any) -> bytes:
    """The state's numbers as float64 and int64 tensors, named by their fields; texts and absent values are left out."""
    from safetensors.numpy import save

    return bytes(save(dict(_tensors(records.plain(state), "")), metadata={"algorithm": plan.algorithm}))


def read(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a model. Raises Untrusted (clause `model`) where it is none, or holds what is not finite."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found: dict[str, NDArray[Any]] = load(data)
    except (SafetensorError, ValueError, KeyError) as exc:
        raise Untrusted("the model is no safetensors file", clause="model") from exc
    for name, tensor in found.items():
        if tensor.dtype.kind not in "iuf" or not np.isfinite(tensor).all():
            raise Untrusted("the model holds what is no finite number", clause="model", seen=name)
    return found


def _tensors(value: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}.{key}" if name else key)
        return
    array = np.asarray(value)
    if array.dtype.kind in "biuf" and array.size:
        yield name, array.astype(np.int64 if array.dtype.kind != "f" else np.float64)
