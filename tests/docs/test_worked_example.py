"""The round by hand in docs/secure-sum.md is a program, and prints the numbers that stand below it."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.reading import ROOT, blocks

PAGE = (ROOT / "docs" / "secure-sum.md").read_text(encoding="utf-8")


def test_the_round_by_hand_prints_the_numbers_of_the_page() -> None:
    (program,), (numbers,) = blocks(PAGE, "python"), blocks(PAGE, "text")
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    assert said.stdout == numbers
    assert "S = [111, 222, 333, -356]" in numbers
