"""Members of a training taking their steps in turn, what its sums should be, and what an auditor says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from federation.simulate import pooled
from node import model
from node.audit import Finding, audit
from node.model import Phase, TrainingId
from node.store import Cid
from node.store.blocks import BlockStore
from node.sums import Plan
from node.trainer import TURN_SECONDS, Trainer
from node.trainer import plan_of as public_plan
from tests.stories.alliance import Person, follow_all, pass_time

People = dict[str, Person]
IDLE = 200
"""Rounds of asking everybody in which nobody does anything: then the training stands still."""


def trainers(people: Mapping[str, Person], number: TrainingId) -> dict[str, Trainer]:
    return {name: Trainer(person.node, number) for name, person in people.items()}


def work(
    people: People, part: dict[str, Trainer], *, until: Callable[[], bool], patience: int = IDLE
) -> list[tuple[str, str]]:
    """Everybody in turn, until it is enough or nobody does anything for long; who did what."""
    done, idle = [], 0
    while not until() and idle < patience:
        acted = False
        for name, trainer in part.items():
            people[name].node.follow()
            what = trainer.phase()
            if not until() and trainer.step():
                done.append((name, what))
                acted = True
                follow_all(people)
        idle = 0 if acted else idle + 1
        if not acted and trainer.training.phase == Phase.CHALLENGING:
            pass_time(people, 2)
    return done


def finish(people: People, number: TrainingId) -> dict[str, Trainer]:
    part = trainers(people, number)
    work(people, part, until=lambda: all(trainer.finished() for trainer in part.values()))
    assert all(trainer.finished() for trainer in part.values())
    return part


def end_without(people: People, others: dict[str, Trainer], number: TrainingId) -> None:
    """The others go on to the end, past the deadlines of who is away."""
    for _ in range(60):
        work(people, others, until=lambda: all(t.finished() for t in others.values()), patience=1)
        if all(trainer.finished() for trainer in others.values()):
            return
        pass_time(people, 3 * TURN_SECONDS)
    raise AssertionError(f"not finished: {people['alice'].node.ledger.trainings[number].phase.name}")


def records(paths: Sequence[Path]) -> dict[str, list[Any]]:
    """All tables in one place."""
    frame = pd.concat([pd.read_csv(path, dtype=str) for path in paths])
    return {str(name): frame[name].tolist() for name in frame.columns}


def together(plan_: Plan, paths: Sequence[Path]) -> Any:
    """The same sums with all records in one place and no masks."""
    params = replace(plan_.params, records=plan_.params.records * len(paths))
    return pooled(plan_.steps, params, plan_.steps.prepare(params, records(paths)))


def posted_sums(people: People, number: TrainingId) -> list[bytes]:
    """The sums on chain, read from whoever posted them."""
    found = next(iter(people.values())).node.ledger.trainings[number]
    by_account = {person.me: person.node for person in people.values()}
    sums = []
    for round_ in found.sums:
        if round_.total is not None and round_.poster is not None:
            store = by_account[round_.poster].store
            sums.append(store.get_block(cid_of(round_.total.blob)))
    return sums


def cid_of(blob: model.Digest) -> Cid:
    return Cid.raw(model.raw(blob))


def audited(people: People, number: TrainingId, folder: Path) -> list[Finding]:
    """What an auditor who has nothing but the chain and the gateways cannot vouch for in a training."""
    node = people["alice"].node
    gateways = [person.url for person in people.values()]
    report = audit(node.chain, node.directory, BlockStore(folder / "auditor"), gateways=gateways, allow_loopback=True)
    return [found for found in (*report.untrusted, *report.unchecked) if number in found.subject]


def plan_of(people: People, number: TrainingId) -> Plan:
    node = people["alice"].node
    return public_plan(node, node.ledger.trainings[number])
