"""How many bits after the point a plan can afford: the most that no members' records can make wrap, and not fewer
than are of use.

The largest f <= MOST with members * records * ceil(bound * 2^f) < 2^(width - 1). A plan that names its `scale` keeps
it, and `Layout` refuses it where it could wrap; without one, fewer than LEAST bits are refused and the sum is shown.
Not here: what the bounds are (each algorithm's `layout` derives them from declared ranges and from the sums so far).

    limits = Limits(members=10, records=1000)
    limits.scale_for("gradient", 3.5)
    limits.layout(limits.counts("records"), limits.reals("gradient", length=31, bound=3.5))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from federation.errors import Refused
from federation.vectors import Block, Layout

MOST = 48  # a record's rounding is then 2^-49 of the unit, near what a double knows of a number
LEAST = 16  # below it, variances of nearly constant columns drown (digits: 10 % accuracy of naive Bayes)


@dataclass(frozen=True)
class Limits:
    """What a plan says of its sums; `records` of one member at most, `scale` None where the planner picks it."""

    members: int
    records: int
    width: Literal[32, 64] = 64
    scale: int | None = None

    def scale_for(self, name: str, bound: float, *, least: int = LEAST) -> int:
        """Bits after the point of a block of that bound; Refused if not even `least` are safe."""
        if self.scale is not None:
            return self.scale
        for scale in range(MOST, least - 1, -1):
            if self._worst(name, bound, scale) < 2 ** (self.width - 1):
                return scale
        terms = f"{self.members} members * {self.records} records * ceil({bound} * 2^{least})"
        raise Refused(f"block {name} has no room for {least} bits after the point", clause="overflow",
                      seen=f"{terms} = {self._worst(name, bound, least)}",
                      needed=f"less than 2^{self.width - 1}: fewer records or narrower ranges")  # fmt: skip

    def reals(self, name: str, length: int, bound: float) -> Block:
        """A block of real numbers with |x| <= bound for each record."""
        return Block(name, length, self.scale_for(name, bound), bound)

    def counts(self, name: str, length: int = 1) -> Block:
        """A block of counts, at most one for each record and lane."""
        return Block(name, length, 0, 1.0)

    def layout(self, *blocks: Block) -> Layout:
        return Layout(self.width, self.members, self.records, blocks)

    def _worst(self, name: str, bound: float, scale: int) -> int:
        return self.members * self.records * Block(name, 1, scale, bound).most
