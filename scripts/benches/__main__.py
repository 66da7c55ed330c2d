"""`scripts/bench NAME [--json]`: run one bench, print its one document or a table."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if _is_bench(path))
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure against a peer or the physical limit.")
    parser.add_argument("name", choices=names)
    parser.add_argument("--json", action="store_true", help="print the document")
    given = parser.parse_args()
    document = importlib.import_module(f"scripts.benches.{given.name}").run()
    print(json.dumps(document, indent=2) if given.json else table(document))
    return 0 if all(row["holds"] in (True, None) for row in document["results"]) else 1


def _is_bench(path: Path) -> bool:
    return "\ndef run(" in path.read_text(encoding="utf-8")


def table(document: dict[str, Any]) -> str:
    """A bench's document for people."""
    lines = [f"{document['bench']}: {document['runs']} runs"]
    for row in document["results"]:
        against = ", ".join(f"{who} {value:,.6g}" for who, value in (row["against"] or {}).items())
        verdict = {True: "holds", False: "DOES NOT HOLD", None: ""}[row["holds"]]
        ratio = f"ratio {row['ratio']:.3g}" if row["ratio"] is not None else ""
        goal = f"goal {row['goal']:,.6g}" if row["goal"] is not None else ""
        cells = [f"{row['value']:,.6g} {row['unit']}", against, ratio, goal, verdict]
        lines.append(f"  {row['name']:24} " + "; ".join(cell for cell in cells if cell))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
