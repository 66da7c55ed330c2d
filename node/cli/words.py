"""Arguments and options that several commands share, and ids by their first digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from node.policy import PURPOSES

if TYPE_CHECKING:
    from node.ledger import Ledger


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
