"""Public documents: one byte form each, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import pytest

from federation.sources import Code, Source
from node import canon, documents
from node.documents import (
    SCHEMAS,
    Column,
    Envelope,
    Manifest,
    Mapping,
    OverlapAnswer,
    OverlapRequest,
    PublicKey,
    Receipt,
    ReceiptList,
    Refusal,
    RequestRecord,
    View,
    ViewList,
    decode,
    digest_of,
    encode,
)
from node.errors import Untrusted
from node.model import ZERO, Address, Card, DatasetId, GrantId, Terms, Time, TrainingId

ALICE, BOB = Address("0x" + "aa" * 20), Address("0x" + "bb" * 20)
DATASET, GRANT = DatasetId("0x" + "11" * 32), GrantId("0x" + "22" * 32)
TERMS = Terms(
    DATASET, 1, ALICE, BOB, ZERO, ZERO, ZERO, 1, 1, 0, Time(0), Time(9), Time(5), GrantId(ZERO), ZERO
)  # fmt: skip
VIEW = View(31337, ALICE, TrainingId("0x" + "33" * 32), 0, "revealing", BOB, ZERO, ZERO, ZERO, ZERO, "0x00")
RECORDS: list[Any] = [
    Card("Alice Mills", ("https://alice.example",), "aGk="),
    Envelope(DATASET, 1, "bafk", 12),
    Manifest(DATASET, 1, "Mill", "", "text/csv", 3, ZERO, Time(1), "00", 1, (Column("a", "integer"),)),
    RequestRecord(31337, ALICE, GRANT, TERMS, "0x00"),
    Refusal(GRANT, "owner", "no", "", "", Time(1), "0x00"),
    Receipt(GRANT, DATASET, 1, "bafk", 12, 1, Time(1)),
    ReceiptList((ZERO,)),
    PublicKey(ALICE, "00"),
    VIEW,
    ViewList((VIEW,)),
    PublicKey(ALICE, "00", ZERO),
    OverlapRequest(ALICE, BOB, DATASET, 1, "customer", False, 40, ZERO, Time(1), "0x00"),
    OverlapAnswer(ZERO, ZERO, ZERO, Time(1), "0x00"),
    Mapping(ALICE, ZERO, 1, (Source("a", column="b", factor=0.1, codes=(Code("1", "x"),)), Source("c", "d")), "00"),
]


def test_all_kinds_are_tried_here() -> None:
    assert {type(record) for record in RECORDS} == set(SCHEMAS)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_document_survives_its_bytes(record: Any) -> None:
    assert decode(type(record), encode(record)) == record
    assert digest_of(record) == digest_of(decode(type(record), encode(record)))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d | {"extra": 1},
        lambda d: d | {"schema": "hanse/other/1"},
        lambda d: {name: value for name, value in d.items() if name != "schema"},
        lambda d: {name: value for name, value in list(d.items())[1:] if name != "schema"},
        lambda d: {name: {} if name != "schema" else value for name, value in d.items()},
        lambda d: {name: str(value) if isinstance(value, int) else [value] for name, value in d.items()},
    ],
    ids=["an extra field", "another schema", "no schema", "a field less", "wrong types", "numbers as text"],
)
def test_a_changed_document_is_refused(record: Any, change: Any) -> None:
    document = canon.parse(encode(record), limit=1 << 20)
    with pytest.raises(Untrusted):
        decode(type(record), canon.encode(change(document)))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"schema":"hanse/card/1"}', b"{" * 100])
def test_bytes_that_are_no_document_are_refused(data: bytes) -> None:
    with pytest.raises(Untrusted):
        decode(Card, data)


def test_a_training_key_without_a_mapping_has_the_bytes_it_always_had() -> None:
    bare = b'{"key":"00","member":"' + ALICE.encode() + b'","schema":"hanse/training-key/1"}'
    assert encode(PublicKey(ALICE, "00")) == bare
    with pytest.raises(Untrusted):
        decode(PublicKey, bare.replace(b'"member"', b'"mapping":null,"member"'))


@pytest.mark.parametrize(
    "source",
    [
        {"column": "b", "constant": "1"},
        {},
        {"column": "b", "factor": 0},
        {"column": "b", "factor": 2, "unit": "kg"},
        {"column": "b", "unit": "two words"},
    ],
)
def test_a_mapping_whose_source_says_two_things_or_none_is_refused(source: dict[str, Any]) -> None:
    document = canon.parse(encode(RECORDS[-1]), limit=1 << 20)
    bare = {"feature": "a", "column": None, "constant": None, "unit": "", "factor": None, "offset": None}
    document["sources"] = [bare | {"missing": [], "codes": []} | source]
    with pytest.raises(Untrusted):
        decode(Mapping, canon.encode(document))


def test_another_byte_form_of_the_same_document_is_refused() -> None:
    data = encode(RECORDS[0])
    with pytest.raises(Untrusted):
        decode(Card, data.replace(b",", b", "))
    with pytest.raises(Untrusted):
        decode(Card, data + b"\n")


def test_a_document_as_json_shows_python_names_as_the_chain_does() -> None:
    assert documents.plain(TERMS)["from"] == 0
    assert "from_" not in documents.plain(TERMS)
