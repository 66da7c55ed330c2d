"""From which chance on to act, where a miss and a false alarm have their prices.

Records are counted by ranges of the chance, with and without what was foretold (`evaluation`'s negatives and
positives); acting at the lower end of a range acts on all records from there on. The best of these thresholds is exact
for the records counted; for a calibrated model it lies near alarm / (alarm + miss) (Elkan 2001).

    choice = cheapest(state.negatives, state.positives, Costs(miss=900, alarm=50))
    choice.threshold, choice.cost, choice.never
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from federation.errors import Refused


@dataclass(frozen=True)
class Costs:
    """What it costs not to act where one should have (`miss`), and to act for nothing (`alarm`), in one currency."""

    miss: float
    alarm: float

    def __post_init__(self) -> None:
        for name, value in (("miss", self.miss), ("alarm", self.alarm)):
            if not (math.isfinite(value) and value >= 0):
                raise Refused("a cost is a number, not below 0", clause=f"cost-{name}", seen=value, needed="0 or more")
        if self.miss == self.alarm == 0:
            raise Refused("where nothing costs anything, nothing is to be chosen", clause="cost-miss", seen=0,
                          needed="a cost above 0")  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """Act where the chance is at least `threshold` (above 1: never). Costs are totals over `records`; `half` is that
    of acting from one half on, `always` and `never` need no model."""

    threshold: float
    cost: float
    missed: int
    alarms: int
    caught: int
    records: int
    half: float
    always: float
    never: float


def totals(negatives: Sequence[int], positives: Sequence[int], costs: Costs) -> list[float]:
    """What it costs to act from the lower end of each range on, and, last, never to act."""
    bins = len(positives)
    return [costs.miss * sum(positives[:i]) + costs.alarm * sum(negatives[i:]) for i in range(bins + 1)]


def cheapest(negatives: Sequence[int], positives: Sequence[int], costs: Costs) -> Choice:
    """The threshold of least cost; of equals the one nearest to one half, of these the higher. Refused over nothing."""
    bins, records = len(positives), sum(negatives) + sum(positives)
    if records < 1:
        raise Refused("nothing was evaluated", clause="records", seen=records, needed="at least one")
    found = totals(negatives, positives, costs)
    best = min(range(bins + 1), key=lambda i: (found[i], abs(2 * i - bins), -i))
    return Choice(
        best / bins if best < bins else math.nextafter(1.0, 2.0), found[best], sum(positives[:best]),
        sum(negatives[best:]), sum(positives[best:]), records, found[bins // 2], found[0], found[bins],
    )  # fmt: skip
