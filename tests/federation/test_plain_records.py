"""Records and their one canonical text."""

import json
from dataclasses import dataclass
from typing import Literal

import pytest

from federation import records
from federation.algorithms.boosting import BoostingParams
from federation.algorithms.held_out import HeldOutParams
from federation.algorithms.linear import RidgeParams
from federation.algorithms.logistic import LogisticParams
from federation.errors import Untrusted
from federation.securesum import Address
from federation.tables import Classes, Feature, Quantity


@dataclass(frozen=True)
class Leg:
    name: str
    length: float


@dataclass(frozen=True)
class Animal:
    id: Address
    legs: tuple[Leg, ...]
    age: int
    tame: bool
    size: Literal[32, 64] = 32
    owner: Leg | None = None


CAT = Animal(Address(b"\x01\xff"), (Leg("left", 0.1), Leg("right", 1e-300)), 3, True)
TEXT = (
    b'{"age":3,"id":"01ff","legs":[{"length":0.1,"name":"left"},{"length":1e-300,"name":"right"}],'
    b'"owner":null,"size":32,"tame":true}'
)


def test_a_record_has_one_text_and_reads_back():
    assert records.dump(CAT) == TEXT
    assert records.load(Animal, TEXT) == CAT


@pytest.mark.parametrize("number", [0.1, 1 / 3, 2.0**-1074, 1.7976931348623157e308, -0.0, 5.0])
def test_floats_come_back_bit_for_bit(number):
    back = records.load(Leg, records.dump(Leg("x", number))).length
    assert back.hex() == number.hex()


def test_what_is_no_number_is_never_written():
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            records.dump(Leg("x", number))


@pytest.mark.parametrize(
    ("old", "new", "clause"),
    [
        (b'"age":3', b'"age":3.0', "fields"),
        (b'"age":3', b'"age":true', "fields"),
        (b'"age":3', b'"age":"3"', "fields"),
        (b'"tame":true', b'"tame":1', "fields"),
        (b'"id":"01ff"', b'"id":"01fg"', "fields"),
        (b'"id":"01ff"', b'"id":7', "fields"),
        (b'"id":"01ff"', b'"id":"01FF"', "canonical"),
        (b'"size":32', b'"size":48', "fields"),
        (b'"owner":null,', b"", "canonical"),
        (b'"age":3,', b"", "fields"),
        (b'"age":3', b'"age":3,"wings":2', "fields"),
        (b'"age":3', b'"age":3,"age":3', "canonical"),
        (b'"age":3', b'"age": 3', "canonical"),
        (b"0.1", b"0.10", "canonical"),
        (b"0.1", b"NaN", "fields"),
        (b"0.1", b"1e999", "fields"),
        (b'[{"length"', b'{"length"', "json"),
        (b"}", b"", "json"),
        (b"left", b"\xff", "json"),
    ],
)
def test_any_other_text_is_refused(old, new, clause):
    assert old in TEXT
    with pytest.raises(Untrusted) as caught:
        records.load(Animal, TEXT.replace(old, new))
    assert caught.value.clause == clause


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"[" * 100_000, b" " * (1 << 25)])
def test_what_is_no_record_at_all_is_refused(text):
    with pytest.raises(Untrusted):
        records.load(Animal, text)


def test_a_whole_number_in_a_floats_field_is_a_float():
    assert records.dump(Leg("x", 1)) == b'{"length":1.0,"name":"x"}'
    assert records.load(Leg, records.dump(Leg("x", 1))) == Leg("x", 1)


def test_a_plan_written_by_others_may_say_1_for_one():
    assert records.parse(Leg, json.loads('{"name": "x", "length": 1}')) == Leg("x", 1.0)


def test_one_of_several_records_is_told_by_its_fields():
    for target in (Classes("y", ("a", "b")), Quantity("y", 0, 10)):
        params = BoostingParams((Feature("x"),), target, members=3, records=10)
        assert records.load(BoostingParams, records.dump(params)) == params
    with pytest.raises(Untrusted, match="target does not have the fields"):
        records.parse(BoostingParams, {"features": [], "target": {"of": "y"}, "members": 3, "records": 10})


def test_a_generic_record_is_read_as_what_it_is_of():
    params = HeldOutParams(RidgeParams((Feature("x"),), Quantity("y", 0, 1), members=3, records=9))
    text = records.dump(params)
    assert records.load(HeldOutParams[RidgeParams], text) == params
    with pytest.raises(Untrusted, match=r"HeldOutParams\.model\.target does not have the fields"):
        records.load(HeldOutParams[LogisticParams], text)
    with pytest.raises(Untrusted, match=r"HeldOutParams\.model\.members is not"):
        records.load(HeldOutParams[RidgeParams], text.replace(b'"members":3', b'"members":"3"'))
