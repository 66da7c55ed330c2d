"""A training from the command line, each member's running node taking its part, and the audit of all of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from node.serve import take_part
from tests.faces.conftest import Hanse, token
from tests.stories.alliance import Person

pytestmark = pytest.mark.xdist_group("faces")

PLAN = {
    "title": "Does the load tell a failure?",
    "algorithm": "logistic-held-out",
    "params": {
        "model": {
            "features": [{"name": "load", "low": 0, "high": 10}],
            "target": {"name": "failed", "above": 0},
            "members": 3,
            "records": 200,
            "rounds": 4,
        }
    },
}


@pytest.fixture
def running(people: dict[str, Person]) -> Iterator[None]:
    """What `hanse node run` does behind its server, for everybody."""
    stop = threading.Event()
    threads = []
    for person in people.values():
        threads += [
            threading.Thread(target=person.node.follower.run, args=(stop,), kwargs={"every": 0.1}),
            threading.Thread(target=take_part, args=(person.node, stop), kwargs={"every": 0.1}),
        ]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_open_join_and_let_the_nodes_do_it(
    hanse: Hanse, people: dict[str, Person], running: None, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    alice = people["alice"].home
    words = ("--seats", "3", "--phase-seconds", "120", "--challenge-seconds", "1", "--json")
    opened = hanse("training", "open", plan, *words, home=alice).json
    for number, person in enumerate(people.values()):
        rows = [f"{load / 12},{int(load // 3 * (number + 3) % 17 + load // 3 > 24)}" for load in range(120)]
        table = tmp_path / f"{person.name}.csv"
        table.write_text("load,failed\n" + "\n".join(rows) + "\n")
        made = hanse("dataset", "publish", table, "--title", f"loads of {person.name}", "--json", home=person.home).json
        joined = hanse("training", "join", opened["id"][:12], made["dataset"], "--json", home=person.home)
        assert joined.code == 0, joined

    until = time.monotonic() + 240
    while (shown := hanse("training", "show", opened["id"], "--json", home=alice).json)["phase"] != "final":
        assert time.monotonic() < until, shown
        assert shown["phase"] != "void", shown
    assert set(shown["members"]) == {person.node.me for person in people.values()}
    results = [hanse("training", "result", opened["id"], "--json", home=p.home).json for p in people.values()]
    assert len({json.dumps([r["weights"], r["model"], r["records"]]) for r in results}) == 1
    assert results[0]["records"] + results[0]["evaluation"]["records"] == 360
    owns = [(r["alone"]["why"], r["alone"]["own"]["records"], r["alone"]["own"]["log_loss"]) for r in results]
    assert {why for why, _, _ in owns} == {""}
    assert sum(records for _, records, _ in owns) == results[0]["evaluation"]["records"]
    assert len({loss for _, _, loss in owns}) == 3  # to each its own
    assert results[0]["weights"][1] > 0  # more load, more failures: as the tables were made
    assert_asked_and_shown(hanse, people["alice"], opened["id"], tmp_path)

    audited = hanse("audit", "run", "--json", home=alice)
    assert (audited.code, audited.json["untrusted"]) == (0, [])
    sums = next(check for check in audited.json["checks"] if check["number"] == 16)
    assert (sums["state"], sums["subjects"] > 0) == ("holds", True)
    assert hanse("audit", "run", home=alice).out.startswith("# Audit report")


def assert_asked_and_shown(hanse: Hanse, alice: Person, number: str, folder: Path) -> None:
    """The same model by the command line and by the API, about one row, a file, and as a page."""
    asked = hanse("training", "predict", number[:12], "--set", "load=9", "--json", home=alice.home).json
    assert (asked["training"], asked["kind"], asked["answers"][0]["because"][0]["feature"]) == (
        number,
        "chance",
        "load",
    )
    assert hanse("training", "predict", number, "--set", "load=9", home=alice.home).out.startswith("chance\t0.")
    headers = {"Authorization": f"Bearer {token(alice, 'read')}"}
    with httpx2.Client(base_url=alice.url, headers=headers, timeout=60) as client:
        answer = client.post(f"/trainings/{number}/predict", json={"rows": [{"load": 9}]})
        assert (answer.status_code, answer.json()) == (200, asked)
        for row, clause in (({"load": 11}, "load"), ({"laod": 1}, "laod"), ({}, "load"), ({"load": "nan"}, "load")):
            no = client.post(f"/trainings/{number}/predict", json={"rows": [row]})
            assert (no.status_code, no.json()["clause"]) == (422, clause), row
        many = client.post(f"/trainings/{number}/predict", json={"rows": [{"load": 1}] * 1001})
        assert many.status_code == 422
        told = hanse("training", "result", number, "--json", home=alice.home).json
        assert client.get(f"/trainings/{number}/result", params={"alone": True}).json() == told
        assert client.get(f"/trainings/{number}/result").json() == told | {"alone": None}
        card = client.get(f"/trainings/{number}/card").json()
        example = client.get("/openapi.json").json()["components"]["schemas"]["Questions"]["example"]
        assert example["rows"][0]["hours"] == 812.5
    assert card == hanse("training", "card", number, "--json", home=alice.home).json
    assert [one["column"] for one in card["coefficients"]] == ["intercept", "load"]

    source, scores, page = folder / "new.csv", folder / "scores.csv", folder / "report.html"
    source.write_text("machine,load\nM1,9\nM2,1\n")
    words = ("training", "predict", number, source, "--out", scores, "--json")
    assert hanse(*words, home=alice.home).json["rows"] == 2
    assert scores.read_text().splitlines()[0] == "machine,load,failed chance,mostly because of"
    told = ("--score", source, "--name-column", "machine", "--language", "zh-CN", "--json")
    shown = hanse("training", "result", number, "--report", page, *told, home=alice.home)
    assert (shown.code, shown.json["scored"]) == (0, 2), shown
    assert "<b>M1</b>" in page.read_text(encoding="utf-8")
    for wrong in (("--set", "load"), ("--set", "load=1", "--set", "load=2"), (), (str(source),), ("--set", "load=11")):
        assert hanse("training", "predict", number, *wrong, home=alice.home).code == 2, wrong
    costs = ("--cost-miss", "1", "--cost-alarm", "1")
    for words in (("--report", folder / "x.html", *costs[:2]), costs, ("--score", source), ("--facts", source)):
        assert hanse("training", "result", number, *words, home=alice.home).code == 2, words


@pytest.mark.parametrize(
    "plan", ["", "{", "[]", '{"title": "x"}', '{"title": "x", "algorithm": "magic", "params": {}}', "1" * 5000]
)
def test_what_is_no_plan_is_a_usage_error(hanse: Hanse, people: dict[str, Person], tmp_path: Path, plan: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(plan)
    said = hanse("training", "open", path, "--seats", "3", "--json", home=people["alice"].home)
    assert (said.code, said.json["error"]["code"]) == (2, "usage")


def test_an_audit_without_a_home_must_be_told_where_to_look(hanse: Hanse, people: dict[str, Person]) -> None:
    assert hanse("audit", "run").code == 2
    alice = people["alice"]
    told = ("--rpc", alice.node.settings.rpc, "--consortium", alice.node.directory.consortium)
    gateways = [word for person in people.values() for word in ("--gateway", person.url)]
    said = hanse("audit", "run", *told, *gateways, "--allow-loopback", "--json")
    assert (said.code, said.json["untrusted"]) == (0, [])
