"""Tables on disk: described without being kept in memory, and refused by name where they are none."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.documents import Column
from node.errors import Conflict, Misuse, Refused
from node.tables import columns, describe, fresh, harmless, pieces

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


@pytest.mark.parametrize("data", [b"\xff\xfe,a\n1,2\n", b'a,b\n1,"2\n', b"a,b\n1,2\n1,2,3\n", b"\n\n"])
def test_a_csv_that_is_no_table_is_refused_on_both_sides(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with pytest.raises(Misuse):
        describe(path)
    with pytest.raises(Refused) as caught, path.open("rb") as file:
        columns(file)
    assert caught.value.clause == "table"


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
