"""Sensors that speak: a broker of the demo's own (mosquitto), what a site's sensors measured said to it again message
by message, and our collector listening. What comes of it is a table that is published.

    with broker(folder) as url: say(url, messages)
    found = collected(stream, "EWR", frame, folder)    # readings, quality by sensor, and a table at found["table"]

There is no broker but a real one: without mosquitto it is Misuse.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node import collect
from node.demo.processes import free_ports
from node.errors import Misuse, Retry
from node.mqtt import Broker
from node.readings import Expected
from node.windows import Shift, Windows

if TYPE_CHECKING:
    import pandas as pd

Messages = Sequence[tuple[str, bytes]]
START_SECONDS = 20.0
SECONDS = 300.0
"""The most that saying and collecting one site's readings may take."""


@dataclass(frozen=True)
class Stream:
    """What the sensors of a site are: `sensors` by column of what was measured, and `time`, the column of when, as ISO
    8601 with a zone. The table has a row `every` so many seconds, with `shifts`."""

    sensors: Mapping[str, Expected]
    time: str
    every: float
    shifts: tuple[Shift, ...]

    @property
    def windows(self) -> Windows:
        return Windows(self.every, self.shifts, {name: (one.low, one.high) for name, one in self.sensors.items()})

    def messages(self, site: str, measured: pd.DataFrame) -> Messages:
        """One for each value that is there, in order of time."""
        rows = measured.sort_values(self.time)
        return [
            (f"{site}/{name}", json.dumps({"value": value, "time": when}).encode())
            for when, *values in zip(rows[self.time], *(rows[name] for name in self.sensors), strict=True)
            for name, value in zip(self.sensors, values, strict=True)
            if value == value
        ]


def collected(stream: Stream, site: str, measured: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """A broker for the site, its sensors' messages, our collector, six dimensions of quality by sensor, and the table.

    Misuse without mosquitto; Retry where the collector did not get all."""
    readings, table = folder / f"{site}.readings.parquet".lower(), table_of(folder, site)
    messages = stream.messages(site, measured)
    began = time.monotonic()
    with broker(folder) as url:
        found = _listened(url, f"{site}/+", messages, readings)
    seconds = round(time.monotonic() - began, 1)
    if found.readings != len(messages):
        raise Retry("the collector did not get every message", clause="messages", seen=found.readings,
                    needed=len(messages))  # fmt: skip
    quality = {
        name: [asdict(one) for one in collect.quality(readings, expected, sensor=f"{site}/{name}")]
        for name, expected in stream.sensors.items()
    }
    made = collect.table(readings, table, stream.windows)
    return {"site": site, "topic": f"{site}/+", "messages": len(messages), "seconds": seconds,
            "readings": asdict(found), "quality": quality, "table": asdict(made)}  # fmt: skip


def table_of(folder: Path, site: str) -> Path:
    """Where `collected` puts a site's table."""
    return folder / f"{site}.table.parquet".lower()


def _listened(url: str, topic: str, messages: Messages, out: Path) -> collect.Collected:
    """What the collector got while all of it was said."""
    ready, failed = threading.Event(), list[Exception]()

    def speak() -> None:
        try:
            if ready.wait(START_SECONDS):
                say(url, messages)
        except Exception as exc:  # noqa: BLE001  told to whoever waits
            failed.append(exc)

    speaker = threading.Thread(target=speak)
    speaker.start()
    found = collect.collect(Broker.of(url), topic, out, seconds=SECONDS, clock=time.time, ready=ready.set,
                            messages=len(messages))  # fmt: skip
    speaker.join()
    if failed:
        raise failed[0]
    return found


def say(url: str, messages: Messages) -> None:
    """Every message to the broker, each confirmed by it. Raises Retry where that takes too long."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client, to = Client(CallbackAPIVersion.VERSION2), Broker.of(url)
    client.connect(to.host, to.port)
    client.loop_start()
    try:
        for sent in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
            sent.wait_for_publish(SECONDS)
            if not sent.is_published():
                raise Retry("the broker does not take what is said", clause="broker", seen=url)
    finally:
        client.disconnect()
        client.loop_stop()


def mosquitto() -> str:
    """The broker's program. Raises Misuse where it is not installed."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Misuse("there is no broker for the sensors to speak to", clause="mosquitto", needed="mosquitto on PATH",
                     hint="apt-get install mosquitto, or what your system calls it")  # fmt: skip
    return program


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """mosquitto on loopback, for anybody on this machine and as long as the block lasts; its URL."""
    program, (port,) = mosquitto(), free_ports(1)
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n")
    process = subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(process, port)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    import socket

    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as one:
            if not one.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise Retry("mosquitto did not start", clause="mosquitto", seen=process.poll())
