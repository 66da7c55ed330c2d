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
from node import model, models, objections, posted, sums, training
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
    for round_ in found.sums:
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


def post_false_sum(some: People, part: dict[str, Trainer], number: TrainingId, *, served: bool = True) -> bytes:
    """Bob posts a sum that is off by one in its first lane; `served`: whether others can read it."""
    node = some["bob"].node
    work(some, part, until=lambda: node.ledger.trainings[number].phase == Phase.AGGREGATING)
    training_ = node.ledger.trainings[number]
    honest = part["bob"]._recomputed(training_, training_.of(training_.round))
    false = posted.put_vector(node, number, bytes([honest[0] ^ 1]) + honest[1:])
    if not served:
        node.store.unpin(_cid(false.blob), f"training {number}")
        node.store.collect(grace_seconds=0)
        assert not node.store.has(_cid(false.blob))
    node.send(f"test:false sum {number}", "Trainings", "aggregate", number, training_.round, false, False,
              purpose="a false sum")  # fmt: skip
    follow_all(some)
    return honest


def test_a_false_sum_is_voided_by_proof_and_the_training_goes_on(people: People, tmp_path: Path) -> None:
    """Bob posts a sum that is off by one: a member proves it on chain, Bob is barred, and the right sum counts."""
    number, paths = joined(people, plan(4, rounds=3), tmp_path, phase_seconds=60)
    part = trainers(people, number)
    post_false_sum(people, part, number)
    error = refused(lambda: part["alice"].state(), Untrusted, "sum", 7)
    assert people["bob"].me in str(error.seen)
    others = {name: part[name] for name in ("alice", "carol", "dave")}
    acts = work(people, others, until=lambda: bool(people["alice"].node.ledger.trainings[number].barred))
    ((prover, _),) = acts  # one proof is enough
    end_without(people, others, number)
    found = people["alice"].node.follow().trainings[number]
    assert found.phase == Phase.FINAL
    assert found.of(0).poster == people[prover].me
    assert found.barred == 1 << found.position(people["bob"].me)
    assert [r.number for r in found.rounds if r.lost == Reason.WRONG_AGGREGATE] == [1]
    expected = [together(plan_of(people, number), paths).totals[0]]
    assert posted_sums(people, number)[:1] == expected
    assert audited(people, number, tmp_path) == []


def end_without(people: People, others: dict[str, Trainer], number: TrainingId) -> None:
    """The others go on to the end, past the deadlines of who is away."""
    for _ in range(60):
        work(people, others, until=lambda: all(t.finished() for t in others.values()), patience=1)
        if all(trainer.finished() for trainer in others.values()):
            return
        pass_time(people, 3 * TURN_SECONDS)
    raise AssertionError(f"not finished: {people['alice'].node.ledger.trainings[number].phase.name}")


def test_a_false_sum_that_nobody_can_read_is_outvoted(people: People, tmp_path: Path) -> None:
    """Bob serves no byte of his false sum, so no leaf can be shown: three of four say what it should be."""
    number, paths = joined(people, plan(4, rounds=2), tmp_path, phase_seconds=60)
    part = trainers(people, number)
    honest = post_false_sum(people, part, number, served=False)
    others = {name: part[name] for name in ("alice", "carol", "dave")}
    end_without(people, others, number)
    found = people["alice"].node.follow().trainings[number]
    assert found.phase == Phase.FINAL
    assert found.barred == 1 << found.position(people["bob"].me)
    assert posted_sums(people, number)[0] == honest == together(plan_of(people, number), paths).totals[0]
    assert audited(people, number, tmp_path) == []


def test_a_sum_that_ends_the_training_too_early_is_outvoted(people: People, tmp_path: Path) -> None:
    number, _ = joined(people, plan(4, rounds=2), tmp_path, phase_seconds=60)
    part = trainers(people, number)
    node = people["bob"].node
    work(people, part, until=lambda: node.ledger.trainings[number].phase == Phase.AGGREGATING)
    honest = part["bob"]._recomputed(node.ledger.trainings[number], node.ledger.trainings[number].of(0))
    made = posted.put_vector(node, number, honest)
    node.send(f"test:early end {number}", "Trainings", "aggregate", number, 0, made, True, purpose="an early end")
    follow_all(people)
    assert node.ledger.trainings[number].phase == Phase.CHALLENGING
    others = {name: part[name] for name in ("alice", "carol", "dave")}
    end_without(people, others, number)
    found = node.follow().trainings[number]
    assert (found.phase, found.void, len(found.sums)) == (Phase.FINAL, Reason.NONE, 2)


def test_a_right_sum_cannot_be_challenged(people: People, tmp_path: Path) -> None:
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    number, _ = joined(some, plan(3), tmp_path)
    part = trainers(some, number)
    node = some["carol"].node
    work(some, part, until=lambda: bool(node.ledger.trainings[number].sums))
    refused(lambda: training.challenge(node, number), Refused, "sum", 4)
    found = node.ledger.trainings[number]
    first, plan_ = found.of(0), part["carol"].plan
    assert first.total is not None
    size = sums.vector_size(plan_, plan_.steps.start(plan_.params), width=64)
    wrong = objections.Wrong(first, first.total, False, size)
    right = posted.vector(node, first.total, node.me, size)
    proof = objections.evidence_for(node, part["carol"].place, found, wrong, 0, false=right, note=print)
    refused(
        lambda: node.send("test:honest", "Trainings", "challenge", number, proof, wrong.ours, False, purpose="a lie"),
        Refused, "Honest", 4,
    )  # fmt: skip


def test_a_challenge_by_hand_is_what_a_running_node_sends(people: People, tmp_path: Path) -> None:
    number, _ = joined(people, plan(4, rounds=3), tmp_path)
    part = trainers(people, number)
    post_false_sum(people, part, number)
    said = training.challenge(people["alice"].node, number)
    assert (said.by, said.round, said.poster) == ("challenge", 0, people["bob"].me)
    found = people["alice"].node.ledger.trainings[number]
    assert found.of(0).poster == people["alice"].me


def test_with_three_members_a_false_sum_ends_the_training_and_names_its_poster(people: People, tmp_path: Path) -> None:
    """Without Bob two are left, and a sum of two would show each the other."""
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    number, _ = joined(some, plan(3, rounds=3), tmp_path)
    part = trainers(some, number)
    post_false_sum(some, part, number)
    training.challenge(some["carol"].node, number)
    found = some["carol"].node.ledger.trainings[number]
    assert (found.phase, found.void) == (Phase.VOID, Reason.WRONG_AGGREGATE)
    assert found.barred == 1 << found.position(some["bob"].me)


@pytest.mark.parametrize("lie", ["root", "leaves"])
def test_a_withheld_or_false_vector_costs_its_maker_and_no_spare(people: People, tmp_path: Path, lie: str) -> None:
    """Carol posts the root of one vector and serves another: nobody reveals a seed, she is barred, the others go on."""
    number, _ = joined(people, plan(4), tmp_path, phase_seconds=60)
    part = trainers(people, number)
    send = people["carol"].node.send
    change = {"root": model.digest(os.urandom(32))} if lie == "root" else {"leaves": 1000}

    def lying(key: str, contract: str, function: str, *args: Any, **purpose: Any) -> Any:
        args = tuple(replace(a, **change) if isinstance(a, model.Vector) else a for a in args)
        return send(key, contract, function, *args, **purpose)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(people["carol"].node, "send", lying)
        node = people["alice"].node
        work(people, part, until=lambda: node.ledger.trainings[number].phase == Phase.REVEALING)
    others = {name: part[name] for name in ("alice", "bob", "dave")}
    assert work(people, others, until=lambda: False, patience=2) == []
    assert node.follow().trainings[number].of(0).seeds == {}
    end_without(people, others, number)
    found = node.follow().trainings[number]
    assert found.phase == Phase.FINAL
    assert found.barred == 1 << found.position(people["carol"].me)
    assert (found.of(0).lost, found.spares) == (Reason.WITHHELD, found.terms.spares)
    assert [sorted(r.vectors) for r in found.sums] == [[0, 1, 3]] * len(found.sums)
    assert audited(people, number, tmp_path) == []


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
