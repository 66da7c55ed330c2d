"""A page as PDF, where Chromium is here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from node.printer import NAMES, print_pdf


@pytest.mark.outside
def test_a_page_becomes_a_pdf(tmp_path: Path) -> None:
    if not any(shutil.which(name) for name in NAMES):
        pytest.skip("PDF of a report: no Chromium on this machine")
    path = tmp_path / "page.pdf"
    print_pdf("<!doctype html><meta charset=utf-8><title>x</title><p>哪些磨机会坏", path)
    assert path.read_bytes().startswith(b"%PDF-")
