"""Offers and terms: what goes beyond an offer is named, and every clause says who enforces it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import canon
from node.errors import Misuse, Refused, Untrusted
from node.model import ZERO, Address, DatasetId, Digest, GrantId, Terms, Time, Use
from node.policy import (
    Offer,
    agreement_document,
    bits,
    clauses,
    names,
    offer_document,
    parse_offer,
    require_offered,
    use_words,
)
from node.purposes import PURPOSES

DAY = 86_400
ALICE, BOB = Address("0x" + "aa" * 20), Address("0x" + "bb" * 20)
TERMS = Terms(
    DatasetId("0x" + "11" * 32), 2, ALICE, BOB, ZERO, ZERO, ZERO, int(Use.READ), bits(["research"]), 0, Time(0),
    Time(30 * DAY), Time(DAY), GrantId(ZERO), Digest(ZERO),
)  # fmt: skip
OFFER = Offer(Use.READ, ("research", "quality"), days=30, count=0)

offers = st.builds(
    Offer,
    st.sampled_from([Use.READ, Use.TRAIN, Use.READ | Use.TRAIN]),
    st.lists(st.sampled_from(PURPOSES), min_size=1, unique=True).map(tuple),
    st.integers(1, 36_500),
    st.integers(0, 1000),
)


@given(offers)
def test_an_offer_survives_its_document_and_its_bytes(offer: Offer) -> None:
    data = canon.encode(offer_document(offer))
    assert parse_offer(canon.parse(data, limit=1 << 20)) == offer


@given(st.integers(0, 2 ** len(PURPOSES) - 1))
def test_purposes_are_the_bits_of_the_vocabulary(purposes: int) -> None:
    assert bits(names(purposes)) == purposes


def test_a_word_outside_the_vocabulary_is_named() -> None:
    with pytest.raises(Misuse, match="unknown purpose"):
        bits(["profit"])


@pytest.mark.parametrize(
    ("changed", "clause"),
    [
        ({"uses": int(Use.TRAIN)}, "use"),
        ({"purposes": bits(["risk"])}, "purpose"),
        ({"purposes": 0}, "purpose"),
        ({"purposes": 1 << 20}, "purpose"),
        ({"until": Time(30 * DAY + 1)}, "period"),
        ({"until": Time(0)}, "period"),
    ],
)
def test_terms_beyond_the_offer_are_refused_by_clause(changed: dict[str, Any], clause: str) -> None:
    require_offered(OFFER, TERMS)
    with pytest.raises(Refused) as caught:
        require_offered(OFFER, replace(TERMS, **changed))
    assert caught.value.clause == clause


@pytest.mark.parametrize(("count", "holds"), [(0, False), (1, True), (3, True), (4, False)])
def test_a_count_offered_must_be_asked_for(count: int, holds: bool) -> None:
    offer = replace(OFFER, count=3)
    if holds:
        require_offered(offer, replace(TERMS, count=count))
        return
    with pytest.raises(Refused) as caught:
        require_offered(offer, replace(TERMS, count=count))
    assert caught.value.clause == "count"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d | {"permission": []},
        lambda d: d | {"permission": "all"},
        lambda d: d | {"prohibition": []},
        lambda d: d | {"@type": "Agreement"},
        lambda d: {**d, "permission": [d["permission"][0] | {"action": "sell"}]},
        lambda d: {**d, "permission": [d["permission"][0] | {"duty": []}]},
        lambda d: {**d, "permission": [d["permission"][0] | {"constraint": []}]},
        lambda d: {k: v for k, v in d.items() if k != "permission"},
    ],
)
def test_an_offer_with_clauses_we_cannot_read_is_not_read_in_part(change: Any) -> None:
    with pytest.raises(Untrusted):
        parse_offer(change(offer_document(OFFER)))


def test_an_offer_for_unknown_purposes_is_not_an_offer() -> None:
    with pytest.raises(Untrusted):
        parse_offer(offer_document(replace(OFFER, purposes=("profit",))))


def test_every_clause_is_enforced_or_says_that_it_is_not() -> None:
    found = {clause.name: clause for clause in clauses(replace(TERMS, count=3))}
    assert list(found) == ["consumer", "version", "use", "period", "count", "purpose"]
    assert {name for name, clause in found.items() if "declared only" in clause.enforced_by} == {"count", "purpose"}
    assert found["period"].value == "1970-01-01T00:00:00Z to 1970-01-31T00:00:00Z"
    assert (found["use"].value, found["count"].value, found["purpose"].value) == ("read", "3", "research")


def test_uses_in_words() -> None:
    assert [use_words(uses) for uses in range(4)] == ["nothing", "read", "train", "read and train"]


def test_an_agreement_says_all_that_is_signed_in_odrl() -> None:
    document = agreement_document(replace(TERMS, count=3, uses=3))
    assert (document["assigner"], document["assignee"]) == (f"did:pkh:{ALICE}", f"did:pkh:{BOB}")
    assert [one["action"] for one in document["permission"]] == ["read", "https://w3id.org/hanse/train"]
    for permission in document["permission"]:
        assert permission["target"] == f"urn:hanse:{TERMS.dataset}:2"
        limits = {(c["leftOperand"], c["operator"]): c["rightOperand"] for c in permission["constraint"]}
        assert limits == {
            ("purpose", "isAnyOf"): ["research"],
            ("dateTime", "gteq"): "1970-01-01T00:00:00Z",
            ("dateTime", "lt"): "1970-01-31T00:00:00Z",
            ("count", "lteq"): 3,
        }
