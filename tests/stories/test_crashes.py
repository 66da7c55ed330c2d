"""Killed at any durable step and run again, every story ends as if nothing had happened: once, whole, nothing lost."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from node import access, model
from node.db import events, operations
from node.fetch import fetch
from node.model import GrantState, Phase
from node.policy import Offer
from node.publish import publish
from node.sealed import open_own
from tests.stories.alliance import Person, follow_all
from tests.stories.drills import drill, steps_until_done
from tests.stories.sharing import RESEARCH, granted, joined, opened, plan, published, table
from tests.stories.taking_part import posted_sums, together, trainers, work

People = dict[str, Person]
DEATHS = [
    ("publish", 2), ("publish", 6), ("publish", 9), ("publish", 13), ("publish", 17), ("publish", 19),
    ("request", 2), ("request", 7), ("request", 9), ("grant", 3), ("grant", 6), ("grant", 8),
    ("fetch", 3), ("fetch", 7), ("fetch", 9), ("fetch", 13), ("revoke", 2), ("revoke", 4), ("refuse", 2),
    ("join", 4), ("join", 13),
]  # fmt: skip
"""Some of the points; the long matrix has all."""


@pytest.mark.parametrize(("story", "die_at"), DEATHS)
def test_a_story_killed_once_ends_when_run_again(people: People, tmp_path: Path, story: str, die_at: int) -> None:
    case = Case(people, tmp_path, story)
    assert drill(case.home, story, case.arguments, die_at=die_at, ahead=case.ahead), "it ended before it died"
    assert not drill(case.home, story, case.arguments, die_at=10_000, ahead=case.ahead)
    case.assert_done_once()


@pytest.mark.long
@pytest.mark.parametrize("story", sorted({story for story, _ in DEATHS}))
def test_a_story_killed_at_each_of_its_steps_ends_when_run_again(people: People, tmp_path: Path, story: str) -> None:
    for die_at in range(1, 60):
        folder = tmp_path / str(die_at)
        folder.mkdir()
        case = Case(people, folder, story)
        died = drill(case.home, story, case.arguments, die_at=die_at, ahead=case.ahead)
        assert not drill(case.home, story, case.arguments, die_at=10_000, ahead=case.ahead)
        case.assert_done_once()
        if not died:
            assert die_at > 3
            return
    raise AssertionError("the story has more steps than were tried")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("story", sorted({story for story, _ in DEATHS}))
def test_a_story_killed_again_and_again_ends(people: People, tmp_path: Path, story: str, seed: int) -> None:
    case, dice = Case(people, tmp_path, story), random.Random(seed)
    for _ in range(6):
        drill(case.home, story, case.arguments, die_at=dice.randint(1, 15), ahead=case.ahead)
    assert steps_until_done(case.home, story, case.arguments, every=4, first=5, ahead=case.ahead) < 20
    case.assert_done_once()


class Case:
    """One story about to be run, and what must be true when it has ended."""

    def __init__(self, people: People, folder: Path, story: str) -> None:
        self.people, self.folder, self.story = people, folder, story
        self.alice, self.bob = people["alice"], people["bob"]
        self.ahead = self.alice.node.clock.ahead  # type: ignore[attr-defined]
        self.before: Counter[str] = Counter()
        self.who, self.arguments = getattr(self, f"_{story}")()
        follow_all(people)
        self.before = self._said()

    @property
    def home(self) -> Path:
        return self.who.home

    def assert_done_once(self) -> None:
        """Exactly one event, of the one kind that this story brings about, and the thing itself holds."""
        follow_all(self.people)
        brought = self._said() - self.before
        kinds = {"publish": "Published", "request": "Requested", "grant": "Granted", "fetch": "Received",
                 "revoke": "Revoked", "join": "Joined"}  # fmt: skip
        expected = {} if self.story == "refuse" else {kinds[self.story]: 1}
        assert dict(brought) == expected
        with self.who.node.db.reading() as tx:
            assert [task for task in operations.unfinished(tx) if task.kind == self.story] == []
        getattr(self, f"_{self.story}_holds")()

    def _said(self) -> Counter[str]:
        with self.alice.node.db.reading() as tx:
            return Counter(type(event.said).__name__ for event in events.read(tx))

    # --- the stories ---

    def _publish(self) -> tuple[Person, dict[str, Any]]:
        self.source = table(self.folder)
        return self.alice, {"source": str(self.source), "title": "Mill"}

    def _publish_holds(self) -> None:
        found = publish(self.alice.node, self.source, title="Mill", offer=Offer(days=90))
        assert found.already
        with open_own(self.alice.node, found.dataset, 1) as file:
            assert file.read() == self.source.read_bytes()
        number = granted(self.alice, self.bob, found.dataset)
        fetch(self.bob.node, number, self.folder / "opened", purposes=RESEARCH)
        assert (self.folder / "opened").read_bytes() == self.source.read_bytes()

    def _request(self) -> tuple[Person, dict[str, Any]]:
        self.dataset = published(self.alice, self.folder)
        return self.bob, {"dataset": self.dataset}

    def _request_holds(self) -> None:
        waiting = [one for one in access.inbox(self.alice.node) if one.dataset == self.dataset]
        assert [(one.consumer, one.trouble, one.breaks) for one in waiting] == [(self.bob.me, None, None)]

    def _asked(self) -> model.GrantId:
        self.dataset = published(self.alice, self.folder)
        self.bob.node.follow()
        number = access.request(self.bob.node, self.dataset, purposes=RESEARCH).id
        self.alice.node.follow()
        return number

    def _grant(self) -> tuple[Person, dict[str, Any]]:
        self.number = self._asked()
        return self.alice, {"number": self.number}

    def _grant_holds(self) -> None:
        assert fetch(self.bob.node, self.number, self.folder / "opened", purposes=RESEARCH).size

    def _refuse(self) -> tuple[Person, dict[str, Any]]:
        self.number = self._asked()
        return self.alice, {"number": self.number}

    def _refuse_holds(self) -> None:
        assert access.refusal(self.bob.node, self.number).message == "not now"

    def _fetch(self) -> tuple[Person, dict[str, Any]]:
        self.number = granted(self.alice, self.bob, published(self.alice, self.folder))
        self.destination = self.folder / "opened.csv"
        return self.bob, {"number": self.number, "destination": str(self.destination)}

    def _fetch_holds(self) -> None:
        source = next(path for path in self.folder.glob("mill-*.csv"))
        assert self.destination.read_bytes() == source.read_bytes()
        assert {path.name for path in self.folder.iterdir()} == {source.name, self.destination.name}
        found = fetch(self.bob.node, self.number, self.destination, purposes=RESEARCH)
        assert found.already
        assert found.gas > 0

    def _revoke(self) -> tuple[Person, dict[str, Any]]:
        self.number = granted(self.alice, self.bob, published(self.alice, self.folder))
        return self.alice, {"number": self.number}

    def _revoke_holds(self) -> None:
        assert self.bob.node.ledger.grants[self.number].state == GrantState.REVOKED
        again = access.revoke(self.alice.node, self.number)
        ended = self.alice.node.ledger.grants[self.number].ended
        assert ended is not None
        assert (again.already, again.tx, again.gas > 0) == (True, ended.tx, True)

    def _join(self) -> tuple[Person, dict[str, Any]]:
        self.training = opened(self.bob, list(self.people.values()), plan(4))
        dataset = published(self.alice, self.folder)
        return self.alice, {"number": self.training, "dataset": dataset}

    def _join_holds(self) -> None:
        assert self.bob.node.ledger.trainings[self.training].position(self.alice.me) == 0


# --- a training ---


def _killed_in_a_training(people: People, folder: Path, deaths: list[int]) -> None:
    """Carol's process dies at the given steps of one life after the other; Alice and Bob go on all the while."""
    some = {name: people[name] for name in ("alice", "bob", "carol")}
    plan_ = plan(3)
    number, paths = joined(some, plan_, folder)
    part = trainers({name: some[name] for name in ("alice", "bob")}, number)
    node, carol = some["alice"].node, some["carol"]
    pending = iter(deaths)
    while not all(trainer.finished() for trainer in part.values()):
        work(some, part, until=lambda: False, patience=1)
        if node.follow().trainings[number].attested >= {carol.me}:
            continue
        # Carol's life and the others' go on side by side, as they would.
        ahead = node.clock.ahead  # type: ignore[attr-defined]
        with ThreadPoolExecutor(1) as aside:
            life = aside.submit(drill, carol.home, "run", {"number": number}, die_at=next(pending, 10_000), ahead=ahead)
            while not life.done():
                work(some, part, until=lambda: False, patience=1)
        life.result()
    assert not drill(carol.home, "run", {"number": number}, die_at=10_000, ahead=node.clock.ahead)  # type: ignore[attr-defined]
    follow_all(some)
    _assert_exact(some, number, plan_, paths)


def _assert_exact(some: People, number: Any, plan_: Any, paths: list[Path]) -> None:
    found = some["alice"].node.ledger.trainings[number]
    assert found.phase == Phase.FINAL
    assert posted_sums(some, number) == list(together(plan_, paths).totals)
    assert found.attested == {person.me for person in some.values()}
    on_chain = {
        vector.blob for round_ in found.rounds for vector in (*round_.vectors.values(), round_.total) if vector
    }  # fmt: skip
    for person in some.values():  # no vector was ever made besides those posted: two under one mask would show both
        kept = {
            model.digest(cid.digest) for cid, names in person.node.store.pins().items()
            if f"training {number}" in names
        }  # fmt: skip
        assert kept <= on_chain


def test_a_member_killed_in_a_training_makes_the_identical_contribution(people: People, tmp_path: Path) -> None:
    _killed_in_a_training(people, tmp_path, [4, 9, 6, 12])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_a_member_killed_at_random_in_a_training(people: People, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    _killed_in_a_training(people, tmp_path, [dice.randint(1, 25) for _ in range(12)])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_member_killed_at_each_step_of_its_first_life(people: People, tmp_path: Path) -> None:
    for die_at in range(1, 40):
        folder = tmp_path / str(die_at)
        folder.mkdir()
        _killed_in_a_training(people, folder, [die_at])
