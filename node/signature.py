"""secp256k1 signatures over 32-byte digests, in the form of EIP-191 version 0x45 ("personal sign"), and their signers.

The prefix keeps them apart from transactions and typed data: what was signed here can never be sent as either. It does
not know contract accounts (EIP-1271): those are asked on the chain.

    signature = sign(digest, private_key)              # 65 bytes: r, s, v with v 27 or 28
    if recover(digest, signature) != owner: ...
"""

from __future__ import annotations

from functools import lru_cache

from coincurve import PrivateKey, PublicKey

from node.errors import Misuse, Untrusted
from node.model import Address

SIGNATURE_SIZE = 65
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def sign(digest: bytes, private_key: bytes) -> bytes:
    """Deterministic (RFC 6979) signature, r || s || v, s in the lower half of the group's order."""
    signed = PrivateKey(private_key).sign_recoverable(_prefixed(digest), hasher=None)
    return signed[:64] + bytes([27 + signed[64]])


def recover(digest: bytes, signature: bytes) -> Address:
    """Address of whoever signed. Raises Untrusted for other lengths, other `v`, the upper `s`, or no such point."""
    return recover_plain(_prefixed(digest), signature)


def recover_plain(digest: bytes, signature: bytes) -> Address:
    """The same for a digest signed as it is: that of typed data (EIP-712)."""
    if len(signature) != SIGNATURE_SIZE or signature[64] not in (27, 28):
        raise Untrusted("not a signature r, s, v", clause="signature", seen=len(signature), needed=SIGNATURE_SIZE)
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:  # EIP-2: or each signature would have a twin
        raise Untrusted("the signature's s is in the upper half", clause="signature")
    try:
        recoverable = signature[:64] + bytes([signature[64] - 27])
        public = PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except ValueError as error:
        raise Untrusted("the signature recovers to no key", clause="signature") from error
    return address_of(public.format(compressed=False))


def address_of(public_key: bytes) -> Address:
    """Checksummed address (EIP-55) of an uncompressed public key, 65 bytes."""
    return checksummed(keccak(public_key[1:])[-20:].hex())


@lru_cache(maxsize=4096)
def checksummed(address: str) -> Address:
    """An address in EIP-55 spelling. Raises Misuse where it is none."""
    plain = address.removeprefix("0x").lower()
    if len(plain) != 40 or not set(plain) <= set("0123456789abcdef"):
        raise Misuse("not an address", clause="address", seen=address[:80], needed="0x and 40 hex digits")
    check = keccak(plain.encode("ascii")).hex()
    return Address("0x" + "".join(c.upper() if check[i] > "7" else c for i, c in enumerate(plain)))


def keccak(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not FIPS 202's SHA3-256)."""
    from eth_hash.auto import keccak as hash_function

    return hash_function(data)


def _prefixed(digest: bytes) -> bytes:
    if len(digest) != 32:
        raise Misuse("what is signed is a 32-byte digest", clause="digest", seen=len(digest), needed=32)
    return keccak(b"\x19Ethereum Signed Message:\n32" + digest)
