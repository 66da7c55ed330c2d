"""Five domains: the records are the known ones, every site fits its plan, and the story holds from end to end."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federation.algorithms import neural
from federation.simulate import train
from federation.tables import Table
from node import models, tables
from node.cli import run
from node.demo import SCENARIOS, batteries, digits, farms, flights, hospitals, loans, machines, named, streams
from node.demo import run as tell
from node.demo.comparison import CLEAR, Comparison, _cost, _without, compared, verdict
from node.demo.facts import SCHEMA, facts_of, features_of
from node.demo.packaged import Packaged
from node.demo.pages import Page
from node.demo.scenario import EVERY, Decision, Scenario, columns_of
from node.errors import Misuse, NotFound, Untrusted
from node.model import TrainingId
from node.paper import LANGUAGES
from node.paper.scenario import Line, Tells, scenario_of
from node.sums import Plan

SOURCES = [farms.SOURCE, flights.FLIGHTS, flights.WEATHER, hospitals.SOURCE, loans.SOURCE, machines.SOURCE,
           batteries.SOURCE, digits.SOURCE]  # fmt: skip
TRAINING = TrainingId("0x" + "11" * 32)


class Quiet:
    """Nobody watches."""

    def begin(self, chapter: str) -> None: ...

    def note(self, text: str) -> None: ...


# --- the records ---


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_the_records_are_those_written_down(source: Packaged) -> None:
    assert source.read()
    with pytest.raises(Untrusted, match="another file"):
        replace(source, sha256="0" * 64).read()


def test_a_package_that_is_not_there_says_how_to_get_it() -> None:
    with pytest.raises(Misuse) as missing:
        replace(farms.SOURCE, package="agridatasets_of_nobody").read()
    assert missing.value.hint == "pip install 'hanse[scenarios]'"


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_site_fits_its_plan(name: str, tmp_path: Path) -> None:
    scenario = named(name)
    if scenario.stream is not None:
        needs_broker(scenario)
        for site, measured in scenario.measured().items():
            streams.collected(scenario.stream, site, measured, tmp_path)
    plan, parts = scenario.plan(), scenario.parts(tmp_path)
    assert Plan.decode(plan.encode()) == plan
    assert tuple(parts) == scenario.sites
    assert len(parts) >= 3
    for part in parts.values():
        learn, judge = scenario.learnt_and_judged(columns_of(part))
        assert len(learn) + len(judge) == tables.describe(part).rows <= scenario.records
        assert 0.5 / EVERY < len(judge) / (len(learn) + len(judge)) < 1.6 / EVERY


def needs_broker(scenario: Scenario) -> None:
    """A stream goes through a real broker; without one what needs it is left out, and says so."""
    try:
        if scenario.stream is not None:
            streams.mosquitto()
    except Misuse as no:
        pytest.skip(f"needs Debian's mosquitto: {no.hint}")


def test_stations_said_what_they_measured_and_nothing_for_a_gap() -> None:
    scenario = named("sensors")
    assert scenario.stream is not None
    measured = scenario.measured()
    assert {site: len(frame) for site, frame in measured.items()} == {"EWR": 2875, "JFK": 2875, "LGA": 2875}
    said = {site: scenario.stream.messages(site, frame) for site, frame in measured.items()}
    assert {site: len(messages) for site, messages in said.items()} == {"EWR": 14073, "JFK": 14092, "LGA": 14054}
    assert said["EWR"][0] == ("EWR/temp", b'{"value": 39.02, "time": "2013-01-01T06:00:00Z"}')
    values = [json.loads(payload)["value"] for topic, payload in said["EWR"] if topic == "EWR/wind_speed"]
    assert max(values) > 1_000  # the gust that was never blown is said like any other


def test_a_site_with_more_records_than_the_plan_allows_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(Untrusted, match="too many"):
        replace(named("agriculture"), records=100).parts(tmp_path)


def test_a_name_that_is_not_known() -> None:
    with pytest.raises(NotFound, match="no such scenario"):
        named("astrology")


def test_offices_saw_different_digits_and_always_the_same_ones() -> None:
    labels = np.repeat(np.arange(10), 500)
    whose = digits.drawn(labels, 5)
    assert np.array_equal(whose, digits.drawn(labels, 5))
    table = np.array([np.bincount(labels[whose == office], minlength=10) for office in range(5)])
    assert (table.sum(axis=0) == 500).all()
    assert table.sum(axis=1).tolist() == [1343, 875, 834, 1153, 795]
    assert table.min() < 10 < 200 < table.max()


def test_pixels_are_said_once() -> None:
    (said,) = features_of(named("images"))
    assert (said["name"], said["many"], said["high"]) == ("p0", 784, 255)
    assert len(features_of(named("healthcare"))) == 13


# --- the comparison ---


def test_what_averaging_left_is_judged_and_not_taken_from_pooling(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="averaging is not pooling"):
        compared(small_images(), small_images().parts(tmp_path), TRAINING)
    scenario, plan = small_images(), small_images().plan()
    parts = scenario.parts(tmp_path)
    made = [plan.steps.prepare(plan.params, columns_of(part)) for part in parts.values()]
    state = train(plan.steps, plan.params, made, rand=os.urandom).state
    found = compared(scenario, parts, TRAINING, models.encode_model(plan, state, TRAINING))
    whole = Table(np.concatenate([one.values for one in made]), np.concatenate([one.target for one in made]))
    _, judged = plan.params.split(whole)
    right = (neural.chances(plan.params.model, state.model, judged).argmax(axis=1) == judged.target).mean()
    assert found.everybody.federated == pytest.approx(right)
    assert models.evaluation_of(plan, state).accuracy == pytest.approx(right)
    assert found.everybody.federated != found.everybody.pooled


def small_images() -> Scenario:
    """Every tenth digit of three offices, one short round."""
    params = {"hidden": [8], "averaging": {"rounds": 1, "rate": 0.05}}
    return replace(digits.IMAGES, load=lambda: digits.records()[::10], sites=digits.OFFICES[:3], params=params)


def test_a_person_is_asked_where_a_wrong_class_costs_more() -> None:
    decision, scenario = Decision("", "", miss=100.0, false_alarm=5.0, unit="cent"), named("images")
    chances, labels = np.array([[0.99, 0.01], [0.97, 0.03], [0.9, 0.1], [0.1, 0.9]]), np.array([0.0, 1.0, 1.0, 1.0])
    assert _cost(decision, chances, labels) == pytest.approx(100 * (0.0 + 100.0 + 5.0 + 5.0) / 4)
    assert _without(replace(scenario, decision=decision), labels) == 500.0
    assert _without(replace(scenario, decision=replace(decision, false_alarm=50.0)), labels) == 2500.0


def test_plants_with_few_records_gain_most(tmp_path: Path) -> None:
    scenario = named("manufacturing")
    found = compared(scenario, scenario.parts(tmp_path), TRAINING)
    gains = {line.site: line.federated - line.alone for line in found.sites}  # type: ignore[operator]
    assert max(gains, key=lambda site: gains[site]) == "H"
    assert found.mean.federated == pytest.approx(np.mean([line.federated for line in found.sites]))
    assert all(line.federated == line.pooled for line in found.sites)
    assert found.everybody.cost["federated"] < found.everybody.cost["no_model"]
    assert set(found.helped) == {site for site, gain in gains.items() if gain > CLEAR}


def test_cells_that_age_differently_would_do_better_alone(tmp_path: Path) -> None:
    scenario = named("batteries")
    found = compared(scenario, scenario.parts(tmp_path), TRAINING)
    assert (found.helped, found.harmed) == ((), scenario.sites)
    assert found.mean.federated < 0.5 < 0.9 < found.mean.alone  # type: ignore[operator]
    assert "does not help" in verdict(found, scenario)


@pytest.mark.parametrize(
    ("alone", "said", "harmed"),
    [((0.5, 0.6), "helps: 2 of 2", ()), ((0.5, 0.9), "helps some: 1 of 2", ("b",)),
     ((0.9, 0.9), "does not help: 0 of 2", ("a", "b")), ((0.7, 0.7), "does not help: 0 of 2", ())],
)  # fmt: skip
def test_the_verdict_is_honest(alone: tuple[float, float], said: str, harmed: tuple[str, ...]) -> None:
    lines = tuple(Line(site, 9, 9, 0.7, 0.7, own, {}) for site, own in zip("ab", alone, strict=True))
    found = Comparison(lines, lines[0], lines[0], b"", {}, None)
    sentence = verdict(found, named("finance"))
    assert f"learning together {said} lenders gain" in sentence
    assert found.harmed == harmed
    assert ("would do better alone" in sentence) == bool(harmed)


def test_an_alarm_is_raised_where_it_costs_less_than_a_miss() -> None:
    decision = Decision("", "", miss=9.0, false_alarm=1.0, unit="EUR")
    log_odds, labels = np.log([0.05 / 0.95, 0.2 / 0.8, 0.05 / 0.95, 0.2 / 0.8]), np.array([0.0, 0.0, 1.0, 1.0])
    assert _cost(decision, log_odds, labels) == 100 * (9.0 + 1.0) / 4
    below = replace(decision, below=3.0)
    assert _cost(below, np.array([2.0, 4.0, 4.0]), np.array([2.0, 2.0, 4.0])) == pytest.approx(100 * 9.0 / 3)


def test_the_facts_are_a_page_of_a_report(tmp_path: Path) -> None:
    scenario = named("batteries")
    found = compared(scenario, scenario.parts(tmp_path), TRAINING)
    trained = {"id": TRAINING, "model": TRAINING, "columns": [], "weights": [], "evaluation": None, "attested": []}
    document = {
        "training": trained, "rounds": [], "datasets": [], "comparison": found.document(scenario), "gas": {"grant": 9},
        "audit": {"checks": 20, "untrusted": 0, "unchecked": 0, "exit_code": 0}, "tamper_detected": True,
        "federated_equals_pooled": True, "seconds": 9.5, "held": True,
    }  # fmt: skip
    told = scenario_of(json.dumps(facts_of(scenario, document)).encode())
    rows = Tells(told, LANGUAGES["en"]).rows()
    assert [row.site for row in rows] == [*scenario.sites, "mean", "everybody's records"]
    assert [row.best for row in rows] == ["alone"] * 4 + [""] * 2
    assert rows[-1].cost == ("546", "1,150")


# --- from end to end ---


@pytest.mark.long  # .ci/run runs it beside the everyday tests
def test_three_villages_share_learn_and_are_audited(tmp_path: Path) -> None:
    scenario = named("agriculture")
    page = Page(tmp_path / "report.html", "zh-CN")
    document = tell(tmp_path, Quiet(), replace(scenario, sites=scenario.sites[:3]), page=page)
    assert document["held"]
    _check(document["facts"], scenario)
    html = page.path.read_text(encoding="utf-8")
    assert LANGUAGES["zh-CN"]["scenario_title"] in html
    assert LANGUAGES["zh-CN"]["alone_row"] in html
    assert all(site in html for site in scenario.sites[:3])


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_one_command(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_broker(named(name))
    facts = tmp_path / "facts.json"
    assert run(["scenario", "run", name, "--json", "--facts", str(facts)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["facts"] == json.loads(facts.read_text())
    _check(document["facts"], named(name))


def _check(facts: dict, scenario: Scenario) -> None:  # type: ignore[type-arg]
    assert facts["schema"] == SCHEMA
    assert facts["held"]
    assert facts["proved"]["federated_equals_pooled"] == scenario.exact
    assert facts["proved"]["attested"] == len(facts["sites"])
    assert facts["features"] == features_of(scenario)
    assert [one["site"] for one in facts["collected"]] == (list(scenario.sites) if scenario.stream else [])
    assert {line["site"] for line in facts["comparison"]["sites"]} == {site["name"] for site in facts["sites"]}
    assert len(json.dumps(facts)) < 20_000  # a page
    assert scenario_of(json.dumps(facts).encode()).held
