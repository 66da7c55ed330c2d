"""One unit as another: exact rational factors between UCUM codes, for what is linear. Not a unit library.

UCUM (https://ucum.org/ucum, version 2.1) gives every unit a code of plain characters (`Cel`, `kg`, `kW.h`). Written out
here are those that tables of mills, farms, carriers, hospitals and banks use, each as value * factor + offset in the
base unit of its kind: the metric ones by definition, the others after UCUM's tables and NIST SP 811, appendix B.
What is not linear (pH, decibel) or depends on the substance (mg/dL as mmol/L) is not here: a mapping gives a factor.

    factor, offset = conversion("[degF]", "Cel")         # Fraction(5, 9), Fraction(-160, 9)
"""

from __future__ import annotations

import re
from fractions import Fraction

from federation.errors import Refused

_CODE = re.compile(r"[!-~]{1,32}")  # UCUM, section 2.1: printable ASCII without blanks


def _scaled(kind: str, factors: dict[str, str]) -> dict[str, tuple[str, Fraction, Fraction]]:
    return {code: (kind, Fraction(factor), Fraction(0)) for code, factor in factors.items()}


_POUND, _INCH = Fraction("0.45359237"), Fraction("0.0254")
_PSI = _POUND * Fraction("9.80665") / _INCH**2

_UNITS: dict[str, tuple[str, Fraction, Fraction]] = {
    **_scaled("length", {"m": "1", "km": "1000", "dm": "1/10", "cm": "1/100", "mm": "1/1000", "um": "1/1000000",
                           "nm": "1/1000000000", "[in_i]": "0.0254", "[ft_i]": "0.3048", "[yd_i]": "0.9144",
                           "[mi_i]": "1609.344", "[nmi_i]": "1852"}),
    **_scaled("area", {"m2": "1", "km2": "1000000", "cm2": "1/10000", "mm2": "1/1000000", "ar": "100",
                         "har": "10000", "[sft_i]": "0.09290304", "[acr_us]": "62726400000/15499969"}),
    **_scaled("volume", {"m3": "1", "dm3": "1/1000", "cm3": "1/1000000", "L": "1/1000", "l": "1/1000",
                           "hL": "1/10", "dL": "1/10000", "cL": "1/100000", "mL": "1/1000000",
                           "uL": "1/1000000000", "[gal_us]": "0.003785411784"}),
    **_scaled("mass", {"kg": "1", "g": "1/1000", "mg": "1/1000000", "ug": "1/1000000000", "t": "1000",
                         "[lb_av]": "0.45359237", "[oz_av]": "0.028349523125"}),
    **_scaled("time", {"s": "1", "ms": "1/1000", "us": "1/1000000", "min": "60", "h": "3600", "d": "86400",
                         "wk": "604800", "a": "31557600"}),
    **_scaled("energy", {"J": "1", "kJ": "1000", "MJ": "1000000", "GJ": "1000000000", "W.h": "3600",
                           "kW.h": "3600000", "MW.h": "3600000000", "cal": "4.184", "kcal": "4184"}),
    **_scaled("power", {"W": "1", "mW": "1/1000", "kW": "1000", "MW": "1000000"}),
    **_scaled("pressure", {"Pa": "1", "hPa": "100", "kPa": "1000", "MPa": "1000000", "bar": "100000",
                             "mbar": "100", "atm": "101325", "mm[Hg]": "133.322", "[psi]": str(_PSI)}),
    **_scaled("force", {"N": "1", "kN": "1000"}),
    **_scaled("torque", {"N.m": "1", "N.cm": "1/100"}),
    **_scaled("speed", {"m/s": "1", "km/h": "5/18", "mm/s": "1/1000", "m/min": "1/60", "[mi_i]/h": "0.44704",
                          "[kn_i]": "1852/3600"}),
    **_scaled("acceleration", {"m/s2": "1", "[g]": "9.80665"}),
    **_scaled("frequency", {"Hz": "1", "/s": "1", "kHz": "1000", "MHz": "1000000", "/min": "1/60", "/h": "1/3600",
                              "{rev}/min": "1/60", "{beats}/min": "1/60"}),
    **_scaled("voltage", {"V": "1", "mV": "1/1000", "kV": "1000"}),
    **_scaled("current", {"A": "1", "mA": "1/1000", "kA": "1000"}),
    **_scaled("fraction", {"1": "1", "%": "1/100", "[ppth]": "1/1000", "[ppm]": "1/1000000"}),
    **_scaled("density", {"kg/m3": "1", "g/L": "1", "g/cm3": "1000", "g/mL": "1000", "g/dL": "10", "mg/dL": "1/100",
                            "mg/L": "1/1000", "ug/L": "1/1000000", "ng/mL": "1/1000000", "ug/m3": "1/1000000000"}),
    **_scaled("concentration", {"mol/m3": "1", "mmol/L": "1", "mol/L": "1000", "umol/L": "1/1000"}),
    **_scaled("flow", {"m3/s": "1", "m3/h": "1/3600", "L/s": "1/1000", "L/min": "1/60000", "L/h": "1/3600000"}),
    **_scaled("yield", {"kg/m2": "1", "kg/har": "1/10000", "t/har": "1/10", "g/m2": "1/1000"}),
    "K": ("temperature", Fraction(1), Fraction(0)),
    "Cel": ("temperature", Fraction(1), Fraction("273.15")),
    "[degF]": ("temperature", Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
}  # fmt: skip


def conversion(unit: str, into: str) -> tuple[Fraction, Fraction]:
    """(factor, offset) with value * factor + offset in `into`. Refused where the two are not of one kind."""
    if unit == into:
        return Fraction(1), Fraction(0)
    if unit not in _UNITS or into not in _UNITS or _UNITS[unit][0] != _UNITS[into][0]:
        raise Refused(
            f"{unit or 'no unit'} cannot be made {into or 'no unit'}",
            clause="unit",
            seen=_described(unit),
            needed=_described(into),
        )
    (_, factor, offset), (_, other, start) = _UNITS[unit], _UNITS[into]
    return factor / other, (offset - start) / other


def require_code(unit: str, *, of: str) -> None:
    """Raise Refused unless `unit` is empty or has the form of a UCUM code: 1 to 32 printable characters, no blank."""
    if unit and not _CODE.fullmatch(unit):
        raise Refused(f"{of}: no code of a unit", clause="unit", seen=unit[:40], needed="a UCUM code: Cel, kg, kW.h")


def _described(unit: str) -> str:
    kind = _UNITS[unit][0] if unit in _UNITS else "not in the table"
    return f"{unit} ({kind})" if unit else "no unit"
