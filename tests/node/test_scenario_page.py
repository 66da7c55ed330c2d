"""The page of a scenario: what it says of every site, in each language, and that only facts become one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from node.errors import Misuse
from node.paper import LANGUAGES, page
from node.paper.scenario import Scenario, scenario_of
from tests.node.test_paper import EVIL, Tags, facts


def line(site: str, together: float | None, alone: float | None) -> dict[str, Any]:
    return {"site": site, "records": 1200, "learnt": 3600, "federated": together, "pooled": together, "alone": alone,
            "cost": {"federated": 50.0, "pooled": 50.0, "alone": 75.0, "no_model": 100.0}}  # fmt: skip


def told(**changed: Any) -> dict[str, Any]:
    """As `hanse scenario run --facts` writes it, with a field that the page has no use for."""
    return {
        "schema": "hanse/scenario/1", "question": "Which mills fail?", "source": "a package", "licence": "MIT",
        "cap": "two of three", "site": "mill", "features": [],
        "decision": {"about": "which to stop", "alarm": "stop", "miss": 900.0, "unit": "EUR", "false_alarm": 50.0},
        "training": {"id": "0x" + "77" * 32, "model": "0x" + "11" * 32},
        "comparison": {
            "metric": "area", "sites": [line("East", 0.91, 0.8), line("West", 0.7, 0.75), line("North", None, None)],
            "mean": line("mean", 0.805, 0.775), "everybody": line("all mills", 0.9, 0.6), "helped": ["East"],
            "harmed": ["West"],
        },
        "proved": {"federated_equals_pooled": True, "tamper_detected": True,
                   "audit": {"checks": 20, "untrusted": 0, "unchecked": 1, "exit_code": 0}},
        "gas": {"publish": 276_213}, "seconds": 61.2, "held": True, **changed,
    }  # fmt: skip


def read(**changed: Any) -> Scenario:
    return scenario_of(json.dumps(told(**changed)).encode())


def shown(scenario: Scenario, language: str = "en") -> Tags:
    return Tags(page(replace(facts(), scenario=scenario), language=language))


def test_every_site_is_in_the_table_and_the_better_model_is_bold() -> None:
    found = shown(read())
    text = " ".join(found.text.split())
    assert "Learning together helps 1 of 3. These would do better alone: West." in text
    assert "East 91.0% 91.0% 80.0% 1,200 50 75" in text
    assert "North – – – 1,200" in text
    assert "everybody's records 90.0% 90.0% 60.0%" in text
    html = page(replace(facts(), scenario=read()))
    assert "<b>91.0%</b>" in html
    assert "<b>75.0%</b>" in html
    assert html.count("<b>") == 2


def test_costs_and_what_was_proved_are_said() -> None:
    text = " ".join(shown(read()).text.split())
    assert "To decide: which to stop. A miss costs 900 EUR, a false alarm 50 EUR." in text
    assert "together 50 each alone 75 no model 100" in text
    assert "made 20 checks. It found bytes that lie: 0. It could not check: 1." in text
    assert "the same model, byte for byte" in text
    assert "publish 276,213" in text
    assert "No member of an alliance has that" in text


def test_what_did_not_hold_is_said_first() -> None:
    failed = told()["proved"] | {"federated_equals_pooled": False, "tamper_detected": False}
    text = " ".join(shown(read(held=False, proved=failed)).text.split())
    assert "Not all of this run held" in text
    assert "another model than the members' own" in text
    assert "did NOT find it" in text
    assert "byte for byte" not in text


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("metric", ["area", "r2", "share"])
def test_a_page_in_each_language(language: str, metric: str) -> None:
    text = shown(read(comparison=told()["comparison"] | {"metric": metric}), language).text
    for key in ("scenario_title", "scenario_cost_title", "scenario_proved_title", "scenario_members"):
        assert LANGUAGES[language][key] in text
    assert LANGUAGES[language]["area_note" if metric == "area" else f"scenario_{metric}"] in text
    assert "None" not in text


def test_a_report_without_facts_has_no_such_page() -> None:
    assert LANGUAGES["en"]["scenario_title"] not in Tags(page(facts())).text


def test_nothing_in_the_facts_becomes_markup() -> None:
    everywhere = told()["comparison"] | {"sites": [line(EVIL, 0.9, 0.8)], "harmed": [EVIL]}
    found = shown(read(question=EVIL, source=EVIL, site=EVIL, gas={EVIL: 1}, comparison=everywhere))
    assert found.text.count(EVIL) >= 5
    assert found.of("script") == []


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ({"schema": "hanse/scenario/2"}, "schema"), ({"gas": {"publish": "much"}}, "gas.publish"),
        ({"comparison": {}}, "comparison.metric"), ({"held": None}, "held"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_the_field(changed: dict[str, Any], seen: str) -> None:
    with pytest.raises(Misuse) as no:
        read(**changed)
    assert (no.value.clause, no.value.seen) == ("facts", seen)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(Misuse) as no:
        scenario_of(data)
    assert no.value.clause == "facts"
