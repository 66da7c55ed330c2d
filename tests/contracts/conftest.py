"""One Anvil a session, one snapshot a test; alice, bob, carol and dave are members, erin is the auditor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_account.signers.local import LocalAccount
from local_chain import Alliance, anvil, digest, found, person, version
from web3 import Web3


@pytest.fixture(scope="session")
def w3() -> Iterator[Web3]:
    with anvil() as connected:
        yield connected


@pytest.fixture(scope="session")
def founded(w3: Web3) -> Alliance:
    return found(w3)


@pytest.fixture
def alliance(founded: Alliance) -> Iterator[Alliance]:
    snapshot = founded.w3.provider.make_request("evm_snapshot", [])["result"]
    yield founded
    assert founded.w3.provider.make_request("evm_revert", [snapshot])["result"] is True


@pytest.fixture
def alice() -> LocalAccount:
    return person(0)


@pytest.fixture
def bob() -> LocalAccount:
    return person(1)


@pytest.fixture
def carol() -> LocalAccount:
    return person(2)


@pytest.fixture
def dave() -> LocalAccount:
    return person(3)


@pytest.fixture
def auditor() -> LocalAccount:
    return person(4)


@pytest.fixture
def stranger() -> LocalAccount:
    return person(9)


@pytest.fixture
def dataset(alliance: Alliance, alice: LocalAccount) -> bytes:
    """A dataset of alice's at version 1, for reading and training, budget 3000."""
    alliance.send(alliance.datasets.functions.publish(digest("salt"), version()), by=alice)
    return bytes(alliance.datasets.functions.idOf(alice.address, digest("salt")).call())
