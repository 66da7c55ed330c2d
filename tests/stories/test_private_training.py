"""A training with noise: its epsilon is the contract's, the noise is the members', the model is everybody's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from federation.algorithms.private import noise_for
from node import training
from node.errors import Refused
from node.model import Phase
from node.sums import Plan, plan_of
from tests.stories.alliance import Person, follow_all
from tests.stories.sharing import opened, table
from tests.stories.taking_part import audited, finish
from tests.stories.test_refusals import refused

People = dict[str, Person]
PARAMS = {
    "features": [{"name": "amount", "low": 0, "high": 100}, {"name": "kind", "levels": ["a", "b"]}],
    "target": {"name": "failed", "levels": ["0", "1"]},
    "members": 3, "records": 100, "total": 60, "rounds": 3,
}  # fmt: skip


@pytest.fixture
def noisy() -> Plan:
    """Epsilon 2 over three rounds, sized for three survivors."""
    plan = plan_of("mill, in private", "private-logistic", PARAMS)
    noise = noise_for(plan.params, epsilon=2000, delta=1e-5, survivors=3)
    return replace(plan, params=replace(plan.params, noise=noise))


def test_noise_is_paid_for_on_chain_and_stops_at_the_budget(people: People, noisy: Plan, tmp_path: Path) -> None:
    from node.publish import publish

    some = {name: people[name] for name in ("alice", "bob", "carol")}
    owned = {
        name: publish(person.node, table(tmp_path), title="Mill", budget=3000).dataset for name, person in some.items()
    }  # fmt: skip
    follow_all(some)
    number = opened(some["alice"], list(some.values()), noisy)
    for name, person in some.items():
        training.join(person.node, number, owned[name])
    follow_all(some)
    finish(some, number)
    found = some["alice"].node.follow().trainings[number]
    assert (found.phase, found.terms.epsilon) == (Phase.FINAL, 2000)
    assert found.attested == {person.me for person in some.values()}
    assert all(some["alice"].node.ledger.spent[dataset, 1] == 2000 for dataset in owned.values())
    assert audited(some, number, tmp_path) == []
    again = opened(some["bob"], list(some.values()), replace(noisy, title="once more"))
    refused(lambda: training.join(some["alice"].node, again, owned["alice"]), Refused, "BudgetSpent", 4)


def test_terms_that_promise_less_than_the_noise_costs_are_refused(people: People, noisy: Plan) -> None:
    node = people["alice"].node
    cheap = replace(noisy, title="for less")
    refused(lambda: training.open_training(node, cheap, seats=3, epsilon=1999), Refused, "epsilon", 4)
    noise = noise_for(noisy.params, epsilon=2000, delta=1e-5, survivors=5)
    wide = replace(noisy, title="for more", params=replace(noisy.params, noise=noise))
    refused(lambda: training.open_training(node, wide, seats=4), Refused, "survivors", 4)
