import hashlib
import os
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import canon
from node.encryption import commitment, wrap
from node.errors import Misuse, Untrusted
from node.signature import recover, sign

OWNER_KEY, STRANGER_KEY = bytes(31) + b"\1", bytes(31) + b"\2"
OWNER = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"  # of the private key 1


@pytest.fixture
def bob():
    return wrap.RecipientKey(os.urandom(32))


def context_for(key):
    return wrap.WrapContext(
        chain_id=31337,
        grants="0x5FbDB2315678afecb367f032d93F642f64180aa3",
        dataset="0x" + "11" * 32,
        version=1,
        envelope="bafy",
        grant="0x" + "22" * 32,
        recipient=key.public.digest,
    )


def by(private_key):
    return lambda digest: sign(digest, private_key)


def test_the_recipient_key_is_x_wing():
    """First vector of draft-connolly-cfrg-xwing-kem, appendix C; the public key by its ends and its SHA-256."""
    key = wrap.RecipientKey(bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"))
    assert len(key.public.raw) == wrap.PUBLIC_SIZE
    assert key.public.raw.hex().startswith("e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5")
    assert key.public.raw.hex().endswith("5b69859edb06eff389b27dce59844570216223593d4ba32d9abac8cd049040ef6534")
    assert key.public.digest == "0x2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb"


def test_the_seed_is_in_no_text_form():
    seed = os.urandom(32)
    assert seed.hex() not in repr(wrap.RecipientKey(seed)).lower()


def test_a_wrapped_key_opens_for_its_recipient_only(bob):
    context, file_key = context_for(bob), os.urandom(32)
    record = wrap.wrap(file_key, wrap.PublicKey(bob.public.raw), context, sign=by(OWNER_KEY))
    expected = wrap.Expected(context, OWNER, recover)
    assert wrap.open_wrap(record.encode(), bob, expected) == file_key
    assert file_key not in record.encode()
    assert len(record.wrapped) == wrap.WRAPPED_SIZE
    with pytest.raises(Untrusted) as refused:
        wrap.open_wrap(record.encode(), wrap.RecipientKey(os.urandom(32)), expected)
    assert refused.value.clause == "wrapped"


def test_anyone_can_check_the_owner_without_opening(bob):
    context = context_for(bob)
    record = wrap.wrap(os.urandom(32), bob.public, context, sign=by(STRANGER_KEY))
    with pytest.raises(Untrusted) as refused:
        wrap.verify(record, wrap.Expected(context, OWNER, recover))
    assert refused.value.clause == "signature"


def test_every_field_of_the_context_is_bound(bob):
    context = context_for(bob)
    infos = {context.info()}
    for field in fields(context):
        value = getattr(context, field.name)
        infos.add(replace(context, **{field.name: value + (1 if isinstance(value, int) else "0")}).info())
    assert len(infos) == 1 + len(fields(context))


def test_a_context_for_another_key_is_misuse(bob):
    other = wrap.RecipientKey(os.urandom(32))
    with pytest.raises(Misuse) as misuse:
        wrap.wrap(os.urandom(32), other.public, context_for(bob), sign=by(OWNER_KEY))
    assert misuse.value.clause == "recipient"


@given(st.data())
def test_no_altered_record_opens(data):
    key = wrap.RecipientKey(bytes(32))
    context = context_for(key)
    encoded = bytearray(wrap.wrap(bytes(32), key.public, context, sign=by(OWNER_KEY)).encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Untrusted):
        wrap.open_wrap(bytes(encoded), key, wrap.Expected(context, OWNER, recover))


@pytest.mark.parametrize("raw", [b"", bytes(1215), bytes(1217)])
def test_a_recipient_key_of_another_length_is_untrusted(raw):
    with pytest.raises(Untrusted):
        wrap.PublicKey(raw)


def test_a_recipient_key_that_is_no_ml_kem_key_is_untrusted():
    key = wrap.PublicKey(b"\xff" * wrap.PUBLIC_SIZE)  # coefficients beyond the modulus (FIPS 203, section 7.2)
    with pytest.raises(Untrusted) as refused:
        wrap.wrap(
            bytes(32), key, replace(context_for(wrap.RecipientKey(bytes(32))), recipient=key.digest), sign=by(OWNER_KEY)
        )
    assert refused.value.clause == "recipient"


@pytest.mark.parametrize("x25519", [bytes(32), b"\1" + bytes(31)], ids=["zero", "one"])
def test_an_x25519_point_of_small_order_is_untrusted(bob, x25519):
    key = wrap.PublicKey(bob.public.raw[:-32] + x25519)
    with pytest.raises(Untrusted) as refused:
        wrap.wrap(bytes(32), key, replace(context_for(bob), recipient=key.digest), sign=by(OWNER_KEY))
    assert refused.value.clause == "recipient"


def test_a_share_of_small_order_inside_the_wrapped_key_is_untrusted(bob):
    context = context_for(bob)
    wrapped = bytearray(wrap.wrap(bytes(32), bob.public, context, sign=by(OWNER_KEY)).wrapped)
    wrapped[1088:1120] = bytes(32)  # X25519's part of enc
    bare = wrap.WrapRecord(context, bytes(wrapped), b"")
    record = replace(bare, signature=sign(bare.digest, OWNER_KEY))
    with pytest.raises(Untrusted) as refused:
        wrap.open_wrap(record.encode(), bob, wrap.Expected(context, OWNER, recover))
    assert refused.value.clause == "wrapped"


def test_a_commitment_is_the_hash_of_the_salted_manifest():
    manifest = commitment.salted({"title": "mill-7"}, bytes(range(32)))
    on_chain = commitment.commit(manifest)
    assert on_chain == hashlib.sha256(manifest).digest()
    commitment.verify(manifest, on_chain)
    assert canon.parse(manifest, limit=1000)["title"] == "mill-7"


def test_another_salt_is_another_commitment():
    first, second = (commitment.salted({"title": "mill-7"}, bytes([i]) * 32) for i in (1, 2))
    with pytest.raises(Untrusted) as refused:
        commitment.verify(second, commitment.commit(first))
    assert refused.value.clause == "commitment"


@pytest.mark.parametrize(
    "document",
    [{}, {"salt": None}, {"salt": ""}, {"salt": "00" * 31}, {"salt": "0" * 63}, {"salt": "FF" * 32}, {"salt": 7}],
    ids=str,
)
def test_a_manifest_without_a_whole_salt_is_untrusted(document):
    with pytest.raises(Untrusted) as refused:
        commitment.commit(canon.encode({"title": "mill-7"} | document))
    assert refused.value.clause == "salt"


@pytest.mark.parametrize(("manifest", "salt"), [({}, bytes(31)), ({}, b""), ({"salt": "x"}, bytes(32))])
def test_a_short_or_second_salt_is_misuse(manifest, salt):
    with pytest.raises(Misuse) as misuse:
        commitment.salted(manifest, salt)
    assert misuse.value.clause == "salt"


def test_a_manifest_beyond_the_limit_is_misuse():
    with pytest.raises(Misuse) as misuse:
        commitment.salted({"text": "x" * commitment.MANIFEST_LIMIT}, bytes(32))
    assert misuse.value.clause == "size"
