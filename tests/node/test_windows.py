"""Windows: readings in a long file become rows that can be learnt from, and nothing is made up for a gap."""

from __future__ import annotations

import math
import random

import pytest

from node.errors import Misuse, Refused
from node.windows import Shift, Windows, windowed, within_of

HOUR = 3600.0


def columns(*readings: tuple[str, float, float]) -> dict[str, list[str] | list[float]]:
    """Sensor, hour of measuring, value."""
    return {
        "sensor": [sensor for sensor, _, _ in readings], "measured": [at * HOUR for _, at, _ in readings],
        "value": [value for _, _, value in readings],
    }  # fmt: skip


DAY = columns(
    ("a/temp", 20.0, 1.0), ("a/temp", 20.5, 3.0), ("a/temp", 21.0, 5.0), ("a/temp", 23.0, 7.0), ("a/temp", 24.0, 9.0),
    ("a/humid", 20.2, 50.0), ("a/humid", 22.0, 60.0),
)  # fmt: skip
"""Temperature has a gap at 22, humidity at 21 and from 23 on."""


def test_a_row_a_window_a_column_a_sensor() -> None:
    found = windowed(DAY, Windows(HOUR)).columns
    assert found["start"] == [20 * HOUR, 21 * HOUR, 22 * HOUR, 23 * HOUR, 24 * HOUR]
    assert found["hour"] == [20, 21, 22, 23, 0]
    assert found["temp"] == pytest.approx([2.0, 5.0, math.nan, 7.0, 9.0], nan_ok=True)
    assert found["humid"] == pytest.approx([50.0, math.nan, 60.0, math.nan, math.nan], nan_ok=True)


def test_a_shift_looks_over_gaps_by_the_clock_and_not_by_the_row() -> None:
    found = windowed(DAY, Windows(HOUR, (Shift("temp", 1), Shift("temp", -2))))
    assert found.columns["start"] == [20 * HOUR, 22 * HOUR, 23 * HOUR]
    assert found.columns["temp+1"] == [5.0, 7.0, 9.0]
    assert found.columns["temp-2"] == pytest.approx([math.nan, 2.0, 5.0], nan_ok=True)
    assert (found.rows, found.unknown) == (3, 2)


def test_what_came_twice_or_cannot_be_is_left_out_and_counted() -> None:
    twice = columns(("w/wind", 1.0, 8.0), ("w/wind", 1.0, 8.0), ("w/wind", 1.2, 1048.0), ("w/wind", 2.0, 9.0))
    found = windowed(twice, Windows(HOUR, within={"wind": (0.0, 120.0)}))
    assert (found.columns["wind"], found.twice, found.outside) == ([8.0, 9.0], 1, 1)


def test_the_order_in_which_readings_came_does_not_matter() -> None:
    rows = list(zip(*DAY.values(), strict=True))
    random.Random(5).shuffle(rows)
    mixed = dict(zip(DAY, map(list, zip(*rows, strict=True)), strict=True))
    assert str(windowed(mixed, Windows(HOUR))) == str(windowed(DAY, Windows(HOUR)))


@pytest.mark.parametrize(
    ("topics", "names"),
    [(("x/temp",), ["temp"]), (("temp",), ["temp"]), (("p/a/t", "p/b/t"), ["a/t", "b/t"]),
     (("p/t", "p/t/max"), ["t", "t/max"]), (("p/a/t", "q/a/t"), ["p/a/t", "q/a/t"])],
)  # fmt: skip
def test_a_column_is_what_topics_do_not_share(topics: tuple[str, ...], names: list[str]) -> None:
    found = windowed(columns(*((topic, 1.0, 1.0) for topic in topics)), Windows(HOUR))
    assert [name for name in found.columns if name not in ("start", "hour")] == names


@pytest.mark.parametrize(
    ("readings", "asked", "clause"),
    [((), Windows(HOUR), "readings"), ((("a/x", 1, 1),), Windows(HOUR, (Shift("y", 1),)), "sensor"),
     ((("a/x", 1, 1),), Windows(HOUR, within={"y": (0, 1)}), "sensor"), ((("a/hour", 1, 1),), Windows(HOUR), "sensor"),
     ((("a/x", 1, 1), ("a/x+1", 1, 1)), Windows(HOUR, (Shift("x", 1),)), "sensor")],
)  # fmt: skip
def test_what_no_table_can_be_made_of(readings: tuple, asked: Windows, clause: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(Refused) as no:
        windowed(columns(*readings), asked)
    assert no.value.clause == clause


@pytest.mark.parametrize("text", ["temp", "temp:0", ":3", "temp:x", "temp:1.5", "temp:9999999", ""])
def test_no_shift(text: str) -> None:
    assert Shift.of("a:b:-3") == Shift("a:b", -3)
    with pytest.raises(Misuse, match="no shift"):
        Shift.of(text)


@pytest.mark.parametrize("text", ["temp", "temp:1", "temp:a:b", ""])
def test_no_bounds(text: str) -> None:
    assert within_of("temp:-40:120") == ("temp", (-40.0, 120.0))
    with pytest.raises(Misuse, match="no bounds"):
        within_of(text)
    with pytest.raises(Refused):
        Windows(HOUR, within={"temp": (1.0, 1.0)})
