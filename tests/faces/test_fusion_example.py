"""The vertical join of docs/fusion.md, its commands run as they stand there."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from node.publish import publish
from tests.docs.reading import ROOT, blocks, commands
from tests.faces.conftest import Hanse
from tests.stories.alliance import Person

pytestmark = pytest.mark.xdist_group("faces")  # one alliance for all of them

TURNS = ("bob", "alice", "bob", "alice", "bob", "alice", "bob")
LEARNT = {
    ("overlap", "ask"): ["OVERLAP", "BACK"],
    ("dataset", "publish"): ["SHARED"],
    ("request", "create"): ["REQUEST"],
}


def example() -> list[list[list[str]]]:
    """The commands of each block under the heading."""
    text = (ROOT / "docs" / "fusion.md").read_text(encoding="utf-8").split("### A vertical join under contract")[1]
    return [commands(f"```sh\n{block}```\n") for block in blocks(text, "sh")]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.long
def test_the_vertical_join_runs_as_written(
    hanse: Hanse, alice: Person, bob: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.csv").write_text("customer,bought\n" + "".join(f"c-{i:03},{i * 3}\n" for i in range(30, 70)))
    (tmp_path / "o.csv").write_text("client_no,paid,remark\n" + "".join(f"C-{i:03},{i % 2},-\n" for i in range(60)))
    known = {
        "BOB": bob.me, "ALICE": alice.me,
        "FEATURES": publish(bob.node, tmp_path / "f.csv", title="Sales").dataset,
        "OUTCOMES": publish(alice.node, tmp_path / "o.csv", title="Payments").dataset,
    }  # fmt: skip
    people, learnt = {"alice": alice, "bob": bob}, {verb: list(names) for verb, names in LEARNT.items()}
    parts = example()
    assert len(parts) == len(TURNS)
    for name, lines in zip(TURNS, parts, strict=True):
        for words in lines:
            filled = [re.sub(r"^\$(\w+)$", lambda found: known[found[1]], word) for word in words]
            said = hanse(*filled, "--json", home=people[name].home)
            assert said.code == 0, (words, said.err, said.out)
            note(known, learnt, words, said.json)
        for person in people.values():
            person.node.follow()
    ours, theirs = rows(tmp_path / "features.csv"), rows(tmp_path / "granted.csv")
    assert [row[0] for row in ours[1:]] == [row[0] for row in theirs[1:]] == [f"C-{i:03}" for i in range(30, 60)]
    joined = [(int(a[2]), int(b[1])) for a, b in zip(ours[1:], theirs[1:], strict=True)]
    assert joined == [(i * 3, i % 2) for i in range(30, 60)]
    assert theirs[0] == ["key", "paid"]


def note(known: dict[str, Any], learnt: dict[tuple[str, str], list[str]], words: list[str], printed: Any) -> None:
    """What a command prints is what the next ones name."""
    names = learnt.get((words[0], words[1]))
    if names:
        known[names.pop(0)] = printed.get("id") or printed["dataset"]
