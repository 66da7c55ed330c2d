"""`hanse training`: learn together, each from its own records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from node.cli.frame import Run, noun, verb
from node.cli.output import progress
from node.cli.words import DatasetArg, TrainingArg
from node.errors import Misuse

app = noun("training", "Learn together, each from its own records.")

PLAN_LIMIT = 1 << 20


@verb(app, "open", example="hanse training open plan.json --seats 4")
def open_(
    run: Run,
    plan: Annotated[Path, Argument(metavar="PLAN", help='JSON: {"title": ..., "algorithm": ..., "params": {...}}.')],
    seats: Annotated[int, Option(help="How many members may join.", min=3, max=64)],
    minimum: Annotated[int, Option(help="How few members are enough.", min=3, max=64)] = 3,
    spares: Annotated[int, Option(help="How many rounds may be lost for want of members.", min=0, max=255)] = 2,
    epsilon: Annotated[
        int | None,
        Option(help="Thousandths of epsilon it spends of each dataset's budget; as the plan's noise.", min=0),
    ] = None,
    join: Annotated[int, Option("--join-seconds", help="How long members may join.", min=1)] = 86_400,
    phase: Annotated[int, Option("--phase-seconds", help="How long each step may take.", min=1)] = 3_600,
    challenge: Annotated[int, Option("--challenge-seconds", help="How long sums may be challenged.", min=1)] = 3_600,
) -> Any:
    """Publish a plan and open a training for others to join."""
    from node import training

    return run.story(
        training.open_training,
        _plan(plan),
        seats=seats,
        minimum=minimum,
        spares=spares,
        epsilon=epsilon,
        join_seconds=join,
        phase_seconds=phase,
        challenge_seconds=challenge,
    )


@verb(app, "join", example="hanse training join 0x77aa01c2 0x52ab0c6b")
def join(run: Run, training: TrainingArg, dataset: DatasetArg) -> Any:
    """Join with the current version of one of your datasets; its records stay here."""
    from node import training as story

    return run.story(story.join, training, dataset)


@verb(app, "list", example="hanse training list")
def trainings(run: Run) -> Any:
    """All trainings of the alliance."""
    from node import show

    with run.node() as node:
        return [show.training(found) for found in node.ledger.trainings.values()]


@verb(app, "show", example="hanse training show 0x77aa01c2")
def training(run: Run, training: TrainingArg) -> Any:
    """One training: its phase, members and deadline."""
    from node import show

    with run.node() as node:
        return show.training(node.ledger.trainings[training.of(node.ledger)])


@verb(app, "run", example="hanse training run 0x77aa01c2 --deadline 600")
def take_part(
    run: Run,
    training: TrainingArg,
    deadline: Annotated[int, Option(metavar="SECONDS", help="Stop waiting after this long.", min=1)] = 3_600,
) -> Any:
    """Take every step that is due until the training is final. A running node (`hanse node run`) does so by itself."""
    from node import training as story

    with run.node(keys=True) as node, progress() as report:
        number = training.of(node.ledger)
        return story.run(node, number, deadline_seconds=deadline, progress=lambda phase: report(phase, 0, None))


@verb(app, "challenge", example="hanse training challenge 0x77aa01c2")
def challenge(run: Run, training: TrainingArg) -> Any:
    """Make every posted sum again and void the first wrong one. A running node does so by itself."""
    from node import training as story

    return run.story(story.challenge, training)


@verb(app, "result", example="hanse training result 0x77aa01c2")
def result(run: Run, training: TrainingArg) -> Any:
    """What it came to, derived here from the plan and the posted sums."""
    from node import training as story

    return run.story(story.result, training)


def _plan(path: Path) -> Any:
    from node.sums import plan_of

    try:
        with path.open("rb") as file:
            document = json.loads(file.read(PLAN_LIMIT + 1))
        return plan_of(document["title"], document["algorithm"], document["params"])
    except OSError as exc:
        raise Misuse(f"the plan cannot be read: {exc.strerror}", clause="plan", seen=path) from exc
    except (ValueError, KeyError, TypeError) as exc:
        needed = "an object with title, algorithm and params"
        raise Misuse("the plan is not one", clause="plan", seen=path, needed=needed) from exc
