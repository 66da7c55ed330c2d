"""Trainings over a real chain by the stories alone: exact, and resumable."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from federation.simulate import pooled
from node import model, models, sums, training
from node.errors import NotFound, Refused
from node.kept import share_key_name
from node.model import Phase, Reason
from node.trainer import Trainer
from tests.stories.alliance import Person, follow_all, pass_time
from tests.stories.sharing import joined, opened, plan, published
from tests.stories.taking_part import (
    People,
    finish,
    posted_sums,
    records,
    together,
    trainers,
    work,
)
from tests.stories.test_refusals import refused


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
