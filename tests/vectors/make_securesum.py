"""Writes securesum.json: small rounds of the secure sum with fixed randomness, and bytes that must be refused.

Deterministic but for HPKE, which draws its own randomness: boxes already in the file are kept as long as they open to
what this run would seal, so an unchanged protocol leaves an unchanged file.

    python tests/vectors/make_securesum.py
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from federation import records
from federation.errors import Untrusted
from federation.securesum import (
    Address,
    Bundle,
    Context,
    MemberState,
    Roster,
    Round,
    ShareKey,
    accept,
    aggregate,
    contribute,
    deal,
    draw,
    pair_key,
    recover,
    reveal,
    reveal_silent,
)
from federation.vectors import ring, to_bytes

FILE = Path(__file__).with_name("securesum.json")
LANES = 37  # several keystream blocks, the last one not whole
Case = dict[str, Any]


def stream(label: str) -> Callable[[int], bytes]:
    """Bytes that depend on the label alone: SHA-256(label, 0), SHA-256(label, 1), ..."""

    def blocks() -> Iterator[int]:
        count = 0
        while True:
            yield from hashlib.sha256(f"{label} {count}".encode()).digest()
            count += 1

    source = blocks()
    return lambda n: bytes(next(source) for _ in range(n))


def make(previous: dict[str, Any] | None = None) -> dict[str, Any]:
    """The whole document."""
    old = {case["name"]: case for case in (previous or {}).get("cases", [])}
    plans = [("all stay, Z_2^64", 3, 64, 0, 0), ("all stay, Z_2^32", 3, 32, 0, 0),
             ("one drops, Z_2^64", 4, 64, 1, 0), ("one drops, one is silent, Z_2^32", 5, 32, 1, 1)]  # fmt: skip
    cases = [_case(*plan, old.get(plan[0])) for plan in plans]
    return {"about": "hanse secure sum, version 1; hex; lanes little-endian", "cases": cases, "bad": _bad(cases[2])}


def context_in(case: Case) -> Context:
    return records.parse(Context, case["context"])


def roster_in(case: Case) -> Roster:
    return records.parse(Roster, case["roster"])


def _case(name: str, members: int, width: int, drop: int, silent: int, old: Case | None) -> Case:
    rand = stream(name)
    context = Context((31337).to_bytes(32, "big"), rand(20), rand(32), (7).to_bytes(32, "big"))
    threshold = members // 2 + 1 if silent else None  # few members, yet enough shares
    roster = Roster.of((Address(rand(20)) for _ in range(members)), threshold=threshold)
    share_keys = {member: ShareKey.draw(rand) for member in roster.members}
    states, keys, bundles = {}, {}, {}
    for member in roster.members:
        states[member], keys[member] = draw(context, member, rand)
        states[member], dealt = deal(states[member], roster, {m: k.public for m, k in share_keys.items()}, rand)
        bundles[member] = _kept(dealt, share_keys, old)
    secrets = dict(states)
    gone, mute = set(roster.members[:drop]), set(roster.members[members - silent :])
    plain, masked = {}, {}
    for member in roster.members:
        for dealer in set(roster.members) - {member}:
            states[member] = accept(states[member], dealer, bundles[dealer].encode(), share_keys[member])
        plain[member] = np.frombuffer(rand(LANES * width // 8), dtype=ring(width))
        if member not in gone:
            states[member], masked[member] = contribute(states[member], keys, plain[member].copy())
    round = Round(context, roster, keys, tuple(masked))
    answers = _answers(states, round, gone, mute)
    total = aggregate(round, masked, recover(round, answers, bundles))
    return {
        "name": name, "width": width, "context": records.plain(context), "roster": records.plain(roster),
        "members": [_member(secrets[m], share_keys[m], keys[m], bundles[m]) for m in roster.members],
        "pairs": [_pair(secrets, keys, low, high) for low, high in combinations(roster.members, 2)],
        "vectors": {m.hex(): to_bytes(plain[m]).hex() for m in roster.members},
        "contributions": {m.hex(): to_bytes(masked[m]).hex() for m in masked},
        "reveals": [records.plain(answer) for answer in answers], "total": to_bytes(total).hex(),
    }  # fmt: skip


def _answers(states: dict[Address, MemberState], round: Round, gone: set[Address], mute: set[Address]) -> list[Any]:
    answers = []
    for member in sorted(set(round.survivors) - mute):
        states[member], answer = reveal(states[member], round)
        answers.append(answer)
    if mute:
        for member in sorted(set(round.survivors) - mute):
            answers.append(reveal_silent(states[member], mute)[1])
        helper, _ = reveal(states[min(gone)], round)
        answers.append(reveal_silent(helper, mute)[1])
    return answers


def _kept(dealt: Bundle, share_keys: dict[Address, ShareKey], old: Case | None) -> Bundle:
    rows = {row["address"]: row for row in (old or {}).get("members", [])}
    if dealt.dealer.hex() not in rows:
        return dealt
    roster = Roster.of(share_keys)
    try:
        raw = bytes.fromhex(rows[dealt.dealer.hex()]["bundle"])
        kept = Bundle.parse(raw, dealt.context, dealer=dealt.dealer, roster=roster)
        same = all(kept.open(e.holder, share_keys[e.holder]) == dealt.open(e.holder, share_keys[e.holder])
                   for e in dealt.entries)  # fmt: skip
    except Untrusted:
        return dealt
    return kept if same else dealt


def _member(state: MemberState, key: ShareKey, keys: Any, bundle: Bundle) -> Case:
    return {"address": state.me.hex(), "share_key": key.secret.hex(), "scalar": state.scalar.hex(),
            "seed": state.seed.hex(), **records.plain(keys), "bundle": bundle.encode().hex()}  # fmt: skip


def _pair(states: dict[Address, MemberState], keys: dict[Address, Any], low: Address, high: Address) -> Case:
    state = states[low]
    key = pair_key(state.context, mine=low, scalar=state.scalar, other=high, point=keys[high].point)
    return {"low": low.hex(), "high": high.hex(), "key": key.hex()}


def _bad(case: Case) -> list[Case]:
    """Bytes of the first member of `case`, spoiled: what is read, from which bytes, and which check must say so."""
    first = case["members"][0]
    context, roster = context_in(case), roster_in(case)
    bundle = Bundle.parse(bytes.fromhex(first["bundle"]), context, dealer=roster.members[0], roster=roster)
    raw, (one, two, *rest) = bundle.encode(), bundle.entries
    later = replace(bundle, context=replace(context, round=(8).to_bytes(32, "big")))
    rows = [
        ("a seed with one bit changed", "seed", _flipped(bytes.fromhex(first["seed"])), "seed"),
        ("a scalar with one bit changed", "scalar", _flipped(bytes.fromhex(first["scalar"])), "scalar"),
        ("the scalar 0", "scalar", bytes(32), "scalar"),
        ("a point off the curve", "point", _flipped(bytes.fromhex(first["point"])), "point"),
        ("no bundle", "bundle", b"", "bundle"),
        ("a bundle cut short", "bundle", raw[:-1], "bundle"),
        ("a bundle with a byte more", "bundle", raw + b"\0", "bundle"),
        ("a bundle of the next round", "bundle", later.encode(), "bundle"),
        ("holders out of order", "bundle", replace(bundle, entries=(two, one, *rest)).encode(), "bundle"),
        ("a holder twice", "bundle", replace(bundle, entries=(one, one, *rest)).encode(), "bundle"),
        ("a box of another holder", "bundle",
         replace(bundle, entries=(replace(one, box=two.box), two, *rest)).encode(), "box"),
        ("a box with one bit changed", "bundle",
         replace(bundle, entries=(replace(one, box=_flipped(one.box)), two, *rest)).encode(), "box"),
        ("a share unlike its digest", "bundle",
         replace(bundle, entries=(replace(one, seed_digest=_flipped(one.seed_digest)), two, *rest)).encode(), "share"),
    ]  # fmt: skip
    return [
        {"what": what, "kind": kind, "bytes": spoiled.hex(), "clause": clause} for what, kind, spoiled, clause in rows
    ]


def _flipped(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


if __name__ == "__main__":
    before = json.loads(FILE.read_text()) if FILE.exists() else None
    FILE.write_text(json.dumps(make(before), indent=1) + "\n")
