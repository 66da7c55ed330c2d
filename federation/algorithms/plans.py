"""What every plan over features says, whatever it computes: which features, of how many members and records.

    @dataclass(frozen=True)
    class RidgeParams(FeatureParams):
        target: Quantity
        ridge: float = 1.0

The features come first and by place, then an algorithm's own fields; those below are given by name. A plan's JSON has
sorted keys, so it does not tell where a field was declared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from federation.planner import Limits
from federation.tables import Feature, columns_of


@dataclass(frozen=True)
class FeatureParams:
    """`records`: most of one member. `width` of a lane in bits; `scale` the bits after the point, None for as many as
    are safe (`planner`)."""

    features: tuple[Feature, ...]
    members: int = field(kw_only=True)
    records: int = field(kw_only=True)
    width: Literal[32, 64] = field(default=64, kw_only=True)
    scale: int | None = field(default=None, kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return columns_of(self.features)

    @property
    def limits(self) -> Limits:
        return Limits(self.members, self.records, self.width, self.scale)
