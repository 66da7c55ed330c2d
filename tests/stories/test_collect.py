"""Collect: the stream of a real broker in a file that can be published, and nothing twice after a crash."""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node import tables
from node.cli import run
from node.collect import Basket, collect, parts, quality, readings_of, table
from node.demo import named, streams
from node.demo import run as tell
from node.demo.processes import free_ports
from node.errors import Misuse, Refused, Retry
from node.mqtt import Broker
from node.readings import Expected
from node.windows import Shift, Windows
from tests.docs.reading import ROOT, blocks
from tests.stories.alliance import PASSPHRASE, Person


class Quiet:
    """Nobody watches."""

    def begin(self, chapter: str) -> None: ...

    def note(self, text: str) -> None: ...


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A broker of our own; without one the tests that need it are left out, and say so."""
    try:
        streams.mosquitto()
    except Misuse as no:
        pytest.skip(f"needs Debian's mosquitto: {no.hint}")
    with streams.broker(tmp_path) as url:
        yield url


def weather(rows: int) -> list[tuple[str, bytes]]:
    """What three airports' weather stations measured in the first hours of 2013, with its gaps."""
    from node.demo.flights import weather as measured

    frame = measured().groupby("origin").head(rows)
    return [
        (f"airport/{origin}/temp", json.dumps({"value": value, "time": when}).encode())
        for origin, when, value in zip(frame["origin"], frame["time_hour"], frame["temp"], strict=True)
    ]


@pytest.mark.outside
def test_weather_stations_are_collected_and_judged(broker: str, tmp_path: Path) -> None:
    out, ready = tmp_path / "readings.parquet", threading.Event()
    said = [*weather(200), ("airport/EWR/temp", b"broken"), ("airport/LGA/humid", b"55"), ("airport/JFK/temp", b"{}")]
    speaker = threading.Thread(target=lambda: ready.wait(20) and streams.say(broker, said))
    speaker.start()
    found = collect(Broker.of(broker), "airport/+/temp", out, seconds=8, clock=time.time, rows=128, ready=ready.set)
    speaker.join()
    assert (found.readings, found.rows, dict(found.refused)) == (600, 600, {"json": 1, "value": 1})
    assert parts(out) == []
    assert {one.sensor for one in readings_of(out)} == {f"airport/{name}/temp" for name in ("EWR", "JFK", "LGA")}
    shares = {one.name: one.share for one in quality(out, Expected(3600.0, -20, 120, jump=15.0), refused=2)}
    assert shares["validity"] == pytest.approx(600 / 602)
    assert shares["accuracy"] == shares["uniqueness"] == 1.0
    assert 0.9 < shares["completeness"] <= 1.0
    assert tables.describe(out).rows == 600


@pytest.mark.outside
def test_the_command_appends(broker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "readings.parquet"
    words = ["collect", "mqtt", "--broker", broker, "--topic", "plant/#", "--out", str(out), "--seconds", "4", "--json"]
    for rows in (1, 2):
        speaker = threading.Timer(2.0, streams.say, [broker, [("plant/a", b"1.5")]])
        speaker.start()
        assert run(words) == 0
        speaker.join()
        assert json.loads(capsys.readouterr().out)["rows"] == rows
    assert run(["collect", "quality", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "completeness"


@pytest.mark.outside
def test_the_stations_of_the_scenario_are_collected_to_the_last_message(broker: str, tmp_path: Path) -> None:
    scenario = named("sensors")
    assert scenario.stream is not None
    measured = {site: frame.head(300) for site, frame in scenario.measured().items()}
    found = streams.collected(scenario.stream, "EWR", measured["EWR"], tmp_path)
    assert found["messages"] == found["readings"]["readings"] == found["table"]["readings"] > 1_200
    said = {one["name"]: one["share"] for one in found["quality"]["pressure"]}
    assert said["completeness"] == pytest.approx(measured["EWR"]["pressure"].notna().sum() / 300, abs=0.02)
    with (tmp_path / "ewr.table.parquet").open("rb") as file:
        table = tables.columns(file)
    hours = measured["EWR"].set_index("time_hour")
    for row, start in enumerate(table["start"]):
        at, later = (f"{datetime.fromtimestamp(float(start) + 3600 * n, UTC):%Y-%m-%dT%H:%M:%SZ}" for n in (0, 3))
        assert (table["temp"][row], table["hour"][row]) == (hours["temp"][at], int(at[11:13]))
        assert table["temp+3"][row] == hours["temp"][later]


@pytest.mark.outside
def test_the_page_s_commands_collect_judge_table_and_publish(
    broker: str, alice: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of docs/scenarios.md as they stand there, but for the broker's port and that the last message ends it."""
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    block = next(one for one in blocks(page, "sh") if "collect mqtt" in one)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    (tmp_path / "passphrase").chmod(0o600)
    home = ["--home", str(alice.home), "--passphrase-file", str(tmp_path / "passphrase")]
    said = [("plant-a/temperature", f'{{"value": {20 + i % 24}, "time": {60 * i}}}'.encode()) for i in range(1, 61)]
    speaker = threading.Timer(2.0, streams.say, [broker, [*said, ("plant-a/vibration", b"broken")]])
    speaker.start()
    shown = []
    for line in block.splitlines():
        words = shlex.split(re.sub(r"mqtt://\S+", broker, line))[1:]
        words += ["--messages", "61"] if "mqtt" in words else []
        words += home if "dataset" in words else []
        assert run([*words, "--json"]) == 0, capsys.readouterr().err
        shown.append(json.loads(capsys.readouterr().out))
    collected, quality, table, published = shown
    assert (collected["readings"], collected["refused"]) == (60, {"json": 1})
    assert [one["name"] for one in quality][:2] == ["completeness", "validity"]
    assert table["rows"] == 57
    alice.node.follow()
    manifest = alice.node.manifest(published["dataset"], 1)
    assert [column.name for column in manifest.columns] == table["columns"]


def test_without_a_broker_s_program_nothing_is_pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(streams.shutil, "which", lambda *_, **__: None)
    with pytest.raises(Misuse, match="no broker") as no:
        tell(tmp_path, Quiet(), named("sensors"))
    assert no.value.hint is not None
    assert "apt-get install mosquitto" in no.value.hint
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Misuse, match="not collected"):
        named("sensors").parts(tmp_path)


# --- tables ---


def test_a_table_replaces_only_a_table(tmp_path: Path) -> None:
    out, hours = tmp_path / "x.parquet", tmp_path / "hours.parquet"
    filled(out, 3).close()
    for _ in range(2):
        made = table(out, hours, Windows(1.0))
        assert (made.rows, made.columns, made.twice) == (1, ("start", "hour", "a"), 2)
    for wrong in (out, tmp_path / "other.parquet"):
        if wrong != out:
            tables.write_parquet(wrong, {"a": [1]})
        with pytest.raises(Refused) as no:
            table(out, wrong, Windows(1.0))
        assert no.value.clause == "out"
    assert len(list(readings_of(out))) == 3
    with pytest.raises(Refused) as no:
        table(hours, tmp_path / "new.parquet", Windows(1.0, (Shift("a", 1),)))
    assert no.value.clause == "columns"


def test_a_sensor_is_judged_by_itself(tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    basket = filled(out, 3)
    basket.take("b", b"900")
    basket.close()
    assert [one.wrong for one in quality(out, Expected(1.0, high=10.0))][2] == 1
    assert [one.wrong for one in quality(out, Expected(1.0, high=10.0), sensor="a")][2] == 0
    with pytest.raises(Refused) as no:
        quality(out, Expected(1.0), sensor="c")
    assert no.value.needed == "a, b"


# --- without a broker ---


def filled(out: Path, count: int, rows: int = 10) -> Basket:
    basket = Basket(out, clock=lambda: 5.0, rows=rows)
    for i in range(count):
        basket.take("a", str(i).encode())
    return basket


def test_memory_holds_one_part(tmp_path: Path) -> None:
    basket = filled(tmp_path / "x.parquet", 35)
    assert len(basket._waiting) == 5
    assert [tables.describe(path).rows for path in parts(tmp_path / "x.parquet")] == [10, 10, 10]


def test_a_killed_run_loses_what_waited_and_nothing_is_there_twice(tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    filled(out, 35)  # killed: three parts, five readings gone
    assert filled(out, 12).close() == 42
    filled(out, 10)
    left = [(path, path.read_bytes()) for path in parts(out)]
    assert filled(out, 0).close() == 52
    for path, data in left:  # killed after the join and before the parts went
        path.write_bytes(data)
    assert filled(out, 1).close() == 53
    values = [int(one.value) for one in readings_of(out)]
    assert values == [*range(30), *range(12), *range(10), 0]
    assert parts(out) == []


def test_another_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    tables.write_parquet(out, {"a": [1]})
    with pytest.raises(Refused) as no:
        collect(Broker("127.0.0.1", 1), "#", out, seconds=1, clock=time.time)
    assert no.value.clause == "out"
    with pytest.raises(Refused) as no:
        quality(out, Expected(1.0))
    assert no.value.clause == "columns"


def test_a_broker_that_is_not_there_is_worth_another_try(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(Retry, match="cannot be reached"):
        collect(Broker("127.0.0.1", port), "#", tmp_path / "x.parquet", seconds=1, clock=time.time)


@pytest.mark.parametrize("url", ["127.0.0.1:1883", "http://a", "mqtt://", "mqtt://u:p@a", "mqtt://a:x", "mqtt://a/b"])
def test_no_broker_and_no_password_in_a_url(url: str) -> None:
    with pytest.raises(Misuse) as no:
        Broker.of(url)
    assert "u:p" not in str(no.value.record())
    assert Broker.of("mqtts://a") == Broker("a", 8883, tls=True)
