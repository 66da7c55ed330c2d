"""Fusion: say once how our own columns become those that a plan names, keep it, and see what it comes to.

Each change is a new version. What a training was joined with stays for that training; its digest is on chain, inside
our training key. It does not touch the published file: the table goes through the mapping whenever it is used.

    set_mapping(node, plan, sources)
    for row in check(node, plan, dataset): print(row.feature, row.column, row.missing, row.unknown)
    join(node, training, dataset)                              # uses it
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from federation.errors import FederationError
from federation.mapping import Seen, Wanted, examined, require_whole, wanted
from federation.sources import Source
from node import mapped, tables
from node.db import documents as private
from node.documents import Mapping, digest_of, encode
from node.errors import NotFound
from node.ledger import dataset_of
from node.model import DatasetId, Digest, TrainingId
from node.sealed import open_own
from node.sums import Plan
from node.trainer import translated
from node.wiring import Node

SIMILAR = 0.6
"""How like two names must be, from 0 to 1, for one to be suggested for the other."""


@dataclass(frozen=True, slots=True)
class KeptMapping:
    """One version of a mapping. `already`: it says what the newest says. `earlier`: trainings under way that were
    joined with another version, and go on with it."""

    plan: Digest
    version: int
    digest: Digest
    sources: tuple[Source, ...]
    already: bool
    earlier: tuple[TrainingId, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What one of the plan's columns comes to. `missing`: share of the records. `unknown`: texts that are no code,
    level or number, with their counts. `rows`: the first with something wrong, counted from 1 below the header.
    `suggested`: the own column with the most similar name, where none is named or the one named is not there."""

    feature: str
    unit: str
    column: str
    records: int
    missing: float
    unknown: tuple[str, ...]
    outside: int
    low: float | None
    high: float | None
    rows: tuple[int, ...]
    trouble: str
    suggested: str


def set_mapping(node: Node, plan: Plan, sources: Sequence[Source]) -> KeptMapping:
    """Keep a mapping for the plan as its next version; the same again changes nothing.

    Raises Refused for a column of the plan without a source, a unit that cannot become the plan's, an unknown level."""
    try:
        require_whole(sources, wanted(plan.params))
    except FederationError as exc:
        raise translated(exc) from exc
    digest = mapped.plan_digest(plan)
    with node.db.writing() as tx:
        newest = next(reversed(mapped.versions(tx, digest)), None)
        already = newest is not None and newest.sources == tuple(sources)
        if newest is None or not already:
            number = newest.version + 1 if newest else 1
            newest = Mapping(node.me, digest, number, tuple(sources), os.urandom(32).hex())
            private.put(tx, mapped.KIND, encode(newest), at=node.clock())
    return _kept(node, newest, already=already)


def show(node: Node, plan: Plan) -> list[KeptMapping]:
    """All versions of our mapping for a plan, oldest first. Raises NotFound where there is none."""
    with node.db.reading() as tx:
        found = mapped.versions(tx, mapped.plan_digest(plan))
    if not found:
        raise NotFound("no mapping for this plan", clause="mapping", seen=plan.title, hint="`hanse mapping set`")
    return [_kept(node, one, already=True) for one in found]


def check(
    node: Node, plan: Plan, dataset: DatasetId, *, version: int | None = None, sources: Sequence[Source] | None = None
) -> list[Checked]:
    """What a mapping makes of one of our versions, the newest where none is named: the kept mapping, or `sources`.

    Without either, columns with the plan's own names are taken as they are, in the plan's unit."""
    want, number = wanted(plan.params), version or dataset_of(node.ledger, dataset).current.number
    with open_own(node, dataset, number) as file:
        own = tables.columns(file)
    if sources is None:
        kept = mapped.current(node, mapped.plan_digest(plan))
        sources = kept.sources if kept else [_as_is(one) for one in want]
    named = {source.feature: source for source in sources}
    seen = examined(sources, want, own)
    return [_checked(one, named.get(one.name), what, own) for one, what in zip(want, seen, strict=True)]


def suggested(name: str, own: Iterable[str]) -> str:
    """The own column whose name is most like `name`, letters and digits only; empty where none is like it."""
    plain = {_plain(column): column for column in own}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=SIMILAR)
    return plain[near[0]] if near else ""


def _as_is(one: Wanted) -> Source:
    return Source(one.name, column=one.name, unit=getattr(one, "unit", ""))


def _kept(node: Node, one: Mapping, *, already: bool) -> KeptMapping:
    digest = digest_of(one)
    mine = [t for t in node.ledger.trainings.values() if t.terms.plan == one.plan and t.position(node.me) is not None]
    earlier = tuple(t.id for t in mine if mapped.joined_with(node, t) != digest)
    return KeptMapping(one.plan, one.version, digest, one.sources, already, earlier)


def _checked(one: Wanted, source: Source | None, seen: Seen, own: Iterable[str]) -> Checked:
    names = [*own]
    column = "" if source is None else source.column or f"constant {source.constant}"
    lost = source is None or (source.column is not None and source.column not in names)
    return Checked(
        feature=one.name, unit=getattr(one, "unit", ""), column=column, records=seen.records,
        missing=round(seen.missing, 6), unknown=tuple(f"{u.text} ({u.count})" for u in seen.unknown),
        outside=seen.outside, low=seen.low, high=seen.high, trouble=seen.trouble,
        rows=tuple(sorted({*seen.unknown_rows, *seen.outside_rows})),
        suggested=suggested(one.name, names) if lost else "",
    )  # fmt: skip


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
