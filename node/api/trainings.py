"""Routes about trainings: open, join, watch, read what one came to. A running node takes its own steps by itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from node import predict as predicting
from node import report, show, training
from node.api.guard import OurNode, needs
from node.api.routes import Key, TrainingPath, many, one
from node.api.shapes import ID
from node.cards import Card
from node.documents import plain
from node.ledger import training_of
from node.model import DatasetId
from node.sums import plan_of

reading = APIRouter(tags=["training"], dependencies=[Depends(needs("read"))])
operating = APIRouter(tags=["training"], dependencies=[Depends(needs("operate"))])

_PLAN: dict[str, Any] = {
    "title": "Which mills will need a new bearing",
    "algorithm": "logistic",
    "params": {"columns": ["hours", "vibration"], "label": "failed"},
    "seats": 4,
}


class Opening(BaseModel):
    """A plan, and the frame that the contract keeps. `params` are the algorithm's own."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _PLAN})
    title: str = Field(min_length=1, max_length=200)
    algorithm: str = Field(max_length=100)
    params: dict[str, Any]
    seats: int = Field(ge=3, le=64)
    minimum: int = Field(3, ge=3, le=64)
    spares: int = Field(2, ge=0, le=255)
    epsilon: int | None = Field(None, ge=0, le=1 << 31)
    join_seconds: int = Field(86_400, ge=1, le=1 << 31)
    phase_seconds: int = Field(3_600, ge=1, le=1 << 31)
    challenge_seconds: int = Field(3_600, ge=1, le=1 << 31)


class Joining(BaseModel):
    """With which of our datasets."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"dataset": "0x" + "52" * 32}})
    dataset: str = Field(pattern=ID)


class Questions(BaseModel):
    """Rows of named values, as the records have them. With `allow_missing`, what is missing counts as in the training.
    Nothing is kept, and nothing leaves this node."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"rows": [{"hours": 812.5, "vibration": 4.1, "kind": "lathe"}], "allow_missing": False}
        },
    )
    rows: list[dict[str, str | int | float | None]] = Field(min_length=1, max_length=predicting.ROWS)
    allow_missing: bool = False


@reading.get("/trainings", **many(show.Training))
def trainings(node: OurNode) -> Any:
    """All trainings of the alliance."""
    return [plain(show.training(found)) for found in list(node.ledger.trainings.values())]


@operating.post("/trainings", **one(training.OpenedTraining, 409, 504))
def open_training(node: OurNode, asked: Opening, idempotency_key: Key = None) -> Any:
    """Publish a plan and open a training for others to join. The same plan and terms again are the same training."""
    plan = plan_of(asked.title, asked.algorithm, asked.params)
    frame = asked.model_dump(exclude={"title", "algorithm", "params"})
    return plain(training.open_training(node, plan, key=idempotency_key, **frame))


@reading.get("/trainings/{number}", **one(show.Training, 404))
def training_shown(node: OurNode, number: TrainingPath) -> Any:
    """One training: its phase, members and deadline."""
    return plain(show.training(training_of(node.ledger, number)))


@reading.get("/trainings/{number}/rounds", **many(show.Round, 404))
def rounds(node: OurNode, number: TrainingPath) -> Any:
    """The sums posted so far; anybody can fetch their bytes and recompute them."""
    return [plain(found) for found in show.rounds(training_of(node.ledger, number))]


@operating.post("/trainings/{number}/join", **one(training.JoinedTraining, 404, 409, 504))
def join(node: OurNode, number: TrainingPath, asked: Joining) -> Any:
    """Join with the current version of one of our datasets; its records stay here."""
    return plain(training.join(node, number, DatasetId(asked.dataset)))


@operating.post("/trainings/{number}/challenge", **one(training.Objected, 404, 409, 502, 504))
def challenge(node: OurNode, number: TrainingPath) -> Any:
    """Make every posted sum again and void the first wrong one. A running node does so by itself."""
    return plain(training.challenge(node, number))


@reading.get("/trainings/{number}/result", **one(training.Result, 404, 502, 504))
def result(node: OurNode, number: TrainingPath, alone: bool = False) -> Any:
    """What it came to, derived here from the plan and the posted sums. With `alone`, beside it what our own records
    alone would have given us: computed on this node, told to nobody but who asks here, in its own time."""
    return plain(training.result(node, number, alone=alone))


@reading.get("/trainings/{number}/card", **one(Card, 404, 502, 504))
def model_card(node: OurNode, number: TrainingPath) -> Any:
    """The model card of a final training: quality, calibration, weights, what matters, and what is not known."""
    return plain(report.card(node, number))


@reading.post("/trainings/{number}/predict", **one(predicting.Predicted, 404, 502, 504))
def predict(node: OurNode, number: TrainingPath, asked: Questions) -> Any:
    """Ask the verified model about up to 1000 rows. A value that does not fit is refused by name."""
    return plain(predicting.predict(node, number, asked.rows, missing=asked.allow_missing))
