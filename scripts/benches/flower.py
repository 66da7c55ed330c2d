"""Flower's secure aggregation as a peer: its wheel in an environment of its own under `.cache/`, asked line by line.

with flower.started() as peer:          # None, and one line on stderr why, where it cannot be installed
    peer.ask("mask", 10**6, 10)         # seconds
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PIN = "flwr==1.42.0"
HOME = ROOT / ".cache" / PIN
INSTALL_SECONDS = 600


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
    try:
        python = _installed()
    except (subprocess.SubprocessError, OSError) as exc:
        print(f"bench: Flower is left out, {PIN} cannot be installed here: {_reason(exc)}", file=sys.stderr)
        yield None
        return
    steps = Path(__file__).with_name("flower_steps.py")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([python, str(steps)], text=True, **pipes) as process:  # type: ignore[call-overload]
        yield Flower(process)


def _installed() -> str:
    python, done = HOME / "bin" / "python", HOME / ".complete"
    if not done.exists():  # also after an installation that broke off
        _call(sys.executable, "-m", "venv", "--clear", str(HOME))
        _call(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIN)
        done.touch()
    return str(python)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)


def _reason(exc: Exception) -> str:
    said = str(getattr(exc, "stderr", None) or exc).strip().splitlines()
    return said[-1] if said else type(exc).__name__
