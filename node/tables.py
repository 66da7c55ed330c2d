"""Tables on disk: what a published file looks like to its readers, and its columns as numbers for a training.

    description = describe(Path("mill.csv"))         # media type, rows, columns; nothing where it is not a table

It keeps nothing in memory but a sample of rows; pandas is imported only when there is a table to look at.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

from node.documents import Column
from node.errors import Conflict, Misuse, Refused, Retry

SAMPLE_ROWS = 1000
PIECE = 4096
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CHUNK = 1 << 20
_TYPES = {"i": "integer", "u": "integer", "f": "number", "b": "boolean"}


@dataclass(frozen=True, slots=True)
class Description:
    """`rows` counts lines outside quotes below the header; None and no columns where the file is not a table."""

    media_type: str
    rows: int | None = None
    columns: tuple[Column, ...] = ()


def describe(path: Path) -> Description:
    """Media type of any file; rows and columns of a CSV. Raises Misuse where a CSV cannot be read as a table."""
    if path.suffix.lower() != ".csv" or path.stat().st_size == 0:
        return Description("application/octet-stream")
    return Description("text/csv", _lines(path) - 1, _columns(path))


def columns(file: BinaryIO) -> dict[str, list[str | float]]:
    """All cells of a CSV by column name, as text; NaN where a cell is empty. Raises Refused where it is no table."""
    import pandas as pd

    try:
        frame = pd.read_csv(file, dtype=str)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as exc:
        raise Refused(
            f"the version is not a table: {exc}", clause="table", needed="CSV in UTF-8 with a header"
        ) from exc
    return {str(name): frame[name].tolist() for name in frame.columns}


def _columns(path: Path) -> tuple[Column, ...]:
    import pandas as pd

    try:
        sample = pd.read_csv(path, nrows=SAMPLE_ROWS)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as exc:
        raise Misuse(f"not a table: {exc}", clause="source", seen=path, needed="CSV in UTF-8 with a header") from exc
    return tuple(Column(str(name), _TYPES.get(kind.kind, "string")) for name, kind in sample.dtypes.items())


def _lines(path: Path) -> int:
    """Lines of a CSV: a line end inside quotes is part of a cell (RFC 4180)."""
    count, last, quoted = 0, b"\n", False
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            for part in chunk.split(b'"'):
                count, quoted = count + (0 if quoted else part.count(b"\n")), not quoted
            last, quoted = chunk[-1:], not quoted  # what follows the last quote goes on in the next chunk
    return count + (last != b"\n")


def pieces(path: Path, *, rows: int = PIECE) -> Iterator[dict[str, list[str]]]:
    """The cells of a CSV by column, so many rows at a time; as text, nothing read into them. Raises Misuse where it is
    no table: no header, names twice, a row of another length, not UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            names = next(lines, [])
            if not names or len(set(names)) != len(names):
                raise _no_table("no header, or a name twice", path, names)
            while some := list(islice(lines, rows)):
                odd = next((line for line in some if len(line) != len(names)), None)
                if odd is not None:
                    raise _no_table(f"a row of {len(odd)} cells under {len(names)} names", path, odd[:3])
                yield {name: list(cells) for name, cells in zip(names, zip(*some, strict=True), strict=True)}
    except OSError as exc:
        raise Misuse(f"the file cannot be read: {exc.strerror}", clause="source", seen=path) from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise _no_table(str(exc), path, "") from exc


@contextmanager
def fresh(path: Path) -> Iterator[Callable[[Sequence[str]], Any]]:
    """Write rows to a CSV that appears under its name when all is written, and not at all where something fails.

    Cells that a spreadsheet would take for a formula are made text (`harmless`). Raises Conflict where it is there.
    """
    if path.exists():
        raise Conflict("the file is there already", clause="out", seen=path, hint="move it away, or name another")
    try:
        draft = NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", newline="", suffix=".part", delete=False)  # noqa: SIM115
    except OSError as exc:
        raise Misuse(f"the file cannot be written: {exc.strerror}", clause="out", seen=path) from exc
    try:
        with draft:
            writer = csv.writer(draft, lineterminator="\n")
            yield lambda cells: writer.writerow([harmless(cell) for cell in cells])
        os.replace(draft.name, path)
    except OSError as exc:
        raise Retry(f"the file cannot be written: {exc.strerror}", clause="out", seen=path) from exc
    finally:
        Path(draft.name).unlink(missing_ok=True)


def harmless(cell: str) -> str:
    """A cell that no spreadsheet runs: `=`, `+`, `-`, `@` (wide ones too), tab or line end at the start get an
    apostrophe before them, unless it is a number (OWASP, CSV injection)."""
    start = cell.lstrip(" ")[:1]
    if not start or start not in "=+-@\t\r\n＝＋－＠" or _NUMBER.fullmatch(cell):
        return cell
    return "'" + cell


def _no_table(why: str, path: Path, seen: Any) -> Misuse:
    return Misuse(f"{path.name} is no table: {why}", clause="source", seen=str(seen)[:80],
                  needed="CSV in UTF-8 with a header")  # fmt: skip
