"""What came out, on stdout: one JSON document, a table at a terminal, tab-separated lines in a pipe.

Progress goes to stderr.

show(records, json=False)
with progress() as report: report("sealing", 4096, 65536)
"""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from typing import Any

Report = Callable[[str, int, int | None], None]
"""How a story says where it stands: the step's name, what is done of it, and of how much (None: unknown)."""

_SHORT = 14


@dataclass(frozen=True, slots=True)
class Outcome:
    """A record that has its own words for people, and its own exit code."""

    record: Any
    words: str
    exit_code: int


def show(result: Any, *, json: bool) -> None:
    """Print a record, or a list of records of one kind."""
    if isinstance(result, Outcome):
        result = result.record if json else result.words
    plain = _plain(result)
    if json:
        print_json(plain)
    elif isinstance(plain, str):
        sys.stdout.write(plain + "\n")
    elif isinstance(plain, dict):
        _rows([{"": name, " ": value} for name, value in plain.items()], head=False, short=False)
    else:
        _rows(plain, head=True, short=True)


def print_json(plain: Any) -> None:
    sys.stdout.write(jsonlib.dumps(plain, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def progress() -> Iterator[Report]:
    """A bar at a terminal, else one line a step; both on stderr."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        steps: dict[str, Any] = {}

        def report(step: str, done: int, total: int | None) -> None:
            if step not in steps:
                steps[step] = bars.add_task(step, total=total)
            bars.update(steps[step], completed=done, total=total)

        yield report


def _lines() -> Report:
    said: set[str] = set()

    def report(step: str, done: int, total: int | None) -> None:
        if step not in said:
            said.add(step)
            sys.stderr.write(f"{step}\n")

    return report


def _plain(result: Any) -> Any:
    if is_dataclass(result):
        from node.documents import plain

        return plain(result)
    return [_plain(item) for item in result] if isinstance(result, (list, tuple)) else result


def _rows(rows: Sequence[dict[str, Any]], *, head: bool, short: bool) -> None:
    if not sys.stdout.isatty():
        lines = ["\t".join(rows[0])] if head and rows else []
        lines += ["\t".join(_cell(value) for value in row.values()) for row in rows]
        sys.stdout.writelines(line + "\n" for line in lines)
        return
    if not rows:
        sys.stderr.write("nothing yet\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0], box=None, show_header=head, header_style="bold", pad_edge=False)
    for row in rows:
        cells = (_cell(value) for value in row.values())
        table.add_row(*(Text(_shortened(cell) if short else cell) for cell in cells))
    Console(highlight=False).print(table)


def _cell(value: Any) -> str:
    """One value on one line: somebody else's title must not break the table or escape to the terminal."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    elif isinstance(value, (list, dict)):
        value = jsonlib.dumps(value, ensure_ascii=False)
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return "".join(char if char.isprintable() else " " for char in text)


def _shortened(text: str) -> str:
    """Ids at a terminal by their first digits, which every command takes for the whole where they are unique."""
    return text[:_SHORT] + "…" if text.startswith("0x") and len(text) > 42 else text
