"""Numbers as people read them, the same in every language."""

from __future__ import annotations


def percent(share: float) -> str:
    """Whole percents; what is under one is not called none."""
    if 0.0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1.0 else f"{100 * share:.0f}%"


def number(value: float, *, exact: bool = False) -> str:
    """Three digits that count (all with `exact`), thousands apart, no exponent where people would stumble over it."""
    if exact:
        return f"{value:,}"
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.3g}"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def typed(value: float) -> str:
    """Three digits that count, as a command takes them."""
    return f"{float(f'{value:.3g}'):g}"


def p_value(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
