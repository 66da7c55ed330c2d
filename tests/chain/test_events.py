"""Events survive the way through the ABI and back, whatever they say; the running hash sees every bit of them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node import model
from node.chain import abi, decode
from node.chain.abi import Param, Shape
from node.chain.encode import EMPTY, arguments, event_digest, extend
from node.errors import Untrusted
from node.model import BlockHash, Event, Head, Position, Time, TxHash
from node.signature import keccak
from tests.chain.people import named

HERE = Position(7, 0, Time(1_800_000_000), BlockHash(named("block")), TxHash(named("tx")))


def values(param: Param) -> st.SearchStrategy[Any]:
    if param.parts:
        return st.tuples(*map(values, param.parts)).map(lambda parts: param.record(*parts))
    if param.type == "address":
        return st.binary(min_size=20, max_size=20).map(lambda b: abi.checksummed(b.hex()))
    if param.type == "bool":
        return st.booleans()
    if size := re.fullmatch(r"bytes(\d+)", param.type):
        return st.binary(min_size=int(size[1]), max_size=int(size[1])).map(lambda b: "0x" + b.hex())
    bits = re.fullmatch(r"uint(\d+)", param.type)
    assert bits, param.type
    return st.integers(0, 2 ** int(bits[1]) - 1)


def said(shape: Shape) -> st.SearchStrategy[Any]:
    return st.tuples(*map(values, shape.inputs[:-1])).map(lambda parts: getattr(model, shape.name)(*parts))


def logged(event: Event) -> tuple[list[bytes], bytes]:
    """Topics and data, as a contract would log them."""
    shape = abi.event_of(event.contract, type(event.said).__name__)
    args = [*(getattr(event.said, f.name) for f in fields(event.said)), event.seq]
    both = list(zip(shape.inputs, args, strict=True))
    topics = [arguments([p], [a], what=p.name) for p, a in both if p.indexed]
    plain = [(p, a) for p, a in both if not p.indexed]
    return [shape.id, *topics], arguments([p for p, _ in plain], [a for _, a in plain], what=shape.name)


EVENTS = sorted(abi.events().values(), key=lambda shape: shape.name)


def test_the_words_have_every_event_of_every_contract() -> None:
    assert {shape.name for shape in EVENTS} == {cls.__name__ for cls in get_args(model.Said)}
    for shape in EVENTS:
        assert [p.name for p in shape.inputs[:-1]] == [f.name for f in fields(getattr(model, shape.name))]
        assert shape.inputs[-1].name == "seq"


@pytest.mark.parametrize("shape", EVENTS, ids=lambda shape: shape.name)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_there_and_back(shape: Shape, data: st.DataObject) -> None:
    event = Event(shape.contract, data.draw(st.integers(1, 2**32 - 1)), HERE, data.draw(said(shape)))
    assert decode.event(shape.contract, *logged(event), HERE) == event
    assert event_digest(replace(event, seq=1)) == event_digest(event)


@pytest.mark.parametrize("shape", EVENTS, ids=lambda shape: shape.name)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_two_events_have_two_digests(shape: Shape, data: st.DataObject) -> None:
    one, other = (Event(shape.contract, 1, HERE, data.draw(said(shape))) for _ in range(2))
    assert (event_digest(one) == event_digest(other)) == (one == other)


def test_the_running_hash_of_one_event() -> None:
    event = Event("Datasets", 1, HERE, model.Retired(model.DatasetId(named("id")), model.Address("0x" + "11" * 20)))
    topic = keccak(b"Retired(bytes32,address,uint32)")
    digest = keccak(topic + bytes.fromhex(named("id")[2:]) + bytes(12) + b"\x11" * 20)
    assert event_digest(event) == digest
    assert extend(EMPTY, event) == Head("0x" + keccak(bytes(28) + b"\0\0\0\x01" + digest)[:28].hex(), 1)


@pytest.mark.parametrize("seq", [0, 2, 1000])
def test_events_out_of_sequence_are_untrusted(seq: int) -> None:
    with pytest.raises(Untrusted) as gap:
        extend(EMPTY, Event("Members", seq, HERE, model.PauseSet(Time(0), 0)))
    assert (gap.value.clause, gap.value.seen, gap.value.needed) == ("sequence", seq, 1)


def test_an_event_of_another_contract_is_untrusted() -> None:
    event = Event("Members", 1, HERE, model.PauseSet(Time(0), 0))
    with pytest.raises(Untrusted):
        decode.event("Grants", *logged(event), HERE)


@pytest.mark.parametrize("cut", [0, 31, 32, 64])
def test_arguments_too_few_or_too_many_are_untrusted(cut: int) -> None:
    topics, data = logged(Event("Members", 1, HERE, model.CardChanged(model.Address("0x" + "11" * 20), named("card"))))
    with pytest.raises(Untrusted):
        decode.event("Members", topics, data[:cut] if cut < 64 else data + bytes(32), HERE)
    with pytest.raises(Untrusted):
        decode.event("Members", topics[:1], topics[1] + data, HERE)


def test_words_beyond_their_type_are_untrusted() -> None:
    topics, data = logged(Event("Members", 1, HERE, model.PauseSet(Time(0), 0)))
    with pytest.raises(Untrusted):
        decode.event("Members", topics, b"\xff" + data[1:], HERE)


def test_the_recursion_limit_stays() -> None:
    """Or nested JSON, from anybody and in any part of the node, overflows the C stack."""
    code = "import sys; from node.chain.client import Chain; before = sys.getrecursionlimit()\n"
    code += "try: Chain.connect('http://127.0.0.1:1')\nexcept Exception: pass\n"
    code += "assert 'py_ecc' in sys.modules; sys.exit(sys.getrecursionlimit() - before)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    modules = "client, deploy, embedded, typed, encode, decode, words, artifacts"
    heavy = "{'web3', 'eth_abi', 'eth_account', 'eth_utils', 'requests'}"
    code = f"import sys; from node.chain import {modules}; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
