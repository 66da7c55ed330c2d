"""The page of a scenario: federated, pooled and each site alone, what decisions cost, and what was proved.

Its facts are what `hanse scenario run --facts` wrote (schema `hanse/scenario/1`): a demonstration that had every site's
records on one machine. Read here as from anywhere; fields that the page does not need are left alone.

    found = scenario_of(path.read_bytes())
    Tells(found, LANGUAGES["en"]).rows()
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from node.errors import Misuse
from node.paper.numbers import number

SCHEMA = "hanse/scenario/1"


@dataclass(frozen=True)
class Line:
    """One site's held-out records, or all: how many, and the score of each model; None where none can be said, as of
    the area with one label only. `cost`: of 100 decisions by each model, and of always or never raising the alarm,
    whichever is less."""

    site: str
    records: int
    learnt: int
    federated: float | None
    pooled: float | None
    alone: float | None
    cost: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """`everybody`: on all held-out records; there `alone` is the mean of the sites' own models."""

    metric: Literal["area", "r2", "share"]
    sites: tuple[Line, ...]
    mean: Line
    everybody: Line
    helped: tuple[str, ...]
    harmed: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What a wrong one costs, in `unit`."""

    about: str
    miss: float
    false_alarm: float
    unit: str


@dataclass(frozen=True)
class Audit:
    checks: int
    untrusted: int
    unchecked: int


@dataclass(frozen=True)
class Proved:
    federated_equals_pooled: bool
    tamper_detected: bool
    audit: Audit


@dataclass(frozen=True)
class Trained:
    id: str
    model: str


@dataclass(frozen=True)
class Scenario:
    """What the page needs of a scenario's facts."""

    schema: Literal["hanse/scenario/1"]
    question: str
    source: str
    licence: str
    cap: str
    site: str
    decision: Decision
    training: Trained
    comparison: Comparison
    proved: Proved
    gas: dict[str, int]
    seconds: float
    held: bool


def scenario_of(data: bytes) -> Scenario:
    """Raises Misuse, naming the field, for anything but a scenario's facts."""
    from pydantic import TypeAdapter, ValidationError

    try:
        found: Scenario = TypeAdapter(Scenario).validate_python(json.loads(data))
    except (ValueError, RecursionError) as exc:
        first = exc.errors()[0] if isinstance(exc, ValidationError) else None
        where = ".".join(map(str, first["loc"])) if first else "not JSON"
        raise Misuse("not the facts of a scenario", clause="facts", seen=where,
                     needed=first["msg"] if first else f"a document of schema {SCHEMA}") from exc  # fmt: skip
    return found


@dataclass(frozen=True)
class Row:
    """A line of the table as it is shown. `best`: which of together and alone is clearly better, "" where neither."""

    site: str
    records: str
    together: str
    pooled: str
    alone: str
    cost: tuple[str, str]
    best: Literal["together", "alone", ""]
    all: bool


class Tells:
    """A scenario in one language."""

    def __init__(self, scenario: Scenario, words: Mapping[str, str]) -> None:
        self._found, self._words = scenario, words

    def __call__(self, key: str, **values: object) -> str:
        return self._words[key].format(**values) if values else self._words[key]

    def verdict(self) -> str:
        found = self._found.comparison
        said = self("scenario_helped", helped=len(found.helped), all=len(found.sites))
        return said + (self("scenario_harmed", names=", ".join(found.harmed)) if found.harmed else "")

    def metric(self) -> str:
        metric = self._found.comparison.metric
        return self("area_note" if metric == "area" else f"scenario_{metric}")

    def rows(self) -> list[Row]:
        """Every site, their mean, and everybody's records together."""
        found = self._found.comparison
        named = [(line.site, line) for line in found.sites]
        named += [(self("scenario_mean"), found.mean), (self("scenario_everybody"), found.everybody)]
        return [self._row(name, line, all_=place >= len(found.sites)) for place, (name, line) in enumerate(named)]

    def costs(self) -> list[tuple[str, str, float]]:
        """Name, cost of 100 decisions on everybody's records, and its share of the dearest."""
        cost = self._found.comparison.everybody.cost
        named = [(self(f"scenario_cost_{name}"), cost[name]) for name in ("federated", "alone", "no_model")
                 if name in cost]  # fmt: skip
        dearest = max((value for _, value in named), default=0.0) or 1.0
        return [(name, number(value), value / dearest) for name, value in named]

    def decision(self) -> str:
        found = self._found.decision
        return self("scenario_decision", about=found.about, miss=number(found.miss), alarm=number(found.false_alarm),
                    unit=found.unit)  # fmt: skip

    def proved(self) -> Iterator[str]:
        found = self._found
        proved, audit = found.proved, found.proved.audit
        if not found.held:
            yield self("scenario_not_held")
        yield self("scenario_same" if proved.federated_equals_pooled else "scenario_other")
        checked = self("scenario_audit", checks=audit.checks)
        yield checked + " " + self("scenario_untrusted", untrusted=audit.untrusted, unchecked=audit.unchecked)
        yield self("scenario_tamper" if proved.tamper_detected else "scenario_no_tamper")
        yield self("scenario_took", seconds=number(found.seconds))

    def gas(self) -> list[tuple[str, str]]:
        return [(name, number(gas, exact=True)) for name, gas in self._found.gas.items()]

    def _row(self, name: str, line: Line, *, all_: bool) -> Row:
        found = self._found.comparison
        best: Literal["together", "alone", ""] = ""
        if line.site in found.helped:
            best = "together"
        elif line.site in found.harmed:
            best = "alone"
        cost = tuple(number(line.cost[one]) if one in line.cost else "" for one in ("federated", "alone"))
        return Row(name, number(line.records, exact=True), _score(line.federated), _score(line.pooled),
                   _score(line.alone), (cost[0], cost[1]), best, all_)  # fmt: skip


def _score(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"
