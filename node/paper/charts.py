"""Small charts as inline SVG: numbers in, escaped markup out. No script, no style attribute, colours by class.

charts.bar(0.8), charts.calibration(card.calibration), charts.cost(prices, 0.25), charts.course(curve)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from node.cards import Course, Range
from node.paper.facts import Price
from node.paper.numbers import number, percent

RIGHT, TOP = 12, 12


@dataclass(frozen=True)
class Size:
    """Of a chart, in its own units: about one a pixel on a phone. `left` and `bottom` are room for words."""

    width: int
    height: int
    left: int
    bottom: int

    def x(self, share: float) -> str:
        return f"{self.left + share * (self.width - self.left - RIGHT):.1f}"

    def y(self, share: float) -> str:
        return f"{self.height - self.bottom - share * (self.height - TOP - self.bottom):.1f}"


LARGE = Size(320, 200, 48, 34)
SMALL = Size(200, 120, 38, 20)


def bar(share: float, kind: str = "good") -> Markup:
    """A bar that fills `share` of its width."""
    width = 100.0 * min(1.0, max(0.0, share))
    inside = _tag("rect", x=0, y=0, width=100, height=8, rx=2, class_="track")
    inside += _tag("rect", x=0, y=0, width=f"{width:.2f}", height=8, rx=2, class_=kind)
    return _tag("svg", inside, class_="bar", viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true")


def calibration(ranges: Sequence[Range], title: str, across: str, up: str) -> Markup:
    """Foretold against what came true; the larger the dot, the more records."""
    most, size = max((row.records for row in ranges), default=1) or 1, LARGE
    found = _frame(size, ("0%", "50%", "100%"), ("0%", "50%", "100%"), (0.0, 0.5, 1.0))
    found += _tag("text", across, x=size.x(0.5), y=size.height - 3, class_="axis middle")
    turned = f"rotate(-90 10 {size.y(0.5)})"
    found += _tag("text", up, x=10, y=size.y(0.5), class_="axis middle", transform=turned)
    found += _tag("line", x1=size.x(0), y1=size.y(0), x2=size.x(1), y2=size.y(1), class_="ideal")
    for row in ranges:
        if row.share is not None:
            radius = 3.0 + 7.0 * (row.records / most) ** 0.5
            middle = (row.low + row.high) / 2
            found += _tag("circle", cx=size.x(middle), cy=size.y(row.share), r=f"{radius:.1f}", class_="dot")
    return _chart(size, found, title)


def cost(prices: Sequence[Price], best: float, title: str, across: str) -> Markup:
    """What each threshold costs; the cheapest is marked."""
    size, most = LARGE, max(price.cost for price in prices) or 1.0
    points = [(min(1.0, price.threshold), price.cost / most) for price in prices]
    found = _frame(size, ("0%", "50%", "100%"), ("0", number(most / 2), number(most)), (0.0, 0.5, 1.0))
    found += _tag("text", across, x=size.x(0.5), y=size.height - 3, class_="axis middle")
    found += _line(size, points, "line")
    at, height = min(points, key=lambda point: abs(point[0] - min(1.0, best)))
    found += _tag("line", x1=size.x(at), y1=size.y(0), x2=size.x(at), y2=size.y(1), class_="ideal")
    found += _tag("circle", cx=size.x(at), cy=size.y(height), r=6, class_="best")
    return _chart(size, found, title)


def course(curve: Course, levels: bool, share: bool, title: str) -> Markup:
    """The mean answer as one input moves: a line for each output, or a dot for each level."""
    size, flat, count = SMALL, [value for row in curve.answers for value in row], len(curve.at)
    low, high = (0.0, 1.0) if share else (min(flat), max(flat))
    span = (high - low) or 1.0
    marks = tuple(percent(value) if share else number(value) for value in (low, (low + high) / 2, high))
    if levels:
        places = at = [(i + 0.5) / count for i in range(count)]
        names = curve.at
    else:
        places, at = [i / max(1, count - 1) for i in range(count)], [0.0, 1.0]
        names = (number(float(curve.at[0])), number(float(curve.at[-1])))
    found = _frame(size, names, marks, at)
    for output in range(len(curve.answers[0])):
        heights = [(row[output] - low) / span for row in curve.answers]
        points = list(zip(places, heights, strict=True))
        found += Markup("") if levels else _line(size, points, f"line c{output % 6}")
        for x, y in points:
            found += _tag("circle", cx=size.x(x), cy=size.y(y), r=5 if levels else 2, class_=f"dot c{output % 6}")
    return _chart(size, found, title)


def _frame(size: Size, across: Sequence[str], up: Sequence[str], at: Sequence[float]) -> Markup:
    """Lines for the marks `up`, and the words `across` at their places; those at an end stay inside."""
    found = Markup("")
    for i, text in enumerate(up):
        height = size.y(i / (len(up) - 1))
        found += _tag("line", x1=size.x(0), y1=height, x2=size.x(1), y2=height, class_="grid")
        found += _tag("text", text, x=size.left - 6, y=f"{float(height) + 4:.1f}", class_="tick end")
    room = max(3, (size.width - size.left) // (7 * max(1, len(across))))
    for place, text in zip(at, across, strict=True):
        anchor = "tick end" if place == 1.0 else "tick" if place == 0.0 else "tick middle"
        found += _tag("text", _short(text, room), x=size.x(place), y=size.height - size.bottom + 15, class_=anchor)
    return found


def _line(size: Size, points: Sequence[tuple[float, float]], kind: str) -> Markup:
    parts = [(size.x(x), size.y(y)) for x, y in points]
    return Markup("").join(
        _tag("line", x1=one[0], y1=one[1], x2=two[0], y2=two[1], class_=kind) for one, two in pairwise(parts)
    )


def _chart(size: Size, inside: Markup, title: str) -> Markup:
    return _tag(
        "svg", _tag("title", title) + inside, class_="chart", viewBox=f"0 0 {size.width} {size.height}", role="img"
    )


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _tag(name: str, inside: Markup | str = "", /, **attributes: object) -> Markup:
    """Plain text inside, and every value, is escaped by `format`."""
    shown = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items()
    )
    return Markup("<{}{}>{}</{}>").format(name, shown, inside, name)
