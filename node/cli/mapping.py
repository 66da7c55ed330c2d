"""`hanse mapping`: own columns as those that a plan names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from node.cli.frame import Run, noun, verb
from node.cli.words import DatasetArg, plan_file, read_json, training_id
from node.errors import Misuse

if TYPE_CHECKING:
    from federation.sources import Source
    from node.sums import Plan
    from node.wiring import Node

app = noun("mapping", "Say once how your own columns become those that a plan names.")

PlanArg = Annotated[str, Argument(metavar="PLAN", help="A plan's file, or the id of a training (its first digits).")]
_NEEDED = 'an object with "sources": [{"feature": ..., "column": ...}]'


@verb(app, "set", example="hanse mapping set plan.json mapping.json")
def set_(
    run: Run,
    plan: PlanArg,
    mapping: Annotated[Path, Argument(metavar="MAPPING", help='JSON: {"sources": [{"feature": ..., "column": ...}]}.')],
) -> Any:
    """Keep a mapping as the next version. Trainings that were joined go on with the version they were joined with."""
    from node import mapping as story

    with run.node() as node:
        return story.set_mapping(node, _plan(node, plan), _sources(mapping))


@verb(app, "show", example="hanse mapping show 0x77aa01c2")
def show(run: Run, plan: PlanArg) -> Any:
    """All versions of the mapping for a plan, with the digests that joins fix on chain."""
    from node import mapping as story

    with run.node() as node:
        return story.show(node, _plan(node, plan))


@verb(app, "check", example="hanse mapping check plan.json 0x52ab0c6b --file mapping.json")
def check(
    run: Run,
    plan: PlanArg,
    dataset: DatasetArg,
    file: Annotated[Path | None, Option(metavar="MAPPING", help="Try this one instead of the one kept.")] = None,
    version: Annotated[int | None, Option(help="Another version of the dataset than the newest.", min=1)] = None,
) -> Any:
    """What it makes of your records: missing, out of bounds, unknown codes, first rows, and columns to try."""
    from node import mapping as story

    with run.node(keys=True) as node:
        sources = None if file is None else _sources(file)
        return story.check(node, _plan(node, plan), dataset.of(node.ledger), version=version, sources=sources)


def _plan(node: Node, named: str) -> Plan:
    from node.trainer import plan_of

    if Path(named).is_file():
        return plan_file(Path(named))
    return plan_of(node, node.ledger.trainings[training_id(named).of(node.ledger)])


def _sources(path: Path) -> list[Source]:
    from federation import records
    from federation.errors import FederationError
    from federation.sources import Source

    document = read_json(path, "mapping", _NEEDED)
    try:
        return [records.parse(Source, source) for source in document["sources"]]
    except (FederationError, KeyError, TypeError) as exc:
        raise Misuse(f"the mapping is not one: {exc}", clause="mapping", seen=path, needed=_NEEDED) from exc
