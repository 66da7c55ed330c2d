"""A member's records as bounded numbers: the plan says what each feature may be, and every member reads it alike.

A numeric feature with the public range [low, high] becomes (x - middle) / half in [-1, 1]; a feature with levels
becomes one 0/1 column for each level but the first. What is missing is NaN. A value outside its range, or a level the
plan does not name, is refused, not clipped. Not here: reading files, and anything learnt from data (`scaling`).

    table = encode({"age": ages, "sex": sexes, "num": nums}, features, Target("num", above=0))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from federation.errors import Refused
from federation.vectors import Reals

Columns: TypeAlias = Mapping[str, Sequence[Any]]


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


@dataclass(frozen=True)
class Table:
    """`values` (records, columns), each within [-1, 1] or NaN, and `target` (records,) of 0 and 1."""

    values: Reals
    target: Reals

    def __len__(self) -> int:
        return len(self.values)


def encode(columns: Columns, features: Sequence[Feature], target: Target) -> Table:
    """Raw columns (a DataFrame will do) as a Table; Refused names the feature and the value that does not fit."""
    parts = [_feature(column(columns, feature.name), feature) for feature in features]
    label = _numbers(column(columns, target.name), target.name)
    if np.isnan(label).any():
        raise Refused(f"target {target.name} is missing", clause="target", seen=int(np.isnan(label).sum()), needed=0)
    return Table(np.ascontiguousarray(np.column_stack(parts)), (label > target.above).astype(np.float64))


def column(columns: Columns, name: str) -> np.ndarray[Any, Any]:
    """One raw column, or Refused where the records do not have it."""
    try:
        return np.asarray(columns[name], dtype=object)
    except KeyError as exc:
        raise Refused(f"no column {name}", clause="column", seen=sorted(map(str, columns)), needed=name) from exc


def _feature(cells: np.ndarray[Any, Any], feature: Feature) -> Reals:
    values = _levels(cells, feature) if feature.levels else _numeric(cells, feature)
    if feature.indicator:
        return np.column_stack([values, np.isnan(values[:, :1]).astype(np.float64)])
    return values


def _numeric(cells: np.ndarray[Any, Any], feature: Feature) -> Reals:
    values = _numbers(cells, feature.name)
    values[np.isin(values, feature.missing)] = np.nan
    outside = (values < feature.low) | (values > feature.high)
    if outside.any():
        raise Refused(f"feature {feature.name}: a value outside its range", clause="range",
                      seen=float(values[outside][0]), needed=f"{feature.low} to {feature.high}")  # fmt: skip
    scaled = (values - feature.middle) / feature.half
    return np.clip(scaled, -1.0, 1.0)[:, None]  # in range as checked; the division may round one unit beyond 1


def _levels(cells: np.ndarray[Any, Any], feature: Feature) -> Reals:
    texts = np.array(["" if _is_missing(cell) else str(cell) for cell in cells], dtype=object)
    strange = [text for text in texts if text and text not in feature.levels]
    if strange:
        raise Refused(f"feature {feature.name}: a level the plan does not name", clause="levels", seen=strange[0],
                      needed=feature.levels)  # fmt: skip
    values = np.column_stack([(texts == level).astype(np.float64) for level in feature.levels[1:]])
    values[texts == ""] = np.nan
    return values


def _numbers(cells: np.ndarray[Any, Any], name: str) -> Reals:
    try:
        values = np.array([np.nan if _is_missing(cell) else float(cell) for cell in cells], dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise Refused(f"column {name}: not a number", clause="number", seen=str(exc), needed="numbers") from exc
    if np.isinf(values).any():
        raise Refused(f"column {name}: infinite", clause="number", seen="inf", needed="finite numbers")
    return values


def _is_missing(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell  # NaN, NaT and pandas' NA are the values unlike themselves
