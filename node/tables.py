"""Tables on disk: what a published file looks like to its readers, and its columns as numbers for a training.

    description = describe(Path("mill.csv"))         # media type, rows, columns; nothing where it is not a table

It keeps nothing in memory but a sample of rows; pandas is imported only when there is a table to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from node.documents import Column
from node.errors import Misuse, Refused

SAMPLE_ROWS = 1000
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
