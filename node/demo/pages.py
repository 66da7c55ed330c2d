"""The report of a scenario: written by its first site's node, as a member would, with the scenario's page at the end.

write_page(folder, person, scenario, facts, Page(Path("report.html"), "zh-CN"))
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.demo.processes import Person
from node.demo.scenario import Scenario
from node.errors import Retry

PAGE_SECONDS = 300


@dataclass(frozen=True)
class Page:
    """A report to be written, .html or .pdf."""

    path: Path
    language: str = "en"


def write_page(folder: Path, person: Person, scenario: Scenario, facts: dict[str, Any], page: Page) -> None:
    """Raises Retry, with what the command said, where it could not be written."""
    told = folder / "facts.json"
    told.write_text(json.dumps(facts), encoding="utf-8")
    command = [sys.executable, "-m", "node.cli", "training", "result", facts["training"]["id"], "--facts", str(told),
               "--home", str(person.home), "--passphrase-file", str(folder / "passphrase"), "--json",
               "--report", str(page.path.absolute()), "--language", page.language]  # fmt: skip
    if scenario.metric == "area":
        cost = scenario.decision
        command += ["--cost-miss", str(cost.miss), "--cost-alarm", str(cost.false_alarm)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PAGE_SECONDS, check=False)
    if done.returncode:
        raise Retry(f"the report was not written: {done.stdout[-500:]} {done.stderr[-500:]}", clause="report",
                    seen=done.returncode)  # fmt: skip
