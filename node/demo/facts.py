"""What a report of a scenario needs to know, on one page of JSON: no ids but the training's and the model's.

facts = facts_of(scenario, document)
facts["comparison"]["verdict"]
"""

from __future__ import annotations

import json
from typing import Any

from federation.tables import Feature
from node.demo.scenario import EVERY, Scenario

SCHEMA = "hanse/scenario/1"

MANY = 50
"""More features that are alike than these are said once."""


def facts_of(scenario: Scenario, document: dict[str, Any]) -> dict[str, Any]:
    """The question and the records, the decision and its costs, how good each model is, and what was proved."""
    training, audit, decision = document["training"], document["audit"], scenario.decision
    return {
        "schema": SCHEMA, "name": scenario.name, "title": scenario.title, "question": scenario.question,
        "source": scenario.source, "licence": scenario.licence, "cap": scenario.cap, "site": scenario.site,
        "sites": [{"name": d["member"], "records": d["records"]} for d in document["datasets"]],
        "features": features_of(scenario),
        "target": dict(scenario.target), "held_out": f"1 record in {EVERY}",
        "decision": {
            "about": decision.about, "alarm": decision.alarm, "miss": decision.miss, "unit": decision.unit,
            "false_alarm": decision.false_alarm, "below": decision.below,
        },
        "training": {
            "id": training["id"], "model": training["model"], "algorithm": scenario.algorithm,
            "rounds": len(document["rounds"]), "columns": training["columns"] if training["weights"] else [],
            "weights": training["weights"],
            "evaluation": training["evaluation"],
        },
        "comparison": document["comparison"], "collected": [_stream(one) for one in document.get("collected", ())],
        "proved": {
            "federated_equals_pooled": document["federated_equals_pooled"], "attested": len(training["attested"]),
            "tamper_detected": document["tamper_detected"],
            "audit": {name: audit[name] for name in ("checks", "untrusted", "unchecked", "exit_code")},
        },
        "gas": document["gas"], "seconds": document["seconds"], "held": document["held"],
    }  # fmt: skip


def _stream(one: dict[str, Any]) -> dict[str, Any]:
    """A site's stream: how much of it there was, its quality by sensor, and what the table leaves out."""
    quality = {name: {d["name"]: round(d["share"], 5) for d in found} for name, found in one["quality"].items()}
    left_out = {name: one["table"][name] for name in ("twice", "outside", "unknown")}
    return {"site": one["site"], "messages": one["messages"], "refused": one["readings"]["refused"],
            "quality": quality, "rows": one["table"]["rows"], "left_out": left_out}  # fmt: skip


def features_of(scenario: Scenario) -> list[dict[str, Any]]:
    """Each with its levels or its unit and bounds; of many that differ in nothing but their names the first, with how
    `many` there are."""
    found = [_feature(one, scenario.units.get(one.name, "")) for one in scenario.features]
    alike = {json.dumps(feature | {"name": ""}) for feature in found}
    return [found[0] | {"many": len(found)}] if len(alike) == 1 and len(found) > MANY else found


def _feature(one: Feature, unit: str) -> dict[str, Any]:
    if one.levels:
        return {"name": one.name, "levels": list(one.levels)}
    return {"name": one.name, "unit": unit, "low": one.low, "high": one.high}
