"""Tables on disk: what a published file looks like to its readers, and its columns as numbers for a training.

    description = describe(Path("mill.csv"))         # media type, rows, columns; nothing where it is not a table

CSV, or Parquet where pyarrow is installed (`pip install 'hanse[parquet]'`). To describe a table it keeps nothing in
memory but a sample of rows; pandas is imported only when there is a table to look at. What a Parquet file
says it holds is limited before it is unpacked, and its bytes while it is.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

from node.documents import Column
from node.errors import Conflict, Misuse, Refused, Retry

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

SAMPLE_ROWS = 1000
PIECE = 4096
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
CELLS = 100_000_000
"""The most rows times columns of a Parquet file that are read."""

UNPACKED = 2 << 30
"""The most bytes that its cells take once unpacked, `BATCH` rows at a time."""

BATCH = 4096
PARQUET = "application/vnd.apache.parquet"
_MAGIC = b"PAR1"
_NOTE = b"hanse"
_CHUNK = 1 << 20
_TYPES = {"i": "integer", "u": "integer", "f": "number", "b": "boolean"}


@dataclass(frozen=True, slots=True)
class Description:
    """`rows` counts lines outside quotes below the header; None and no columns where the file is not a table."""

    media_type: str
    rows: int | None = None
    columns: tuple[Column, ...] = ()


def describe(path: Path) -> Description:
    """Media type of any file; rows and columns of a table. Raises Misuse where one cannot be read as it is named."""
    if path.suffix.lower() == ".parquet" and path.stat().st_size:
        return _described(path)
    if path.suffix.lower() != ".csv" or path.stat().st_size == 0:
        return Description("application/octet-stream")
    return Description("text/csv", _lines(path) - 1, _columns(path))


def columns(file: BinaryIO) -> dict[str, list[str | float]]:
    """All cells by column name; NaN where a cell is empty. Raises Refused where it is no table, or too large a one.

    Of a CSV as text; of Parquet numbers as numbers, all else as text.
    """
    import pandas as pd

    start = file.read(len(_MAGIC))
    file.seek(0)
    if start == _MAGIC:
        return _cells(file)

    try:
        frame = pd.read_csv(file, dtype=str)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as exc:
        raise Refused(
            f"the version is not a table: {exc}", clause="table", needed="CSV in UTF-8 with a header"
        ) from exc
    return {str(name): frame[name].tolist() for name in frame.columns}


def write_parquet(path: Path, columns: Mapping[str, Sequence[Any]], note: str = "") -> None:
    """Columns as a Parquet file with a note of ours: complete under its name, or not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, aside = pa.table(dict(columns)), path.with_suffix(".writing")
    pq.write_table(table.replace_schema_metadata({_NOTE: note.encode()}), aside)
    _replace(aside, path)


def join_parquet(path: Path, parts: Sequence[Path], note: str = "") -> int:
    """Append tables of the same columns to the one at `path`, if there is any, with a new note; its rows then.

    One group of rows at a time, into a file that replaces the old one at the end. Raises Refused for other columns.
    """
    import pyarrow.parquet as pq

    files = [_open(one) for one in (*([path] if path.exists() else []), *parts)]
    if not files:
        return 0
    schema, aside = files[0].schema_arrow.remove_metadata(), path.with_suffix(".writing")
    for one in files:
        if not one.schema_arrow.remove_metadata().equals(schema):
            raise Refused("tables of different columns", clause="columns", seen=one.schema_arrow.names,
                          needed=schema.names)  # fmt: skip
    with pq.ParquetWriter(aside, schema.with_metadata({_NOTE: note.encode()})) as writer:
        for one in files:
            for group in range(one.num_row_groups):
                writer.write_table(one.read_row_group(group).replace_schema_metadata(None))
    _replace(aside, path)
    return sum(one.metadata.num_rows for one in files)


def note_of(path: Path) -> str:
    """The note in a Parquet file of ours, empty for any other. Raises Refused where it is none."""
    found: bytes = (_open(path).schema_arrow.metadata or {}).get(_NOTE, b"")
    return found.decode(errors="replace")


def _replace(aside: Path, path: Path) -> None:
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def _open(source: Path | BinaryIO) -> ParquetFile:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as exc:
        raise Misuse("Parquet is not installed", clause="pyarrow", hint="pip install 'hanse[parquet]'") from exc
    try:
        return pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as exc:
        raise Refused(f"the version is not a table: {exc}", clause="table", needed="Parquet") from exc


def _described(path: Path) -> Description:
    import pyarrow as pa

    try:
        file = _open(path)
    except Refused as exc:
        raise Misuse(f"not a table: {exc}", clause="source", seen=path, needed="Parquet") from exc

    def kind(one: Any) -> str:
        if pa.types.is_boolean(one):
            return "boolean"
        return "integer" if pa.types.is_integer(one) else "number" if pa.types.is_floating(one) else "string"

    named = tuple(Column(str(field.name), kind(field.type)) for field in file.schema_arrow)
    return Description(PARQUET, file.metadata.num_rows, named)


def _cells(source: BinaryIO) -> dict[str, list[str | float]]:
    import pyarrow as pa

    file = _open(source)
    seen = file.metadata.num_rows * file.metadata.num_columns
    if seen > CELLS:
        raise Refused("the table is too large", clause="size", seen=f"{seen} cells", needed=f"at most {CELLS}")
    found: dict[str, list[str | float]] = {field.name: [] for field in file.schema_arrow}
    nested = next((field.name for field in file.schema_arrow if pa.types.is_nested(field.type)), None)
    if nested is not None:
        raise Refused("a column of tables", clause="table", seen=nested, needed="one value a cell")
    size = 0
    try:
        for batch in file.iter_batches(batch_size=BATCH):
            size += batch.nbytes
            if size > UNPACKED:
                raise Refused("the table is too large", clause="size", seen=f"more than {UNPACKED} bytes",
                              needed=f"at most {UNPACKED}")  # fmt: skip
            for name, cells in zip(batch.schema.names, batch.columns, strict=True):
                number = pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type)
                found[name] += [_cell(cell, number) for cell in cells.to_pylist()]
    except (pa.ArrowException, OSError) as exc:
        raise Refused(f"the version is not a table: {exc}", clause="table", needed="Parquet") from exc
    return found


def _cell(cell: Any, number: bool) -> str | float:
    if cell is None:
        return float("nan")
    return cell if number else str(cell)


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
