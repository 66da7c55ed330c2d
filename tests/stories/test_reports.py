"""A final model on its members' nodes: asked, shown to people, explained together; believed only as the chain says."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from federation.costs import Costs
from federation.simulate import pooled
from node import alone, models, predict, report, scoring, training
from node.errors import Conflict, Misuse, NotFinal, Refused, Untrusted
from node.model import TrainingId
from node.publish import publish
from node.sums import Plan, plan_of
from node.training import join, open_training
from tests.node.test_scenario_page import told as scenario_facts
from tests.stories.alliance import Person, follow_all
from tests.stories.sharing import opened, plan
from tests.stories.taking_part import finish
from tests.stories.test_refusals import refused

FEATURES = [{"name": "load", "low": 0, "high": 10}, {"name": "kind", "levels": ["a", "b"]}]
ROWS = 120


def mill(folder: Path, name: str, shift: int) -> Path:
    lines = ["machine,load,kind,failed"]
    for row in range(ROWS):
        load, kind = (row * 37 + shift * 11) % 101 / 10.1, "ab"[(row + shift) % 2]
        lines.append(f"{name}-{row},{load:.3f},{kind},{int(load + 2 * (kind == 'b') + (row * 7 + shift) % 5 > 8)}")
    path = folder / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class Done:
    """A final training of three, the tables it ran over, and the model's file."""

    people: dict[str, Person]
    number: TrainingId
    plan: Plan
    paths: list[Path]
    datasets: list[str]
    file: Path


@pytest.fixture(scope="module")
def done(people: dict[str, Person], tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("mills")
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    model = {"features": FEATURES, "target": {"name": "failed", "above": 0}, "members": 3, "records": ROWS, "rounds": 4}
    plan_ = plan_of("Which mills fail <b>soon</b>", "logistic-held-out", {"model": model})
    number = opened(some["alice"], list(some.values()), plan_)
    paths, datasets = [], []
    for shift, (name, person) in enumerate(some.items()):
        paths.append(mill(folder, name, shift))
        datasets.append(publish(person.node, paths[-1], title="Mill").dataset)
        join(person.node, number, datasets[-1])
    follow_all(some)
    finish(some, number)
    follow_all(some)
    file = folder / "model.safetensors"
    file.write_bytes(some["alice"].node.get_bytes(some["alice"].node.ledger.trainings[number].model))
    return Done(some, number, plan_, paths, datasets, file)


def test_every_member_answers_alike_and_as_all_records_in_one_place_would(done: Done) -> None:
    rows = [{"load": 9.5, "kind": "b"}, {"load": 0.5, "kind": "a"}]
    answers = [predict.predict(person.node, done.number, rows).answers for person in done.people.values()]
    assert answers[0] == answers[1] == answers[2]
    high, low = answers[0]
    assert (high.chance or 0) > 0.8 > 0.2 > (low.chance or 1)
    assert predict.predict(done.people["bob"].node, done.number, rows, file=done.file).answers == answers[0]


def test_a_model_of_elsewhere_is_not_asked(done: Done, tmp_path: Path) -> None:
    node = done.people["alice"].node
    whole = scoring.trained_model(node, done.number)
    other = tmp_path / "other.safetensors"
    for data in (
        models.encode_model(whole.plan, whole.state, TrainingId("0x" + "11" * 32)),  # of another training
        done.file.read_bytes()[:-8] + bytes(8),  # another weight
        b"",
    ):
        other.write_bytes(data)
        refused(lambda: predict.predict(node, done.number, [{}], file=other), Untrusted, "model", 7)
    refused(lambda: predict.predict(node, done.number, [{}], file=tmp_path / "none"), Misuse, "model", 2)


def test_questions_that_do_not_fit(done: Done) -> None:
    node, number = done.people["alice"].node, done.number
    refused(lambda: predict.predict(node, number, []), Misuse, "rows", 2)
    refused(lambda: predict.predict(node, number, [{"load": 1, "kind": "a"}] * 1001), Misuse, "rows", 2)
    refused(lambda: predict.predict(node, number, [{"load": 11, "kind": "a"}]), Misuse, "load", 2)
    refused(lambda: predict.predict(node, number, [{"load": 1, "kind": "a", "x": 1}]), Misuse, "x", 2)


def test_a_model_that_is_not_final_is_not_asked(done: Done) -> None:
    some = done.people
    number = opened(some["alice"], list(some.values()), plan(3))
    refused(lambda: predict.predict(some["alice"].node, number, [{"amount": 1}]), NotFinal, "phase", 8)


def test_a_file_is_scored_row_by_row(done: Done, tmp_path: Path) -> None:
    source, out = tmp_path / "new.csv", tmp_path / "scores.csv"
    source.write_text("machine,load,kind\n=HYPERLINK(1),9.5,b\nM2,0.5,a\n")
    node = done.people["carol"].node
    scored = predict.score_file(node, done.number, source, out)
    assert (scored.rows, scored.columns) == (2, ("failed chance", "mostly because of"))
    lines = list(csv.DictReader(out.open()))
    assert [line["machine"] for line in lines] == ["'=HYPERLINK(1)", "M2"]
    wanted = predict.predict(node, done.number, [{"load": 9.5, "kind": "b"}, {"load": 0.5, "kind": "a"}]).answers
    assert [float(line["failed chance"]) for line in lines] == pytest.approx([one.chance for one in wanted], rel=1e-5)
    assert lines[0]["mostly because of"].startswith("load (+")
    refused(lambda: predict.score_file(node, done.number, source, out), Conflict, "out", 5)
    source.write_text("machine,load,kind\nM1,9.5,b\nM2,,a\n")
    no = refused(lambda: predict.score_file(node, done.number, source, tmp_path / "no.csv"), Misuse, "load", 2)
    assert "row 2: load is missing" in no.message
    assert not (tmp_path / "no.csv").exists()
    assert predict.score_file(node, done.number, source, tmp_path / "yes.csv", missing=True).rows == 2


def test_a_report_with_the_members_own_records(done: Done, tmp_path: Path) -> None:
    node, path = done.people["bob"].node, tmp_path / "report.html"
    made = report.report(
        node, done.number, path, costs=Costs(miss=500, alarm=50), score=done.paths[1], name="machine",
        public=done.paths,
    )  # fmt: skip
    html = path.read_text(encoding="utf-8")
    assert (made.scored, made.model) == (ROWS, node.ledger.trainings[done.number].model)
    assert "Which mills fail &lt;b&gt;soon&lt;/b&gt;" in html
    assert "bob-" in html
    assert "You alone, on your records" in html
    assert "give the same model, byte for byte" in html
    chinese = report.report(node, done.number, tmp_path / "zh.html", language="zh-CN")
    assert (chinese.language, chinese.scored) == ("zh-CN", 0)
    assert 'lang="zh-CN"' in (tmp_path / "zh.html").read_text(encoding="utf-8")


def test_alone_is_the_members_own_model_on_its_own_records(done: Done) -> None:
    node = done.people["alice"].node
    facts = report.facts_of(node, done.number, costs=None, score=None, name=None, level=None, public=done.paths[:1],
                            missing=False, top=5)  # fmt: skip
    assert facts.alone
    assert facts.here
    assert facts.alone.records == facts.here.records >= alone.FEWEST
    assert facts.pooled == facts.alone  # the one public file is her own
    assert facts.pooled_same is False
    assert facts.card.quality == report.card(node, done.number).quality


STATE = {"name": "failed", "levels": ["0", "1"]}
LOAD = {"name": "load", "low": 0, "high": 10}
OTHERS = {
    "ridge": {"features": [FEATURES[1], {"name": "failed", "low": 0, "high": 1}], "target": LOAD},
    "multinomial": {"features": FEATURES, "target": STATE, "rounds": 3},
    "boosting": {"features": FEATURES, "target": STATE, "steps": 1, "depth": 2},
    "neural": {"features": FEATURES, "target": STATE, "hidden": [4], "averaging": {"rounds": 2, "epochs": 20}},
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_model_is_judged_on_records_held_out_and_beside_each_members_own(
    done: Done, tmp_path: Path, name: str
) -> None:  # fmt: skip
    some, limits, model = done.people, {"members": 3, "records": ROWS}, dict(OTHERS[name])
    averaging = model.get("averaging")
    model |= {"averaging": averaging | limits} if averaging else limits
    plan_ = plan_of(f"Judged: {name}", f"{name}-held-out", {"model": model})
    number = opened(some["alice"], list(some.values()), plan_)
    for person, dataset in zip(some.values(), done.datasets, strict=True):
        join(person.node, number, dataset)  # type: ignore[arg-type]
    follow_all(some)
    finish(some, number)
    follow_all(some)
    results = [training.result(person.node, number, alone=True) for person in some.values()]
    assert results[0].evaluation == results[1].evaluation == results[2].evaluation
    assert len({one.alone for one in results}) == 3  # each of its own records
    bob = some["bob"].node
    table = plan_.steps.prepare(plan_.params, report._together(done.paths[1:2]))
    own = plan_of("x", f"{name}-held-out", {"model": model})
    state, found = alone.of_one_place(own, table), results[1].alone
    assert found
    assert found.why == ""
    assert found.own == alone.judged(own, state, table)
    assert found.together == alone.judged(own, scoring.trained_model(bob, number).state, table)
    assert found.own.records == len(own.params.split(table)[1]) >= alone.FEWEST
    assert training.result(bob, number).alone is None  # where nobody asks, nothing is computed
    quality = report.card(bob, number).quality
    assert quality
    assert quality.unseen
    assert results[1].evaluation
    assert quality.records == results[1].evaluation.records == results[1].alone.together.records + sum(
        one.alone.own.records for one in (results[0], results[2])
    )  # fmt: skip
    report.report(bob, number, tmp_path / "page.html", public=done.paths)
    html = (tmp_path / "page.html").read_text()
    assert "You alone, on your records" in html
    assert "sent to nobody" in html
    assert ("byte for byte" in html) == (name != "neural")
    rows = [{"load": load, "kind": "b", "failed": int(load > 8)} for load in (9.5, 0.5)]
    inputs = [one.name for one in report.card(bob, number).inputs]
    answers = predict.predict(bob, number, [{key: row[key] for key in inputs} for row in rows]).answers
    high, low = (one.chance if one.number is None else one.number for one in answers)
    assert high is not None
    assert low is not None
    assert high > low


def test_who_has_no_seat_has_no_alone(done: Done, people: dict[str, Person]) -> None:
    people["dave"].node.follow()
    found = training.result(people["dave"].node, done.number, alone=True).alone
    assert found == alone.Alone("no_records")


@pytest.mark.parametrize(
    ("name", "changed", "clause"),
    [
        ("report.txt", {}, "report"), ("report.html", {"language": "tlh"}, "language"),
        ("report.html", {"name": "mill"}, "name-column"), ("report.html", {"level": "bad"}, "level"),
    ],
)  # fmt: skip
def test_a_report_that_cannot_be(
    done: Done, tmp_path: Path, name: str, changed: dict[str, str], clause: str
) -> None:  # fmt: skip
    path, call = tmp_path / name, {"score": done.paths[0], **changed}
    refused(lambda: report.report(done.people["alice"].node, done.number, path, **call), Misuse, clause, 2)  # type: ignore[arg-type]
    assert not path.exists()


def test_facts_of_another_training_are_no_page_of_this_one(done: Done, tmp_path: Path) -> None:
    node, path, told = done.people["alice"].node, tmp_path / "page.html", tmp_path / "facts.json"
    told.write_text(json.dumps(scenario_facts()))
    no = refused(lambda: report.report(node, done.number, path, scenario=told), Misuse, "facts", 2)
    assert no.needed == done.number
    refused(lambda: report.report(node, done.number, path, scenario=tmp_path / "none"), Misuse, "facts", 2)
    assert not path.exists()
    told.write_text(json.dumps(scenario_facts(training={"id": done.number, "model": "0x" + "11" * 32})))
    report.report(node, done.number, path, scenario=told)
    assert "The whole alliance, side by side" in path.read_text()


def test_a_pdf_needs_chromium_and_says_so(done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    no = refused(
        lambda: report.report(done.people["alice"].node, done.number, tmp_path / "x.pdf"), Refused, "report", 4
    )
    assert "Chromium" in no.message


def test_members_explain_their_model_together(done: Done, tmp_path: Path) -> None:
    some, alice = done.people, done.people["alice"].node
    assert report.card(alice, done.number).importance == ()
    plan_ = scoring.explaining_plan(alice, done.number)
    assert Plan.decode(plan_.encode()) == plan_
    number = open_training(alice, plan_, seats=3, challenge_seconds=1).id
    follow_all(some)
    for person, dataset in zip(some.values(), done.datasets, strict=True):
        join(person.node, number, dataset)  # type: ignore[arg-type]
    follow_all(some)
    finish(some, number)
    follow_all(some)
    cards = [report.card(person.node, done.number) for person in some.values()]
    assert cards[0] == cards[1] == cards[2]
    assert [one.feature for one in cards[0].importance] == ["load", "kind"]
    assert {curve.feature: len(curve.at) for curve in cards[0].curves} == {"load": 9, "kind": 2}
    state = scoring.Trainer(alice, number).state()
    wide = replace(plan_.params, members=1, records=3 * ROWS)
    table = plan_.steps.prepare(wide, report._together(done.paths))
    assert pooled(plan_.steps, wide, table).state == state  # federated = pooled
    assert training.result(alice, number).algorithm == "explanation"
    report.report(alice, done.number, tmp_path / "why.html")
    assert "What matters" in (tmp_path / "why.html").read_text()
