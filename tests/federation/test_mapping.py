"""Tables of different shapes become the plan's: renamed, converted exactly, coded; what does not fit is named."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from fractions import Fraction

import pytest

from federation import records
from federation.algorithms.linear import RIDGE, RidgeParams
from federation.algorithms.logistic import LOGISTIC, LogisticParams
from federation.errors import Refused, Untrusted
from federation.mapping import Unknown, examined, mapped, wanted
from federation.simulate import pooled, train
from federation.sources import Code, Source
from federation.tables import Classes, Feature, Quantity, Target
from federation.units import conversion

TEMPERATURE = Feature("temperature", 30, 45, unit="Cel")
SEX = Feature("sex", levels=("male", "female"))
COUNT = Feature("count", 0, 100)
ILL = Target("ill", above=0)
NAN = float("nan")


def one(source: Source, feature: object, cells: list[object]) -> list[object]:
    return mapped([source], [feature], {"own": cells})[source.feature]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("source", "feature", "cells", "becomes"),
    [
        (Source("count", "own"), COUNT, ["1", " 2 ", 3.5], ["1", "2", "3.5"]),
        (Source("temperature", "own", unit="Cel"), TEMPERATURE, ["36.6"], ["36.6"]),
        (Source("temperature", "own", unit="[degF]"), TEMPERATURE, ["98.6", "1.04e2"], [37.0, 40.0]),
        (Source("temperature", "own", unit="K"), TEMPERATURE, [310.15], [37.0]),
        (Source("temperature", "own", factor=0.1), TEMPERATURE, ["369", "371"], [36.9, 37.1]),
        (Source("temperature", "own", factor=0.1, offset=-273.15), TEMPERATURE, ["3101.5"], [37.0]),
        (Source("temperature", "own", offset=1), TEMPERATURE, ["35.9"], [36.9]),
        (Source("count", "own", factor=-2), COUNT, ["-3"], [6.0]),
        (Source("sex", "own", codes=(Code("1", "male"), Code("2", "female"))), SEX, ["2", 1], ["female", "male"]),
        (Source("count", "own", codes=(Code("none", "0"), Code("one", "1")), factor=2), COUNT, ["one"], [2.0]),
        (Source("ill", "own", codes=(Code("ja", "1"), Code("nein", "0"))), ILL, ["nein", "ja"], ["0", "1"]),
    ],
)
def test_own_cells_become_the_plans(source, feature, cells, becomes):
    assert one(source, feature, cells) == becomes


def test_a_constant_is_in_every_record_and_what_is_missing_is_nan():
    sources = [Source("sex", constant="female"), Source("count", "own", factor=2, missing=("-9", "n/a"))]
    columns = mapped(sources, [SEX, COUNT], {"own": ["1", "-9", "", None, NAN, "  ", " n/a"]})
    assert columns["sex"] == ["female"] * 7
    assert columns["count"][0] == 2.0
    assert all(math.isnan(cell) for cell in columns["count"][1:])


@pytest.mark.parametrize(
    ("source", "feature", "cells", "clause", "seen", "said"),
    [
        (Source("sex", "own", codes=(Code("1", "male"),)), SEX, ["1", "3"], "codes", "3", "feature sex: .* row 2"),
        (Source("sex", "own", codes=(Code("1", "man"),)), SEX, ["1"], "codes", "man", "feature sex"),
        (Source("sex", "own", unit="kg"), SEX, ["1"], "unit", "kg", "feature sex"),
        (Source("temperature", "own"), TEMPERATURE, ["37"], "unit", "no unit", "feature temperature: no unit cannot"),
        (
            Source("temperature", "own", unit="kg"),
            TEMPERATURE,
            ["37"],
            "unit",
            "kg (mass)",
            "temperature: kg cannot be",
        ),
        (Source("temperature", "own", unit="Reau"), TEMPERATURE, ["9"], "unit", "Reau (not in the table)", "Reau"),
        (Source("count", "own", unit="kg"), COUNT, ["37"], "unit", "kg (mass)", "made no unit"),
        (Source("count", "own", factor=2), COUNT, ["1", "1", "one"], "number", "one", "feature count: .* row 3"),
        (Source("count", "own", factor=2), COUNT, ["inf"], "number", "inf", "row 1"),
        (Source("count", "own", factor=2), COUNT, ["1/2"], "number", "1/2", "row 1"),
        (Source("count", "own", factor=2), COUNT, ["9" * 65], "number", "9" * 65, "row 1"),
        (Source("count", "other"), COUNT, ["1"], "column", ["own"], "feature count: no column other"),
        (Source("counts", "own"), COUNT, ["1"], "mapping", ["counts"], "one source"),
        (Source("count", constant="1"), COUNT, ["1"], "mapping", 1, "only constants"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(source, feature, cells, clause, seen, said):
    with pytest.raises(Refused, match=said) as caught:
        one(source, feature, cells)
    assert (caught.value.clause, caught.value.seen) == (clause, seen)


def test_a_tiny_number_costs_no_memory():
    assert one(Source("count", "own", factor=2), COUNT, ["1e-999999999"]) == [0.0]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"column": "a", "constant": "1"},
        {"constant": "1", "unit": "kg"},
        {"constant": "1", "codes": (Code("1", "2"),)},
        {"column": "a", "unit": "kg", "factor": 2.0},
        {"column": "a", "factor": 0.0},
        {"column": "a", "offset": math.inf},
        {"column": "a", "unit": "k g"},
        {"column": "a", "missing": ("1",), "codes": (Code("1", "2"),)},
    ],
)
def test_a_source_says_one_thing(said):
    with pytest.raises(Refused):
        Source("count", **said)


# --- units ---


@pytest.mark.parametrize(
    ("unit", "into", "number", "becomes"),
    [
        ("kW.h", "MJ", 1, Fraction(18, 5)), ("[lb_av]", "kg", 1, Fraction("0.45359237")),
        ("[in_i]", "cm", 1, Fraction("2.54")),
        ("Cel", "K", 0, Fraction("273.15")), ("K", "[degF]", 0, Fraction("-459.67")), ("km/h", "m/s", 36, 10),
        ("t/har", "kg/m2", 10, 1), ("%", "1", 50, Fraction(1, 2)), ("h", "min", 2, 120), ("{rev}/min", "Hz", 60, 1),
        ("made-up", "made-up", 7, 7),
    ],
)  # fmt: skip
def test_units_convert_exactly_there_and_back(unit, into, number, becomes):
    factor, offset = conversion(unit, into)
    assert number * factor + offset == becomes
    back, shift = conversion(into, unit)
    assert becomes * back + shift == number


def test_a_units_code_is_canonical_only_where_there_is_one():
    """A plan without units has the bytes, and so the digest, that it had before there were units."""
    bare = records.dump(Feature("count", 0, 100))
    assert b"unit" not in bare
    assert records.load(Feature, bare) == Feature("count", 0, 100)
    with pytest.raises(Untrusted, match="canonical"):
        records.load(Feature, bare[:-1] + b',"unit":""}')
    assert records.load(Feature, records.dump(TEMPERATURE)).unit == "Cel"
    assert json.loads(records.dump(Quantity("y", 0, 1, unit="kW.h")))["unit"] == "kW.h"


@pytest.mark.parametrize("unit", ["k g", "ü", "x" * 33, "a\n"])
def test_what_is_no_code_of_a_unit_is_refused(unit):
    for kind in (lambda: Feature("a", unit=unit), lambda: Quantity("a", 0, 1, unit=unit), lambda: Target("a", 0, unit)):
        with pytest.raises(Refused, match="unit"):
            kind()
    with pytest.raises(Refused, match="levels"):
        Feature("a", levels=("x", "y"), unit="kg")


# --- examining ---


def test_examining_counts_what_would_be_refused_and_raises_nothing():
    want = (TEMPERATURE, SEX, COUNT, ILL, Classes("kind", ("a", "b")))
    sources = (
        Source("temperature", "T", unit="[degF]", missing=("-9",)),
        Source("sex", "S", codes=(Code("1", "male"), Code("2", "female"))),
        Source("count", "gone"),
        Source("ill", "I"),
    )
    own = {"T": ["98.6", "-9", "200", "hot"], "S": ["1", "3", "3", "9"], "I": ["0", "1", "", "1"]}
    temperature, sex, count, ill, kind = examined(sources, want, own)
    assert (temperature.missing, temperature.low, temperature.high) == (0.25, 37.0, 280 / 3)
    assert (temperature.outside, temperature.outside_rows) == (1, (3,))
    assert (temperature.unknown, temperature.unknown_rows) == ((Unknown("hot", 1),), (4,))
    assert (sex.unknown, sex.unknown_rows) == ((Unknown("3", 2), Unknown("9", 1)), (2, 3, 4))
    assert "no column gone" in count.trouble
    assert "may not be missing" in ill.trouble
    assert kind.trouble == "0 sources: one is needed"


# --- federated ---

LINES = [(36.5 + i % 40 / 10, "male" if i % 3 else "female", i * 7 % 5, i % 2) for i in range(90)]


def table(rows):
    temperature, sex, count, ill = zip(*rows, strict=True)
    return {"temperature": [f"{t:.1f}" for t in temperature], "sex": list(sex), "count": [str(c) for c in count],
            "ill": [str(i) for i in ill]}  # fmt: skip


def in_fahrenheit(rows):
    """The same records in another shape: other names, units, codes and order of columns."""
    return {
        "krank": ["ja" if ill else "nein" for *_, ill in rows],
        "tempF": [str(float(Fraction(f"{t:.1f}") * Fraction(9, 5) + 32)) for t, *_ in rows],
        "m/w": ["w" if sex == "female" else "m" for _, sex, *_ in rows],
        "half": [str(count / 2) for _, _, count, _ in rows],
    }


def in_tenths_of_kelvin(rows):
    return {
        "T10": [f"{t * 10 + 2731.5:.1f}" for t, *_ in rows],
        "SEX": ["2" if sex == "female" else "1" for _, sex, *_ in rows],
        "n": [str(count) for _, _, count, _ in rows],
        "ill": [str(ill) for *_, ill in rows],
    }


FAHRENHEIT = (
    Source("temperature", "tempF", unit="[degF]"),
    Source("sex", "m/w", codes=(Code("m", "male"), Code("w", "female"))),
    Source("count", "half", factor=2),
    Source("ill", "krank", codes=(Code("ja", "1"), Code("nein", "0"))),
)
KELVIN = (
    Source("temperature", "T10", factor=0.1, offset=-273.15),
    Source("sex", "SEX", codes=(Code("1", "male"), Code("2", "female"))),
    Source("count", "n"),
    Source("ill", "ill"),
)


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [
        (LOGISTIC, LogisticParams((TEMPERATURE, SEX, COUNT), ILL, members=3, records=100, rounds=3)),
        (RIDGE, RidgeParams((TEMPERATURE, SEX, COUNT), Quantity("ill", 0, 1), members=3, records=100)),
    ],
)
def test_members_with_tables_of_three_shapes_give_the_sums_of_equal_tables(algorithm, params):
    """Bit for bit: conversions are exact decimals, rounded once."""
    parts = [LINES[:30], LINES[30:60], LINES[60:]]
    equal = [algorithm.prepare(params, table(rows)) for rows in parts]
    want = wanted(params)
    shaped = [
        equal[0],
        algorithm.prepare(params, mapped(FAHRENHEIT, want, in_fahrenheit(parts[1]))),
        algorithm.prepare(params, mapped(KELVIN, want, in_tenths_of_kelvin(parts[2]))),
    ]
    together = pooled(algorithm, params, algorithm.prepare(params, table(LINES)))
    assert list(train(algorithm, params, shaped, rand=os.urandom).totals) == list(together.totals)
    assert list(train(algorithm, params, equal, rand=os.urandom).totals) == list(together.totals)


def test_a_plan_names_each_column_once():
    params = LogisticParams((TEMPERATURE, SEX), ILL, members=3, records=10)
    assert wanted(params) == (TEMPERATURE, SEX, ILL)
    with pytest.raises(Refused, match="two things"):
        mapped([Source("a", "own", unit="kg")], [Feature("a", unit="kg"), Quantity("a", 0, 1)], {"own": ["1"]})


@dataclass(frozen=True)
class Choice:
    target: Classes | Quantity | Target


@pytest.mark.parametrize(
    "target",
    [
        Classes("a", ("x", "y")),
        Quantity("a", 0, 1),
        Quantity("a", 0, 1, unit="kg"),
        Target("a", 0),
        Target("a", 0, unit="K"),
    ],
)
def test_a_target_of_several_kinds_is_read_as_the_one_it_was(target):
    """A unit that is left out must not make one record look like another."""
    assert records.load(Choice, records.dump(Choice(target))).target == target
