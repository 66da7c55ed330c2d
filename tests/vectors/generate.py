"""Every generator of this folder, `make_NAME.py` with `documents() -> {file stem: document}`, and its files."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def files() -> dict[Path, str]:
    """Path and wanted text of every generated vector file."""
    made: dict[Path, str] = {}
    for generator in sorted(HERE.glob("make_*.py")):
        for stem, document in _module(generator).documents().items():
            made[HERE / f"{stem}.json"] = json.dumps(document, indent=1, ensure_ascii=True) + "\n"
    return made


def stale() -> list[Path]:
    """Files that differ from what their generator makes."""
    return [path for path, text in files().items() if not path.exists() or path.read_text() != text]


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    old = stale()
    if "--check" not in sys.argv[1:]:
        for path, text in files().items():
            path.write_text(text)
    for path in old:
        print(("out of date: " if "--check" in sys.argv[1:] else "written: ") + path.name)
    sys.exit(bool(old) and "--check" in sys.argv[1:])
