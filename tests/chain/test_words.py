"""Every refusal of every contract has words, and the words name arguments it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.chain import abi
from node.chain.encode import arguments
from node.chain.failures import RpcError, failure, public, revert_data
from node.chain.words import WORDS, refusal
from node.errors import Conflict, NotFound, Refused, Untrusted
from node.model import Address
from tests.chain.people import person

INTERFACES = Path(__file__).resolve().parents[2] / "contracts" / "interfaces"


def test_every_error_in_every_interface_has_words() -> None:
    declared = {
        n for path in INTERFACES.glob("*.sol") for n in re.findall(r"^\s*error (\w+)\(", path.read_text(), re.M)
    }
    compiled = {shape.name for shape in abi.errors().values()}
    assert declared == set(WORDS)
    assert compiled == set(WORDS)


@pytest.mark.parametrize("shape", abi.errors().values(), ids=lambda shape: shape.name)
def test_words_name_arguments_that_exist(shape: abi.Shape) -> None:
    words = WORDS[shape.name]
    assert {words.seen, words.needed} - {None} <= {param.name for param in shape.inputs}
    values = [
        person(0).address if p.type == "address" else bytes(32) if p.type == "bytes32" else 1 for p in shape.inputs
    ]
    error = refusal(shape.id + arguments(shape.inputs, values, what=shape.name))
    assert isinstance(error, words.kind)
    assert error.clause == shape.name
    assert (error.seen is not None, error.needed is not None) == (words.seen is not None, words.needed is not None)


def test_a_known_refusal() -> None:
    alice, bob = person(0).address, person(1).address
    data = bytes.fromhex("4b637e8f") + bytes(64)
    assert refusal(data).clause == "revert"  # not one of ours
    shape = next(s for s in abi.errors().values() if s.name == "NotOwner")
    error = refusal(shape.id + arguments(shape.inputs, [alice, bob], what="NotOwner"))
    assert error.record() == {
        "code": "refused",
        "message": "only the dataset's owner may do this",
        "clause": "NotOwner",
        "seen": bob,
        "needed": alice,
        "hint": "ask the owner",
    }


def test_solidity_s_own_refusals() -> None:
    text = bytes.fromhex("08c379a0") + bytes(31) + b"\x20" + bytes(31) + b"\x03" + b"why".ljust(32, b"\0")
    assert refusal(text).seen == "why"
    assert refusal(bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big")).seen == "0x11"
    assert refusal(text[:40]).clause == "revert"  # cut off
    assert refusal(b"").message == "the contract refused without words"


def test_a_refusal_with_cut_off_arguments_is_untrusted() -> None:
    shape = next(s for s in abi.errors().values() if s.name == "NotOwner")
    assert isinstance(refusal(shape.id + bytes(20)), Untrusted)


@pytest.mark.parametrize(
    ("error", "kind", "clause"),
    [
        ({"code": -32000, "message": "insufficient funds for gas * price + value"}, Refused, "funds"),
        ({"code": -32000, "message": "Upfront cost exceeds account balance"}, Refused, "funds"),
        ({"code": 3, "message": "execution reverted", "data": "0x"}, Refused, "revert"),
        ({"code": -32005, "message": "query returned more than 10000 results"}, RpcError, "rpc"),
        ("nonsense", RpcError, "rpc"),
        (None, RpcError, "rpc"),
    ],
)
def test_wordings(error: object, kind: type[Exception], clause: str) -> None:
    found = failure(error, asked="eth_call", of="http://127.0.0.1:8545")
    assert type(found) is kind
    assert found.clause == clause


def test_families() -> None:
    assert WORDS["Exists"].kind is Conflict
    assert WORDS["UnknownDataset"].kind is NotFound


@pytest.mark.parametrize(
    "value", ["0x1234", "Reverted 0x1234", {"data": "0x1234", "message": "x"}, {"data": {"data": "0x1234"}}]
)
def test_revert_data_is_found_where_chains_put_it(value: object) -> None:
    assert revert_data(value) == b"\x12\x34"


@pytest.mark.parametrize("value", [None, "", "text", "0xzz", 7, {}])
def test_no_revert_data(value: object) -> None:
    assert revert_data(value) == b""


def test_addresses_of_endpoints_are_shown_without_secrets() -> None:
    assert public("https://user:pass@rpc.example:8443/v3/key?token=secret") == "https://rpc.example:8443"
    assert public("http://[::1]:8545") == "http://[::1]:8545"


def test_addresses_are_checksummed() -> None:
    assert abi.checksummed(person(0).address.lower()) == person(0).address
    assert abi.checksummed(Address("0x" + "00" * 20)) == "0x" + "00" * 20
