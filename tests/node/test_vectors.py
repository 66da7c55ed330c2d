"""The project's good and bad vectors: a good one gives exactly its answer, a bad one fails for the reason it names."""

from __future__ import annotations

import hashlib
import io
import json
import runpy
from pathlib import Path

import pytest

from node import canon, merkle
from node.encryption import floe, wrap
from node.errors import Untrusted
from node.signature import recover

VECTORS = Path(__file__).parents[1] / "vectors"
CANON, MERKLE, FLOE, WRAP = (
    json.loads((VECTORS / f"{name}.json").read_text()) for name in ("canon", "merkle", "floe", "wrap")
)


def bad(document):
    return [pytest.param(case, id=case["name"]) for case in document["bad"]]


def test_the_files_are_what_their_generator_makes():
    for path, text in runpy.run_path(str(VECTORS / "make_sealing.py"))["files"]().items():
        assert path.read_text() == text, f"{path.name} is out of date: run scripts/vectors"


@pytest.mark.parametrize("case", CANON["good"])
def test_canonical_documents_are_read_and_written_alike(case):
    document = canon.parse(case["text"].encode(), limit=CANON["limit"])
    assert canon.encode(document) == case["text"].encode()
    assert canon.digest(document).hex() == case["sha256"] == hashlib.sha256(case["text"].encode()).hexdigest()


@pytest.mark.parametrize("case", bad(CANON))
def test_other_bytes_are_refused(case):
    with pytest.raises(Untrusted) as refused:
        canon.parse(bytes.fromhex(case["bytes"]), limit=CANON["limit"])
    assert refused.value.clause == case["clause"]


def check_inclusion(case):
    leaf, root = bytes.fromhex(case["leaf"]), bytes.fromhex(case["root"])
    merkle.verify_inclusion(leaf, case["index"], case["size"], [bytes.fromhex(item) for item in case["proof"]], root)


def test_inclusion_proofs_hold():
    for case in MERKLE["good"]:
        check_inclusion(case)


@pytest.mark.parametrize("case", bad(MERKLE))
def test_other_inclusion_proofs_are_refused(case):
    with pytest.raises(Untrusted) as refused:
        check_inclusion(case)
    assert refused.value.clause == case["clause"]


def test_vector_root():
    assert merkle.vector_root(bytes.fromhex(MERKLE["vector"]["bytes"])).hex() == MERKLE["vector"]["root"]


def sealed_arguments(case):
    key, aad = (bytes.fromhex(case.get(name, FLOE[name])) for name in ("key", "aad"))
    return key, aad, io.BytesIO(bytes.fromhex(case["sealed"]))


PARAMETERS = floe.Parameters(FLOE["segment"], FLOE["rotation"])


@pytest.mark.parametrize("case", FLOE["good"], ids=lambda case: f"{len(case['plain']) // 2} bytes")
def test_sealed_bytes_open(case):
    plain = io.BytesIO()
    assert floe.open_to(*sealed_arguments(case), plain, parameters=PARAMETERS) == len(case["plain"]) // 2
    assert plain.getvalue().hex() == case["plain"]
    assert floe.Opener(*sealed_arguments(case), parameters=PARAMETERS).read().hex() == case["plain"]


@pytest.mark.parametrize("case", bad(FLOE))
def test_other_sealed_bytes_are_refused_in_sequence(case):
    with pytest.raises(Untrusted) as refused:
        floe.open_to(*sealed_arguments(case), io.BytesIO(), parameters=PARAMETERS)
    assert refused.value.clause == case["clause"]


@pytest.mark.parametrize("case", bad(FLOE))
def test_other_sealed_bytes_are_refused_by_the_seekable_reader(case):
    with pytest.raises(Untrusted) as refused:
        floe.Opener(*sealed_arguments(case), parameters=PARAMETERS).read()
    assert refused.value.clause == case["clause"]


def open_wrap(case):
    context = wrap.WrapContext(**case.get("context", WRAP["context"]))
    expected = wrap.Expected(context, case.get("owner", WRAP["owner"]), recover)
    key = wrap.RecipientKey(bytes.fromhex(case.get("seed", WRAP["seed"])))
    return wrap.open_wrap(case["record"].encode(), key, expected)


def test_a_wrapped_key_opens():
    assert open_wrap(WRAP["good"]).hex() == WRAP["good"]["file_key"]
    record = wrap.WrapRecord.parse(WRAP["good"]["record"].encode())
    assert record.digest.hex() == WRAP["good"]["digest"]
    assert record.context.info().decode() == WRAP["info"]


@pytest.mark.parametrize("case", bad(WRAP))
def test_other_wrapped_keys_are_refused(case):
    with pytest.raises(Untrusted) as refused:
        open_wrap(case)
    assert refused.value.clause == case["clause"]
