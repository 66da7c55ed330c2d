"""One Anvil a session, one snapshot a test; alice, bob, carol and dave are members, erin is the auditor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from local_chain import MEMBER, ROOT, Alliance, anvil, digest, found, person, version
from training_steps import Run, keyed
from web3 import Web3

sys.path.append(str(ROOT / "scripts"))
from compile_contracts import compile_sources


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


@pytest.fixture(scope="session")
def begun(w3: Web3) -> Run:
    """A training of five contributing to their first round, any three of whom are enough; one spare."""
    alliance = found(w3, [(person(i).address, MEMBER, digest(f"card {i}")) for i in range(5)])
    people = [person(i) for i in range(5)]
    return keyed(alliance, people, minimum=3, threshold=3, rounds=3, spares=1, phaseSeconds=100_000)


@pytest.fixture
def five(begun: Run) -> Iterator[Run]:
    """As it began, for each test."""
    ask = begun.alliance.w3.provider.make_request
    snapshot = ask("evm_snapshot", [])["result"]
    yield replace(begun)
    assert ask("evm_revert", [snapshot])["result"] is True


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


def npm(package: str) -> None:
    """Skip, saying what is left out, where a development package of npm's is not installed."""
    if not (ROOT / "node_modules" / package).is_dir():
        pytest.skip(f"left out: npm's {package} is not installed (scripts/setup --dev)")


@pytest.fixture(scope="session")
def hardhat_artifacts() -> Path:
    """The folder of Hardhat's own build, made by its command."""
    npm("hardhat")
    subprocess.run(["npx", "--no-install", "hardhat", "compile", "--quiet"], cwd=ROOT, check=True, timeout=120)
    return ROOT / ".cache" / "artifacts" / "contracts"


@pytest.fixture(scope="session")
def wallet_code() -> dict[str, Any]:
    """ABI and bytecode of the tests' EIP-1271 wallet."""
    npm("solc")
    path = "tests/contracts/Wallet.sol"
    built = compile_sources({path: (ROOT / path).read_text()})[path]["Wallet"]
    return {"abi": built["abi"], "bytecode": built["evm"]["bytecode"]["object"]}
