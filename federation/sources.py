"""What a mapping says: records only, so that a document can hold them without anything being computed.

Source("temperature", column="TempF", unit="[degF]", missing=("-999",))
Source("sex", column="geschlecht", codes=(Code("m", "male"), Code("w", "female")))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from federation.errors import Refused
from federation.units import require_code


@dataclass(frozen=True)
class Code:
    """A text in the own column, and what the plan calls it."""

    own: str
    level: str


@dataclass(frozen=True)
class Source:
    """Where the plan's column `feature` comes from: the own `column`, or `constant` in every record.

    `missing`: own texts for "not known". `codes`, where there are any, name every other own text. `unit`: what the own
    numbers are in (UCUM); or `factor` and `offset`: own * factor + offset is in the plan's unit.
    """

    feature: str
    column: str | None = None
    constant: str | None = None
    unit: str = ""
    factor: float | None = None
    offset: float | None = None
    missing: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()

    def __post_init__(self) -> None:
        require_code(self.unit, of=f"source of {self.feature}")
        if (self.column is None) == (self.constant is None):
            raise self._refused("either a column or a constant", seen=(self.column, self.constant))
        if self.constant is not None and (self.codes or self.missing or self.unit or self.converts):
            raise self._refused("a constant is in the plan's unit and has the plan's level", seen=self.constant)
        if self.unit and self.converts:
            raise self._refused("either a unit or a factor and offset", seen=(self.unit, self.factor, self.offset))
        if self.factor == 0 or not all(math.isfinite(x) for x in (self.factor, self.offset) if x is not None):
            raise self._refused("factor and offset are numbers, factor not 0", seen=(self.factor, self.offset))
        own = [*self.missing, *(code.own for code in self.codes)]
        if len(set(own)) != len(own):
            raise self._refused("one meaning for each own text", seen=own)

    @property
    def converts(self) -> bool:
        return self.factor is not None or self.offset is not None

    def _refused(self, needed: str, *, seen: Any) -> Refused:
        return Refused(f"source of {self.feature}: it says two things or none", clause="source", seen=seen,
                       needed=needed)  # fmt: skip
