"""Kill -9 on purpose: a process takes one story and dies just before its n-th durable step.

The steps are counted at the edges, from outside: a commit of the database, blocks and pins of the store, a secret of
the keyring, a transaction handed to the chain, a file given its name. Production code knows nothing of it.

    died = drill(home, "publish", {...}, die_at=3)          # True: killed; False: the story ended first
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node.errors import HanseError

SECONDS = 120
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.stories.drills_preload"])


def drill(home: Path, story: str, arguments: Mapping[str, Any], *, die_at: int, ahead: int = 0) -> bool:
    """Whether the process was killed at its `die_at`-th durable step (counted from 1); False where it came to its end.

    `ahead`: seconds by which the alliance's clock is put forward.
    """
    process = _context.Process(target=_act, args=(home, story, dict(arguments), die_at, ahead))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"{story} neither ended nor died in {SECONDS} s")
    assert process.exitcode in (0, -signal.SIGKILL), f"{story} failed with {process.exitcode}"
    return process.exitcode != 0


def _act(home: Path, story: str, arguments: dict[str, Any], die_at: int, ahead: int) -> None:
    from node.wiring import Node
    from tests.stories.alliance import PASSPHRASE, Clock
    from tests.stories.drills_preload import STORIES

    with Node.open(home, passphrase=PASSPHRASE) as node:
        clock = Clock()
        clock.ahead = ahead
        node.clock = clock  # type: ignore[method-assign]
        _count_down(die_at)
        STORIES[story](node, **arguments)


def _count_down(steps: int) -> None:
    """From here on, the process is killed when it is about to take the `steps`-th step that lasts."""
    from node import db
    from node.chain.client import Chain
    from node.keyring import Keyring
    from node.store.blocks import BlockStore

    left = [steps]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            step()
            return call(*args, **kwargs)

        return counted

    def committing(writing: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def counted(self: Any) -> Iterator[Any]:
            with writing(self) as tx:
                yield tx
                step()

        return counted

    edges = ((BlockStore, ("_write", "pin")), (Keyring, ("put_secret", "wipe_secret")), (Chain, ("send",)))
    for kind, names in edges:
        for name in names:
            setattr(kind, name, before(getattr(kind, name)))
    db.Database.writing = committing(db.Database.writing)  # type: ignore[method-assign]
    os.replace = before(os.replace)


def steps_until_done(
    home: Path, story: str, arguments: Mapping[str, Any], *, every: int = 1, first: int = 1, ahead: int = 0
) -> int:
    """Die at the first step, run again and die later, and so on, until the story ends; how often it died."""
    deaths, at = 0, first
    while drill(home, story, arguments, die_at=at, ahead=ahead):
        deaths, at = deaths + 1, at + every
        assert deaths < 500, "the story never ends"
    return deaths


__all__ = ["HanseError", "drill", "steps_until_done"]
