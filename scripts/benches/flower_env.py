"""Flower in an environment of its own under `.cache/`, so that none of its packages are ours.

python = flower_python("flwr[simulation]==1.42.0")     # None, and one line on stderr why, where it cannot be installed
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent.parent / ".cache"
INSTALL_SECONDS = 600


def flower_python(pin: str) -> Path | None:
    """Its interpreter; installed at the first call."""
    home = HOME / pin
    python, done = home / "bin" / "python", home / ".complete"
    try:
        if not done.exists():  # also after an installation that broke off
            _call(sys.executable, "-m", "venv", "--clear", str(home))
            _call(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pin)
            done.touch()
    except (subprocess.SubprocessError, OSError) as exc:
        said = str(getattr(exc, "stderr", None) or exc).strip().splitlines()
        print(f"bench: Flower is left out, {pin} cannot be installed: {said[-1] if said else exc}", file=sys.stderr)
        return None
    return python


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
