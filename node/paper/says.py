"""A report's sentences: which of the words apply to the facts, and their numbers. Plain text, not yet escaped."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from node.cards import Course, Quality, Weighing
from node.paper.facts import Action, Facts
from node.paper.numbers import number, p_value, percent

GOOD, FAIR = 0.05, 0.12
"""Up to which error of calibration chances are called trustworthy, and roughly so."""

SAME = 0.005
"""A difference in shares that is none: half a case of a hundred, or of an error's size."""


ASKED = 20
"""More inputs than these nobody types."""


@dataclass(frozen=True)
class Row:
    """A line of the comparison: `share` fills its bar; `second`: its other figure, of `Says.heads`."""

    name: str
    shown: str
    share: float
    records: int
    second: str
    main: bool


class Says:
    """The facts in one language. `says("good_title")` is one of its words."""

    def __init__(self, facts: Facts, words: Mapping[str, str]) -> None:
        self._facts, self._card, self._words = facts, facts.card, words

    def __call__(self, key: str, **values: object) -> str:
        return self._words[key].format(**values) if values else self._words[key]

    def summary(self) -> Iterator[str]:
        facts, card = self._facts, self._card
        held = card.quality.records if card.quality and card.quality.unseen else 0
        yield self("together", members=len(facts.members), records=number(facts.records, exact=True))
        if held:
            yield self("kept_back", records=number(held, exact=True))
        yield self(f"foretells_{card.kind}", target=card.target, classes=", ".join(card.classes))

    def good(self) -> str:
        quality = self._card.quality
        if quality is None:
            return self("good_unknown")
        seen = "" if quality.unseen else "_seen"
        if quality.accuracy is not None:
            return self(f"good_chance{seen}", right=round(100 * quality.accuracy))
        return self(f"good_number{seen}", mae=number(quality.mae or 0.0))

    def rows(self) -> list[Row]:
        """Those that are known, everybody's first."""
        facts = self._facts
        named = (("together_row", facts.card.quality, True), ("here_row", facts.here, False),
                 ("alone_row", facts.alone, False), ("pooled_row", facts.pooled, False))  # fmt: skip
        return [self._row(key, quality, main) for key, quality, main in named if quality]

    def heads(self) -> tuple[str, str]:
        """What the two figures of `rows` are; the second is "" where no row has one."""
        if not self.is_share():
            return self("off_head"), self("explains_head")
        return self("right_head"), self("area_head") if any(row.second for row in self.rows()) else ""

    def alone(self) -> str:
        facts = self._facts
        if facts.alone is None or facts.here is None:
            return self(f"alone_{facts.alone_why}")
        if facts.alone.mae is not None and facts.here.mae is not None:
            return self._alone_off(facts.alone.mae, facts.here.mae)
        apart = (facts.here.accuracy or 0.0) - (facts.alone.accuracy or 0.0)
        if abs(apart) < SAME:
            return self("alone_equal")
        key = "alone_better" if apart > 0 else "alone_worse"
        return self(key, points=f"{abs(100 * apart):.1f}", records=facts.alone.records)

    def _alone_off(self, own: float, together: float) -> str:
        if abs(own - together) <= SAME * max(own, together):
            return self("alone_equal")
        key = "alone_better_number" if together < own else "alone_worse_number"
        return self(key, own=number(own), together=number(together))

    def trust(self) -> str:
        error = self._card.calibration_error
        if error is None:
            return self("trust_unknown")
        key = "trust_good" if error <= GOOD else "trust_fair" if error <= FAIR else "trust_bad"
        return self(key, error=percent(error))

    def act(self) -> str:
        choice = self._facts.choice
        if choice is None:
            return self("when_none" if self._card.kind == "chance" else "when_not")
        if choice.threshold > 1.0:
            return self("when_never")
        return self("when_always") if choice.threshold == 0.0 else self("when_act", threshold=percent(choice.threshold))

    def prices(self) -> list[tuple[str, str, float]]:
        """Name, cost for each hundred, and its share of the dearest."""
        choice = self._facts.choice
        if choice is None:
            return []
        best = self("when_best", threshold=percent(min(1.0, choice.threshold)))
        named = [(best, choice.cost), (self("when_half"), choice.half), (self("when_every"), choice.always),
                 (self("when_no"), choice.never)]  # fmt: skip
        dearest = max(cost for _, cost in named) or 1.0
        return [(name, number(100 * cost / choice.records), cost / dearest) for name, cost in named]

    def first(self) -> str:
        facts = self._facts
        if not facts.scored:
            return self("first_none")
        key = "first_ranked" if self._card.kind in ("number", "rate") else "first_some"
        return self(key, acting=facts.acting, scored=facts.scored, shown=len(facts.actions))

    def answer(self, action: Action) -> str:
        return number(action.answer) if self._card.kind in ("number", "rate") else percent(action.answer)

    def weighing(self, one: Weighing) -> str:
        if one.wrong is None:
            return self("matter_loss", loss=number(max(0.0, one.loss)))
        return self("matter_wrong", points=f"{max(0.0, 100 * one.wrong):.1f}")

    def weighings(self) -> list[tuple[Weighing, float]]:
        """What matters most first, as it is shown, and each one's share of the most."""
        found = sorted(self._card.importance, key=lambda one: -_shown(one))
        most = max((_shown(one) for one in found), default=0.0)
        return [(one, _shown(one) / most if most > 0 else 0.0) for one in found]

    def courses(self) -> list[Course]:
        """The curves, of the most important inputs first."""
        place = {one.feature: i for i, (one, _) in enumerate(self.weighings())}
        return sorted(self._card.curves, key=lambda curve: place.get(curve.feature, len(place)))

    def has_levels(self, curve: Course) -> bool:
        return any(one.levels for one in self._card.inputs if one.name == curve.feature)

    def is_share(self) -> bool:
        return self._card.kind in ("chance", "classes")

    def command(self) -> str:
        """That asks the model: about values in the middle, or of many inputs about the rows of a file."""
        if len(self._card.inputs) > ASKED:
            return f"hanse training predict {self._facts.training[:10]} rows.csv --out answers.csv"
        values = []
        for one in self._card.inputs:
            value = one.levels[0] if one.levels else number(((one.low or 0.0) + (one.high or 0.0)) / 2)
            values.append(f"--set {shlex.quote(f'{one.name}={value}')}")
        return " \\\n  ".join([f"hanse training predict {self._facts.training[:10]}", *values])

    def range_of(self, low: float | None, high: float | None, levels: tuple[str, ...]) -> str:
        return ", ".join(levels) if levels else self("card_range", low=number(low or 0.0), high=number(high or 0.0))

    def plain(self, value: float) -> str:
        return number(value)

    def share(self, value: float) -> str:
        return percent(max(0.0, value))

    def exact(self, value: float | None) -> str:
        return "" if value is None else f"{value:.4g}"

    def p(self, value: float | None) -> str:
        return p_value(value)

    def why_no_errors(self) -> str | None:
        found = [why for why in self._card.unknown if why.startswith("standard errors")]
        return found[0].partition(": ")[2] if found else None

    def _row(self, key: str, quality: Quality, main: bool) -> Row:
        if quality.mae is not None:
            r2 = quality.r2
            second = "" if r2 is None else percent(r2) if r2 > 0 else self("explains_nothing")
            return Row(self(key), number(quality.mae), max(0.0, r2 or 0.0), quality.records, second, main)
        accuracy = quality.accuracy or 0.0
        area = percent(quality.area) if quality.area is not None else ""
        return Row(self(key), percent(accuracy), accuracy, quality.records, area, main)


def _shown(one: Weighing) -> float:
    """The figure of the two that people are told."""
    return one.loss if one.wrong is None else one.wrong
