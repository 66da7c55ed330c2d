"""securesum.json is what the code does, byte for byte, and its bad rows are refused for the reason they name."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from federation import records
from federation.errors import Refused, Untrusted
from federation.securesum import Bundle, Keys, Mask, Reveal, Round, ShareKey, add_keystreams, pair_key, recover
from federation.securesum.aggregate import check_scalar, check_seed
from federation.securesum.keys import publish
from federation.securesum.shares import combine
from federation.simulate import recompute
from federation.vectors import from_bytes, ring, to_bytes

FOLDER = Path(__file__).parents[1] / "vectors"
MAKER = runpy.run_path(str(FOLDER / "make_securesum.py"))
DOCUMENT = json.loads((FOLDER / "securesum.json").read_text())
CASES = DOCUMENT["cases"]
of_hex = bytes.fromhex


@pytest.fixture(params=CASES, ids=lambda case: case["name"])
def case(request):
    return request.param


def test_the_file_is_what_its_maker_makes():
    assert MAKER["make"](DOCUMENT) == DOCUMENT


def places(case):
    return MAKER["context_in"](case), MAKER["roster_in"](case)


def round_of(case):
    context, roster = places(case)
    keys = {of_hex(row["address"]): Keys(of_hex(row["point"]), of_hex(row["seed_digest"])) for row in case["members"]}
    return Round(context, roster, keys, tuple(sorted(map(of_hex, case["contributions"]))))


def test_published_keys_follow_from_the_secrets(case):
    for row in case["members"]:
        assert records.plain(publish(of_hex(row["scalar"]), of_hex(row["seed"]))) == {
            name: row[name] for name in ("point", "seed_digest")
        }


def test_both_sides_of_a_pair_find_its_key(case):
    context, _ = places(case)
    rows = {row["address"]: row for row in case["members"]}
    for pair in case["pairs"]:
        for mine, other in ((pair["low"], pair["high"]), (pair["high"], pair["low"])):
            key = pair_key(context, mine=of_hex(mine), scalar=of_hex(rows[mine]["scalar"]), other=of_hex(other),
                           point=of_hex(rows[other]["point"]))  # fmt: skip
            assert key.hex() == pair["key"]


def test_bundles_hold_shares_of_both_secrets(case):
    context, roster = places(case)
    keys = {of_hex(row["address"]): ShareKey(of_hex(row["share_key"])) for row in case["members"]}
    for row in case["members"]:
        bundle = Bundle.parse(of_hex(row["bundle"]), context, dealer=of_hex(row["address"]), roster=roster)
        opened = {roster.place(e.holder): bundle.open(e.holder, keys[e.holder]) for e in bundle.entries}
        if len(opened) >= roster.threshold:
            enough = dict(list(opened.items())[: roster.threshold])
            assert combine({place: pair[0] for place, pair in enough.items()}).hex() == row["scalar"]
            assert combine({place: pair[1] for place, pair in enough.items()}).hex() == row["seed"]


def test_contributions_are_vectors_under_the_listed_masks(case):
    seeds = {row["address"]: of_hex(row["seed"]) for row in case["members"]}
    for member, expected in case["contributions"].items():
        pairs = [(of_hex(p["key"]), 1 if p["low"] == member else -1) for p in case["pairs"] if member in p.values()]
        lanes = from_bytes(case["width"], of_hex(case["vectors"][member])).copy()
        add_keystreams(lanes, [Mask(seeds[member], 1), *(Mask(key, sign) for key, sign in pairs)])
        assert to_bytes(lanes).hex() == expected


def test_the_total_is_the_plain_sum_and_what_public_bytes_give(case):
    plain = [from_bytes(case["width"], of_hex(case["vectors"][member])) for member in case["contributions"]]
    assert to_bytes(np.add.reduce(plain, dtype=ring(case["width"]))).hex() == case["total"]
    reveals = [records.parse(Reveal, row) for row in case["reveals"]]
    contributions = {of_hex(member): of_hex(raw) for member, raw in case["contributions"].items()}
    bundles = {of_hex(row["address"]): of_hex(row["bundle"]) for row in case["members"]}
    total = recompute(round_of(case), contributions, reveals, bundles, width=case["width"])
    assert to_bytes(total).hex() == case["total"]


def read_bad(row):
    """What a reader does with the bytes of a bad row; all spoil something of the first member of the third case."""
    case = CASES[2]
    round, first, second = round_of(case), case["members"][0], case["members"][1]
    raw, owner = of_hex(row["bytes"]), of_hex(first["address"])
    if row["kind"] == "seed":
        check_seed(round, owner, raw)
    elif row["kind"] == "scalar":
        check_scalar(round, owner, raw)
    elif row["kind"] == "point":
        pair_key(round.context, mine=of_hex(second["address"]), scalar=of_hex(second["scalar"]), other=owner, point=raw)
    else:
        bundle = Bundle.parse(raw, round.context, dealer=owner, roster=round.roster)
        bundle.open(of_hex(second["address"]), ShareKey(of_hex(second["share_key"])))


@pytest.mark.parametrize("row", DOCUMENT["bad"], ids=lambda row: row["what"])
def test_a_bad_row_is_refused_and_names_its_maker(row):
    with pytest.raises(Untrusted) as caught:
        read_bad(row)
    assert caught.value.clause == row["clause"]
    assert caught.value.culprit == of_hex(row["culprit"])


def test_the_bytes_that_the_bad_rows_spoil_are_good():
    first = CASES[2]["members"][0]
    for kind in ("seed", "scalar", "point", "bundle"):
        read_bad({"kind": kind, "bytes": first[kind]})


def read_round(row):
    """The total of a case with what the row exchanges, and who is set aside."""
    case = next(case for case in CASES if case["name"] == row["case"])
    members = {one["address"]: one for one in case["members"]}
    bundles = {name: one["bundle"] for name, one in members.items()} | row.get("bundles", {})
    contributions = present(case["contributions"] | row.get("contributions", {}))
    reveals = [records.parse(Reveal, answer) for answer in row.get("reveals", case["reveals"])]
    points = {name: one["point"] for name, one in members.items()} | row.get("points", {})
    keys = {of_hex(name): Keys(of_hex(points[name]), of_hex(one["seed_digest"])) for name, one in members.items()}
    round = Round(*places(case), keys, tuple(sorted(contributions)))
    total = recompute(round, contributions, reveals, present(bundles), width=case["width"])
    parsed = {dealer: Bundle.parse(raw, round.context, dealer=dealer, roster=round.roster)
              for dealer, raw in present(bundles).items()}  # fmt: skip
    return case, to_bytes(total).hex(), recover(round, reveals, parsed).false


def present(rows):
    return {of_hex(name): of_hex(raw) for name, raw in rows.items() if raw is not None}


@pytest.mark.parametrize("row", DOCUMENT["bad_rounds"], ids=lambda row: f"{row['what']} ({row['case']})")
def test_a_bad_round_is_refused_and_names_its_culprit(row):
    with pytest.raises((Refused, Untrusted)) as caught:
        read_round(row)
    assert caught.value.clause == row["clause"]
    if isinstance(caught.value, Untrusted):
        assert caught.value.culprit == of_hex(row["culprit"])
    elif row["culprit"]:
        assert row["culprit"] in f"{caught.value.seen} {caught.value.needed}"


@pytest.mark.parametrize("row", DOCUMENT["set_aside"], ids=lambda row: row["what"])
def test_a_round_that_goes_on_names_whom_it_goes_on_without(row):
    case, total, false = read_round(row)
    assert total == case["total"]
    assert false == (of_hex(row["culprit"]),)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_rounds_that_the_bad_rows_spoil_are_good(case):
    assert read_round({"case": case["name"]}) == (case, case["total"], ())
