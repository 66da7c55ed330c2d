"""Readings become a table: a row for each window of time, a column for each sensor, its mean there. Windows are cut by
the clock, at whole multiples of their length, so that those of all members are the same.

A column is called what is left of a topic without the levels that all topics share: `temp` of `EWR/temp`. Beside them
stand `start` (of the window, seconds since 1970) and `hour` (0 to 23, UTC), and for each shift the value so many
windows later (`temp+3`) or earlier (`temp-3`). A pure function: files are `collect`'s.

    table = windowed(columns, Windows(3600.0, (Shift.of("temp:3"),), {"temp": (-40.0, 120.0)}))
    table.columns["temp+3"]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from node.errors import Misuse, Refused

if TYPE_CHECKING:
    import pandas as pd

ADDED = ("start", "hour")
MOST = 1_000_000  # windows of a shift


@dataclass(frozen=True, slots=True)
class Shift:
    """The column `name` of so many `windows` later, or earlier where there are fewer than none."""

    name: str
    windows: int

    @classmethod
    def of(cls, text: str) -> Shift:
        """From `temp:3` or `temp:-3`. Raises Misuse."""
        name, _, number = text.rpartition(":")
        try:
            found = cls(name, int(number))
        except ValueError:
            found = cls("", 0)
        if not found.name or not 0 < abs(found.windows) <= MOST:
            raise Misuse("no shift", clause="shift", seen=text, needed="NAME:WINDOWS, as in temp:3 or temp:-3")
        return found

    @property
    def column(self) -> str:
        return f"{self.name}{self.windows:+d}"


@dataclass(frozen=True)
class Windows:
    """`every`: a window's seconds. `within`: by column the least and the most that its sensor can read."""

    every: float
    shifts: tuple[Shift, ...] = ()
    within: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = [name for name, (low, high) in self.within.items() if not low < high]
        if not 0 < self.every < math.inf or wrong:
            raise Refused("no windows", clause="windows", seen=wrong or self.every, needed="every > 0, low < high")


@dataclass(frozen=True)
class Windowed:
    """Cells by column, NaN where a sensor said nothing. `twice`: readings of one sensor and moment that were there
    already; `outside`: beyond their bounds; both are left out. `unknown`: windows left out because what comes later,
    and is asked for by a shift, is not known."""

    columns: Mapping[str, Sequence[Any]]
    rows: int
    twice: int
    outside: int
    unknown: int


def within_of(text: str) -> tuple[str, tuple[float, float]]:
    """A column's bounds from `temp:-40:120`. Raises Misuse."""
    name, *bounds = text.rsplit(":", 2)
    try:
        low, high = (float(bound) for bound in bounds)
    except ValueError as exc:
        needed = "NAME:LOW:HIGH, as in temp:-40:120"
        raise Misuse("no bounds", clause="within", seen=text, needed=needed) from exc
    return name, (low, high)


def windowed(columns: Mapping[str, Sequence[Any]], asked: Windows) -> Windowed:
    """`columns`: sensor, measured and value of each reading. Refused for none, and for a name that no sensor has."""
    import pandas as pd

    readings = pd.DataFrame({name: columns[name] for name in ("sensor", "measured", "value")})
    if readings.empty:
        raise Refused("no readings, no table", clause="readings", seen=0, needed="one or more")
    readings["sensor"] = readings["sensor"].map(_named(sorted(set(readings["sensor"]))))
    _require(sorted(set(readings["sensor"])), asked)
    once = readings.sort_values(["sensor", "measured", "value"]).drop_duplicates(["sensor", "measured"])
    kept = once[_inside(once, asked.within)]
    table, unknown = _shifted(_means(kept, asked.every), asked.shifts)
    found = {"start": (table.index * asked.every).tolist(), "hour": _hours(table.index * asked.every)}
    found |= {str(name): table[name].tolist() for name in table.columns}
    return Windowed(found, len(table), len(readings) - len(once), len(once) - len(kept), unknown)


def _named(topics: Sequence[str]) -> dict[str, str]:
    """What is left of each topic without the levels that all share, its last at least."""
    levels = [topic.split("/") for topic in topics]
    most = min(len(one) for one in levels) - 1
    shared = next((i for i in range(most) if len({one[i] for one in levels}) > 1), most)
    return {topic: "/".join(one[shared:]) for topic, one in zip(topics, levels, strict=True)}


def _require(names: Sequence[str], asked: Windows) -> None:
    for name in names:
        if name in ADDED or name in {shift.column for shift in asked.shifts}:
            raise Refused("a sensor is called as a column of ours", clause="sensor", seen=name, needed="another name")
    for name in (*(shift.name for shift in asked.shifts), *asked.within):
        if name not in names:
            raise Refused("no such sensor", clause="sensor", seen=name, needed=", ".join(names))


def _inside(readings: pd.DataFrame, within: Mapping[str, tuple[float, float]]) -> pd.Series[bool]:
    low = readings["sensor"].map({name: bounds[0] for name, bounds in within.items()}).fillna(-math.inf)
    high = readings["sensor"].map({name: bounds[1] for name, bounds in within.items()}).fillna(math.inf)
    return readings["value"].between(low, high)


def _means(readings: pd.DataFrame, every: float) -> pd.DataFrame:
    """By the window's number, a column a sensor. Only windows in which somebody said something."""
    window = (readings["measured"] // every).astype("int64").rename("window")
    return readings.groupby([window, "sensor"])["value"].mean().unstack("sensor")


def _shifted(table: pd.DataFrame, shifts: Sequence[Shift]) -> tuple[pd.DataFrame, int]:
    sensors, known = table.copy(), table.index == table.index
    for shift in shifts:
        table[shift.column] = sensors[shift.name].reindex(table.index + shift.windows).to_numpy()
        if shift.windows > 0:
            known &= table[shift.column].notna().to_numpy()
    return table[known], int((~known).sum())


def _hours(starts: pd.Index[Any]) -> list[int]:
    return [int(start % 86_400 // 3_600) for start in starts]
