"""Opening a training again: the same words are the same training, other terms another one, and a key stands for one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation.algorithms.private import noise_for
from node.errors import Conflict, Refused
from node.model import Phase
from node.sums import Plan, plan_of
from node.training import open_training
from tests.stories.alliance import Person, pass_time
from tests.stories.sharing import plan
from tests.stories.test_private_training import PARAMS
from tests.stories.test_refusals import refused

TERMS: dict[str, Any] = {"seats": 4, "minimum": 3, "phase_seconds": 60}


def test_the_same_words_are_the_same_training(alice: Person) -> None:
    plan_ = plan(4)
    first = open_training(alice.node, plan_, **TERMS)
    again = open_training(alice.node, plan_, **TERMS, threshold=3, epsilon=0)  # what is so by default, said
    assert (first.already, again) == (False, replace(first, already=True))
    with alice.restarted() as node:
        assert open_training(node, plan_, **TERMS) == again


@pytest.mark.parametrize(
    "changed",
    [{"seats": 5}, {"minimum": 4}, {"spares": 1}, {"epsilon": 7}, {"join_seconds": 99}, {"challenge_seconds": 9}],
    ids=lambda changed: next(iter(changed)),
)
def test_other_terms_are_another_training_with_these_terms(alice: Person, changed: dict[str, int]) -> None:
    plan_ = plan(4)
    first = open_training(alice.node, plan_, **TERMS)
    other = open_training(alice.node, plan_, **(TERMS | changed))
    assert (other.already, other.plan, other.id == first.id) == (False, first.plan, False)
    known = alice.node.ledger.trainings
    assert {name: getattr(known[other.id].terms, name) for name in changed} == changed
    assert known[first.id].phase == known[other.id].phase == Phase.JOINING


def test_a_key_stands_for_one_plan_and_its_terms(alice: Person) -> None:
    plan_, key = plan(4), "the mills of May"
    first = open_training(alice.node, plan_, **TERMS, key=key)
    assert open_training(alice.node, plan_, **TERMS, key=key) == replace(first, already=True)
    before = len(alice.node.ledger.trainings)
    other: dict[str, Any] = TERMS | {"seats": 5, "spares": 0}
    error = refused(lambda: open_training(alice.node, plan_, **other, key=key), Conflict, "key", 5)
    assert error.seen == "seats 5, threshold 4, spares 0"
    assert error.needed == "seats 4, threshold 3, spares 2, or another key"
    error = refused(lambda: open_training(alice.node, plan(4), **TERMS, key=key), Conflict, "key", 5)
    assert first.plan in str(error.needed)
    assert len(alice.node.follow().trainings) == before


def test_after_a_void_training_the_same_words_open_another(people: dict[str, Person], alice: Person) -> None:
    plan_, terms = plan(4), TERMS | {"join_seconds": 20}
    first = open_training(alice.node, plan_, **terms)
    pass_time(people, 60)
    alice.node.send(f"test:{first.id}", "Trainings", "lapse", first.id, purpose="nobody joined")
    assert alice.node.ledger.trainings[first.id].phase == Phase.VOID
    other = open_training(alice.node, plan_, **terms)
    assert (other.already, alice.node.ledger.trainings[other.id].phase) == (False, Phase.JOINING)
    assert open_training(alice.node, plan_, **terms) == replace(other, already=True)


def test_terms_below_the_noise_are_refused_though_the_plan_is_open(alice: Person) -> None:
    plan_ = noisy()
    first = open_training(alice.node, plan_, seats=4)
    assert alice.node.ledger.trainings[first.id].terms.epsilon == 2000
    refused(lambda: open_training(alice.node, plan_, seats=4, epsilon=1999), Refused, "epsilon", 4)
    assert open_training(alice.node, plan_, seats=4, epsilon=2000) == replace(first, already=True)


def noisy() -> Plan:
    found = plan_of("mill, noisy and open", "private-logistic", PARAMS)
    noise = noise_for(found.params, epsilon=2000, delta=1e-5, survivors=3)
    return replace(found, params=replace(found.params, noise=noise))
