"""The documents say what is so: their commands exist, their links lead somewhere, their examples decode."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer

from node import canon, documents, policy, sums
from node.cli.app import app
from node.cli.demo import _rendered
from node.documents import SCHEMAS
from node.encryption.wrap import WrapRecord
from node.store import Cid
from tests.docs.reading import PAGES, READMES, ROOT, anchors, blocks, commands, lines, links

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.json"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(params=PAGES, ids=_name)
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


# --- the two commands, and both languages ---


@pytest.mark.parametrize("readme", READMES, ids=_name)
def test_the_two_commands_stand_before_line_20(readme: Path) -> None:
    top = "\n".join(readme.read_text(encoding="utf-8").splitlines()[:19])
    assert lines(blocks(top, "sh")[0]) == ["scripts/demo", "scripts/test"]


def test_both_languages_show_the_same_commands() -> None:
    english, chinese = ([lines(b) for b in blocks(path.read_text(encoding="utf-8"), "sh")] for path in READMES)
    assert english == chinese


def test_both_languages_link_to_the_same_places() -> None:
    english, chinese = (links(path.read_text(encoding="utf-8")) for path in READMES)
    other = {"README.zh-CN.md": "README.md", "docs/stories.svg": "docs/stories.zh-CN.svg"}
    assert [other.get(link, link) for link in english] == chinese


# --- commands ---


def test_every_command_exists_with_its_options(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        _parse(words)


def test_a_command_that_is_not_there_is_noticed() -> None:
    with pytest.raises(AssertionError, match="frobnicate"):
        _parse(["dataset", "frobnicate"])
    with pytest.raises(AssertionError, match="--nowhere"):
        _parse(["chain", "up", "--nowhere", "1"])


def test_every_script_named_is_there(page: Path) -> None:
    for name in re.findall(r"scripts/(\w+)", page.read_text(encoding="utf-8")):
        assert (ROOT / "scripts" / name).is_file(), name


def _parse(words: list[str]) -> None:
    """Walk down nouns and verbs; each option must be one of the command's. `--` options alone speak of any command."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and hasattr(command, "commands"):
        if rest[0].startswith("-"):
            break
        assert rest[0] in command.commands, f"no such command: {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    for word in rest:
        assert not word.startswith("-") or word.split("=")[0] in known, f"no such option: {word} in {' '.join(words)}"


# --- links, paths, what a page may hold ---


def test_every_link_leads_to_something(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.is_relative_to(ROOT), link
        assert found.exists(), link
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), link


def test_pages_hold_no_html_no_machine_paths_and_no_placeholders(page: Path) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"</?[a-zA-Z]", text), "HTML"
    assert not re.search(r"/(home|root|Users|tmp|work)/", page.read_text(encoding="utf-8"))
    assert not re.search(r"TODO|FIXME|TBD|XXX", text)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("*.svg")), ids=_name)
def test_pictures_are_plain_and_described(picture: Path) -> None:
    root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert {"title", "desc"} <= tags
    assert not tags & {"script", "image", "foreignObject", "a"}
    assert "http" not in picture.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")


# --- the demo's table ---


@pytest.mark.parametrize("readme", READMES, ids=_name)
def test_the_excerpt_is_of_the_demo_s_closing_table(readme: Path) -> None:
    excerpt = blocks(readme.read_text(encoding="utf-8"), "text")[0]
    shown = [row.split("│")[1].strip() for row in excerpt.splitlines()]
    printed = [row.split("│")[1].strip() for row in _rendered(TOLD).splitlines() if "│" in row]
    assert shown
    assert set(shown) <= set(printed)
    assert [name for name in printed if name in shown] == shown


TOLD: dict[str, Any] = {
    "members": [{"name": "A"}],
    "datasets": [{"records": 3}],
    "grants": [{"owner": "A", "consumer": "B", "bytes": 1, "later_fetch": {"clause": "state"}}],
    "refused": [{"member": "C", "clause": "purpose", "seen": "x", "needed": "y"}],
    "accuracy": {"federated": 0.5, "pooled": 0.5, "records": 1, "local": {"A": 0.5}},
    "federated_equals_pooled": True,
    "audit": {"checks": 20, "untrusted": 0, "unchecked": 0},
    "tamper": {"findings": [{"check": 8}]},
    "gas": {"publish": 1},
    "seconds": 1.0,
    "memory_mb": None,
    "kept": None,
    "urls": {},
    "held": True,
}
"""Just enough of a demo's document for every row of its table."""


# --- examples of documents ---


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_the_document_it_is_said_to_be(path: Path) -> None:
    data = path.read_bytes()
    assert _decoded(data) == data


def test_there_is_an_example_of_every_document() -> None:
    schemas = {_kind(path.read_bytes()) for path in EXAMPLES}
    assert schemas == {*SCHEMAS.values(), sums.PLAN_SCHEMA, "hanse/wrap/1", "Offer", "Agreement"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_formats_shows_the_example_with_its_digest(path: Path) -> None:
    data = path.read_bytes()
    digest = hashlib.sha256(data).digest()
    head = f"[{path.name}](examples/{path.name}), {len(data)} bytes, digest `0x{digest.hex()}`, CID `{Cid.raw(digest)}`"
    shown = json.dumps(_shortened(json.loads(data)), indent=2, ensure_ascii=False)
    assert f"{head}\n\n```json\n{shown}\n```\n" in (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")


def _kind(data: bytes) -> str:
    document = json.loads(data)
    return str(document.get("schema") or document["@type"])


def _decoded(data: bytes) -> bytes:
    """The bytes again, through the record behind them."""
    kind = _kind(data)
    records = {schema: record for record, schema in SCHEMAS.items()}
    if kind in records:
        return documents.encode(documents.decode(records[kind], data))
    if kind == sums.PLAN_SCHEMA:
        return sums.Plan.decode(data).encode()
    if kind == "Offer":
        return canon.encode(policy.offer_document(policy.parse_offer(canon.parse(data, limit=1 << 20))))
    if kind == "Agreement":
        asked = documents.decode(documents.RequestRecord, (ROOT / "docs/examples/request.json").read_bytes())
        return canon.encode(policy.agreement_document(asked.terms))
    return WrapRecord.parse(data).encode()


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > 80:
        return value[:24] + "…"
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value
