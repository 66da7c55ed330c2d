"""Nobody is believed: false sums, withheld vectors and false models cost their maker, and the training goes on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node import model, objections, posted, sums, training
from node.errors import Refused, Untrusted
from node.model import Phase, Reason, TrainingId
from node.trainer import Trainer
from tests.stories.alliance import follow_all, pass_time
from tests.stories.sharing import joined, plan
from tests.stories.taking_part import (
    People,
    audited,
    cid_of,
    end_without,
    plan_of,
    posted_sums,
    together,
    trainers,
    work,
)
from tests.stories.test_refusals import refused


def post_false_sum(some: People, part: dict[str, Trainer], number: TrainingId, *, served: bool = True) -> bytes:
    """Bob posts a sum that is off by one in its first lane; `served`: whether others can read it."""
    node = some["bob"].node
    work(some, part, until=lambda: node.ledger.trainings[number].phase == Phase.AGGREGATING)
    training_ = node.ledger.trainings[number]
    honest = part["bob"]._recomputed(training_, training_.of(training_.round))
    false = posted.put_vector(node, number, bytes([honest[0] ^ 1]) + honest[1:])
    if not served:
        node.store.unpin(cid_of(false.blob), f"training {number}")
        node.store.collect(grace_seconds=0)
        assert not node.store.has(cid_of(false.blob))
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
