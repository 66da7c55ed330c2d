"""A scenario: real records of several sites, a question, and what a wrong answer costs. The story is the same for all.

    HEALTHCARE = Scenario(name="healthcare", ..., load=hospitals, column="dataset", sites=("Cleveland", ...))
    parts = HEALTHCARE.parts(folder)              # {"Cleveland": Path(...), ...}
    plan = HEALTHCARE.plan()

All plans hold one record in `EVERY` out (`logistic-held-out`, `neural-held-out`): the models are judged on those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from federation import records as plain_records
from federation.tables import Columns, Feature, Table
from node import tables
from node.demo.streams import Stream, table_of
from node.errors import Misuse, Untrusted
from node.sums import Plan, plan_of

if TYPE_CHECKING:
    import pandas as pd

EVERY = 4
"""One record in so many is held out."""

Metric = Literal["area", "r2", "share"]
METRICS: Mapping[Metric, str] = {
    "area": "area under the ROC curve",
    "r2": "share of the variance explained (R²)",
    "share": "share of right answers",
}


@dataclass(frozen=True)
class Decision:
    """What is decided by the model, and what a wrong one costs, in `unit`. The costs are assumptions: say your own.

    An alarm is a chance over false_alarm / (false_alarm + miss); of a quantity, an expected value under `below`; of
    classes, an answer whose chance of being wrong, times `miss`, is over `false_alarm`.
    """

    about: str
    alarm: str
    miss: float
    false_alarm: float
    unit: str
    below: float | None = None


@dataclass(frozen=True)
class Scenario:
    """`sites` are values of `column` in what `load` returns; `site` and `sites_word` what one and many are called.

    `records`: the most of one site, public, part of the plan. `params`: the algorithm's beside features and target.
    `cap`: which records are left out, in words, empty for none. `purpose` is offered, `other` is not. `stream`: what
    `load` returns is said over MQTT, and collected, before there is a table.
    """

    name: str
    title: str
    question: str
    site: str
    sites_word: str
    sites: tuple[str, ...]
    column: str
    load: Callable[[], pd.DataFrame]
    source: str
    licence: str
    about: str
    records: int
    features: tuple[Feature, ...]
    target: Mapping[str, Any]
    algorithm: str
    metric: Metric
    decision: Decision
    purpose: str
    other: str
    offer: str
    params: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    cap: str = ""
    stream: Stream | None = None

    @property
    def exact(self) -> bool:
        """Whether federated and pooled are the same model to the last bit."""
        return self.algorithm != "neural-held-out"

    def plan(self, *, members: int | None = None, records: int | None = None) -> Plan:
        """What all sites compute together, or as many `members` of at most `records` each."""
        features = [plain_records.plain(one) for one in self.features]
        model = {"features": features, "target": dict(self.target)}
        limits = {"members": members or len(self.sites), "records": records or self.records}
        if self.exact:
            model |= limits | dict(self.params)
        else:
            model |= dict(self.params) | {"averaging": limits | self.params["averaging"]}
        document = {"model": model, "every": EVERY}
        return plan_of(self.title, self.algorithm, document)

    def one_place(self) -> Plan:
        """The same for all records in one place."""
        return self.plan(members=1, records=len(self.sites) * self.records)

    def parts(self, folder: Path) -> dict[str, Path]:
        """Each site's records as a CSV or Parquet file in `folder`. Untrusted where it has more than the plan allows,
        Misuse where its stream was not collected there."""
        return {site: self._part(frame, site, folder) for site, frame in self._frames(folder).items()}

    def measured(self) -> dict[str, pd.DataFrame]:
        """What there is of each site."""
        frame = self.load()
        return {site: frame[frame[self.column] == site] for site in self.sites}

    def _frames(self, folder: Path) -> dict[str, pd.DataFrame]:
        import pandas as pd

        if self.stream is None:
            return self.measured()
        found = {site: table_of(folder, site) for site in self.sites}
        missing = [path.name for path in found.values() if not path.exists()]
        if missing:
            raise Misuse("the streams of this scenario were not collected", clause="stream", seen=missing,
                         needed="what `streams.collected` writes")  # fmt: skip
        return {site: pd.DataFrame(columns_of(path)) for site, path in found.items()}

    def _part(self, frame: pd.DataFrame, site: str, folder: Path) -> Path:
        if not 0 < len(frame) <= self.records:
            raise Untrusted("a site has no records, or too many", clause="records", seen=len(frame),
                            needed=f"1 to {self.records} of {site}")  # fmt: skip
        path = (folder / site.lower().replace(" ", "-")).with_suffix(".parquet" if self.stream else ".csv")
        _write(frame, path)
        return path

    def learnt_and_judged(self, columns: Columns) -> tuple[Table, Table]:
        """The records that are learnt from, and those that are held out."""
        plan = self.plan()
        learnt, judged = plan.params.split(plan.steps.prepare(plan.params, columns))
        return learnt, judged


def columns_of(path: Path) -> dict[str, Any]:
    """All cells of a table by column, as a node reads them."""
    with path.open("rb") as file:
        return dict(tables.columns(file))


def _write(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        tables.write_parquet(path, {str(name): frame[name].tolist() for name in frame.columns})
