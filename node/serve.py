"""A node that runs: its HTTP server in front, a thread that follows the chain behind.

    with Node.open(home, passphrase=...) as node:
        serve(node)                     # until SIGINT or SIGTERM

A dead chain stops nothing: what was followed is served, and following goes on when the chain is back.
"""

from __future__ import annotations

import threading

from node.errors import Misuse
from node.wiring import Node

STOP_SECONDS = 10


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
    stop = threading.Event()
    following = threading.Thread(
        target=node.follower.run, args=(stop,), kwargs={"every": node.settings.poll}, name="follow", daemon=True
    )
    following.start()
    try:
        uvicorn.Server(config).run()
    finally:
        stop.set()
        following.join(timeout=STOP_SECONDS)


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise Misuse("no address to listen on", clause="listen", seen=text, needed="host:port")
    return host.strip("[]"), int(port)
