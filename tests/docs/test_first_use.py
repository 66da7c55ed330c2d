"""The README's first real use, run as it is written, in order, by a shell: two members, a chain, a store, an audit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from node.chain import embedded
from node.demo.processes import free_ports
from tests.docs.reading import READMES, ROOT, blocks, section

USE = 2
"""Which section of the README it is."""

SECONDS = 280


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[str]:
    """All its blocks as one script, on ports that are free here; whatever it leaves running ends with the test."""
    text = section(READMES[0].read_text(encoding="utf-8"), USE)
    script = "".join(blocks(text, "sh"))
    wanted = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", script)))
    assert wanted == ["8400", "8401", "8545"]
    for written, free in zip(wanted, free_ports(len(wanted)), strict=True):
        script = script.replace(written, str(free))
    yield script
    for folder in tmp_path.glob("*/alice/chain"):
        embedded.down(folder)


@pytest.mark.long
def test_the_first_real_use_works_as_written(shell: str, tmp_path: Path) -> None:
    out = _run(shell, tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if (path / "alice").exists())
    assert (folder / "fetched.csv").read_bytes() == (folder / "mill.csv").read_bytes()
    assert not (folder / "again.csv").exists()
    assert "exit code 4" in out
    assert "Nothing is untrusted." in out
    assert "| 10 | grants are signed by both parties | 1 | holds |" in out


def _run(script: str, tmp_path: Path) -> str:
    """Its output; fails with all it said where a command fails. Background nodes are of its process group."""
    path = tmp_path / "said"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HANSE_")}
    with path.open("wb") as said:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment | {"TMPDIR": str(tmp_path)},
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        code = process.wait(SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    out = path.read_text(encoding="utf-8", errors="replace")
    assert code == 0, out[-4000:]
    return out
