"""Collect: the stream of a real broker in a file that can be published, and nothing twice after a crash."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node import tables
from node.cli import run
from node.collect import Basket, collect, parts, quality, readings_of
from node.demo.processes import free_ports
from node.errors import Misuse, Refused, Retry
from node.mqtt import Broker
from node.readings import Expected

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A broker of our own; without one the tests that need it are left out, and say so."""
    if MOSQUITTO is None:
        pytest.skip("needs Debian's mosquitto: apt-get install mosquitto")
    (port,) = free_ports(1)
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    process = subprocess.Popen([MOSQUITTO, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"mqtt://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def told(url: str, messages: list[tuple[str, bytes]]) -> None:
    """Say all of it to the broker."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client, to = Client(CallbackAPIVersion.VERSION2), Broker.of(url)
    for _ in range(100):
        try:
            client.connect(to.host, to.port)
            break
        except OSError:
            time.sleep(0.1)
    client.loop_start()
    sent = [client.publish(topic, payload, qos=1) for topic, payload in messages]
    for one in sent:
        one.wait_for_publish(20)
    client.disconnect()
    client.loop_stop()


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
    told(broker, [])  # it listens
    out, ready = tmp_path / "readings.parquet", threading.Event()
    said = [*weather(200), ("airport/EWR/temp", b"broken"), ("airport/LGA/humid", b"55"), ("airport/JFK/temp", b"{}")]
    speaker = threading.Thread(target=lambda: ready.wait(20) and told(broker, said))
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
        told(broker, [])
        speaker = threading.Timer(2.0, told, [broker, [("plant/a", b"1.5")]])
        speaker.start()
        assert run(words) == 0
        speaker.join()
        assert json.loads(capsys.readouterr().out)["rows"] == rows
    assert run(["collect", "quality", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "completeness"


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
