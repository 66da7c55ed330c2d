"""A node that runs: its HTTP server in front; behind it a thread that follows the chain, and one that takes its part in
every training it has joined.

    with Node.open(home, passphrase=...) as node:
        serve(node)                     # until SIGINT or SIGTERM

A dead chain stops nothing: what was followed is served, and following goes on when the chain is back.
"""

from __future__ import annotations

import copy
import logging
import signal
import threading
from typing import TYPE_CHECKING

from node.errors import HanseError, Misuse
from node.model import TrainingId
from node.trainer import Trainer
from node.training import joined
from node.wiring import Node

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger("uvicorn.error")
STOP_SECONDS = 10
SEND_EVERY = 5.0
"""Seconds between looks at what a crash left in the outbox; what is new is sent at once by whoever submits it."""


def serve(node: Node) -> None:
    """Returns after a graceful stop: requests under way are given ten seconds. To be called in the main thread."""
    stop, poll = threading.Event(), node.settings.poll
    for number in (signal.SIGINT, signal.SIGTERM):
        # Uvicorn stops gracefully and then raises the signal again for whoever was there before: that ends here.
        signal.signal(number, lambda *_: stop.set())
    threads = [
        threading.Thread(target=node.follower.run, args=(stop,), kwargs={"every": poll}, name="follow", daemon=True),
        threading.Thread(target=node.outbox.run, args=(stop,), kwargs={"every": SEND_EVERY}, name="send", daemon=True),
        threading.Thread(target=take_part, args=(node, stop), kwargs={"every": poll}, name="train", daemon=True),
    ]
    server = _server(node)
    for thread in threads:
        thread.start()
    try:
        server.run()
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=STOP_SECONDS)


def _server(node: Node) -> uvicorn.Server:
    import uvicorn
    from uvicorn.config import LOGGING_CONFIG

    from node.api import create_app

    host, port = _listen(node.settings.listen)
    logging_ = copy.deepcopy(LOGGING_CONFIG)
    logging_["handlers"]["access"]["stream"] = "ext://sys.stderr"
    config = uvicorn.Config(
        create_app(node),
        host=host,
        port=port,
        log_config=logging_,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        proxy_headers=False,
    )
    return uvicorn.Server(config)


def take_part(node: Node, stop: threading.Event, *, every: float) -> None:
    """Take each step that is due in our trainings, until `stop` is set. What fails is logged and tried again."""
    trainers: dict[TrainingId, Trainer] = {}
    while not stop.wait(every):
        try:
            for number in joined(node):
                _step(node, trainers, number)
        except HanseError as exc:
            log.warning("trainings: %s", exc)


def _step(node: Node, trainers: dict[TrainingId, Trainer], number: TrainingId) -> None:
    """One training's trouble must not end our part in the others; after a defect a new trainer takes it up."""
    try:
        if number not in trainers:
            trainers[number] = Trainer(node, number)
        trainers[number].step()
    except HanseError as exc:
        log.warning("training %s: %s", number, exc)
    except Exception:
        log.exception("training %s failed unexpectedly", number)
        trainers.pop(number, None)


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise Misuse("no address to listen on", clause="listen", seen=text, needed="host:port")
    return host.strip("[]"), int(port)
