"""An alliance of the five people on the session's Anvil, and the edge to it."""

from __future__ import annotations

import pytest

from node.chain.client import Chain
from node.chain.deploy import deploy
from node.model import DatasetId, Directory
from tests.chain.flow import publish
from tests.chain.people import Person, founders, named, person, stranger


@pytest.fixture
def chain(anvil_rpc: str) -> Chain:
    return Chain.connect(anvil_rpc)


@pytest.fixture
def alliance(chain: Chain) -> Directory:
    return deploy(chain, person(0), founders(), delay=3600)


@pytest.fixture
def dataset(chain: Chain, alliance: Directory, alice: Person) -> DatasetId:
    return publish(chain, alliance, alice, named("salt"))


@pytest.fixture
def alice() -> Person:
    return person(0)


@pytest.fixture
def bob() -> Person:
    return person(1)


@pytest.fixture
def carol() -> Person:
    return person(2)


@pytest.fixture
def mallory() -> Person:
    return stranger("mallory")
