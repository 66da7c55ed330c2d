"""A member's own columns as those that a plan names: renamed, in the plan's units, with the plan's levels.

For each column that the plan names, a `Source` says where it comes from: an own column, or one value for all records;
which texts stand for "not known"; which own code is which level; and how an own number becomes one in the plan's unit.
Numbers are converted as the decimals they are written as and rounded once: 98.6 degF and 37 Cel are the same float, so
members whose tables differ in shape give the sums that equal tables would. Bounds and levels are not judged here but
where every table is, in `tables`; `examine` counts what would be refused. Nothing is guessed and nothing is clipped.

    columns = mapped(sources, wanted(params), own_columns)          # Refused names the feature and the first bad row
    for seen in examined(sources, wanted(params), own_columns): print(seen.feature, seen.missing, seen.unknown)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from itertools import chain
from typing import Any, TypeAlias

from federation.errors import Refused
from federation.sources import Source
from federation.tables import Classes, Columns, Feature, Quantity, Target
from federation.units import conversion

Wanted: TypeAlias = Feature | Target | Quantity | Classes
Cell: TypeAlias = str | float
NAN = float("nan")
MAX_NUMBER = 64
"""Characters of a number in a cell."""

FIRST_ROWS = 5
MOST_CODES = 20


@dataclass(frozen=True)
class Unknown:
    """An own text that is no code, level or number of the plan's, and in how many records it is."""

    text: str
    count: int


@dataclass(frozen=True)
class Seen:
    """What a source comes to over `records` records. Rows count from 1, the header apart; the first few are given.

    `trouble`: why the source cannot be used at all. `missing`: share of the records, 0 to 1. `low` and `high`: of the
    numbers, in the plan's unit. A training takes the column where `unknown`, `outside` and `trouble` are empty.
    """

    feature: str
    records: int
    trouble: str = ""
    missing: float = 0.0
    unknown: tuple[Unknown, ...] = ()
    unknown_rows: tuple[int, ...] = ()
    outside: int = 0
    outside_rows: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None


def wanted(params: Any) -> tuple[Wanted, ...]:
    """The columns that a plan's params name, each once, in the order of the record's fields."""
    return tuple(dict.fromkeys(_found(params)))


def _found(value: Any) -> Iterator[Wanted]:
    if isinstance(value, (Feature, Target, Quantity, Classes)):
        yield value
    elif isinstance(value, tuple):
        yield from chain.from_iterable(_found(item) for item in value)
    elif is_dataclass(value):
        yield from chain.from_iterable(_found(getattr(value, one.name)) for one in fields(value))


def require_whole(sources: Sequence[Source], want: Sequence[Wanted]) -> None:
    """Raise Refused unless there is exactly one source for each column of the plan, in a unit that can become its."""
    names, needed = [source.feature for source in sources], [one.name for one in want]
    if sorted(names) != sorted(set(needed)):
        raise Refused("not one source for each column that the plan names", clause="mapping", seen=sorted(names),
                      needed=sorted(set(needed)))  # fmt: skip
    for one in want:
        if any(
            other.name == one.name and (_unit(other), _levels(other)) != (_unit(one), _levels(one)) for other in want
        ):
            raise Refused(
                f"{one.name}: the plan says two things of it", clause="plan", seen=one.name, needed="one unit"
            )
        _require_fit(_source(sources, one), one)


def mapped(sources: Sequence[Source], want: Sequence[Wanted], columns: Columns) -> dict[str, list[Any]]:
    """The plan's columns from the own ones, by the plan's names.

    Raises Refused naming the feature for a column that is not there, a unit that cannot become the plan's, a text that
    is no code (clause `codes`) or no number (clause `number`), with its first row."""
    require_whole(sources, want)
    records = _records(sources, columns)
    return {one.name: list(_cells(_source(sources, one), one, columns, records)) for one in want}


def examined(sources: Sequence[Source], want: Sequence[Wanted], columns: Columns) -> tuple[Seen, ...]:
    """What each of the plan's columns would be, and what would be refused; nothing raises but what is our bug."""
    records = max((len(column) for column in columns.values()), default=0)
    return tuple(_examined(sources, one, columns, records) for one in want)


# --- one source ---


def _source(sources: Sequence[Source], one: Wanted) -> Source:
    return next(source for source in sources if source.feature == one.name)


def _records(sources: Sequence[Source], columns: Columns) -> int:
    """How long a constant is."""
    named = [_column(source, columns) for source in sources if source.column is not None]
    if not named:
        raise Refused("only constants", clause="mapping", seen=len(sources), needed="one column at least")
    return len(named[0])


def _require_fit(source: Source, one: Wanted) -> None:
    levels, unit = _levels(one), _unit(one)
    if levels and (source.unit or source.converts):
        raise Refused(f"feature {one.name}: levels have no unit", clause="unit", seen=source.unit or source.factor,
                      needed="codes")  # fmt: skip
    if levels and source.codes:
        strange = {code.level for code in source.codes} - set(levels)
        if strange:
            raise Refused(f"feature {one.name}: a code for a level that the plan does not name", clause="codes",
                          seen=min(strange), needed=levels)  # fmt: skip
    if source.unit or (unit and source.column is not None and not source.converts):
        _factors(source, unit, one.name)


def _factors(source: Source, unit: str, name: str) -> tuple[Fraction, Fraction] | None:
    """Own * factor + offset; None where nothing is to be done."""
    if source.converts:
        return _decimal(source.factor, 1.0), _decimal(source.offset, 0.0)
    if source.unit == unit:
        return None
    try:
        return conversion(source.unit, unit)
    except Refused as no:
        raise Refused(f"feature {name}: {no.message}", clause=no.clause, seen=no.seen, needed=no.needed) from no


def _decimal(number: float | None, default: float) -> Fraction:
    """A float as the decimal it is written as: 0.1 is one tenth."""
    return Fraction(repr(float(default if number is None else number)))


def _cells(source: Source, one: Wanted, columns: Columns, records: int) -> Iterator[Cell]:
    """The plan's cells, row by row; Refused at the first that is none."""
    if source.constant is not None:
        yield from [source.constant] * records
        return
    read = _reader(source, one)
    for row, cell in enumerate(_column(source, columns), start=1):
        try:
            yield read(cell)
        except _NoCell as no:
            raise Refused(f"feature {one.name}: {no.why} in row {row}", clause=no.clause, seen=no.text,
                          needed=no.needed) from no  # fmt: skip


class _NoCell(Exception):
    """A cell that is nothing the plan knows."""

    def __init__(self, why: str, clause: str, text: str, needed: Any) -> None:
        super().__init__(why)
        self.why, self.clause, self.text, self.needed = why, clause, text, needed


def _reader(source: Source, one: Wanted) -> Callable[[Any], Cell]:
    """What makes one own cell one of the plan's. The same text is worked out once."""
    codes = {code.own: code.level for code in source.codes}
    missing, factors = set(source.missing), None if _levels(one) else _factors(source, _unit(one), one.name)
    known: dict[Any, Cell] = {}

    def fresh(text: str) -> Cell:
        if text in missing:
            return NAN
        if codes and text not in codes:
            raise _NoCell("an own code that the mapping does not name", "codes", text, sorted(codes))
        text = codes.get(text, text)
        return text if factors is None else _converted(text, *factors)

    def read(cell: Any) -> Cell:
        if cell is None or cell != cell or cell == "":
            return NAN
        text = cell.strip() if isinstance(cell, str) else repr(cell.item() if hasattr(cell, "item") else cell)
        if text not in known:
            known[text] = fresh(text) if text else NAN
        return known[text]

    return read


def _converted(text: str, factor: Fraction, offset: Fraction) -> float:
    """Exactly, rounded once at the end (`Fraction` to float is correctly rounded)."""
    return float(_exact(text) * factor + offset)


def _exact(text: str) -> Fraction:
    """The decimal that a text writes. Its float bounds it first: an exponent of a billion would fill the memory."""
    try:
        number = float(text)
        if not math.isfinite(number) or len(text) > MAX_NUMBER:
            raise ValueError(text)
        exponent = abs(int(text.lower().partition("e")[2] or "0"))
        return Fraction(text) if exponent <= 400 and "/" not in text else Fraction(number)
    except ValueError as exc:
        raise _NoCell("no finite number", "number", text[:80], "a decimal number") from exc


def _column(source: Source, columns: Columns) -> Sequence[Any]:
    assert source.column is not None
    try:
        return columns[source.column]
    except KeyError as exc:
        raise Refused(f"feature {source.feature}: no column {source.column}", clause="column",
                      seen=sorted(map(str, columns)), needed=source.column) from exc  # fmt: skip


def _levels(one: Wanted) -> tuple[str, ...]:
    return getattr(one, "levels", ())


def _unit(one: Wanted) -> str:
    return getattr(one, "unit", "")


# --- examining ---


def _examined(sources: Sequence[Source], one: Wanted, columns: Columns, records: int) -> Seen:
    found = [source for source in sources if source.feature == one.name]
    if len(found) != 1:
        return Seen(one.name, records, trouble=f"{len(found)} sources: one is needed")
    try:
        _require_fit(found[0], one)
        own = [found[0].constant] * records if found[0].column is None else _column(found[0], columns)
        read = _reader(found[0], one) if found[0].column is not None else str
    except Refused as no:
        return Seen(one.name, records, trouble=str(no))
    return _counted(one, own, read)


def _counted(one: Wanted, own: Sequence[Any], read: Callable[[Any], Cell]) -> Seen:
    missing, numbers = 0, list[float]()
    unknown: Counter[str] = Counter()
    unknown_rows, outside_rows = list[int](), list[int]()
    judge = _judge(one)
    for row, cell in enumerate(own, start=1):
        try:
            number = judge(read(cell))
        except _NoCell as no:
            unknown[no.text] += 1
            unknown_rows.append(row)
            continue
        missing += number is not None and number != number
        if number is not None and number == number:
            numbers.append(number)
            if _outside(one, number):
                outside_rows.append(row)
    trouble = "" if isinstance(one, Feature) or not missing else "what is to be predicted may not be missing"
    return Seen(
        one.name, len(own), trouble=trouble, missing=missing / len(own) if own else 0.0,
        unknown=tuple(Unknown(text, count) for text, count in unknown.most_common(MOST_CODES)),
        unknown_rows=tuple(unknown_rows[:FIRST_ROWS]), outside=len(outside_rows),
        outside_rows=tuple(outside_rows[:FIRST_ROWS]), low=min(numbers, default=None), high=max(numbers, default=None),
    )  # fmt: skip


def _judge(one: Wanted) -> Callable[[Cell], float | None]:
    """A cell as a number, NaN where it is missing, None where it is a level; _NoCell where it is neither."""
    levels = set(_levels(one))
    missing = set(getattr(one, "missing", ()))

    def level(cell: Cell) -> float | None:
        if cell != cell:
            return NAN
        if str(cell) not in levels:
            raise _NoCell("a level that the plan does not name", "levels", str(cell), sorted(levels))
        return None

    def number(cell: Cell) -> float | None:
        value = cell if isinstance(cell, float) else float(_exact(str(cell)))
        return NAN if value in missing else value

    return level if levels else number


def _outside(one: Wanted, number: float) -> bool:
    return isinstance(one, (Feature, Quantity)) and not one.low <= number <= one.high
