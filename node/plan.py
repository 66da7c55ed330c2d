"""A training's public plan, and everything that follows from it and the sums alone: state, model, its bytes.

No model is ever handed from node to node: each member, and each auditor, derives it here. Pure: no I/O, no clock.

    plan = Plan("logistic", records.plain(LogisticParams(...)))
    run = Run(plan); run.advance(total_bytes)          # once a round
    if run.done: model = run.model()                   # safetensors, the same bytes on every processor
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from federation import records
from federation.algorithms import Algorithm, advance
from federation.errors import FederationError
from federation.vectors import Layout, from_bytes
from node import canon
from node.errors import Misuse, Untrusted

SCHEMA = "hanse/plan/1"
LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """`algorithm` by name and its parameters as JSON. `tolerance`: how far another processor's model may differ, 0 for bits."""

    algorithm: str
    params: Mapping[str, Any]
    tolerance: float = field(default=0.0)

    def encode(self) -> bytes:
        """Canonical JSON: what `TrainingTerms.plan` digests."""
        return canon.encode(
            {"schema": SCHEMA, "algorithm": self.algorithm, "params": dict(self.params), "tolerance": self.tolerance}
        )

    @classmethod
    def parse(cls, data: bytes) -> Plan:
        """The plan behind `encode`. Raises Untrusted for any other bytes."""
        document = canon.parse(data, limit=LIMIT)
        if document.pop("schema", None) != SCHEMA or set(document) != {"algorithm", "params", "tolerance"}:
            raise Untrusted("not a plan of this alliance", clause="plan", seen=data[:80], needed=SCHEMA)
        if not isinstance(document["params"], dict) or not isinstance(document["tolerance"], (int, float)):
            raise Untrusted("not a plan of this alliance", clause="plan", seen=data[:80])
        return cls(str(document["algorithm"]), document["params"], float(document["tolerance"]))


def algorithm_of(name: str) -> Algorithm[Any, Any]:
    """The algorithm called so. Raises Misuse for a name there is not."""
    from federation.algorithms.evaluation import EVALUATION
    from federation.algorithms.logistic import LOGISTIC

    known: dict[str, Algorithm[Any, Any]] = {a.name: a for a in (LOGISTIC, EVALUATION)}
    if name not in known:
        raise Misuse("no such algorithm", clause="algorithm", seen=name, needed=", ".join(known))
    return known[name]


class Run:
    """A plan on its way: the state that follows from the sums so far."""

    def __init__(self, plan: Plan) -> None:
        """Raises Untrusted where the parameters are not the algorithm's."""
        try:
            self.algorithm = algorithm_of(plan.algorithm)
            self.params = records.parse(self.algorithm.params, plan.params)
        except (FederationError, Misuse) as exc:
            raise Untrusted(f"the plan cannot be run: {exc.message}", clause=exc.clause) from exc
        self.plan, self.state = plan, self.algorithm.start(self.params)

    @property
    def layout(self) -> Layout:
        """The coming round's vector."""
        return self.algorithm.layout(self.params, self.state)

    @property
    def done(self) -> bool:
        """Whether the plan needs no further round."""
        return self.algorithm.done(self.params, self.state)

    def advance(self, total: bytes) -> None:
        """Take in a round's sum. Raises Untrusted where it cannot be one of this plan's."""
        try:
            lanes = from_bytes(self.layout.width, total)
            self.state = advance(self.algorithm, self.params, self.state, lanes)
        except FederationError as exc:
            raise Untrusted(f"the sum is none of this plan's: {exc.message}", clause=exc.clause) from exc

    def model(self) -> bytes:
        """The state's numbers as safetensors: float64 and int64 tensors named by their fields."""
        from safetensors.numpy import save

        return bytes(save(dict(_tensors(records.plain(self.state), "")), metadata={"algorithm": self.plan.algorithm}))


def same_model(one: bytes, other: bytes, tolerance: float) -> None:
    """Raise Untrusted unless two models have the same tensors, each number within `tolerance` of the other."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        left, right = load(one), load(other)
    except (SafetensorError, ValueError) as exc:
        raise Untrusted("the model is no safetensors file", clause="model") from exc
    if {n: t.shape for n, t in left.items()} != {n: t.shape for n, t in right.items()}:
        raise Untrusted("the model has other tensors", clause="model", seen=sorted(left), needed=sorted(right))
    for name, tensor in left.items():
        if not np.allclose(tensor, right[name], rtol=0.0, atol=tolerance):
            raise Untrusted(f"the model's {name} differs", clause="model", needed=f"within {tolerance}")


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    import numpy as np

    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, (int, float)) or (isinstance(value, list) and value and not _is_text(value)):
        array = np.asarray(value)
        yield name, array.astype(np.int64 if array.dtype.kind in "bui" else np.float64)


def _is_text(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (str, dict)) or value is None
