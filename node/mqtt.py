"""An MQTT broker, listened to: each message goes to a function, in one thread, nothing is kept here.

    listen(Broker.of("mqtt://127.0.0.1:1883"), "plant/+/temperature", take, seconds=60)

A lost connection is made again; messages of quality 1 that the broker keeps meanwhile come then. paho-mqtt is imported
only here (`pip install 'hanse[mqtt]'`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from node.errors import Misuse, Refused, Retry

if TYPE_CHECKING:
    from paho.mqtt.client import Client

CONNECT_SECONDS = 10.0
Take = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Broker:
    """Where it is, and whether TLS is spoken. `password` never stands in a URL."""

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, url: str, *, user: str | None = None, password: str | None = None) -> Broker:
        """From mqtt://host:port or mqtts://host:port. Raises Misuse."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.username or parts.path.strip("/"):
            raise Misuse("no broker", clause="broker", seen=parts.hostname or url,
                         needed="mqtt://host:port or mqtts://host:port, no user or password in it")  # fmt: skip
        tls = parts.scheme == "mqtts"
        return cls(parts.hostname, port or (8883 if tls else 1883), tls, user, password)


def listen(
    broker: Broker, topic: str, take: Take, *, seconds: float, ready: Callable[[], None] | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> None:  # fmt: skip
    """Give every message of the topics to `take(topic, payload)` for so long, or until there are `enough`; `ready` is
    called when subscribed.

    Raises Retry where the broker cannot be reached, Refused where it does not let us in or listen.
    """
    client, no = _client(broker, topic, take, ready)
    until = time.monotonic() + seconds
    _connect(client, broker)
    try:
        while (left := until - time.monotonic()) > 0 and not enough():
            if client.loop(timeout=min(0.2, left)) and not no:
                _again(client, until)
            if no:
                raise Refused("the broker does not let us listen", clause="broker", seen=no[0], needed="success")
    finally:
        client.disconnect()
        client.loop(timeout=0.1)


def _client(broker: Broker, topic: str, take: Take, ready: Callable[[], None] | None) -> tuple[Client, list[str]]:
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError as exc:
        raise Misuse("MQTT is not installed", clause="paho-mqtt", hint="pip install 'hanse[mqtt]'") from exc
    client, no = Client(CallbackAPIVersion.VERSION2), list[str]()

    def connected(client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            no.append(str(reason))
        else:
            client.subscribe(topic, qos=1)

    def subscribed(client: Client, userdata: Any, message: int, reasons: Any, properties: Any) -> None:
        no.extend(str(reason) for reason in reasons if reason.is_failure)
        if ready and not no:
            ready()

    client.on_connect, client.on_subscribe = connected, subscribed
    client.on_message = lambda client, userdata, message: take(message.topic, bytes(message.payload))
    client.connect_timeout = CONNECT_SECONDS
    if broker.tls:
        client.tls_set()
    if broker.user:
        client.username_pw_set(broker.user, broker.password)
    return client, no


def _connect(client: Client, broker: Broker) -> None:
    try:
        client.connect(broker.host, broker.port, keepalive=30)
    except OSError as exc:
        raise Retry(
            f"the broker cannot be reached: {exc}", clause="broker", seen=f"{broker.host}:{broker.port}"
        ) from exc


def _again(client: Client, until: float) -> None:
    while time.monotonic() < until:
        try:
            client.reconnect()
            return
        except OSError:
            time.sleep(min(0.5, max(0.0, until - time.monotonic())))
