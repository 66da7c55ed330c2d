"""Readings of sensors: what a message must look like, and six numbers for how far a stream can be relied on.

A payload is a JSON number, or an object {"value": 21.5, "time": 1357020000} with the time in seconds since 1970 or as
ISO 8601 with a zone; without one a reading is of when it came. Not here: brokers (`mqtt`), files (`tables`).

    reading = parsed("plant/a/temperature", b"21.5", at=time.time())      # Refused for anything else
    quality = judged(readings, Expected(every=60.0, low=-40.0, high=125.0), refused=3)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from node.errors import Refused

PAYLOAD_LIMIT = 4096
TOPIC_LIMIT = 512
_YEARS = 253_402_300_799.0  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class Reading:
    """`measured` and `received` in seconds since 1970."""

    sensor: str
    measured: float
    value: float
    received: float


@dataclass(frozen=True)
class Expected:
    """What is known of the sensors: one reading `every` so many seconds, between `low` and `high`, here at most `late`
    seconds after it was measured, and never more than `jump` from the one before."""

    every: float
    low: float = -math.inf
    high: float = math.inf
    late: float = math.inf
    jump: float = math.inf

    def __post_init__(self) -> None:
        if not (self.every > 0 and self.low < self.high and self.late >= 0 and self.jump >= 0):
            raise Refused("no sensor is like that", clause="expected", seen=self,
                          needed="every > 0, low < high, late and jump 0 or more")  # fmt: skip


@dataclass(frozen=True)
class Dimension:
    """`share` of `of` that are as they should be; 1 of none."""

    name: str
    share: float
    wrong: int
    of: int
    means: str


def parsed(topic: str, payload: bytes, *, at: float) -> Reading:
    """The reading in a message that came `at`. Refused with the clause `size`, `json`, `value` or `time`."""
    if len(payload) > PAYLOAD_LIMIT or len(topic) > TOPIC_LIMIT:
        raise Refused("a message is too large", clause="size", seen=len(payload), needed=f"at most {PAYLOAD_LIMIT}")
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as exc:
        raise Refused(
            "a message is not JSON", clause="json", seen=payload[:40], needed="a number or an object"
        ) from exc
    document = found if isinstance(found, dict) else {"value": found}
    measured = _time(document["time"]) if "time" in document else at
    return Reading(topic, measured, _number(document.get("value"), "value"), at)


def judged(readings: Sequence[Reading], expected: Expected, *, refused: int = 0) -> tuple[Dimension, ...]:
    """Completeness, validity, accuracy, timeliness, uniqueness and consistency, in this order.

    `refused`: messages that were no readings. A pure function of its arguments; the order of readings does not matter.
    """
    by_sensor = _by_sensor(readings)
    firsts = sum(len(times) for times in by_sensor.values())
    due = sum(_due(times, expected.every) for times in by_sensor.values())
    present = sum(_slots(times, expected.every) for times in by_sensor.values())
    outside = sum(not expected.low <= one.value <= expected.high for one in readings)
    late = sum(not 0 <= one.received - one.measured <= expected.late for one in readings)
    steps = [abs(after - before) for times in by_sensor.values() for before, after in _successive(times, expected)]
    return (
        _share("completeness", due - present, due, "readings that were due are there"),
        _share("validity", refused, len(readings) + refused, "messages are readings"),
        _share("accuracy", outside, len(readings), "values are within the sensor's bounds"),
        _share("timeliness", late, len(readings), "readings came in time, and none from the future"),
        _share("uniqueness", len(readings) - firsts, len(readings), "readings came once"),
        _share("consistency", sum(step > expected.jump for step in steps), len(steps), "neighbours do not contradict"),
    )


def _share(name: str, wrong: int, of: int, means: str) -> Dimension:
    return Dimension(name, 1.0 - wrong / of if of else 1.0, wrong, of, means)


def _by_sensor(readings: Iterable[Reading]) -> dict[str, dict[float, float]]:
    """Values by time of each sensor, in order of time; of several of one time the smallest, whatever came first."""
    found: dict[str, dict[float, float]] = {}
    for one in sorted(readings, key=lambda one: (one.sensor, one.measured, one.value)):
        found.setdefault(one.sensor, {}).setdefault(one.measured, one.value)
    return found


def _due(times: dict[float, float], every: float) -> int:
    return _slot(max(times), min(times), every) + 1


def _slots(times: dict[float, float], every: float) -> int:
    first = min(times)
    return len({_slot(time, first, every) for time in times})


def _slot(time: float, first: float, every: float) -> int:
    return math.floor((time - first) / every + 0.5)


def _successive(times: dict[float, float], expected: Expected) -> list[tuple[float, float]]:
    """Values one period apart: over a gap nothing can be said."""
    return [
        (before, after)
        for (earlier, before), (later, after) in pairwise(times.items())
        if later - earlier <= 1.5 * expected.every
    ]


def _number(value: Any, clause: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("a message has no number", clause=clause, seen=value, needed="a finite number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Refused("a message has no number", clause=clause, seen=str(value)[:40], needed="a finite number")
    return number


def _time(value: Any) -> float:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        seconds = moment.timestamp() if moment and moment.tzinfo else _number(value, "time")
    except (ValueError, OverflowError) as exc:
        raise Refused("a message has no time", clause="time", seen=value, needed="ISO 8601 with a zone") from exc
    if not 0 <= seconds <= _YEARS:
        raise Refused("a message is of another age", clause="time", seen=seconds, needed=f"0 to {_YEARS:.0f} seconds")
    return seconds
