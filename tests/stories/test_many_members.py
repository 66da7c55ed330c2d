"""A training of 32 members on a real chain, each with a home, keys and a gateway of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.model import Phase
from node.trainer import Trainer
from tests.chain.peers import ZERO_FEES, anvil
from tests.stories.alliance import Person, alliance, pass_time
from tests.stories.sharing import joined, plan
from tests.stories.taking_part import posted_sums, together, trainers

NAMES = tuple(f"member {number:02}" for number in range(32))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Person]]:
    with anvil(*ZERO_FEES) as rpc, alliance(tmp_path_factory.mktemp("homes"), rpc, NAMES) as found:
        yield found


@pytest.mark.long  # .ci/run runs it beside the everyday tests
@pytest.mark.timeout(900)
def test_thirty_two_members_sum_exactly_with_some_away(many: dict[str, Person], tmp_path: Path) -> None:
    """Two drop out before they contribute and one falls silent before it reveals: the sum is that of the thirty."""
    number, paths = joined(many, plan(32), tmp_path, phase_seconds=600)
    part = trainers(many, number)
    node = many[NAMES[0]].node

    def go_on_to(phase: Phase, away: int) -> None:
        for _ in range(9):
            if in_turn(many, part, away, until=lambda: node.follow().trainings[number].phase == phase):
                return
            pass_time(many, 200)
        raise AssertionError(f"{node.ledger.trainings[number].phase.name}, not {phase.name}")

    go_on_to(Phase.CONTRIBUTING, 0)
    go_on_to(Phase.REVEALING, 2)
    go_on_to(Phase.AGGREGATING, 3)
    assert in_turn(many, part, 3, until=lambda: bool(node.follow().trainings[number].sums))
    round_ = node.ledger.trainings[number].of(0)
    assert (len(round_.keys), len(round_.vectors), len(round_.seeds), len(round_.recovered)) == (32, 30, 29, 29)
    plan_ = part[NAMES[0]].plan
    assert posted_sums(many, number) == [together(plan_, paths[:30]).totals[0]]
    for name in NAMES[:29]:
        many[name].node.follow()
        assert part[name].wrong_sum() is None


def in_turn(many: dict[str, Person], part: dict[str, Trainer], away: int, *, until: Callable[[], bool]) -> bool:
    """One step of everybody who is there, one after the other; whether it is enough, and no step more."""
    for name in NAMES[: 32 - away]:
        many[name].node.follow()
        part[name].step()
        if until():
            return True
    return False
