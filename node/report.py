"""What a training came to, for the people who decide by it: one page, written on this member's own node.

To the card, which everybody derives alike, it adds what only this member can know: how its own model does alone, what
the common one does on its own records, and which rows of a file to look at first. Nothing of that leaves the node.

    report(node, training_id, Path("report.html"), language="zh-CN", costs=Costs(miss=900, alarm=50),
           score=Path("machines.csv"), name="machine")
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from federation.costs import Choice, Costs, totals
from federation.errors import FederationError
from node import models, paper, tables
from node.alone import alone_of, judged, of_one_place
from node.cards import Card, Explanation, card_of, chances_counted, choice_of
from node.errors import Misuse, Refused, Retry
from node.ledger import training_of
from node.model import Digest, TrainingId
from node.paper.facts import Action, Facts, Price, Reason
from node.paper.scenario import Scenario, scenario_of
from node.printer import print_pdf
from node.scoring import Answer, Trained, answered, explanation_of, trained_model
from node.trainer import Trainer
from node.wiring import Node

TOP = 20
REASONS = 2
FACTS_LIMIT = 1 << 20
"""Bytes of a scenario's facts; a page has some thousands."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A report that was written; `acting` of the `scored` rows are to be acted on."""

    training: TrainingId
    model: Digest
    path: str
    language: str
    scored: int
    acting: int


def card(node: Node, number: TrainingId) -> Card:
    """The model card of a final training. Errors as of `scoring.trained_model`."""
    trained = trained_model(node, number)
    return card_of(trained.plan, trained.state, explanation_of(node, trained))


def report(
    node: Node, number: TrainingId, path: Path, *, language: str = "en", costs: Costs | None = None,
    score: Path | None = None, name: str | None = None, level: str | None = None, public: Sequence[Path] = (),
    missing: bool = False, top: int = TOP, scenario: Path | None = None,
) -> Reported:  # fmt: skip
    """Write the page to `path` (.html or .pdf). `score`: a file whose rows are ranked, called by their column `name`,
    for classes by the chance of `level`. `public`: all members' records, where their owners have made them public.
    `scenario`: the facts of the scenario that this training was part of, for a page of their own.
    """
    if path.suffix not in (".html", ".pdf"):
        raise Misuse("a report is a page or a PDF", clause="report", seen=path.name, needed="a name in .html or .pdf")
    facts = facts_of(node, number, costs=costs, score=score, name=name, level=level, public=public, missing=missing,
                     top=top)  # fmt: skip
    if scenario is not None:
        facts = replace(facts, scenario=_scenario(scenario, number))
    html = paper.page(facts, language=language)
    if path.suffix == ".pdf":
        print_pdf(html, path)
    else:
        _write(path, html)
    return Reported(number, Digest(facts.model), str(path), language, facts.scored, facts.acting)


def facts_of(
    node: Node, number: TrainingId, *, costs: Costs | None, score: Path | None, name: str | None, level: str | None,
    public: Sequence[Path], missing: bool, top: int,
) -> Facts:  # fmt: skip
    """All that the page says."""
    training, trained = training_of(node.ledger, number), trained_model(node, number)
    explanation = explanation_of(node, trained)
    plan, state = trained.plan, trained.state
    facts = Facts(
        title=plan.title, training=number, model=trained.model, algorithm=plan.algorithm,
        members=tuple(_called(node, seat.member) for seat in training.seats),
        records=models.records_of(plan, state), rounds=len(training.sums), card=card_of(plan, state, explanation),
    )  # fmt: skip
    facts = _with_own(node, trained, facts)
    if public:
        facts = _with_public(trained, facts, public)
    if costs is not None:
        choice = choice_of(state, explanation, costs)
        facts = replace(facts, costs=costs, choice=choice, prices=_prices(state, explanation, costs))
    return _with_actions(trained, facts, score, name, level, missing, top) if score else facts


def _scenario(path: Path, number: TrainingId) -> Scenario:
    try:
        with path.open("rb") as file:
            found = scenario_of(file.read(FACTS_LIMIT))
    except OSError as exc:
        raise Misuse(f"the facts cannot be read: {exc.strerror}", clause="facts", seen=path) from exc
    if found.training.id != number:
        raise Misuse("the facts are of another training", clause="facts", seen=found.training.id, needed=number)
    return found


def _called(node: Node, account: Any) -> str:
    """A member by the name on its public card; by its account where nobody serves that now."""
    try:
        return node.card_of(account).card.name
    except Retry:
        return str(account)


def _with_own(node: Node, trained: Trained, facts: Facts) -> Facts:
    found = alone_of(Trainer(node, trained.training), trained.state)
    return replace(facts, alone=found.own, here=found.together, alone_why=found.why)


def _with_public(trained: Trained, facts: Facts, files: Sequence[Path]) -> Facts:
    columns, plan = _together(files), trained.plan
    try:
        table = plan.steps.prepare(plan.params, columns)
        state = of_one_place(plan, table)
        whole = judged(plan, state, table) if trained.answers.held_out else None
    except FederationError as exc:
        raise Refused(exc.message, clause=exc.clause, seen=getattr(exc, "seen", None)) from exc
    files_ = [models.encode_model(plan, one, trained.training) for one in (state, trained.state)]
    averaged = hasattr(getattr(plan.params, "model", plan.params), "averaging")  # by nature another model
    return replace(facts, pooled=whole, pooled_same=None if averaged else files_[0] == files_[1])


def _together(files: Sequence[Path]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for path in files:
        try:
            with path.open("rb") as file:
                part = tables.columns(file)
        except OSError as exc:
            raise Misuse(f"the file cannot be read: {exc.strerror}", clause="public", seen=path) from exc
        if columns and part.keys() != columns.keys():
            raise Misuse("files with other columns", clause="public", seen=path, needed=sorted(columns))
        for name, cells in part.items():
            columns.setdefault(name, []).extend(cells)
    return columns


def _prices(state: Any, explanation: Explanation | None, costs: Costs) -> tuple[Price, ...]:
    counted = chances_counted(state, explanation)
    assert counted is not None
    bins, records = len(counted.positives), sum(counted.positives) + sum(counted.negatives)
    found = totals(counted.negatives, counted.positives, costs)
    return tuple(Price(i / bins, 100.0 * total / records) for i, total in enumerate(found))


def _with_actions(
    trained: Trained, facts: Facts, score: Path, name: str | None, level: str | None, missing: bool, top: int
) -> Facts:
    """The `top` rows to look at first, without keeping any others."""
    order, best, scored, acting = count(), list[tuple[float, int, Action]](), 0, 0
    judge = _judge(trained, facts.choice, level)
    for called, answer in _rows(trained, score, name, missing):
        height, act = judge(answer)
        scored, acting = scored + 1, acting + bool(act)
        because = tuple(Reason(one.feature, one.value, one.amount > 0) for one in answer.because[:REASONS])
        heapq.heappush(best, (height, -next(order), Action(called, height, answer.label, act, because)))
        if len(best) > top:
            heapq.heappop(best)
    actions = tuple(action for _, _, action in sorted(best, reverse=True))
    return replace(facts, actions=actions, scored=scored, acting=acting)


def _rows(trained: Trained, score: Path, name: str | None, missing: bool) -> Iterator[tuple[str, Answer]]:
    done = 0
    for piece in tables.pieces(score):
        if name is not None and name not in piece:
            raise Misuse("the file has no such column", clause="name-column", seen=name, needed=sorted(piece))
        answers = answered(trained, piece, missing=missing, first=done + 1)
        names = piece[name] if name is not None else [f"#{done + i + 1}" for i in range(len(answers))]
        yield from zip(names, answers, strict=True)
        done += len(answers)


def _judge(trained: Trained, choice: Choice | None, level: str | None) -> Callable[[Answer], tuple[float, bool | None]]:
    """By what rows are ranked, and which are to be acted on."""
    classes = trained.answers.classes
    if level is not None and level not in classes:
        needed = classes or "a model of classes"
        raise Misuse("the model knows no such class", clause="level", seen=level, needed=needed)
    if classes:
        place = classes.index(level or classes[-1])
        return lambda answer: (answer.chances[place], answer.label == classes[place])
    if trained.answers.kind == "chance":
        least = choice.threshold if choice else 0.5
        return lambda answer: (answer.chance or 0.0, (answer.chance or 0.0) >= least)
    return lambda answer: (answer.number or 0.0, None)


def _write(path: Path, html: str) -> None:
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(html, encoding="utf-8")
        draft.replace(path)
    except OSError as exc:
        raise Retry(f"the report cannot be written: {exc.strerror}", clause="report", seen=path) from exc
