"""A file key wrapped for one recipient: HPKE (RFC 9180) with the hybrid KEM MLKEM768-X25519, in a signed record.

The KEM is X-Wing (draft-connolly-cfrg-xwing-kem, KEM id 0x647a): a copy on a public store lives for ever, so the key
must outlast X25519. HPKE's base mode names no sender, hence the owner's signature over the record. It holds no keys of
the node. The KEM's randomness is drawn inside the library, which does not let a caller give it.

    record = wrap(file_key, recipient, context, sign=keyring.sign_digest)
    store.put(record.encode())
    file_key = open_wrap(record_bytes, keyring.hpke, Expected(context, owner, recover))
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from node import canon
from node.errors import Misuse, Untrusted
from node.model import Address, DatasetId, Digest, GrantId, digest

SCHEMA = "hanse/wrap/1"
SUITE = "HPKE-MLKEM768X25519-HKDFSHA256-AES256GCM"
SEED_SIZE = 32
PUBLIC_SIZE = 1216  # 1184 of ML-KEM-768, 32 of X25519
WRAPPED_SIZE = 1168  # 1120 of enc, 32 of key, 16 of tag
RECORD_LIMIT = 8192
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)

Sign = Callable[[bytes], bytes]  # a 32-byte digest -> the owner's signature over it
Recover = Callable[[bytes, bytes], Address]  # (digest, signature) -> address of the signer; raises Untrusted


@dataclass(frozen=True)
class PublicKey:
    """A recipient's public key as the chain's member card shows it: ML-KEM-768 || X25519, 1216 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_SIZE:
            raise Untrusted("no recipient key", clause="recipient", seen=len(self.raw), needed=f"{PUBLIC_SIZE} bytes")

    @property
    def digest(self) -> Digest:
        """SHA-256 of the raw bytes: the name of the key."""
        return digest(hashlib.sha256(self.raw).digest())

    @cached_property
    def _hpke(self) -> hpke.MLKEM768X25519PublicKey:
        try:
            mlkem = MLKEM768PublicKey.from_public_bytes(self.raw[:-32])
            return hpke.MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(self.raw[-32:]))
        except ValueError as error:
            raise Untrusted("not a point of ML-KEM-768 and X25519", clause="recipient") from error


class RecipientKey:
    """A private key, made from a 32-byte seed (X-Wing's decapsulation key); its repr shows the public digest only."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise Misuse("a recipient key is made from 32 bytes", clause="seed", seen=len(seed), needed=SEED_SIZE)
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self._hpke = hpke.MLKEM768X25519PrivateKey(mlkem, x25519)
        self.public = PublicKey(mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"RecipientKey({self.public.digest[:18]})"


@dataclass(frozen=True)
class WrapContext:
    """What a wrapped key is for. Every field is bound: a wrap opens under exactly these values and no others."""

    chain_id: int
    grants: Address  # the Grants contract
    dataset: DatasetId
    version: int
    envelope: str  # CID of the sealed bytes
    grant: GrantId
    recipient: Digest  # of the recipient's public key

    def info(self) -> bytes:
        """HPKE's `info`: canonical JSON of label, suite and all fields (injective, so no lengths are needed)."""
        return canon.encode({"label": SCHEMA, "suite": SUITE, "context": asdict(self)})

    @classmethod
    def from_document(cls, document: Any) -> WrapContext:
        if not isinstance(document, Mapping) or set(document) != {field.name for field in fields(cls)}:
            raise Untrusted("the record names another context than this suite binds", clause="context")
        context = cls(**document)
        for field in fields(cls):
            value = getattr(context, field.name)
            if type(value) is not (int if field.type == "int" else str):
                raise Untrusted("a field has the wrong type", clause=field.name, seen=type(value).__name__)
        return context


@dataclass(frozen=True)
class WrapRecord:
    """A wrapped key as stored, about 2 KB of canonical JSON; public, it shows who may open what but not the key."""

    context: WrapContext
    wrapped: bytes  # HPKE's enc || ciphertext
    signature: bytes  # the owner's, over `digest`

    @property
    def digest(self) -> bytes:
        """What the owner signs: SHA-256 of the canonical record without its signature."""
        return canon.digest(_unsigned(self.context, self.wrapped))

    def encode(self) -> bytes:
        return canon.encode(_unsigned(self.context, self.wrapped) | {"signature": _base64(self.signature)})

    @classmethod
    def parse(cls, data: bytes) -> WrapRecord:
        """Raises Untrusted: clause `schema`, `suite`, `context` or a field of it, `enc_ct`, `signature`, or canon's."""
        document = canon.parse(data, limit=RECORD_LIMIT)
        for name, needed in (("schema", SCHEMA), ("suite", SUITE)):
            if document.get(name) != needed:
                raise Untrusted(f"unknown {name}", clause=name, seen=document.get(name), needed=needed)
        if set(document) != {"schema", "suite", "context", "enc_ct", "signature"}:
            raise Untrusted("the record has other fields than its schema", clause="schema", seen=sorted(document))
        context = WrapContext.from_document(document["context"])
        return cls(context, _bytes(document, "enc_ct", WRAPPED_SIZE), _bytes(document, "signature", 65))


@dataclass(frozen=True)
class Expected:
    """What the opener knows from elsewhere (the chain, its own key): never taken from the record."""

    context: WrapContext
    owner: Address
    recover: Recover


def wrap(file_key: bytes, recipient: PublicKey, context: WrapContext, *, sign: Sign) -> WrapRecord:
    """Wrap a 32-byte file key for `recipient`, signed by the owner.

    Raises Misuse when `context` names another key, Untrusted (clause `recipient`) when the public key is a bad one.
    """
    if len(file_key) != 32:
        raise Misuse("a file key has 32 bytes", clause="key", seen=len(file_key), needed=32)
    if context.recipient != recipient.digest:
        raise Misuse("the context names another recipient key", clause="recipient", seen=context.recipient)
    try:
        wrapped = _SUITE.encrypt(file_key, recipient._hpke, context.info())
    except ValueError as error:  # an X25519 point of small order (RFC 7748, section 6.1)
        raise Untrusted("nothing can be wrapped for this recipient key", clause="recipient") from error
    return WrapRecord(context, wrapped, sign(canon.digest(_unsigned(context, wrapped))))


def verify(record: WrapRecord, expected: Expected) -> None:
    """Raise Untrusted unless the record is for the expected context and signed by the owner; anyone can check this."""
    for field in fields(WrapContext):
        seen, needed = getattr(record.context, field.name), getattr(expected.context, field.name)
        if seen != needed:
            raise Untrusted("the key was wrapped for something else", clause=field.name, seen=seen, needed=needed)
    signer = expected.recover(record.digest, record.signature)
    if signer != expected.owner:
        raise Untrusted("the record is not signed by the owner", clause="signature", seen=signer, needed=expected.owner)


def open_wrap(data: bytes, key: RecipientKey, expected: Expected) -> bytes:
    """The 32-byte file key of an encoded record. Raises Untrusted: clause as in `parse` and `verify`, or `wrapped`."""
    record = WrapRecord.parse(data)
    verify(record, expected)
    try:
        file_key = _SUITE.decrypt(record.wrapped, key._hpke, expected.context.info())
    except (InvalidTag, ValueError) as error:
        raise Untrusted("the key does not open: another recipient, or altered bytes", clause="wrapped") from error
    if len(file_key) != 32:
        raise Untrusted("what was wrapped is no file key", clause="wrapped", seen=len(file_key), needed=32)
    return file_key


def _unsigned(context: WrapContext, wrapped: bytes) -> dict[str, Any]:
    return {"schema": SCHEMA, "suite": SUITE, "context": asdict(context), "enc_ct": _base64(wrapped)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(document: Mapping[str, Any], name: str, size: int) -> bytes:
    text = document[name]
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError) as error:
        raise Untrusted("not base64", clause=name) from error
    # One byte string, one text: base64's unused bits would otherwise make two records of one.
    if len(data) != size or _base64(data) != text:
        raise Untrusted("not the bytes of this suite", clause=name, seen=len(data), needed=f"{size} bytes")
    return data
