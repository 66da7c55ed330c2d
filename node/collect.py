"""Collect: the stream of sensors into a Parquet file, with what was refused counted, and its quality.

    collected = collect(broker, "plant/+/temperature", Path("readings.parquet"), seconds=60, clock=time.time)
    collected.refused                             # {"json": 2}
    quality(Path("readings.parquet"), Expected(every=60.0, low=-40.0, high=125.0))
    table(Path("readings.parquet"), Path("hours.parquet"), Windows(3600.0))      # which is published and trained on

Readings wait in memory until there are `rows` of them, then become a part beside `out`, complete or not there at all.
At the end the parts are joined, after what `out` held before; a killed run loses what waited, its parts the next run
takes along. Memory holds one part, however long it goes on.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node import tables
from node.errors import Refused
from node.mqtt import Broker, listen
from node.readings import Dimension, Expected, Reading, judged, parsed
from node.windows import Windows, windowed

TABLE = "table"
"""The note of a file that `table` wrote, which it may write again."""

ROWS = 50_000
COLUMNS = ("sensor", "measured", "value", "received")


@dataclass(frozen=True)
class Collected:
    """`readings` of this run; `rows` of the file after it; messages `refused`, by clause."""

    path: str
    readings: int
    rows: int
    refused: Mapping[str, int]


@dataclass(frozen=True)
class Tabled:
    """`rows` of `columns`, from `readings`; what was left out as of `windows.Windowed`."""

    path: str
    rows: int
    columns: tuple[str, ...]
    readings: int
    twice: int
    outside: int
    unknown: int


@dataclass
class Basket:
    """Where messages go: at most `rows` readings at a time, then a part on disk."""

    out: Path
    clock: Callable[[], float]
    rows: int = ROWS
    refused: Counter[str] = field(default_factory=Counter)
    readings: int = 0
    _waiting: list[Reading] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """That came, readings or not."""
        return self.readings + self.refused.total()

    def take(self, topic: str, payload: bytes) -> None:
        """A message; counted where it is no reading."""
        try:
            self._waiting.append(parsed(topic, payload, at=self.clock()))
        except Refused as no:
            self.refused[no.clause or "message"] += 1
            return
        self.readings += 1
        if len(self._waiting) >= self.rows:
            self.turn()

    def turn(self) -> None:
        """What waits becomes a part. A crash before leaves no part, one after a whole one."""
        if self._waiting:
            number = max([_joined(self.out), *map(_number, parts(self.out))]) + 1
            tables.write_parquet(self.out.with_suffix(f".{number:06d}.parquet"), _columns(self._waiting))
            self._waiting.clear()

    def close(self) -> int:
        """All parts in one file, after what it held; how many rows it has. The file's note is the number of the last
        part in it: a crash before those parts are gone does not let the next run take them twice."""
        self.turn()
        last, found = _joined(self.out), parts(self.out)
        new = [path for path in found if _number(path) > last]
        rows = tables.join_parquet(self.out, new, str(max([last, *map(_number, new)])))
        for path in found:
            path.unlink()
        return rows


def collect(
    broker: Broker, topic: str, out: Path, *, seconds: float, clock: Callable[[], float], rows: int = ROWS,
    ready: Callable[[], None] | None = None, messages: int | None = None,
) -> Collected:  # fmt: skip
    """Listen for so long, or until so many `messages` came; what came until then is in the file whatever ends it.

    Errors as of `mqtt.listen`."""
    basket = Basket(out, clock, rows)
    _joined(out)  # another table under that name is refused before anything is collected
    try:
        listen(broker, topic, basket.take, seconds=seconds, ready=ready,
               enough=lambda: messages is not None and basket.messages >= messages)  # fmt: skip
    finally:
        total = basket.close()
    return Collected(str(out), basket.readings, total, dict(basket.refused))


def quality(
    path: Path, expected: Expected, *, refused: int = 0, sensor: str | None = None
) -> tuple[Dimension, ...]:  # fmt: skip
    """The six numbers of a file of readings, or of one sensor's in it. Raises Refused where there are none."""
    found = [one for one in readings_of(path) if sensor in (None, one.sensor)]
    if sensor is not None and not found:
        raise Refused("no such sensor", clause="sensor", seen=sensor,
                      needed=", ".join(sorted({one.sensor for one in readings_of(path)})))  # fmt: skip
    return judged(found, expected, refused=refused)


def table(path: Path, out: Path, asked: Windows) -> Tabled:
    """The readings of a file as a Parquet table, complete under its name or not there. Raises Refused where the one
    has no readings, or the other is a file that this did not write."""
    if out.exists() and tables.note_of(out) != TABLE:
        raise Refused("not a table of readings", clause="out", seen=out, needed="one that this command wrote, or none")
    columns = _read(path)
    found = windowed(columns, asked)
    tables.write_parquet(out, found.columns, TABLE)
    return Tabled(str(out), found.rows, tuple(found.columns), len(columns["sensor"]), found.twice, found.outside,
                  found.unknown)  # fmt: skip


def readings_of(path: Path) -> Iterator[Reading]:
    """The readings in a file that `collect` wrote. Raises Refused for any other table."""
    found = _read(path)
    for sensor, measured, value, received in zip(*(found[name] for name in COLUMNS), strict=True):
        yield Reading(str(sensor), float(measured), float(value), float(received))


def _read(path: Path) -> dict[str, list[str | float]]:
    with path.open("rb") as file:
        found = tables.columns(file)
    if not set(COLUMNS) <= set(found):
        raise Refused("the file has no readings", clause="columns", seen=sorted(found), needed=", ".join(COLUMNS))
    return found


def parts(out: Path) -> list[Path]:
    """Parts beside `out`, in order."""
    return sorted(out.parent.glob(f"{glob.escape(out.stem)}.{'[0-9]' * 6}.parquet"))


def _number(part: Path) -> int:
    return int(part.stem.rsplit(".", 1)[1])


def _joined(out: Path) -> int:
    """The last part that is in the file; 0 where there is no file."""
    if not out.exists():
        return 0
    note = tables.note_of(out)
    if not note.isdecimal():
        raise Refused("not a file of readings", clause="out", seen=out, needed="one that this command wrote, or none")
    return int(note)


def _columns(readings: Sequence[Reading]) -> dict[str, list[str] | list[float]]:
    return {
        "sensor": [one.sensor for one in readings], "measured": [one.measured for one in readings],
        "value": [one.value for one in readings], "received": [one.received for one in readings],
    }  # fmt: skip
