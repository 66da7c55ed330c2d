"""Ask a trained model: about rows, or about every row of a file, on this member's own node. Nothing leaves it.

    predicted = predict(node, training_id, [{"load": 7.0, "kind": "b"}])
    scored = score_file(node, training_id, Path("machines.csv"), Path("scores.csv"))

A file is read and written a piece at a time, and appears under its name only when it is whole. Cells that a spreadsheet
would run as a formula are made text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from node import tables
from node.errors import Misuse
from node.ledger import training_of
from node.model import Digest, TrainingId
from node.scoring import Answer, Trained, answered, columns_of_rows, trained_model
from node.wiring import Node

ROWS = 1000
"""The most rows of one question."""

KEPT = 4
_KNOWN: WeakKeyDictionary[Node, dict[TrainingId, Trained]] = WeakKeyDictionary()
"""The models last asked on each open node: to verify one again for every question would take all its sums."""

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Predicted:
    """What a model answered. `target`: what is foretold; `model`: its digest on chain."""

    training: TrainingId
    model: Digest
    kind: str
    target: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """A file of answers: all columns of the source and, after them, `columns`."""

    training: TrainingId
    model: Digest
    rows: int
    path: str
    columns: tuple[str, ...]


def predict(
    node: Node,
    number: TrainingId,
    rows: Sequence[Mapping[str, Any]],
    *,
    missing: bool = False,
    file: Path | None = None,
) -> Predicted:
    """Up to ROWS rows of named values. Raises Misuse naming the row, column and value that does not fit; otherwise as
    `scoring.trained_model`."""
    if not 1 <= len(rows) <= ROWS:
        raise Misuse("too many rows, or none", clause="rows", seen=len(rows), needed=f"1 to {ROWS}")
    trained = _known(node, number) if file is None else trained_model(node, number, file=file)
    found = answered(trained, columns_of_rows(trained, rows), missing=missing)
    return Predicted(number, trained.model, trained.answers.kind, trained.answers.target.name, tuple(found))


def score_file(
    node: Node, number: TrainingId, source: Path, out: Path, *, missing: bool = False, file: Path | None = None,
    progress: Progress | None = None,
) -> Scored:  # fmt: skip
    """Every row of a CSV with its answer, as a CSV. Raises Conflict where `out` is there, Misuse for a bad row."""
    trained = trained_model(node, number, file=file)
    added, done = _added(trained), 0
    with tables.fresh(out) as write:
        for piece in tables.pieces(source):
            if not done:
                _require_new(added, piece)
                write([*piece, *added])
            answers = answered(trained, piece, missing=missing, first=done + 1)
            for cells, answer in zip(zip(*piece.values(), strict=True), answers, strict=True):
                write([*cells, *_cells(answer)])
            done += len(answers)
            (progress or _silent)("answering", done, None)
        if not done:
            raise Misuse("the file has no rows", clause="source", seen=source, needed="a header and rows")
    return Scored(number, trained.model, done, str(out), added)


def _known(node: Node, number: TrainingId) -> Trained:
    kept = _KNOWN.setdefault(node, {})
    found = kept.get(number)
    if found is None or found.model != training_of(node.ledger, number).model:
        found = trained_model(node, number)
        while len(kept) >= KEPT:
            kept.pop(list(kept)[0], None)  # noqa: RUF015  (a list is made at once, whatever other threads do)
        kept[number] = found
    return found


def _added(trained: Trained) -> tuple[str, ...]:
    name = trained.answers.target.name
    names = {"chance": (f"{name} chance",), "classes": (f"{name} foretold", f"{name} chance")}
    return (*names.get(trained.answers.kind, (f"{name} foretold",)), "mostly because of")


def _require_new(added: Sequence[str], piece: Mapping[str, Any]) -> None:
    for name in added:
        if name in piece:
            raise Misuse("the file has a column of that name already", clause=name, seen=name, needed="another name")


def _cells(answer: Answer) -> list[str]:
    values = [answer.label, answer.chance, answer.number]
    shown = [value if isinstance(value, str) else f"{value:.6g}" for value in values if value is not None]
    most = answer.because[0] if answer.because else None
    return [*shown, f"{most.feature} ({'+' if most.amount > 0 else ''}{most.amount:.3g})" if most else ""]


def _silent(label: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""
