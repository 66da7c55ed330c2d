"""`hanse collect`: what sensors say, into a file that can be published, and how far it can be relied on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from node.cli.frame import Run, noun, verb
from node.errors import Misuse

app = noun("collect", "Gather the readings of sensors over MQTT, judge them, and make a table of them.")


@verb(
    app,
    "mqtt",
    example="hanse collect mqtt --broker mqtt://127.0.0.1:1883 --topic 'plant/+/temperature' --out readings.parquet",
)
def mqtt(
    run: Run,
    topic: Annotated[str, Option(help="Which topics, with MQTT's wildcards.", show_default=False)],
    out: Annotated[Path, Option(metavar="FILE", help="A .parquet file; what it holds already stays.")],
    broker: Annotated[str, Option(metavar="URL", help="mqtt://host:port, or mqtts:// with TLS.")] = (
        "mqtt://127.0.0.1:1883"
    ),
    seconds: Annotated[float, Option(help="How long to listen.", min=1)] = 60.0,
    messages: Annotated[int | None, Option(help="Stop earlier, once so many came.", min=1)] = None,
    user: Annotated[str | None, Option(help="Who the broker knows us as.")] = None,
    secret_file: Annotated[Path | None, Option(metavar="FILE", help="Its first line proves it to the broker.")] = None,
) -> Any:
    """Listen to a broker; messages that are no readings are counted and left out."""
    import time

    from node.collect import collect
    from node.mqtt import Broker

    if out.suffix != ".parquet":
        raise Misuse("readings go into Parquet", clause="out", seen=out, needed="a name that ends in .parquet")
    secret = secret_file.read_text(encoding="utf-8").partition("\n")[0] if secret_file else None
    found = Broker.of(broker, user=user, password=secret)
    return collect(found, topic, out, seconds=seconds, clock=time.time, messages=messages)


@verb(app, "quality", example="hanse collect quality readings.parquet --every 60 --low -40 --high 125")
def quality(
    run: Run,
    file: Annotated[Path, Argument(metavar="FILE", help="What `hanse collect mqtt` wrote.")],
    every: Annotated[float, Option(metavar="SECONDS", help="How often a sensor is to be heard.", min=0.001)] = 60.0,
    low: Annotated[float, Option(help="The least a sensor can read.")] = -math.inf,
    high: Annotated[float, Option(help="The most a sensor can read.")] = math.inf,
    late: Annotated[float, Option(metavar="SECONDS", help="How old a reading may be when it comes.")] = math.inf,
    jump: Annotated[float, Option(help="The most between two readings one period apart.")] = math.inf,
    refused: Annotated[int, Option(help="Messages that were refused, as `mqtt` counted them.", min=0)] = 0,
    sensor: Annotated[str | None, Option(metavar="TOPIC", help="Only this one's readings.")] = None,
) -> Any:
    """Completeness, validity, accuracy, timeliness, uniqueness and consistency of readings."""
    from node.collect import quality as judged
    from node.readings import Expected

    return list(judged(file.absolute(), Expected(every, low, high, late, jump), refused=refused, sensor=sensor))


@verb(app, "table", example="hanse collect table readings.parquet --out hours.parquet --every 3600 --shift temp:3")
def table(
    run: Run,
    file: Annotated[Path, Argument(metavar="FILE", help="What `hanse collect mqtt` wrote.")],
    out: Annotated[Path, Option(metavar="FILE", help="A .parquet file, to be published.")],
    every: Annotated[float, Option(metavar="SECONDS", help="How long a window is.", min=0.001)] = 3600.0,
    shift: Annotated[
        list[str], Option(metavar="NAME:WINDOWS", help="A column of what a sensor says so many windows later.")
    ] = [],
    within: Annotated[
        list[str], Option(metavar="NAME:LOW:HIGH", help="Leave out what a sensor cannot have read.")
    ] = [],
) -> Any:
    """A row for each window of time, a column for each sensor, to be published."""
    from node.collect import table as tabled
    from node.windows import Shift, Windows, within_of

    if out.suffix != ".parquet":
        raise Misuse("a table goes into Parquet", clause="out", seen=out, needed="a name that ends in .parquet")
    asked = Windows(every, tuple(Shift.of(one) for one in shift), dict(within_of(one) for one in within))
    return tabled(file.absolute(), out, asked)
