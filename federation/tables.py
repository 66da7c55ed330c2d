"""A member's records as bounded numbers: the plan says what each feature may be, and every member reads it alike.

A numeric feature with the public range [low, high] becomes (x - middle) / half in [-1, 1]; a feature with levels
becomes one 0/1 column for each level but the first. What is missing is NaN. A value outside its range, or a level the
plan does not name, is refused, not clipped. Not here: reading files, and anything learnt from data (`scaling`).

    table = encode({"age": ages, "sex": sexes, "num": nums}, features, Target("num", above=0))
    table = encode(columns, features, Quantity("price", 0, 1000))        # or Classes("kind", ("a", "b")), or None
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from federation.errors import Refused
from federation.vectors import Reals

Columns: TypeAlias = Mapping[str, Sequence[Any]]
Cells: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Feature:
    """One column of the records. Numeric between `low` and `high`, or one of `levels` (compared as text).

    `missing` are numbers that stand for "not known"; `indicator` adds a column that is 1 where the value is missing.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    missing: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    indicator: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or len(set(self.levels)) != len(self.levels) or len(self.levels) == 1:
            raise Refused(f"feature {self.name}: no range, or no levels to tell apart", clause="feature",
                          seen=(self.low, self.high, self.levels), needed="low < high, distinct levels")  # fmt: skip

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it becomes."""
        values = tuple(f"{self.name}={level}" for level in self.levels[1:]) or (self.name,)
        return (*values, f"{self.name} missing") if self.indicator else values

    @property
    def middle(self) -> float:
        return 0.0 if self.levels else (self.low + self.high) / 2.0

    @property
    def half(self) -> float:
        return 1.0 if self.levels else (self.high - self.low) / 2.0


@dataclass(frozen=True)
class Target:
    """What is to be predicted: 1 where the column `name` is above `above`, else 0. It may not be missing."""

    name: str
    above: float

    def encode(self, cells: Cells) -> Reals:
        """1 or 0 for each cell."""
        return (_known(_numbers(cells, self.name), self.name) > self.above).astype(np.float64)


@dataclass(frozen=True)
class Quantity:
    """What is to be predicted: the number in column `name`, between `low` and `high`. It may not be missing."""

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise Refused(f"target {self.name}: no range", clause="target", seen=(self.low, self.high),
                          needed="low < high")  # fmt: skip

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2.0

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2.0

    def encode(self, cells: Cells) -> Reals:
        """The numbers as they are, each in the range."""
        values = _known(_numbers(cells, self.name), self.name)
        _refuse_outside(values, self, f"target {self.name}")
        return values


@dataclass(frozen=True)
class Classes:
    """What is to be predicted: which of `levels` (compared as text) is in column `name`. It may not be missing."""

    name: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.levels) < 2 or len(set(self.levels)) != len(self.levels) or "" in self.levels:
            raise Refused(f"target {self.name}: no levels to tell apart", clause="target", seen=self.levels,
                          needed="two or more distinct levels")  # fmt: skip

    def encode(self, cells: Cells) -> Reals:
        """The place of each cell in `levels`, from 0."""
        texts = _texts(cells, self.levels, f"target {self.name}")
        place = {level: float(i) for i, level in enumerate(self.levels)}
        return _known(np.array([place.get(text, np.nan) for text in texts], dtype=np.float64), self.name)


def halves(features: Sequence[Feature]) -> Reals:
    """By what each column was divided, (columns,)."""
    return np.array([h for f in features for h in [f.half] * (len(f.columns) - f.indicator) + [1.0] * f.indicator])


def middles(features: Sequence[Feature]) -> Reals:
    """What was taken off each column first, (columns,)."""
    return np.array([m for f in features for m in [f.middle] * (len(f.columns) - f.indicator) + [0.0] * f.indicator])


def columns_of(features: Sequence[Feature]) -> tuple[str, ...]:
    """Names of the table's columns."""
    return tuple(name for feature in features for name in feature.columns)


@dataclass(frozen=True)
class Table:
    """`values` (records, columns), each within [-1, 1] or NaN, and `target` (records,): 0 or 1, a number, or the
    place of a class; all 0 where nothing is to be predicted."""

    values: Reals
    target: Reals

    def __len__(self) -> int:
        return len(self.values)


def encode(columns: Columns, features: Sequence[Feature], target: Target | Quantity | Classes | None = None) -> Table:
    """Raw columns (a DataFrame will do) as a Table; Refused names the feature and the value that does not fit."""
    parts = [_feature(column(columns, feature.name), feature) for feature in features]
    labels = target.encode(column(columns, target.name)) if target else np.zeros(len(parts[0]))
    lengths = {len(part) for part in (*parts, labels)}
    if len(lengths) > 1:
        raise Refused("columns of different lengths", clause="length", seen=sorted(lengths), needed="one length")
    return Table(np.ascontiguousarray(np.column_stack(parts)), labels)


def column(columns: Columns, name: str) -> Cells:
    """One raw column, numbers as numbers and all else as objects, or Refused where the records do not have it."""
    try:
        found = columns[name]
    except KeyError as exc:
        raise Refused(f"no column {name}", clause="column", seen=sorted(map(str, columns)), needed=name) from exc
    typed = getattr(getattr(found, "dtype", None), "kind", "O") in "fiu"
    cells: Cells = np.asarray(found) if typed else np.asarray(found, dtype=object)
    if cells.ndim != 1:
        raise Refused(f"column {name}: not one value a record", clause="column", seen=cells.shape, needed="(records,)")
    return cells


def _feature(cells: Cells, feature: Feature) -> Reals:
    values = _levels(cells, feature) if feature.levels else _numeric(cells, feature)
    if feature.indicator:
        return np.column_stack([values, np.isnan(values[:, :1]).astype(np.float64)])
    return values


def _numeric(cells: Cells, feature: Feature) -> Reals:
    values = _numbers(cells, feature.name)
    values[np.isin(values, feature.missing)] = np.nan
    _refuse_outside(values, feature, f"feature {feature.name}")
    scaled = (values - feature.middle) / feature.half
    return np.clip(scaled, -1.0, 1.0)[:, None]  # in range as checked; the division may round one unit beyond 1


def _levels(cells: Cells, feature: Feature) -> Reals:
    texts = _texts(cells, feature.levels, f"feature {feature.name}")
    values = np.column_stack([(texts == level).astype(np.float64) for level in feature.levels[1:]])
    values[texts == ""] = np.nan
    return values


def _texts(cells: Cells, levels: tuple[str, ...], what: str) -> Cells:
    texts = np.array(["" if _is_missing(cell) else str(cell) for cell in cells.tolist()], dtype=object)
    strange = set(texts.tolist()) - {"", *levels}
    if strange:
        raise Refused(f"{what}: a level the plan does not name", clause="levels", seen=min(strange), needed=levels)
    return texts


def _numbers(cells: Cells, name: str) -> Reals:
    try:
        if cells.dtype == object:
            cells = np.array([np.nan if _is_missing(cell) else float(cell) for cell in cells])
        values = cells.astype(np.float64)
    except (TypeError, ValueError) as exc:
        raise Refused(f"column {name}: not a number", clause="number", seen=str(exc), needed="numbers") from exc
    if np.isinf(values).any():
        raise Refused(f"column {name}: infinite", clause="number", seen="inf", needed="finite numbers")
    return values


def _known(values: Reals, name: str) -> Reals:
    if np.isnan(values).any():
        raise Refused(f"target {name} is missing", clause="target", seen=int(np.isnan(values).sum()), needed=0)
    return values


def _refuse_outside(values: Reals, range_: Feature | Quantity, what: str) -> None:
    outside = (values < range_.low) | (values > range_.high)
    if outside.any():
        raise Refused(f"{what}: a value outside its range", clause="range", seen=float(values[outside][0]),
                      needed=f"{range_.low} to {range_.high}")  # fmt: skip


def _is_missing(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell  # NaN, NaT and pandas' NA are the values unlike themselves
