"""A node that runs: its HTTP server in front, a thread that follows the chain behind.

    with Node.open(home, passphrase=...) as node:
        serve(node)                     # until SIGINT or SIGTERM

A dead chain stops nothing: what was followed is served, and following goes on when the chain is back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from node.errors import HanseError, Misuse, Retry
from node.wiring import Node

log = logging.getLogger("hanse")
STOP_SECONDS = 10
LONGEST_PAUSE = 30.0


def serve(node: Node) -> None:
    """Returns after a graceful stop: requests under way are given ten seconds."""
    import uvicorn

    from node.api import create_app

    host, port = _listen(node.settings.listen)
    config = uvicorn.Config(
        create_app(node),
        host=host,
        port=port,
        log_level="info",
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
        proxy_headers=False,
    )
    with Repeating("follow", node.follow, every=node.settings.poll):
        uvicorn.Server(config).run()


class Repeating:
    """A thread that does one thing again and again while the `with` block lasts; failures are logged and slow it down."""

    def __init__(self, name: str, act: Callable[[], object], *, every: float) -> None:
        self._act, self._every = act, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Repeating:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=STOP_SECONDS)

    def _run(self) -> None:
        pause = self._every
        while not self._over.wait(pause):
            pause = self._every if self._succeeds() else min(2 * pause, LONGEST_PAUSE)

    def _succeeds(self) -> bool:
        try:
            self._act()
        except Retry as exc:
            log.warning("%s: %s", self._thread.name, exc)
        except HanseError as exc:
            log.error("%s: %s", self._thread.name, exc)  # bytes that lie need a person, not a trace
        except Exception:
            log.exception("%s failed unexpectedly", self._thread.name)  # the thread must outlive a defect
        else:
            return True
        return False


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise Misuse("no address to listen on", clause="listen", seen=text, needed="host:port")
    return host.strip("[]"), int(port)
