"""`hanse training`: learn together, each from its own records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from node.cli.frame import Run, noun, verb
from node.cli.output import progress
from node.cli.words import DatasetArg, TrainingArg, plan_file
from node.errors import Misuse

app = noun("training", "Learn together, each from its own records.")

Seats = Annotated[int, Option(help="How many members may join.", min=3, max=64)]
Minimum = Annotated[int, Option(help="How few members are enough.", min=3, max=64)]
JoinSeconds = Annotated[int, Option("--join-seconds", help="How long members may join.", min=1)]
PhaseSeconds = Annotated[int, Option("--phase-seconds", help="How long each step may take.", min=1)]
ChallengeSeconds = Annotated[int, Option("--challenge-seconds", help="How long sums may be challenged.", min=1)]


@verb(app, "open", example="hanse training open plan.json --seats 4")
def open_(
    run: Run,
    plan: Annotated[Path, Argument(metavar="PLAN", help='JSON: {"title": ..., "algorithm": ..., "params": {...}}.')],
    seats: Seats,
    minimum: Minimum = 3,
    spares: Annotated[int, Option(help="How many rounds may be lost for want of members.", min=0, max=255)] = 2,
    epsilon: Annotated[
        int | None,
        Option(help="Thousandths of epsilon it spends of each dataset's budget; as the plan's noise.", min=0),
    ] = None,
    join: JoinSeconds = 86_400,
    phase: PhaseSeconds = 3_600,
    challenge: ChallengeSeconds = 3_600,
) -> Any:
    """Publish a plan and open a training for others to join. The same plan and terms again are the same training."""
    from node import training

    return run.story(
        training.open_training,
        plan_file(plan),
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


Missing = Annotated[
    bool, Option("--allow-missing", help="Values may be missing: they then count as they did in the training.")
]


@verb(app, "result", example="hanse training result 0x77aa01c2 --report report.html --cost-miss 900 --cost-alarm 50")
def result(
    run: Run,
    training: TrainingArg,
    report: Annotated[
        Path | None, Option(metavar="FILE", help="Write a page for people: .html, or .pdf where Chromium is here.")
    ] = None,
    language: Annotated[Literal["en", "zh-CN"], Option(help="The report's language.")] = "en",
    cost_miss: Annotated[float | None, Option(metavar="COST", help="What it costs to miss a case.")] = None,
    cost_alarm: Annotated[float | None, Option(metavar="COST", help="What a false alarm costs.")] = None,
    score: Annotated[Path | None, Option(metavar="FILE", help="A CSV whose rows the report ranks.")] = None,
    name_column: Annotated[str | None, Option(metavar="COLUMN", help="What its rows are called by.")] = None,
    level: Annotated[str | None, Option(metavar="CLASS", help="Rank by the chance of this class.")] = None,
    public: Annotated[
        list[Path], Option(metavar="FILE", help="May be repeated: all members' records, where these are public.")
    ] = [],
    facts: Annotated[
        Path | None, Option(metavar="FILE", help="What `hanse scenario run --facts` wrote, as a page of the report.")
    ] = None,
    missing: Missing = False,
) -> Any:
    """What it came to, beside what your own records alone would have given; with --report, as a page for people.

    Derived here from the plan and the posted sums. How you do alone is computed on this node and told to nobody."""
    from node import training as story

    costs = _costs(cost_miss, cost_alarm)
    if report is None:
        if costs or score or name_column or level or public or facts:
            raise Misuse("costs and files are for the page", clause="report", needed="--report FILE beside them")
        return run.story(story.result, training, alone=True)
    from node import report as page

    return run.story(
        page.report,
        training,
        report,
        language=language,
        costs=costs,
        score=score,
        name=name_column,
        level=level,
        public=public,
        scenario=facts,
        missing=missing,
    )


@verb(app, "card", example="hanse training card 0x77aa01c2 --json")
def card(run: Run, training: TrainingArg) -> Any:
    """The model card: quality, calibration, weights with their errors, what matters, what is not known."""
    from node import report as story

    return run.story(story.card, training)


@verb(app, "predict", example="hanse training predict 0x77aa01c2 machines.csv --out scores.csv")
def predict(
    run: Run,
    training: TrainingArg,
    source: Annotated[Path | None, Argument(metavar="FILE", help="A CSV with a row for each question.")] = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="Where its rows go, with their answers.")] = None,
    set_: Annotated[list[str], Option("--set", metavar="NAME=VALUE", help="One question; may be repeated.")] = [],
    model: Annotated[Path | None, Option(metavar="FILE", help="The model's file, checked against the chain.")] = None,
    missing: Missing = False,
) -> Any:
    """Ask the model on this node: about one row (--set), or about every row of a file."""
    from node import predict as story

    if (source is None) == (not set_) or (source is None) != (out is None):
        raise Misuse("one question or a file of them", clause="source", needed="--set NAME=VALUE, or FILE and --out")
    if source is not None:
        return run.story(story.score_file, training, source, out, missing=missing, file=model)
    predicted = run.story(story.predict, training, [_values(set_)], missing=missing, file=model)
    return predicted if run.json else predicted.answers[0]


@verb(app, "explain", example="hanse training explain 0x77aa01c2 --seats 4")
def explain(
    run: Run,
    training: TrainingArg,
    seats: Seats,
    minimum: Minimum = 3,
    join: JoinSeconds = 86_400,
    phase: PhaseSeconds = 3_600,
    challenge: ChallengeSeconds = 3_600,
) -> Any:
    """Open a training about a final one: its quality, what matters to it, what if. Members join with their records."""
    from node import scoring
    from node import training as story

    with run.node(keys=True) as node:
        plan = scoring.explaining_plan(node, training.of(node.ledger))
        return story.open_training(
            node,
            plan,
            seats=seats,
            minimum=minimum,
            join_seconds=join,
            phase_seconds=phase,
            challenge_seconds=challenge,
        )


def _values(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name in found:
            raise Misuse("no value, or two of one name", clause="set", seen=word[:80], needed="NAME=VALUE, once a name")
        found[name] = value
    return found


def _costs(miss: float | None, alarm: float | None) -> Any:
    if miss is None and alarm is None:
        return None
    from federation.costs import Costs
    from federation.errors import Refused

    if miss is None or alarm is None:
        raise Misuse("two costs are weighed", clause="cost-miss" if miss is None else "cost-alarm", needed="both")
    try:
        return Costs(miss, alarm)
    except Refused as exc:
        raise Misuse(exc.message, clause=exc.clause, seen=exc.seen, needed=exc.needed) from exc
