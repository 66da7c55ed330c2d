"""Help: printed quickly, as written down, with examples that the program takes."""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer

from node.cli.app import app
from tests.faces.conftest import Hanse
from tests.faces.transcripts import FOLDER, PROGRAM, nouns, printed

SECONDS = 0.5


@pytest.mark.parametrize("noun", ["", *nouns()])
def test_help_is_as_written_down(noun: str) -> None:
    """After a change on purpose: python -m tests.faces.transcripts, and read the difference."""
    written = (FOLDER / f"{noun or 'hanse'}.txt").read_text(encoding="utf-8")
    assert printed(*[noun] if noun else [], "--help") == written


def test_every_transcript_is_of_a_noun() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {"hanse", *nouns()}


def test_help_takes_less_than_500_ms() -> None:
    """Processor time of the whole program, the best of five: what it takes, not what else the machine is doing."""
    assert min(_seconds("--help") for _ in range(5)) < SECONDS


def _seconds(*words: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([PROGRAM, *words], capture_output=True, check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from node.cli import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert not loaded & {"web3", "pandas", "numpy", "sklearn", "fastapi", "sqlalchemy", "cryptography", "pydantic"}
    ours = {name for name in loaded if name.partition(".")[0] in ("node", "federation")}
    assert {name for name in ours if not name.startswith("node.cli")} == {"node", "node.errors", "node.purposes"}


def _commands() -> dict[str, Any]:
    root = typer.main.get_command(app)
    found = {}
    for noun, group in root.commands.items():
        verbs = getattr(group, "commands", {"": group})
        found |= {f"{noun} {name}".strip(): verb for name, verb in verbs.items()}
    return found


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_has_an_example_that_parses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = _commands()[name]
    example = re.sub(r"\[/?cyan\]", "", command.epilog).removeprefix("Example: ")
    program, *words = shlex.split(example)
    assert program == "hanse"
    depth = len(name.split())
    assert " ".join(words[:depth]) == name
    command.make_context(name, words[depth:])  # raises for an unknown option or a missing argument


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_takes_the_options_of_every_command(name: str) -> None:
    options = {option for parameter in _commands()[name].params for option in parameter.opts}
    assert {"--home", "--json", "--passphrase-file", "--passphrase-fd", "--debug"} <= options
    assert not {option for option in options if re.search("pass(word|phrase)$", option)}  # never on the command line


@pytest.mark.parametrize(("typed", "meant"), [("datset", "dataset"), ("gran", "grant"), ("nod", "node")])
def test_a_misspelt_noun_is_suggested(hanse: Hanse, typed: str, meant: str) -> None:
    said = hanse(typed)
    assert said.code == 2
    assert f"Did you mean '{meant}'" in said.err
    assert said.out == ""


def test_a_misspelt_verb_is_suggested(hanse: Hanse) -> None:
    assert "Did you mean 'list'" in hanse("dataset", "lst").err


def test_no_color_is_honoured() -> None:
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": "100"}
    coloured = subprocess.run([PROGRAM, "--help"], env=environment, capture_output=True, check=True, timeout=60)
    assert b"\x1b[" in coloured.stdout
    plain = subprocess.run(
        [PROGRAM, "--help"], env=environment | {"NO_COLOR": "1"}, capture_output=True, check=True, timeout=60
    )
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", plain.stdout)
