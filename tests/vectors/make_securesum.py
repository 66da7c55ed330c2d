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
from federation.securesum.keys import ORDER
from federation.securesum.shares import digest, split
from federation.vectors import ring, to_bytes

ABOUT = (
    "hanse secure sum, version 1; hex; lanes little-endian. cases: whole rounds. bad: bytes that must be refused, read "
    "as `kind`. bad_rounds: a case with some of its bytes exchanged (`reveals` as a whole; `contributions`, `bundles`, "
    "`points` by member, null: withheld), the check that must refuse it and whom it must name. set_aside: the same, "
    "but the total stays and only `culprit` is named."
)
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
             ("one drops, Z_2^64", 4, 64, 1, 0), ("one drops, one is silent, Z_2^32", 5, 32, 1, 1),
             ("one is silent, Z_2^32", 4, 32, 0, 1), ("two are silent, Z_2^64", 5, 64, 0, 2)]  # fmt: skip
    cases = [_case(*plan, old.get(plan[0])) for plan in plans]
    bad_rounds = [*_bad_rounds(cases[2]), *_bad_silent(cases[4])]
    return {"about": ABOUT, "cases": cases, "bad": _bad(cases[2]), "bad_rounds": bad_rounds,
            "set_aside": _set_aside(cases[3])}  # fmt: skip


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
        for member in sorted(gone):  # who dropped out may help too
            answers.append(reveal_silent(reveal(states[member], round)[0], mute)[1])
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
    moved = {name: replace(bundle, context=replace(context, **{name: b"\7" * len(getattr(context, name))})).encode()
             for name in ("chain", "ledger", "training")}  # fmt: skip
    point, scalar = bytes.fromhex(first["point"]), bytes.fromhex(first["scalar"])
    rows = [
        ("a seed with one bit changed", "seed", _flipped(bytes.fromhex(first["seed"])), "seed"),
        ("a seed of 31 bytes", "seed", bytes.fromhex(first["seed"])[:31], "seed"),
        ("no seed", "seed", b"", "seed"),
        ("a scalar with one bit changed", "scalar", _flipped(scalar), "scalar"),
        ("the scalar 0", "scalar", bytes(32), "scalar"),
        ("the scalar's negative: the same x", "scalar", _negative(scalar), "scalar"),
        ("the order of the curve", "scalar", ORDER.to_bytes(32, "big"), "scalar"),
        ("a scalar of 33 bytes", "scalar", b"\0" + scalar, "scalar"),
        ("a point off the curve", "point", _flipped(point), "point"),
        ("the point 0, 0", "point", bytes(64), "point"),
        ("a coordinate over the field's prime", "point", b"\xff" * 32 + point[32:], "point"),
        ("x alone", "point", point[:32], "point"),
        ("a point of 63 bytes", "point", point[:63], "point"),
        ("no bundle", "bundle", b"", "bundle"),
        ("a bundle cut short", "bundle", raw[:-1], "bundle"),
        ("a bundle with a byte more", "bundle", raw + b"\0", "bundle"),
        ("a bundle of the next round", "bundle", later.encode(), "bundle"),
        ("a bundle of another chain", "bundle", moved["chain"], "bundle"),
        ("a bundle of another ledger", "bundle", moved["ledger"], "bundle"),
        ("a bundle of another training", "bundle", moved["training"], "bundle"),
        ("a bundle of another dealer", "bundle", bytes.fromhex(case["members"][1]["bundle"]), "bundle"),
        ("holders out of order", "bundle", replace(bundle, entries=(two, one, *rest)).encode(), "bundle"),
        ("a holder twice", "bundle", replace(bundle, entries=(one, one, *rest)).encode(), "bundle"),
        ("a holder too few", "bundle", replace(bundle, entries=(one, two)).encode(), "bundle"),
        ("a box of another holder", "bundle",
         replace(bundle, entries=(replace(one, box=two.box), two, *rest)).encode(), "box"),
        ("a box with one bit changed", "bundle",
         replace(bundle, entries=(replace(one, box=_flipped(one.box)), two, *rest)).encode(), "box"),
        ("a box of zeros", "bundle",
         replace(bundle, entries=(replace(one, box=bytes(len(one.box))), two, *rest)).encode(), "box"),
        ("a share of b unlike its digest", "bundle",
         replace(bundle, entries=(replace(one, seed_digest=_flipped(one.seed_digest)), two, *rest)).encode(), "share"),
        ("a share of s unlike its digest", "bundle",
         replace(bundle, entries=(replace(one, scalar_digest=_flipped(one.scalar_digest)), two, *rest)).encode(),
         "share"),
    ]  # fmt: skip
    return [{"what": what, "kind": kind, "bytes": spoiled.hex(), "clause": clause, "culprit": first["address"]}
            for what, kind, spoiled, clause in rows]  # fmt: skip


def _bad_rounds(case: Case) -> list[Case]:
    """The round of `case`, in which the lowest address dropped out and no holder can be done without, spoiled."""
    gone, first, second, third = (row["address"] for row in case["members"])
    vectors, reveals = case["contributions"], case["reveals"]
    bundle, shares = _other_sharing(case, gone)
    other = [{**row, "scalar_shares": [{"dealer": gone, "share": shares[row["member"]]}]} for row in reveals]
    bits = bytes.fromhex(vectors[first])
    return [
        _spoiled(case, "a false seed", "seed", second, reveals=_changed(reveals, second, seed=_flip_hex)),
        _spoiled(case, "a seed of 31 bytes", "seed", third, reveals=_changed(reveals, third, seed=lambda x: x[:-2])),
        _spoiled(case, "a false share of the dropped member's scalar", "shares", second,
                 reveals=_changed(reveals, second, scalar_shares=_false_share)),
        _spoiled(case, "a holder answers for another: its share once more", "shares", third,
                 reveals=_changed(reveals, third, scalar_shares=lambda _: reveals[0]["scalar_shares"])),
        _spoiled(case, "a zero where a share is due", "shares", first,
                 reveals=_changed(reveals, first, scalar_shares=lambda _: [{"dealer": gone, "share": "00" * 32}])),
        _spoiled(case, "a share too few", "shares", None, reveals=_changed(reveals, third, scalar_shares=lambda _: [])),
        _spoiled(case, "shares that match their digests and make another scalar", "scalar", gone,
                 reveals=other, bundles={gone: bundle}),
        _spoiled(case, "the point of another member: nobody knows its scalar", "scalar", gone,
                 points={gone: case["members"][1]["point"]}),
        _spoiled(case, "the dropped member's bundle is withheld", "bundle", gone, bundles={gone: None}),
        _spoiled(case, "a vector a lane short, of the lowest survivor", "length", first,
                 contributions={first: bits[:-8].hex()}),
        _spoiled(case, "a vector a byte short", "length", second, contributions={second: vectors[second][:-2]}),
        _spoiled(case, "a vector a lane too long", "length", third, contributions={third: vectors[third] + "00" * 8}),
        _spoiled(case, "two survivors are too few", "survivors", None, contributions={third: None}),
    ]  # fmt: skip


def _bad_silent(case: Case) -> list[Case]:
    """The round of `case`, in which the highest address fell silent and no holder can be done without, spoiled."""
    first, *_, mute = (row["address"] for row in case["members"])
    reveals = case["reveals"]
    bundle, shares = _other_sharing(case, mute, of_seed=True)
    other = [{**row, "seed_shares": [{"dealer": mute, "share": shares[row["member"]]}] if row["seed_shares"] else []}
             for row in reveals]  # fmt: skip
    return [
        _spoiled(case, "a false share of the silent member's seed", "shares", first,
                 reveals=_changed(reveals, first, seed_shares=_false_share)),
        _spoiled(case, "shares that match their digests and make another seed", "seed", mute,
                 reveals=other, bundles={mute: bundle}),
        _spoiled(case, "the silent member's seed from nobody", "shares", None,
                 reveals=[row for row in reveals if not row["seed_shares"]]),
        _spoiled(case, "the silent member's bundle is withheld", "bundle", mute, bundles={mute: None}),
    ]  # fmt: skip


def _set_aside(case: Case) -> list[Case]:
    """One false share where enough good ones are left: the total is that of `case`, and the holder is named."""
    holder, reveals = case["reveals"][0]["member"], case["reveals"]
    return [_spoiled(case, "a false share of the silent member's seed, one to spare", "", holder,
                     reveals=_changed(reveals, holder, seed_shares=_false_share))]  # fmt: skip


def _spoiled(case: Case, what: str, clause: str, culprit: str | None, **changed: Any) -> Case:
    return {"what": what, "case": case["name"], **changed, "clause": clause, "culprit": culprit}


def _changed(reveals: list[Case], member: str, **by: Callable[[Any], Any]) -> list[Case]:
    """The answers of one member with some fields changed, where there is something in them."""
    return [{**row, **{name: change(row[name]) for name, change in by.items() if row[name]}}
            if row["member"] == member else row for row in reveals]  # fmt: skip


def _false_share(shares: list[Case]) -> list[Case]:
    return [{**one, "share": _flip_hex(one["share"])} for one in shares]


def _flip_hex(text: str) -> str:
    return _flipped(bytes.fromhex(text)).hex()


def _other_sharing(case: Case, dealer: str, *, of_seed: bool = False) -> tuple[str, dict[str, str]]:
    """A dealer's bundle whose digests are those of shares of another secret, and these shares by holder."""
    row = next(row for row in case["members"] if row["address"] == dealer)
    roster = roster_in(case)
    shares = split(stream("another secret")(32), roster, stream("another sharing"))
    bundle = Bundle.parse(bytes.fromhex(row["bundle"]), context_in(case), dealer=Address(bytes.fromhex(dealer)),
                          roster=roster)  # fmt: skip
    name = "seed_digest" if of_seed else "scalar_digest"
    entries = tuple(replace(e, **{name: digest(shares[e.holder])}) for e in bundle.entries)
    return replace(bundle, entries=entries).encode().hex(), {m.hex(): share.hex() for m, share in shares.items()}


def _negative(scalar: bytes) -> bytes:
    return (ORDER - int.from_bytes(scalar, "big")).to_bytes(32, "big")


def _flipped(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


if __name__ == "__main__":
    before = json.loads(FILE.read_text()) if FILE.exists() else None
    FILE.write_text(json.dumps(make(before), indent=1) + "\n")
