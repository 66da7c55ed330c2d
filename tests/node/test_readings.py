"""Readings: which messages are some, and what is said of a stream."""

from __future__ import annotations

import json
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import Refused
from node.readings import PAYLOAD_LIMIT, Expected, Reading, judged, parsed

NAMES = ["completeness", "validity", "accuracy", "timeliness", "uniqueness", "consistency"]


@pytest.mark.parametrize(
    ("payload", "value", "measured"),
    [(b"21.5", 21.5, 100.0), (b" -3 ", -3.0, 100.0), (b'{"value": 4}', 4.0, 100.0),
     (b'{"value": 4, "time": 90.5}', 4.0, 90.5), (b'{"value": 4, "time": "1970-01-01T00:01:00Z"}', 4.0, 60.0),
     (b'{"value": 4, "time": "1970-01-01T01:01:00+01:00", "unit": "C"}', 4.0, 60.0)],
)  # fmt: skip
def test_a_number_is_a_reading(payload: bytes, value: float, measured: float) -> None:
    assert parsed("a/t", payload, at=100.0) == Reading("a/t", measured, value, 100.0)


@pytest.mark.parametrize(
    ("payload", "clause"),
    [(b"", "json"), (b"21,5", "json"), (b"\xff", "json"), (b"[" * 2000, "json"), (b"[1]", "value"), (b"true", "value"),
     (b"NaN", "value"), (b"1e999", "value"), (b"9" * 400, "value"), (b'"7"', "value"), (b"{}", "value"),
     (b'{"value": 1, "time": "yesterday"}', "time"), (b'{"value": 1, "time": "2013-01-01T06:00:00"}', "time"),
     (b'{"value": 1, "time": -1}', "time"), (b'{"value": 1, "time": 1e300}', "time"),
     (b'{"value": 1, "time": null}', "time"), (b" " * (PAYLOAD_LIMIT + 1), "size")],
)  # fmt: skip
def test_anything_else_is_refused_by_its_clause(payload: bytes, clause: str) -> None:
    with pytest.raises(Refused) as no:
        parsed("a/t", payload, at=100.0)
    assert no.value.clause == clause


JSON = st.recursive(st.none() | st.floats() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80) | JSON.map(lambda document: json.dumps(document).encode()))
def test_no_payload_does_worse_than_being_refused(payload: bytes) -> None:
    with suppress(Refused):
        assert parsed("a", payload, at=1.0).measured == 1.0


def stream(*values: float | None, sensor: str = "a", every: float = 10.0) -> list[Reading]:
    """A reading every ten seconds, with gaps where there is None."""
    return [Reading(sensor, every * i, v, every * i + 1) for i, v in enumerate(values) if v is not None]


GOOD = stream(1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("readings", "refused", "dimension", "wrong", "of"),
    [
        (stream(1, 2, None, None, 5, 6), 0, "completeness", 2, 6),
        (GOOD, 2, "validity", 2, 8),
        (stream(1, 2, 99, 4, 5, -99), 0, "accuracy", 2, 6),
        ([*GOOD[:5], Reading("a", 50.0, 6, 80.0)], 0, "timeliness", 1, 6),
        ([*GOOD[:5], Reading("a", 50.0, 6, 40.0)], 0, "timeliness", 1, 6),
        ([*GOOD, GOOD[2]], 0, "uniqueness", 1, 7),
        (stream(1, 2, 9, 4, 5, 6), 0, "consistency", 2, 5),
        (stream(1, 2, None, 9, 9, 9), 0, "consistency", 0, 3),
    ],
)  # fmt: skip
def test_each_dimension_sees_its_own_fault(
    readings: list[Reading], refused: int, dimension: str, wrong: int, of: int
) -> None:
    expected = Expected(every=10.0, low=-10, high=20, late=5.0, jump=4.0)
    found = {one.name: one for one in judged(readings, expected, refused=refused)}
    assert list(found) == NAMES
    assert (found[dimension].wrong, found[dimension].of) == (wrong, of)
    assert found[dimension].share == pytest.approx(1 - wrong / of)


def test_a_stream_as_it_should_be_has_ones_only() -> None:
    both = GOOD + stream(5, 5, 5, sensor="b")
    assert [one.share for one in judged(both, Expected(10.0, -10, 20, 5.0, 4.0))] == [1.0] * 6
    assert [one.share for one in judged([], Expected(10.0))] == [1.0] * 6


def test_the_order_of_messages_does_not_matter() -> None:
    readings = [*stream(1, None, 3, 9, 4), *stream(2, 2, sensor="b"), Reading("a", 0.0, 7, 3.0)]
    expected = Expected(10.0, 0, 8, 2.0, 3.0)
    shuffled = random.Random(1).sample(readings, len(readings))
    assert judged(shuffled, expected) == judged(readings, expected)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"every": 1, "low": 2, "high": 2}, {"every": 1, "late": -1}])
def test_a_sensor_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Refused):
        Expected(**wrong)
