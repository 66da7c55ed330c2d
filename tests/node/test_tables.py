"""Tables on disk: described without being kept in memory, and refused by name where they are none."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import tables
from node.documents import Column
from node.errors import Conflict, Misuse, Refused
from node.tables import (
    PARQUET,
    columns,
    describe,
    fresh,
    harmless,
    join_parquet,
    note_of,
    pieces,
    write_parquet,
)

CELL = st.text(st.sampled_from('ab",\n \r'), min_size=1, max_size=6)


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_a_table_is_described_by_its_columns_and_rows(tmp_path: Path) -> None:
    found = describe(written(tmp_path, "when,amount,share,ok,name\n2024,3,0.5,True,x\n2025,4,0.25,False,y\n"))
    assert (found.media_type, found.rows) == ("text/csv", 2)
    types = ["integer", "integer", "number", "boolean", "string"]
    assert found.columns == tuple(map(Column, ["when", "amount", "share", "ok", "name"], types))


@pytest.mark.parametrize(("text", "rows"), [("a\n1", 1), ("a\n1\n", 1), ("a\n", 0), ('a\n"x\ny"\n2\n', 2)])
def test_rows_are_records_whatever_ends_the_last_one(tmp_path: Path, text: str, rows: int) -> None:
    assert describe(written(tmp_path, text)).rows == rows


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_line_ends_inside_quotes_are_no_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b"), *rows])
    path = written(tmp_path_factory.mktemp("csv"), text.getvalue())
    assert describe(path).rows == len(rows)


@pytest.mark.parametrize("name", ["model.bin", "notes.txt", "table"])
def test_another_file_is_bytes(tmp_path: Path, name: str) -> None:
    found = describe(written(tmp_path, "a,b\n1,2\n", name))
    assert (found.media_type, found.rows, found.columns) == ("application/octet-stream", None, ())


def assert_refused_on_both_sides(path: Path) -> None:
    """By who publishes it, and by who trains on it."""
    with pytest.raises(Misuse):
        describe(path)
    with pytest.raises(Refused) as caught, path.open("rb") as file:
        columns(file)
    assert caught.value.clause == "table"


@pytest.mark.parametrize("data", [b"\xff\xfe,a\n1,2\n", b'a,b\n1,"2\n', b"a,b\n1,2\n1,2,3\n", b"\n\n"])
def test_a_csv_that_is_no_table_is_refused_on_both_sides(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    assert_refused_on_both_sides(path)


def test_cells_come_as_text_and_missing_ones_as_nan(tmp_path: Path) -> None:
    with written(tmp_path, "a,b\n01,x\n,y\n").open("rb") as file:
        found = columns(file)
    assert found["b"] == ["x", "y"]
    assert found["a"][0] == "01"
    assert found["a"][1] != found["a"][1]


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-x", "'-x"),
        ("\t=1", "'\t=1"), ("  =1", "'  =1"), ("＝1", "'＝1"), ("\r=1", "'\r=1"), ("-3.5", "-3.5"), ("+1e9", "+1e9"),
        ("mill", "mill"), ("", ""), ("a=b", "a=b"), ("-1-1", "'-1-1"), ("-inf", "'-inf"),
    ],
)  # fmt: skip
def test_no_cell_is_a_formula(cell: str, kept: str) -> None:
    assert harmless(cell) == kept


def test_a_file_comes_in_pieces_and_leaves_whole_or_not_at_all(tmp_path: Path) -> None:
    source = written(tmp_path, '\ufeffname,"a, b"\n' + "".join(f'x{i},"{i},\n"\n' for i in range(10)))
    found = list(pieces(source, rows=4))
    assert [len(piece["name"]) for piece in found] == [4, 4, 2]
    assert [cell for piece in found for cell in piece["a, b"]] == [f"{i},\n" for i in range(10)]
    out = tmp_path / "out.csv"

    def broken() -> None:
        with fresh(out) as write:
            write(["a"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    with fresh(out) as write:
        write(["=a", "1"])
    assert out.read_text() == "'=a,1\n"
    with pytest.raises(Conflict), fresh(out):
        pass


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n", "a,b\n1\n", "a,b\n1,2,3\n", 'a,b\n1,"2\n'])
def test_what_is_no_table_comes_in_no_pieces(tmp_path: Path, text: str) -> None:
    with pytest.raises(Misuse) as no:
        list(pieces(written(tmp_path, text)))
    assert no.value.clause == "source"


# --- Parquet ---

WHOLE = {"when": [1, 2], "share": [0.5, None], "ok": [True, False], "name": ["x", None]}


def test_parquet_is_described_and_read_like_a_csv(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", WHOLE)
    found = describe(tmp_path / "t.parquet")
    assert (found.media_type, found.rows) == (PARQUET, 2)
    assert found.columns == tuple(map(Column, WHOLE, ["integer", "number", "boolean", "string"]))
    with (tmp_path / "t.parquet").open("rb") as file:
        cells = columns(file)
    assert cells["when"] == [1, 2]
    assert cells["ok"] == ["True", "False"]
    assert cells["share"][0] == 0.5
    assert all(cells[name][1] != cells[name][1] for name in ("share", "name"))


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1" + b"\x00" * 40 + b"PAR1", b"PAR1 and no more of it"])
def test_a_parquet_that_is_none_is_refused_on_both_sides(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(data)
    assert_refused_on_both_sides(path)


def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_parquet(path, {"name": [f"{i}" * 9 for i in range(999)]})
    data = bytearray(path.read_bytes())
    data[4:60] = b"\xff" * 56
    path.write_bytes(data)
    with pytest.raises(Refused) as caught, path.open("rb") as file:
        columns(file)
    assert caught.value.clause == "table"


@pytest.mark.parametrize("limit", ["CELLS", "UNPACKED"])
def test_a_parquet_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    write_parquet(tmp_path / "t.parquet", {"a": ["x" * 100] * 1000})
    assert (tmp_path / "t.parquet").stat().st_size < 1000 <= 100 * 1000
    monkeypatch.setattr(tables, limit, 999)
    with pytest.raises(Refused) as caught, (tmp_path / "t.parquet").open("rb") as file:
        columns(file)
    assert caught.value.clause == "size"


def test_a_column_of_tables_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", {"a": [[1], [2]]})
    with pytest.raises(Refused, match="column of tables"), (tmp_path / "t.parquet").open("rb") as file:
        columns(file)


def test_tables_of_the_same_columns_are_joined(tmp_path: Path) -> None:
    whole, one, other = (tmp_path / f"{name}.parquet" for name in ("whole", "one", "other"))
    assert join_parquet(whole, []) == 0
    write_parquet(one, {"a": [1, 2]})
    assert join_parquet(whole, [one, one], "1") == 4
    assert join_parquet(whole, [one], "2") == 6
    assert (note_of(whole), note_of(one)) == ("2", "")
    write_parquet(other, {"b": [1]})
    with pytest.raises(Refused, match="different columns"):
        join_parquet(whole, [other])
    assert describe(whole).rows == 6
    assert not list(tmp_path.glob("*.writing"))
