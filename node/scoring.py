"""A trained model that is what the chain says, and the rows it may be asked about.

The model file is the one whose digest is final on chain; its lineage (training, algorithm, columns) is compared with
the plan, and its bytes with what the posted sums say, which this node has added up itself. What a row must hold is the
plan's: every feature, in its range or among its levels; anything else is refused by name.

    trained = trained_model(node, training_id)
    columns = columns_of_rows(trained, [{"load": 7.0, "kind": "b"}])
    for answer in answered(trained, columns): print(answer.chance, answer.because)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from federation import records
from federation.algorithms.answers import Answers, values_of
from federation.algorithms.explanation import explanation_of as explaining
from federation.algorithms.importance import spans
from federation.errors import FederationError
from federation.tables import Feature, encode
from node import ledger as rules
from node import model, models
from node.cards import Explanation, asked
from node.errors import HanseError, Misuse, NotFinal, Refused, Untrusted
from node.ledger import training_of
from node.model import Digest, Phase, TrainingId
from node.models import decode_model, encode_model
from node.sums import PLAN_LIMIT, Plan
from node.trainer import Trainer, translated
from node.wiring import Node

Texts = Mapping[str, Sequence[str]]
"""Cells by column, as text; an empty one is missing."""


@dataclass(frozen=True)
class Trained:
    """A verified model, ready to be asked. `model` is its digest on chain."""

    training: TrainingId
    plan: Plan
    state: Any
    model: Digest
    answers: Answers


@dataclass(frozen=True, slots=True)
class Because:
    """By how much one input moved the score from where it stands at the average record. In log-odds for a chance, in
    the target's units for a number, in logarithms for a rate; for classes of the first over the second."""

    feature: str
    value: str
    amount: float


@dataclass(frozen=True, slots=True)
class Answer:
    """`chance` of yes, or of `label` (`chances`: of every class); or a `number`. `because`: every input, the one that
    moved most first; `base`: the score without them."""

    chance: float | None
    number: float | None
    label: str | None
    chances: tuple[float, ...]
    base: float
    because: tuple[Because, ...]


def trained_model(node: Node, number: TrainingId, *, file: Path | None = None) -> Trained:
    """The model of a final training, from this node's store, a gateway, or `file`. Raises NotFinal, Refused where it
    answers nothing about a record, and Untrusted where a byte or a name is another than the chain's."""
    training = training_of(node.ledger, number)
    if training.phase == Phase.VOID:
        raise Refused("the training is void", clause="phase", seen=training.void.name.lower(), needed="final")
    if training.phase != Phase.FINAL:
        raise NotFinal("the model is not final", clause="phase", seen=training.phase.name.lower(), needed="final")
    trainer = Trainer(node, number)
    plan, state = trainer.plan, trainer.state()
    answers = asked(plan, state)
    _require_model(_bytes(node, training, file), training, plan, state)
    return Trained(number, plan, state, training.model, answers)


def explanation_of(node: Node, trained: Trained) -> Explanation | None:
    """The last final training, of those that this node took part in, that explains exactly this model."""
    quoted = records.dump(trained.plan.params).decode(), records.dump(trained.state).decode()
    for training in reversed(list(node.ledger.trainings.values())):
        if training.phase != Phase.FINAL or training.position(node.me) is None or training.id == trained.training:
            continue
        trainer = Trainer(node, training.id)
        params = trainer.plan.params
        if trainer.plan.algorithm == "explanation" and (params.plan, params.state) == quoted:
            return Explanation(params, trainer.state())
    return None


def explaining_plan(node: Node, number: TrainingId) -> Plan:
    """The plan of a training that explains this one: to be opened and joined as any other. Errors as of
    `trained_model`; Refused where the model cannot be explained."""
    trained = trained_model(node, number)
    inner = getattr(trained.plan.params, "model", trained.plan.params)
    limits = getattr(inner, "averaging", inner)
    try:
        params = explaining(trained.plan.algorithm, trained.plan.params, trained.state, members=limits.members,
                            records_=limits.records, of=number)  # fmt: skip
    except FederationError as exc:
        raise translated(exc) from exc
    plan = Plan(f"{trained.plan.title[:180]}: why", "explanation", params)
    size = len(plan.encode())
    if size > PLAN_LIMIT:
        raise Refused("the model is too large to be quoted in a plan", clause="size", seen=size, needed=PLAN_LIMIT)
    return plan


def columns_of_rows(trained: Trained, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Rows of named values as columns. Raises Misuse for a name that is no feature; what a row lacks is missing."""
    names = [feature.name for feature in trained.answers.features]
    for row in rows:
        for name in row.keys() - set(names):
            raise Misuse("the model has no such input", clause=name[:80], seen=str(row[name])[:80], needed=names)
    return {name: [_text(row.get(name)) for row in rows] for name in names}


def answered(trained: Trained, columns: Texts, *, missing: bool = False, first: int = 1) -> list[Answer]:
    """An answer for each row, `first` the number of the first one. With `missing`, what is missing counts as it did in
    the training. Raises Misuse naming row, column and value."""
    answers = trained.answers
    for feature in answers.features:
        if feature.name not in columns:
            raise Misuse("a column that the model needs", clause=feature.name, seen="missing", needed=feature.name)
        for place, text in enumerate(columns[feature.name]):
            _require_cell(feature, text, f"row {first + place}", missing=missing)
    try:
        table = encode(columns, answers.features)
        scores = answers.scores(table)
        values = values_of(answers, scores)
        best, second = _first_two(scores)
        parts = answers.parts(table, best, second)
    except FederationError as exc:
        raise translated(exc) from exc
    amounts = np.column_stack([parts.columns[:, span].sum(axis=1) for span in spans(answers.features)]).tolist()
    shown = zip(*(columns[feature.name] for feature in answers.features), strict=True)
    found = zip(values, best.tolist(), parts.base.tolist(), shown, amounts, strict=True)
    return [
        Answer(*_value(answers, value, place), base, _because(answers.features, texts, row))
        for value, place, base, texts, row in found
    ]


def _require_model(data: bytes, training: rules.Training, plan: Plan, state: Any) -> None:
    import hashlib

    digest = model.digest(hashlib.sha256(data).digest())
    if digest != training.model:
        raise Untrusted("not the model of this training", clause="model", seen=digest, needed=training.model)
    found = decode_model(data)
    wanted = models.model_of(plan, state, training.id)
    for name in ("training", "algorithm", "columns", "classes"):
        seen, needed = getattr(found, name), getattr(wanted, name)
        if seen != needed:
            raise Untrusted("the model says that it comes from elsewhere", clause=name, seen=seen, needed=needed)
    if encode_model(plan, state, training.id) != data:
        raise Untrusted("the final model is not what the sums say", clause="model", seen=digest, needed="the sums'")


def _bytes(node: Node, training: rules.Training, file: Path | None) -> bytes:
    if file is None:
        return node.get_bytes(training.model, member=training.opener)
    try:
        with file.open("rb") as opened:
            return opened.read(models.LIMIT + 1)
    except OSError as exc:
        raise Misuse(f"the model cannot be read: {exc.strerror}", clause="model", seen=file) from exc


def _require_cell(feature: Feature, text: str, row: str, *, missing: bool) -> None:
    if feature.levels and text:
        if text not in feature.levels:
            raise _bad(feature, row, "is none of the levels", text, feature.levels)
        return
    number = _number(feature, text, row) if text else math.nan
    if math.isnan(number) or number in feature.missing:
        if not missing:
            no = _bad(feature, row, "is missing", text or "nothing", "a value")
            no.hint = "say that values may be missing: they then count as they did in the training"
            raise no
    elif not feature.low <= number <= feature.high:
        raise _bad(feature, row, "is out of range", text, f"{feature.low:g} to {feature.high:g}")


def _number(feature: Feature, text: str, row: str) -> float:
    try:
        number = float(text)
    except ValueError as exc:
        raise _bad(feature, row, "is not a number", text, "a number") from exc
    if not math.isfinite(number):
        raise _bad(feature, row, "is not a number", text, "a finite number")
    return number


def _bad(feature: Feature, row: str, what: str, seen: str, needed: Any) -> HanseError:
    return Misuse(f"{row}: {feature.name} {what}", clause=feature.name, seen=seen[:80], needed=needed)


def _text(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _first_two(scores: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The places of the best and of the second-best class; 0 and 0 where there are no classes."""
    if scores.ndim == 1:
        nothing = np.zeros(len(scores), dtype=np.int64)
        return nothing, nothing
    order = np.argsort(-scores, axis=1, kind="stable")
    return order[:, 0], order[:, 1]


def _value(answers: Answers, value: Any, best: int) -> tuple[float | None, float | None, str | None, tuple[float, ...]]:
    if answers.kind == "classes":
        return float(value[best]), None, answers.classes[best], tuple(value.tolist())
    return (float(value), None, None, ()) if answers.kind == "chance" else (None, float(value), None, ())


def _because(features: Sequence[Feature], shown: Sequence[str], amounts: Sequence[float]) -> tuple[Because, ...]:
    found = [Because(one.name, text, amount) for one, text, amount in zip(features, shown, amounts, strict=True)]
    return tuple(sorted(found, key=lambda one: -abs(one.amount)))
