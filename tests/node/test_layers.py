"""The layers of the house: words, maths, edges, joints, stories, faces. Imports go to the left only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LAYERS = {
    "words": {"errors", "model", "recursion", "arriving", "purposes"},
    "maths": {
        "canon", "evidence", "merkle", "signature", "policy", "documents", "ledger", "sums", "models",
        "development_keys", "encryption", "patricia", "cards", "readings", "windows",
    },
    "edges": {"chain", "store", "db", "keyring", "settings", "tables", "web", "peers", "printer", "mqtt"},
    "joints": {
        "outbox", "follow", "wiring", "sealed", "kept", "posted", "objections", "trainer", "views", "tokens", "show",
        "status", "mapped", "scoring", "paper", "alone",
    },
    "stories": {
        "publish", "access", "fetch", "training", "audit", "home", "doctor", "mapping", "overlap", "predict", "report",
        "collect",
    },
    "faces": {"api", "cli", "serve", "demo"},
}  # fmt: skip
ORDER = list(LAYERS)

IO = {"socket", "subprocess", "httpx2", "requests", "sqlalchemy", "web3", "urllib", "http", "time", "random", "secrets"}
"""What words and maths, and all of federation, must not import."""


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "migrations" not in path.parts)


def room(path: Path) -> str:
    """The top-level part of node a file belongs to."""
    parts = path.relative_to(ROOT / "node").with_suffix("").parts
    return parts[0]


def layer_of(name: str) -> str:
    found = [layer for layer, rooms in LAYERS.items() if name in rooms]
    assert found, f"node/{name} has no layer: put it in one, in this test"
    return found[0]


def imported(path: Path) -> set[str]:
    """Full dotted names a file imports when it runs, wherever in it; not what only a type checker reads."""
    names = set()
    for node in ast.walk(_without_type_checking(ast.parse(path.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _without_type_checking(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [
                one for one in body
                if not (isinstance(one, ast.If) and isinstance(one.test, ast.Name) and one.test.id == "TYPE_CHECKING")
            ]  # fmt: skip
    return tree


def rooms_used(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("node.")}


NODE = [path for path in modules(ROOT / "node") if room(path) != "__init__"]


@pytest.mark.parametrize("path", NODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_to_the_left(path):
    own = room(path)
    layer = ORDER.index(layer_of(own))
    for other in rooms_used(path) - {own, "node"}:
        assert ORDER.index(layer_of(other)) <= layer, f"{own} ({ORDER[layer]}) imports {other} ({layer_of(other)})"


@pytest.mark.parametrize("layer", ["edges", "stories"])
def test_edges_and_stories_do_not_import_each_other(layer):
    # Small edges that others stand on: settings are the home's file, web is HTTP itself.
    ground = {"settings", "web"}
    for path in NODE:
        if room(path) in LAYERS[layer]:
            crossing = rooms_used(path) & LAYERS[layer] - {room(path)} - ground
            assert not crossing, f"{path.relative_to(ROOT)} imports {crossing}"


def test_words_and_maths_do_no_io():
    for path in NODE:
        if layer_of(room(path)) in ("words", "maths"):
            assert not {name.split(".")[0] for name in imported(path)} & IO, path


def test_federation_knows_nothing_of_the_node_and_does_no_io():
    for path in modules(ROOT / "federation"):
        top = {name.split(".")[0] for name in imported(path)}
        assert not top & (IO | {"node"}), path


def test_an_audit_needs_neither_database_nor_keys():
    for path in modules(ROOT / "node" / "audit"):
        assert not rooms_used(path) & {"db", "keyring", "wiring", "outbox", "follow"}, path


def test_every_room_is_named_once():
    every = [name for rooms in LAYERS.values() for name in rooms]
    assert len(every) == len(set(every))
    assert set(every) <= {room(path) for path in NODE}, "a layer names a room that is gone"
