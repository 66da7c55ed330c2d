"""What each member draws for a round, the key that two members share, and the key to which shares are sealed.

Not here: splitting secrets (`shares`), using them (`masks`). The curve is secp256k1 because the EVM can check
Q = s P with ecrecover; the seal for shares is HPKE with ML-KEM-768 + X25519, as sealed shares lie in public stores.

    scalar, seed = draw_scalar(rand), draw_scalar(rand)
    keys = publish(scalar, seed)
    key = pair_key(context, mine=me, scalar=scalar, other=them, point=their_keys.point)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import coincurve
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from federation.errors import Untrusted
from federation.securesum.round import Address, Context, Keys

Random: TypeAlias = Callable[[int], bytes]

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1 (SEC 2)
PAIR_TAG = b"hanse/pair/1"
SHARE_TAG = b"hanse/share/1"
SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
PUBLIC_SIZE, SECRET_SIZE, SEAL_OVERHEAD = 1184 + 32, 64 + 32, 1120 + 16


def draw_scalar(rand: Random) -> bytes:
    """32 bytes, big-endian, uniform in [1, order): a secret scalar, or a seed shared over the same field."""
    while not 0 < int.from_bytes(drawn := rand(32), "big") < ORDER:
        continue
    return drawn


def publish(scalar: bytes, seed: bytes) -> Keys:
    """The public side of a member's two secrets."""
    return Keys(point_of(scalar), hashlib.sha256(seed).digest())


def point_of(scalar: bytes) -> bytes:
    """s G as x || y."""
    return coincurve.PublicKey.from_secret(scalar).format(compressed=False)[1:]


def shared_point(scalar: bytes, point: bytes) -> bytes:
    """Q = s P as x || y. Raises ValueError if `point` is not on the curve."""
    return coincurve.PublicKey(b"\x04" + point).multiply(scalar).format(compressed=False)[1:]


def pair_key(context: Context, *, mine: Address, scalar: bytes, other: Address, point: bytes) -> bytes:
    """k_uv = SHA-256(tag, chain, ledger, training, round, lower address, higher address, Q), Q = s_u P_v as x || y.

    Untrusted, naming `other`, if its point is not on the curve.
    """
    try:
        shared = shared_point(scalar, point)
    except ValueError as exc:
        raise Untrusted("a round key is no point of secp256k1", clause="point", culprit=other) from exc
    low, high = sorted((mine, other))
    return hashlib.sha256(PAIR_TAG + context.encode() + low + high + shared).digest()


def sign(mine: Address, other: Address) -> int:
    """+1 for the lower address of a pair, -1 for the higher: the pair's masks cancel in the sum."""
    return 1 if mine < other else -1


@dataclass(frozen=True)
class ShareKey:
    """A member's HPKE key pair of one training: for shares only, wiped when the training closes.

    `secret` is the ML-KEM-768 seed (64 bytes) and the X25519 key (32); the public key their public keys, 1184 + 32.
    """

    secret: bytes

    @classmethod
    def draw(cls, rand: Random) -> ShareKey:
        """A fresh pair from 96 random bytes."""
        return cls(rand(SECRET_SIZE))

    @cached_property
    def _private(self) -> hpke.MLKEM768X25519PrivateKey:
        return hpke.MLKEM768X25519PrivateKey(
            mlkem.MLKEM768PrivateKey.from_seed_bytes(self.secret[:64]),
            x25519.X25519PrivateKey.from_private_bytes(self.secret[64:]),
        )

    @property
    def public(self) -> bytes:
        """1216 bytes."""
        first = mlkem.MLKEM768PrivateKey.from_seed_bytes(self.secret[:64])
        second = x25519.X25519PrivateKey.from_private_bytes(self.secret[64:])
        return first.public_key().public_bytes_raw() + second.public_key().public_bytes_raw()

    def open(self, box: bytes, info: bytes) -> bytes:
        """What was sealed under exactly this `info`, or Untrusted."""
        try:
            return SUITE.decrypt(box, self._private, info)
        except (InvalidTag, ValueError) as exc:
            raise Untrusted("sealed shares do not open", clause="box") from exc


def seal(plain: bytes, public: bytes, info: bytes) -> bytes:
    """`plain` for the holder of `public`, 1136 bytes longer. HPKE draws its own randomness inside OpenSSL."""
    if len(public) != PUBLIC_SIZE:
        raise Untrusted("a share key of another size", clause="share key")
    try:
        first = mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184])
        second = x25519.X25519PublicKey.from_public_bytes(public[1184:])
        return SUITE.encrypt(plain, hpke.MLKEM768X25519PublicKey(first, second), info)
    except ValueError as exc:
        raise Untrusted("a share key that is none", clause="share key") from exc
