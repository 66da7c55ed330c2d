"""The committed artifacts are what the sources compile to, whoever compiles."""

import json
import re
from pathlib import Path

import compile_contracts
import pytest
from conftest import npm
from local_chain import NAMES, ROOT

from node.chain.artifacts import artifact, same_code
from node.errors import NotFound


@pytest.mark.outside
def test_committed_artifacts_are_fresh():
    npm("solc")
    for name, text in compile_contracts.artifacts().items():
        assert (compile_contracts.OUT / f"{name}.json").read_text() == text, f"{name}: run scripts/abi"


@pytest.mark.outside
@pytest.mark.xdist_group("hardhat")
@pytest.mark.parametrize("name", NAMES)
def test_hardhat_builds_the_same_bytes(hardhat_artifacts, name):
    built = json.loads((hardhat_artifacts / f"{name}.sol" / f"{name}.json").read_text())
    assert bytes.fromhex(built["bytecode"][2:]) == artifact(name).bytecode
    assert bytes.fromhex(built["deployedBytecode"][2:]) == artifact(name).runtime


@pytest.mark.parametrize("name", NAMES)
def test_deployed_code_is_recognised_and_other_code_is_not(alliance, name):
    code = bytes(alliance.w3.eth.get_code(alliance.contracts()[name].address))
    assert same_code(artifact(name), code)
    middle = len(code) // 2
    assert not same_code(artifact(name), code[:middle] + bytes([code[middle] ^ 1]) + code[middle + 1 :])
    assert not same_code(artifact(name), b"")


def test_an_unknown_name_is_not_found():
    with pytest.raises(NotFound):
        artifact("Oracle")


def test_contracts_stay_small():
    for path in (ROOT / "contracts").rglob("*.sol"):
        most = 300 if path.name in ("FraudProof.sol", "ITrainings.sol") else 250  # one argument; all the prose
        assert len(path.read_text().splitlines()) <= most, path
    for name in NAMES:
        assert len(artifact(name).runtime) <= 24_576, name


def test_the_target_stops_before_cancun():
    """No MCOPY, TLOAD, TSTORE or BLOBHASH outside push data: the same bytes run on Shanghai chains."""
    for name in NAMES:
        assert not {0x49, 0x4A, 0x5C, 0x5D, 0x5E} & set(_opcodes(artifact(name).runtime)), name


def _opcodes(code):
    code, at = code[: -2 - int.from_bytes(code[-2:], "big")], 0
    while at < len(code):
        yield code[at]
        at += 1 + (code[at] - 0x5F if 0x60 <= code[at] <= 0x7F else 0)


def test_every_error_is_tested_for():
    declared = set()
    for path in (ROOT / "contracts" / "interfaces").glob("*.sol"):
        declared |= set(re.findall(r"error (\w+)\(", path.read_text()))
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert {name for name in declared if f'"{name}"' not in tests} == set()
