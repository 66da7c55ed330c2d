"""`hanse demo`: a whole alliance from one command, and what it came to."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from node.cli.frame import Run, verb
from node.cli.output import Outcome

if TYPE_CHECKING:
    from rich.status import Status

    from node.demo.pages import Page
    from node.demo.scenario import Scenario


def register(app: typer.Typer) -> None:
    """Put the command beside the nouns."""
    verb(app, "demo", example="hanse demo --json")(demo)


def demo(
    run: Run,
    keep: Annotated[bool, Option("--keep", help="Leave the chain and the nodes running, and say where.")] = False,
    folder: Annotated[Path | None, Option(help="Where the nodes' homes go; a temporary folder unless told.")] = None,
) -> Any:
    """Four hospitals share data under contract, learn together, and an auditor verifies all of it, on this machine.

    Exit code 0 only if every part of it held."""
    from node.demo import named

    document = told(named("healthcare"), keep=keep, folder=folder)
    return Outcome(document, _rendered(document), 0 if document["held"] else 7)


def told(
    scenario: Scenario, *, keep: bool, folder: Path | None, page: Page | None = None
) -> dict[str, Any]:  # fmt: skip
    """The story with a line a chapter on stderr; its folder goes unless it was asked for or is to be kept."""
    from node import demo as story

    place = folder or Path(tempfile.mkdtemp(prefix="hanse-demo-"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        with _watching() as show:
            return story.run(place.resolve(), show, scenario, keep=keep, page=page)
    finally:
        if not keep and folder is None:
            shutil.rmtree(place, ignore_errors=True)


class _Chapters:
    """The story as it goes on, on stderr: a spinner for the chapter under way, a line for each that is done."""

    def __init__(self, status: Status) -> None:
        self._status, self._chapter, self._note = status, "", ""
        self._began = time.monotonic()

    def begin(self, chapter: str) -> None:
        self.end()
        self._chapter, self._note, self._began = chapter, "", time.monotonic()
        self._status.update(chapter)

    def note(self, text: str) -> None:
        self._note = text
        self._status.update(f"{self._chapter} [dim]{text}[/dim]")

    def end(self) -> None:
        if self._chapter:
            took = time.monotonic() - self._began
            self._status.console.print(
                f"[green]✓[/green] {took:5.1f} s  {self._chapter}\n           [dim]{self._note}[/dim]"
            )


@contextmanager
def _watching() -> Iterator[_Chapters]:
    from rich.console import Console

    console = Console(file=sys.stderr, highlight=False)
    with console.status("Hanse") as status:
        chapters = _Chapters(status)
        yield chapters
        chapters.end()


def _rendered(document: dict[str, Any]) -> str:
    """The closing table."""
    from rich.console import Console
    from rich.table import Table

    width = min(shutil.get_terminal_size().columns, 110)
    console = Console(record=True, file=io.StringIO(), width=width)  # a quiet console records nothing
    table = Table(title="What happened", title_justify="left", show_header=False)
    for name, value in _lines(document):
        table.add_row(name, value)
    console.print(table)
    return console.export_text(styles=sys.stdout.isatty())


def _lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    accuracy, grant, audit = document["accuracy"], document["grants"][0], document["audit"]
    local = ", ".join(f"{name} {value:.3f}" for name, value in accuracy["local"].items())
    refused = document["refused"][0]
    equal = "the same model to the last bit" if document["federated_equals_pooled"] else "NOT the same model"
    found = document["tamper"]["findings"]
    memory = f", {document['memory_mb']:.0f} MB" if document["memory_mb"] else ""
    records = sum(d["records"] for d in document["datasets"])
    audited = f"{audit['checks']} checks, {audit['untrusted']} untrusted, {audit['unchecked']} could not be checked"
    because = f"by clause {refused['clause']}: {refused['seen']} is not {refused['needed']}"
    return [
        ("published", f"{records} records by {len(document['members'])} members"),
        ("granted", f"{grant['owner']} to {grant['consumer']}: {grant['bytes']} bytes, fetched and verified"),
        ("refused", f"{refused['member']}, {because}"),
        ("revoked", f"a later fetch is refused by clause {grant['later_fetch']['clause']}"),
        ("accuracy", f"federated {accuracy['federated']:.3f}, pooled {accuracy['pooled']:.3f} "
                     f"on {accuracy['records']} records held out; {equal}"),
        ("each alone", local),
        ("audit", audited),
        ("one bit flipped", f"found by check {found[0]['check']}" if found else "NOT FOUND"),
        ("gas", ", ".join(f"{name} {value:,}" for name, value in document["gas"].items())),
        ("took", f"{document['seconds']} s{memory}"),
        *_kept(document["kept"]),
        *((name, url) for name, url in document["urls"].items() if document["kept"]),
        ("all of it held", "yes" if document["held"] else "NO"),
    ]  # fmt: skip


def _kept(kept: dict[str, Any] | None) -> list[tuple[str, str]]:
    if kept is None:
        return []
    return [("still running", kept["folder"]), ("to stop it", "kill " + " ".join(map(str, kept["processes"].values())))]
