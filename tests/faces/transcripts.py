"""The help of `hanse` and of every noun, as it is printed in a pipe 100 columns wide.

python -m tests.faces.transcripts      # writes tests/transcripts/*.txt anew
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "transcripts"
PROGRAM = Path(sys.executable).with_name("hanse")


def nouns() -> list[str]:
    from node.cli.app import app

    return [group.typer_instance.info.name for group in app.registered_groups if group.typer_instance]


def printed(*arguments: str) -> str:
    """What the installed program prints on stdout."""
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "100", "NO_COLOR": "1", "HOME": "/nowhere", "LANG": "C.UTF-8"}
    done = subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, timeout=60, check=True)
    lines = done.stdout.decode().splitlines()
    return "\n".join(line.rstrip() for line in lines).strip() + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "hanse.txt").write_text(printed("--help"), encoding="utf-8")
    for noun in nouns():
        (FOLDER / f"{noun}.txt").write_text(printed(noun, "--help"), encoding="utf-8")


if __name__ == "__main__":
    main()
