"""What a report says, before it is said in any language: the card, and what only this member can add to it."""

from __future__ import annotations

from dataclasses import dataclass

from federation.costs import Choice, Costs
from node.cards import Card, Quality
from node.paper.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Reason:
    """An input that moved an answer, `up` or down."""

    feature: str
    value: str
    up: bool


@dataclass(frozen=True, slots=True)
class Action:
    """One row of the ranked list: what it is called, what the model says of it, and whether to act."""

    name: str
    answer: float
    label: str | None
    act: bool | None
    because: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """What acting from a threshold on costs, for each hundred records."""

    threshold: float
    cost: float


@dataclass(frozen=True)
class Facts:
    """`alone`: this member's own model, judged on its own records that neither had learned from; `here`: the common
    model on the same records, both for this member's eyes only; None where `alone_why` says why (as `node.alone` does).
    `pooled`: of the records said to be public, and whether their model is the same, byte for byte. `actions` are the
    first of `scored` rows, of which `acting` are to be acted on. `scenario`: of the demonstration it was part of."""

    title: str
    training: str
    model: str
    algorithm: str
    members: tuple[str, ...]
    records: int
    rounds: int
    card: Card
    alone: Quality | None = None
    here: Quality | None = None
    alone_why: str = "not_held_out"
    pooled: Quality | None = None
    pooled_same: bool | None = None
    costs: Costs | None = None
    choice: Choice | None = None
    prices: tuple[Price, ...] = ()
    actions: tuple[Action, ...] = ()
    scored: int = 0
    acting: int = 0
    scenario: Scenario | None = None
