"""`hanse mapping`: what a person types, and what comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faces.conftest import Hanse, Shared
from tests.stories.alliance import Person

pytestmark = pytest.mark.xdist_group("faces")  # one alliance for all of them

PLAN = {
    "title": "power by the hour", "algorithm": "ridge",
    "params": {
        "features": [{"name": "hours", "low": 0, "high": 10, "unit": "d"}],
        "target": {"name": "power", "low": 0, "high": 15}, "members": 3, "records": 300,
    },
}  # fmt: skip
SOURCES = [{"feature": "hours", "column": "hour", "unit": "h"}, {"feature": "power", "column": "power"}]


def test_a_mapping_is_tried_kept_and_shown(hanse: Hanse, alice: Person, shared: Shared, tmp_path: Path) -> None:
    plan, mapping = tmp_path / "plan.json", tmp_path / "mapping.json"
    plan.write_text(json.dumps(PLAN))
    mapping.write_text(json.dumps({"sources": SOURCES}))
    assert hanse("mapping", "show", plan, home=alice.home).code == 3
    bare = hanse("mapping", "check", plan, shared.dataset, "--json", home=alice.home).json
    assert [(row["feature"], row["suggested"]) for row in bare] == [("hours", "hour"), ("power", "")]
    tried = hanse("mapping", "check", plan, shared.dataset, "--file", mapping, "--json", home=alice.home).json
    assert [(row["trouble"], row["unknown"], row["outside"]) for row in tried] == [("", [], 0)] * 2
    assert tried[0]["high"] == 199 / 24
    kept = hanse("mapping", "set", plan, mapping, "--json", home=alice.home).json
    assert (kept["version"], kept["already"]) == (1, False)
    shown = hanse("mapping", "show", plan, "--json", home=alice.home).json
    assert [one["digest"] for one in shown] == [kept["digest"]]


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"sources": [{"column": "a"}]}', '{"sources": [{"feature": "a", "colum": "b"}]}', "{}"]
)
def test_what_is_no_mapping_is_misuse(hanse: Hanse, alice: Person, tmp_path: Path, text: str) -> None:
    plan, mapping = tmp_path / "plan.json", tmp_path / "mapping.json"
    plan.write_text(json.dumps(PLAN))
    mapping.write_text(text)
    said = hanse("mapping", "set", plan, mapping, "--json", home=alice.home)
    assert (said.code, said.json["error"]["clause"]) == (2, "mapping")
