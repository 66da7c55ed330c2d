"""Flower's secure aggregation as a peer: its wheel in an environment of its own under `.cache/`, asked line by line.

with flower.started() as peer:          # None, and one line on stderr why, where it cannot be installed
    peer.ask("mask", 10**6, 10)         # seconds
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.benches.flower_env import flower_python

PIN = "flwr==1.42.0"


class Flower:
    """The running peer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, step: str, *numbers: int) -> float:
        """Seconds (of `upload`: bytes a value) of one step of `flower_steps`; RuntimeError where it died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join([step, *map(str, numbers)]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"Flower's process ended while it was asked for {step} {numbers}")
        return float(json.loads(answer))


@contextmanager
def started() -> Iterator[Flower | None]:
    """The peer, or None after a line on stderr: nothing is measured then, and nothing is made up."""
    python = flower_python(PIN)
    if python is None:
        yield None
        return
    steps = Path(__file__).with_name("flower_steps.py")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([python, str(steps)], text=True, **pipes) as process:  # type: ignore[call-overload]
        yield Flower(process)
