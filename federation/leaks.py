"""What is suspicious about raw columns before anything is learnt from them: a list to read, never a refusal.

Each member looks at its own records: nothing is added up, nobody is told. A column that is different in every record
names records instead of describing them; a column that alone decides the label is often the label under another name,
or was written down after it; one that never varies says nothing here.

    for one in warnings_of(columns, features, target): print(one.column, one.kind, one.text)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from federation.tables import Classes, Columns, Feature, Quantity, Target, encode
from federation.vectors import Reals

FEWEST = 10  # records below which anything looks like anything


@dataclass(frozen=True)
class Warned:
    """`identifies`: as many values as records. `decides`: the label follows from it. `constant`: it never varies."""

    column: str
    kind: Literal["identifies", "decides", "constant"]
    text: str


def warnings_of(
    columns: Columns, features: Sequence[Feature], target: Target | Quantity | Classes | None = None
) -> tuple[Warned, ...]:
    """What a reader should look at, feature by feature; Refused only by what `encode` refuses. None under 10 records.

    A whole-number or level feature identifies if no two records agree; any real number does that, so it is left alone.
    A feature decides a class if each of its values, or each side of one threshold, goes with one class only.
    """
    table = encode(columns, features, target)
    if len(table) < FEWEST:
        return ()
    found, at = list[Warned](), 0
    for feature in features:
        codes = _codes(feature, table.values[:, at : at + len(feature.columns)])
        at += len(feature.columns)
        found += _of(feature, codes, table.target, target)
    return tuple(found)


def _codes(feature: Feature, values: Reals) -> Reals:
    """One number a record: where a number lies, which level it is; NaN where it is missing."""
    if not feature.levels:
        return values[:, 0] * feature.half + feature.middle
    known = values[:, : len(feature.levels) - 1]
    return np.where(np.isnan(known[:, 0]), np.nan, (known * np.arange(1, known.shape[1] + 1)).sum(axis=1))


def _of(feature: Feature, codes: Reals, labels: Reals, target: Target | Quantity | Classes | None) -> list[Warned]:
    present = ~np.isnan(codes)
    known, labels, name = codes[present], labels[present], feature.name
    values = len(np.unique(known))
    if values <= 1:
        return [Warned(name, "constant", f"{name} has {values} values in {len(codes)} records")]
    warned = []
    if values == len(known) >= FEWEST and (feature.levels or np.abs(known - np.rint(known)).max() < 1e-6):
        text = f"{name} is different in each of {len(known)} records, as a number or name of the record is"
        warned.append(Warned(name, "identifies", text))
    decides = _follows if isinstance(target, Quantity) else _tells_apart
    if target is not None and len(known) >= FEWEST and decides(known, labels):
        text = f"{name} alone decides {target.name}: it may be the label under another name, or come after it"
        warned.append(Warned(name, "decides", text))
    return warned


def _follows(known: Reals, numbers: Reals) -> bool:
    """The numbers are the column but for a factor and a shift: |correlation| over 1 - 10^-6."""
    one, two = known - known.mean(), numbers - numbers.mean()
    spread = float((one * one).sum() * (two * two).sum())
    return spread > 0.0 and abs(float((one * two).sum())) > (1.0 - 1e-6) * spread**0.5


def _tells_apart(known: Reals, classes: Reals) -> bool:
    """No value has two classes, and either values come twice on average or thresholds between the classes do."""
    values, different = len(np.unique(known)), len(np.unique(classes))
    if different < 2 or len(np.unique(np.column_stack([known, classes]), axis=0)) > values:
        return False
    changes = int((np.diff(classes[np.argsort(known, kind="stable")]) != 0).sum())
    return 2 * values <= len(known) or changes == different - 1
