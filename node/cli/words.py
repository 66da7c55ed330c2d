"""Arguments and options that several commands share, and ids by their first digits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from node.errors import Misuse
from node.purposes import PURPOSES

if TYPE_CHECKING:
    from node.ledger import Ledger
    from node.sums import Plan

FILE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Id:
    """An id as typed: all of it, or its first digits. Which one it means only the ledger knows."""

    kind: str
    text: str

    def of(self, ledger: Ledger) -> Any:
        """Raises NotFound where nothing begins so, Misuse where several things do or it is no id."""
        from node.show import known

        among: dict[str, Mapping[Any, object]] = {
            "dataset": ledger.datasets,
            "request": ledger.requests,
            "grant": ledger.grants,
            "training": ledger.trainings,
        }
        return known(self.text, among[self.kind], self.kind)


def dataset_id(text: str) -> Id:
    return Id("dataset", text)


def request_id(text: str) -> Id:
    return Id("request", text)


def grant_id(text: str) -> Id:
    return Id("grant", text)


def training_id(text: str) -> Id:
    return Id("training", text)


_DIGITS = "Its id, or the first digits of it."
DatasetArg = Annotated[Id, Argument(metavar="DATASET", parser=dataset_id, help=_DIGITS)]
RequestArg = Annotated[Id, Argument(metavar="REQUEST", parser=request_id, help=_DIGITS)]
GrantArg = Annotated[Id, Argument(metavar="GRANT", parser=grant_id, help=_DIGITS)]
TrainingArg = Annotated[Id, Argument(metavar="TRAINING", parser=training_id, help=_DIGITS)]
Source = Annotated[Path, Argument(metavar="FILE", help="The file to publish.")]
Purposes = Annotated[list[str], Option("--purpose", help=f"May be repeated: {', '.join(PURPOSES)}.")]
Uses = Annotated[list[str], Option("--use", help="May be repeated: read, train.")]


def read_json(path: Path, what: str, needed: str) -> Any:
    """A small JSON file. Raises Misuse where it cannot be read or is none."""
    try:
        with path.open("rb") as file:
            return json.loads(file.read(FILE_LIMIT + 1))
    except OSError as exc:
        raise Misuse(f"the {what} cannot be read: {exc.strerror}", clause=what, seen=path) from exc
    except ValueError as exc:
        raise Misuse(f"the {what} is not one", clause=what, seen=path, needed=needed) from exc


def plan_file(path: Path) -> Plan:
    """The plan that a file holds."""
    from node.sums import plan_of

    needed = "an object with title, algorithm and params"
    document = read_json(path, "plan", needed)
    try:
        return plan_of(document["title"], document["algorithm"], document["params"])
    except (ValueError, KeyError, TypeError) as exc:
        raise Misuse("the plan is not one", clause="plan", seen=path, needed=needed) from exc
