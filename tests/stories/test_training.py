"""Trainings over a real chain by the stories alone: exact, resumable, and nobody is believed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from federation.simulate import pooled
from node import model, models, posted, sums, training
from node.audit import Finding, audit
from node.errors import NotFound, Refused, Untrusted
from node.kept import share_key_name
from node.model import Phase, Reason, TrainingId
from node.store.blocks import BlockStore
from node.sums import Plan
from node.trainer import TURN_SECONDS, Trainer
from tests.stories.alliance import Person, follow_all, pass_time
from tests.stories.sharing import joined, opened, plan, published
from tests.stories.test_refusals import refused

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
    for round_ in found.rounds:
        if round_.total is not None and round_.poster is not None:
            store = by_account[round_.poster].store
            sums.append(store.get_block(_cid(round_.total.blob)))
    return sums


def _cid(blob: model.Digest) -> Any:
    from node.store import Cid

    return Cid.raw(model.raw(blob))


@pytest.mark.parametrize("names", [("alice", "bob", "carol"), ("alice", "bob", "carol", "dave")])
def test_members_compute_what_one_place_would(people: People, tmp_path: Path, names: tuple[str, ...]) -> None:
    some = {name: people[name] for name in names}
    plan_ = plan(len(names), rounds=3)
    number, paths = joined(some, plan_, tmp_path)
    part = finish(some, number)
    follow_all(some)
    expected = together(plan_, paths)
    assert posted_sums(some, number) == list(expected.totals)
    found = some["alice"].node.ledger.trainings[number]
    assert found.attested == {person.me for person in some.values()}
    assert found.disputed == frozenset()
    results = [training.result(person.node, number) for person in some.values()]
    assert len({(result.weights, result.model, result.records) for result in results}) == 1
    assert results[0].records == sum(len(path.read_text().splitlines()) - 1 for path in paths)
    for name, person in some.items():
        assert_wiped(person, part[name])


MILL = [{"name": "amount", "low": 0, "high": 100}, {"name": "kind", "levels": ["a", "b"]}]
OTHERS = {
    "gaussian-naive-bayes": {"features": MILL, "target": {"name": "failed", "levels": ["0", "1"]}},
    "k-means": {"features": MILL, "clusters": 2, "rounds": 5},
    "statistics": {"features": MILL, "zooms": 1},
}


@pytest.mark.parametrize(
    "algorithm",
    [
        "gaussian-naive-bayes",
        pytest.param("k-means", marks=pytest.mark.long),
        pytest.param("statistics", marks=pytest.mark.long),
    ],
)
def test_other_algorithms_are_trained_the_same_way(people: People, tmp_path: Path, algorithm: str) -> None:
    """One with classes, one with many rounds and no target, and one that leaves figures; whose plan picks its scale."""
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    plan_ = sums.plan_of(algorithm, algorithm, OTHERS[algorithm] | {"members": 3, "records": 100})
    number, paths = joined(some, plan_, tmp_path)
    finish(some, number)
    follow_all(some)
    params = replace(plan_.params, members=1, records=300)  # as many records in one place: the same scale
    alone = pooled(plan_.steps, params, plan_.steps.prepare(params, records(paths)))
    assert posted_sums(some, number) == list(alone.totals)
    results = [training.result(person.node, number) for person in some.values()]
    assert {(result.records, result.weights, result.model) for result in results} == {(60, (), results[0].model)}
    assert some["alice"].node.ledger.trainings[number].attested == {person.me for person in some.values()}
    data = models.encode_model(plan_, alone.state, number)
    assert model.digest(hashlib.sha256(data).digest()) == results[0].model


def assert_wiped(person: Person, trainer: Trainer) -> None:
    """The share key is gone, no secret of any round is left, and every decision still is."""
    with pytest.raises(NotFound):
        person.node.keys.get_secret(share_key_name(trainer.id))
    for number in range(trainer.training.round):
        kept = trainer.kept.find(number)
        assert kept is not None
        assert (kept[0].scalar, kept[0].seed, kept[0].held) == (b"", b"", ())
        assert kept[0].contribution


def test_a_member_restarted_at_any_moment_goes_on(people: People, tmp_path: Path) -> None:
    """Carol's process is another one after every single step of hers."""
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    plan_ = plan(3)
    number, paths = joined(some, plan_, tmp_path)
    part = trainers(some, number)
    while not part["alice"].finished() or not part["bob"].finished() or not part["carol"].finished():
        with some["carol"].restarted() as node:
            part["carol"] = Trainer(node, number)
            others = {name: part[name] for name in ("alice", "bob")}
            work(some, others, until=lambda: False, patience=1)
            node.follow()
            part["carol"].step()
        some["carol"].node.follow()
        part["carol"] = Trainer(some["carol"].node, number)
    follow_all(some)
    assert posted_sums(some, number) == list(together(plan_, paths).totals)


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


def test_a_false_sum_is_found_by_the_others_and_ends_their_part(people: People, tmp_path: Path) -> None:
    """Bob posts a sum that is off by one: the others say so, name him, and neither contribute nor attest again."""
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    number, _ = joined(some, plan(3, rounds=3), tmp_path)
    part = trainers(some, number)
    node = some["bob"].node
    work(some, part, until=lambda: node.ledger.trainings[number].phase == Phase.AGGREGATING)
    honest = part["bob"]._recomputed(node.ledger.trainings[number], node.ledger.trainings[number].of(0))
    false = posted.put_vector(node, number, bytes([honest[0] ^ 1]) + honest[1:])
    node.send("test:false sum", "Trainings", "aggregate", number, 0, false, False, purpose="a false sum")
    follow_all(some)
    for name in ("alice", "carol"):
        error = refused(part[name].step, Untrusted, "sum", 7)
        assert node.me in str(error.seen)
        refused(lambda name=name: training.run(some[name].node, number, deadline_seconds=5), Untrusted, "sum", 7)
    assert not node.follow().trainings[number].of(1).vectors


def test_a_wrong_vector_is_not_summed(people: People, tmp_path: Path) -> None:
    """Carol posts the root of one vector and serves another: nobody takes it, and she is named."""
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    number, _ = joined(some, plan(3), tmp_path)
    part = trainers(some, number)
    send = some["carol"].node.send

    def lie(key: str, contract: str, function: str, *args: Any, **purpose: Any) -> Any:
        args = tuple(replace(a, root=model.digest(os.urandom(32))) if isinstance(a, model.Vector) else a for a in args)
        return send(key, contract, function, *args, **purpose)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(some["carol"].node, "send", lie)
        node = some["alice"].node
        work(some, part, until=lambda: node.ledger.trainings[number].phase == Phase.AGGREGATING)
    for name in ("alice", "bob"):
        pass_time(some, 2 * TURN_SECONDS)
        error = refused(part[name].step, Untrusted, "root", 7)
        assert some["carol"].me in str(error.seen)


def test_a_roster_that_stays_too_small_is_void_with_its_reason(people: People, tmp_path: Path) -> None:
    alice, bob = people["alice"], people["bob"]
    number = opened(alice, list(people.values()), plan(4), join_seconds=20)
    for person in (alice, bob):
        training.join(person.node, number, published(person, tmp_path))
    both = {"alice": alice, "bob": bob}
    follow_all(people)
    part = trainers(both, number)
    assert work(both, part, until=lambda: False, patience=2) == []
    pass_time(people, 60)
    work(both, part, until=lambda: all(trainer.finished() for trainer in part.values()))
    found = alice.node.ledger.trainings[number]
    assert (found.phase, found.void) == (Phase.VOID, Reason.TOO_FEW_JOINED)
    error = refused(lambda: training.result(bob.node, number), Refused, "phase", 4)
    assert error.seen == "too_few_joined"
    for person in both.values():
        with pytest.raises(NotFound):
            person.node.keys.get_secret(share_key_name(number))


@pytest.mark.parametrize(
    ("silent_from", "reason"),
    [
        (Phase.KEYING, None),
        (Phase.CONTRIBUTING, None),
        (Phase.REVEALING, Reason.SILENT_AT_REVEAL),
    ],
)
def test_a_silent_member_does_not_stop_the_others_for_ever(
    people: People, tmp_path: Path, silent_from: Phase, reason: Reason | None
) -> None:
    """Past the deadline the others end the phase by themselves: they go on without Dave where the sum allows it."""
    number, paths = joined(people, plan(4), tmp_path, phase_seconds=30)
    part = trainers(people, number)
    node = people["alice"].node
    work(people, part, until=lambda: node.ledger.trainings[number].phase == silent_from)
    others = {name: part[name] for name in ("alice", "bob", "carol")}
    for _ in range(12):
        work(people, others, until=lambda: all(t.finished() for t in others.values()), patience=2)
        if all(t.finished() for t in others.values()):
            break
        pass_time(people, 60)
    found = node.follow().trainings[number]
    if reason is not None:
        assert (found.phase, found.void) == (Phase.VOID, reason)
        return
    assert found.phase == Phase.FINAL
    assert posted_sums(people, number) == list(together(plan_of(people, number), paths[:3]).totals)
    assert audited(people, number, tmp_path) == []


def audited(people: People, number: TrainingId, folder: Path) -> list[Finding]:
    """What an auditor who has nothing but the chain and the gateways cannot vouch for in a training."""
    node = people["alice"].node
    gateways = [person.url for person in people.values()]
    report = audit(node.chain, node.directory, BlockStore(folder / "auditor"), gateways=gateways, allow_loopback=True)
    return [found for found in (*report.untrusted, *report.unchecked) if number in found.subject]


def plan_of(people: People, number: TrainingId) -> Plan:
    from node.trainer import plan_of as public_plan

    node = people["alice"].node
    return public_plan(node, node.ledger.trainings[number])


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


def test_a_model_that_the_sums_do_not_say_is_disputed(people: People, tmp_path: Path) -> None:
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    number, _ = joined(some, plan(3), tmp_path)
    part = trainers(some, number)
    node = some["alice"].node
    work(some, part, until=lambda: node.ledger.trainings[number].phase == Phase.CHALLENGING)
    pass_time(some, 5)
    node.send(
        "test:false model", "Trainings", "finalize", number, model.digest(os.urandom(32)), purpose="a false model"
    )
    follow_all(some)
    for name in ("bob", "carol"):
        refused(part[name].step, Untrusted, "model", 7)
        assert part[name].finished()
    assert node.follow().trainings[number].disputed == {some["bob"].me, some["carol"].me}
    assert node.ledger.trainings[number].attested == frozenset()
