"""`federation` knows no node, does no I/O, reads no clock and draws no randomness: its imports say so."""

import ast
import subprocess
import sys
from pathlib import Path

import federation

ALLOWED = {
    "__future__", "bisect", "collections", "concurrent", "dataclasses", "fractions", "functools", "hashlib",
    "itertools", "json", "math", "operator", "re", "types", "typing", "weakref", "coincurve", "cryptography",
    "dp_accounting", "federation", "numpy", "threadpoolctl",
}  # fmt: skip
ADAPTED = {"copy", "keras", "sklearn", "warnings"}  # in federation/adapters, and nowhere else
SOURCES = sorted(Path(federation.__file__).parent.rglob("*.py"))


def imported(source):
    for found in ast.walk(ast.parse(source.read_text())):
        if isinstance(found, ast.Import):
            yield from (name.name.split(".")[0] for name in found.names)
        elif isinstance(found, ast.ImportFrom):
            assert found.level == 0, f"{source}: a relative import"
            yield found.module.split(".")[0]


def test_only_pure_things_are_imported():
    assert len(SOURCES) > 15
    strange = {
        (source.name, name) for source in SOURCES for name in imported(source) if name not in ALLOWED | adapted(source)
    }
    assert strange == {("vectors.py", "os")}  # how many cores there are, and nothing else of it


def test_only_cores_are_counted_with_os():
    source = next(source for source in SOURCES if source.name == "vectors.py")
    attributes = [found for found in ast.walk(ast.parse(source.read_text())) if isinstance(found, ast.Attribute)]
    used = {found.attr for found in attributes if isinstance(found.value, ast.Name) and found.value.id == "os"}
    assert used == {"sched_getaffinity", "cpu_count"}


def adapted(source):
    return ADAPTED if source.parent.name == "adapters" else set()


def test_adapters_load_what_they_adapt_only_when_they_are_used():
    code = "import sys, federation.adapters.scikit, federation.adapters.keras_model; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "federation.adapters.scikit" in loaded
    assert not {"sklearn", "keras", "jax"} & set(loaded)


def test_nothing_is_opened_printed_or_drawn():
    forbidden = {"open", "print", "input", "exec", "eval", "default_rng", "urandom", "token_bytes"}
    called = {(source.name, found.id if isinstance(found, ast.Name) else found.attr)
              for source in SOURCES for found in ast.walk(ast.parse(source.read_text()))
              if isinstance(found, (ast.Name, ast.Attribute))}  # fmt: skip
    named = {(file, name) for file, name in called if name in forbidden}
    assert named == {("member.py", "open"), ("shares.py", "open")}  # Bundle.open and ShareKey.open, of sealed boxes
