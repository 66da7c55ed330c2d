"""The loans ship as a pickle: it is read like pandas would, and nothing that any pickle names is called."""

from __future__ import annotations

import io
import lzma
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from node.demo import loans
from node.errors import Untrusted


class Calls:
    """Pickled as a call of something with arguments."""

    def __init__(self, what: Any, *args: Any) -> None:
        self.what, self.args = what, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.what, self.args


def packed(thing: Any) -> bytes:
    return lzma.compress(pickle.dumps(thing))


def untrusted(data: bytes) -> Untrusted:
    with pytest.raises(Untrusted) as caught:
        loans.columns(data)
    assert caught.value.clause == "pickle"
    return caught.value


def test_the_columns_are_those_that_pandas_reads() -> None:
    data = loans.SOURCE.read()
    theirs = pd.read_pickle(io.BytesIO(data), compression="xz")
    ours = loans.columns(data)
    assert len(theirs) == 9_857
    assert set(ours) == set(theirs.columns)
    for name, column in ours.items():
        assert column.tolist() == theirs[name].tolist(), name
        assert (column.dtype.kind == "O") == (theirs[name].dtype.kind == "O"), name


def test_a_hostile_pickle_is_refused_by_name_and_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    hostile = Calls(os.mkdir, str(made))
    pickle.loads(pickle.dumps(hostile))
    assert made.exists(), "it is hostile: who runs it has been had"
    made.rmdir()
    assert str(untrusted(packed(hostile)).seen).endswith(".mkdir")
    assert not made.exists()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (b"cos\nsystem\n(S'false'\ntR.", "os.system"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"(S'false'\nios\nsystem\n.", "os.system"),
        (b"cpandas.core.frame\nDataFrame.eval\n.", "pandas.core.frame.DataFrame.eval"),
        (b"cpandas\nread_pickle\n(S'x'\ntR.", "pandas.read_pickle"),
        (b"cnode.demo.loans\n_Named\n.", "node.demo.loans._Named"),
    ],
)
def test_what_no_table_is_made_of_is_named(text: bytes, seen: str) -> None:
    assert untrusted(lzma.compress(text)).seen == seen


def test_what_a_table_is_made_of_is_not_called_either() -> None:
    """A terabyte is not reserved, a class of pandas is not changed."""
    huge = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'f8'\ntR."
    changed = b"cpandas.core.indexes.base\nIndex\n(N}S'hanse_was_here'\nI1\nstb."
    for text in (huge, changed):
        untrusted(lzma.compress(text))
    assert not hasattr(pd.Index, "hanse_was_here")


@pytest.mark.parametrize(
    "data",
    [b"", b"no xz", lzma.compress(b""), lzma.compress(b"\x80\x05"), packed([1, 2]), packed({"_mgr": ()}),
     packed(None), lzma.compress(bytes(loans.LIMIT + 1)), packed(np.float64(1) * 0)[:-9]],
    ids=["nothing", "no xz", "no pickle", "cut off", "list", "dictionary", "none", "too large", "half"],
)  # fmt: skip
def test_what_is_no_table_is_refused(data: bytes) -> None:
    untrusted(data)
