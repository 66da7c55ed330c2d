"""Members that are away, for a step or for good: the others go on, or the training ends as its terms say."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from node import training
from node.model import Phase, Reason
from node.trainer import TURN_SECONDS
from tests.chain.lying import proxy
from tests.stories.alliance import pass_time
from tests.stories.sharing import joined, plan
from tests.stories.taking_part import (
    People,
    audited,
    end_without,
    plan_of,
    posted_sums,
    together,
    trainers,
    work,
)


def test_the_turn_passes_on_when_a_member_is_away(people: People, tmp_path: Path) -> None:
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    number, _ = joined(some, plan(3), tmp_path)
    part = trainers(some, number)
    alice = some["alice"].node
    work(some, part, until=lambda: alice.ledger.trainings[number].phase == Phase.AGGREGATING)
    away = {name: part[name] for name in ("bob", "carol")}
    assert alice.ledger.trainings[number].position(alice.me) == 0
    work(some, away, until=lambda: False, patience=1)
    assert alice.follow().trainings[number].phase == Phase.AGGREGATING
    pass_time(some, TURN_SECONDS + 1)
    assert work(some, away, until=lambda: False, patience=1)[0] == ("bob", "aggregating 0")


def test_who_takes_part_waits_for_a_chain_that_does_not_answer(people: People, tmp_path: Path) -> None:
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    number, _ = joined(some, plan(3), tmp_path)
    others = trainers({name: some[name] for name in ("alice", "bob")}, number)
    carol, said = some["carol"], list[str]()
    settings = carol.node.settings
    with proxy(settings.rpc) as edge, ThreadPoolExecutor(1) as aside:
        replace(settings, rpc=edge.url).save()
        with carol.restarted() as node:
            settings.save()
            life = aside.submit(training.run, node, number, deadline_seconds=60, progress=said.append)
            work(some, others, until=lambda: "contributing 0" in said)
            edge.raw, edge.status = b"no gateway", 502
            while not life.done() and not any("waiting: " in state for state in said):
                time.sleep(0.01)
            edge.raw, edge.status = None, 200
            while not life.done():
                work(some, others, until=lambda: False, patience=1)
    assert any("waiting: " in state for state in said)
    assert (life.result().id, life.result().phase) == (number, "final")


@pytest.mark.parametrize(
    ("who", "silent_from"),
    [
        ("dave", Phase.KEYING),
        ("dave", Phase.CONTRIBUTING),
        ("dave", Phase.REVEALING),
        ("alice", Phase.AGGREGATING),
        ("alice", Phase.CHALLENGING),
    ],
)
def test_a_silent_member_does_not_stop_the_others(people: People, tmp_path: Path, who: str, silent_from: Phase) -> None:
    """Past the deadline the others end the phase by themselves; what was contributed counts. Alice, who opened the
    training and is first in line to post its first sum and its model, can be done without like anybody."""
    number, paths = joined(people, plan(4), tmp_path, phase_seconds=60)
    part = trainers(people, number)
    node = people["bob"].node
    work(people, part, until=lambda: node.ledger.trainings[number].phase == silent_from)
    others = {name: trainer for name, trainer in part.items() if name != who}
    end_without(people, others, number)
    found = node.follow().trainings[number]
    assert found.phase == Phase.FINAL
    counted = 4 if silent_from >= Phase.REVEALING else 3
    first = together(plan_of(people, number), paths[:counted]).totals[0]
    assert posted_sums(people, number)[0] == first
    assert bool(found.of(0).recovered) == (silent_from == Phase.REVEALING)
    assert audited(people, number, tmp_path) == []


def test_one_dropped_and_one_silent_in_the_same_round(people: People, tmp_path: Path) -> None:
    """Five members would do with two away; four with a threshold of three do with one, and say why two are too many."""
    number, _ = joined(people, plan(4), tmp_path, phase_seconds=60)
    part = trainers(people, number)
    node = people["alice"].node
    work(people, part, until=lambda: node.ledger.trainings[number].phase == Phase.CONTRIBUTING)
    three = {name: part[name] for name in ("alice", "bob", "carol")}
    for _ in range(4):
        work(people, three, until=lambda: node.ledger.trainings[number].phase == Phase.REVEALING, patience=2)
        if node.ledger.trainings[number].phase == Phase.REVEALING:
            break
        pass_time(people, 90)
    two = {name: part[name] for name in ("alice", "bob")}
    end_without(people, two, number)
    found = node.follow().trainings[number]
    assert (found.phase, found.void) == (Phase.VOID, Reason.SILENT_AT_REVEAL)


@pytest.mark.parametrize(("spares", "lost"), [(0, []), (1, [0])])
def test_with_too_few_members_the_training_goes_on_or_ends_as_its_terms_say(
    people: People, tmp_path: Path, spares: int, lost: list[int]
) -> None:
    """Two of four are away for a while: the round is lost, and with a spare the training waits for them."""
    number, paths = joined(people, plan(4), tmp_path, phase_seconds=60, spares=spares)
    part = trainers(people, number)
    node = people["alice"].node
    work(people, part, until=lambda: node.ledger.trainings[number].phase == Phase.CONTRIBUTING)
    two = {name: part[name] for name in ("alice", "bob")}
    work(people, two, until=lambda: False, patience=2)
    pass_time(people, 90)
    work(people, two, until=lambda: False, patience=2)
    found = node.follow().trainings[number]
    assert [r.number for r in found.rounds if r.lost] == lost
    if not spares:
        assert (found.phase, found.void) == (Phase.VOID, Reason.TOO_FEW_CONTRIBUTIONS)
        return
    assert (found.phase, found.round) == (Phase.KEYING, 1)
    end_without(people, part, number)
    assert posted_sums(people, number) == list(together(plan_of(people, number), paths).totals)
    assert audited(people, number, tmp_path) == []


def test_a_member_that_missed_a_round_is_back_with_the_next(people: People, tmp_path: Path) -> None:
    """Dave misses the keys of round 0: his records count from round 1 on."""
    number, _ = joined(people, plan(4, rounds=3), tmp_path, phase_seconds=30)
    part = trainers(people, number)
    node = people["alice"].node
    others = {name: part[name] for name in ("alice", "bob", "carol")}
    work(people, others, until=lambda: False, patience=2)
    pass_time(people, 60)
    work(people, others, until=lambda: node.ledger.trainings[number].phase == Phase.CONTRIBUTING)
    work(people, part, until=lambda: all(trainer.finished() for trainer in part.values()))
    found = node.follow().trainings[number]
    assert [sorted(round_.vectors) for round_ in found.rounds if round_.total] == [
        [0, 1, 2],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
    ]
    assert found.phase == Phase.FINAL
