"""Trained models without an alliance: what the tests of scoring and of the page ask and show."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from federation.algorithms.explanation import EXPLANATION, explanation_of
from federation.simulate import pooled
from federation.tables import Table
from node.cards import Explanation, asked
from node.model import Digest, TrainingId
from node.models import encode_model
from node.scoring import Trained
from node.sums import plan_of

TRAINING = TrainingId("0x" + "77" * 32)
FEATURES: list[dict[str, Any]] = [
    {"name": "load", "low": 0, "high": 10, "missing": [-1]},
    {"name": "kind", "levels": ["a", "b"]},
]
LIMITS = {"members": 3, "records": 200}


def machines(count: int = 160) -> dict[str, list[str]]:
    """More load, more failures; kind b wears a little faster."""
    loads = [round((place * 37 % 101) / 10.1, 3) for place in range(count)]
    kinds = ["ab"[place % 2] for place in range(count)]
    wear = [load + 2 * (kind == "b") + (place * 7 % 5) - 2 for place, (load, kind) in enumerate(zip(loads, kinds))]
    return {
        "load": [str(load) for load in loads], "kind": kinds,
        "failed": [str(int(one > 6)) for one in wear],
        "wear": [str(min(20.0, max(0.0, one))) for one in wear],
        "state": ["bad" if one > 8 else "fair" if one > 4 else "good" for one in wear],
    }  # fmt: skip


def trained(
    kind: str, *, title: str = "Which mills fail", features: list[dict[str, Any]] | None = None,
    records: dict[str, list[str]] | None = None, target: Any = None, held_out: bool = False,
) -> Trained:  # fmt: skip
    """A model of a kind: chance, number or classes. The first is always judged on records held out."""
    targets = {
        "chance": {"name": "failed", "above": 0}, "number": {"name": "wear", "low": 0, "high": 20},
        "classes": {"name": "state", "levels": ["good", "fair", "bad"]},
    }  # fmt: skip
    model = {"features": features or FEATURES, "target": target or targets[kind], **LIMITS}
    algorithm = {"chance": "logistic", "number": "ridge", "classes": "multinomial"}[kind]
    held_out |= kind == "chance"
    plan = plan_of(title, f"{algorithm}-held-out", {"model": model}) if held_out else plan_of(title, algorithm, model)
    table = plan.steps.prepare(plan.params, records or machines())
    state = pooled(plan.steps, plan.params, table).state
    digest = Digest("0x" + hashlib.sha256(encode_model(plan, state, TRAINING)).hexdigest())
    return Trained(TRAINING, plan, state, digest, asked(plan, state))


def table_of(found: Trained, records: dict[str, list[str]] | None = None) -> Table:
    """The records of all members, as the plan wants them."""
    return found.plan.steps.prepare(found.plan.params, records or machines())


def explained(found: Trained, records: dict[str, list[str]] | None = None) -> Explanation:
    plan = explanation_of(found.plan.algorithm, found.plan.params, found.state, members=3, records_=200, of=TRAINING)
    table = table_of(found, records)
    return Explanation(plan, pooled(EXPLANATION, replace(plan, repeats=1), table).state)
