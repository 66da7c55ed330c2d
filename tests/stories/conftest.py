"""One alliance of four for a file's tests, on an Anvil of its own: making many nodes is what costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chain.peers import ZERO_FEES, anvil
from tests.store.conftest import serve
from tests.stories.alliance import Person, alliance

__all__ = ["serve"]

NAMES = ("alice", "bob", "carol", "dave")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Person]]:
    with anvil(*ZERO_FEES) as rpc, alliance(tmp_path_factory.mktemp("homes"), rpc, NAMES) as found:
        yield found


@pytest.fixture
def alice(people: dict[str, Person]) -> Person:
    return people["alice"]


@pytest.fixture
def bob(people: dict[str, Person]) -> Person:
    return people["bob"]


@pytest.fixture
def carol(people: dict[str, Person]) -> Person:
    return people["carol"]


@pytest.fixture
def dave(people: dict[str, Person]) -> Person:
    return people["dave"]
