"""Shamir shares of a member's two round secrets, and the one document (bundle) that carries them to their holders.

The scalar s and the seed b are each shared over the order of secp256k1: any `threshold` holders can rebuild one, fewer
learn nothing. Beside each sealed pair stands SHA-256 of either share, so that later a false share is pinned on its
holder, and shares that match their digests but do not fit together are pinned on the dealer.

    bundle = Bundle.parse(raw, context, dealer=dealer, roster=roster)
    secret = combine({place: share, ...})
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import prod

from federation.errors import Refused, Untrusted
from federation.securesum.keys import ORDER, SEAL_OVERHEAD, SHARE_TAG, Random, ShareKey, draw_scalar, seal
from federation.securesum.round import Address, Context, Roster

MAGIC = b"hanse/bundle/1\n"
BOX = 64 + SEAL_OVERHEAD
ENTRY = 20 + 32 + 32 + BOX


def split(secret: bytes, roster: Roster, rand: Random) -> dict[Address, bytes]:
    """A share (32 bytes, big-endian) a member: p(place) of a random p of degree threshold - 1, p(0) = secret."""
    terms = [int.from_bytes(secret, "big"), *(_element(rand) for _ in range(roster.threshold - 1))]
    return {member: _value(terms, place).to_bytes(32, "big") for place, member in enumerate(roster.members, start=1)}


def _element(rand: Random) -> int:
    return int.from_bytes(draw_scalar(rand), "big")


def _value(terms: list[int], x: int) -> int:
    total = 0
    for term in reversed(terms):
        total = (total * x + term) % ORDER
    return total


def combine(shares: Mapping[int, bytes]) -> bytes:
    """p(0) through the points place -> share (Lagrange). With fewer than the threshold the result means nothing."""
    weights = _weights(tuple(shares))
    total = sum(weight * int.from_bytes(share, "big") for weight, share in zip(weights, shares.values(), strict=True))
    return (total % ORDER).to_bytes(32, "big")


@lru_cache(maxsize=64)
def _weights(places: tuple[int, ...]) -> tuple[int, ...]:
    """What each place's share counts at 0: the product of j / (j - i) over the other places j.

    Kept, as all secrets of a round are mostly rebuilt from the same holders; one inversion serves all places
    (Montgomery 1987). Places are small, so that products stay short without a reduction at each step.
    """
    above = prod(places)
    below = [i * prod(j - i for j in places if j != i) % ORDER for i in places]
    before = list(accumulate(below, lambda x, y: x * y % ORDER, initial=1))
    inverse, weights = pow(before[-1], -1, ORDER), []
    for term, ahead in zip(reversed(below), reversed(before[:-1]), strict=True):
        weights.append(above * inverse * ahead % ORDER)
        inverse = inverse * term % ORDER
    return tuple(reversed(weights))


@dataclass(frozen=True)
class Entry:
    """For one holder: SHA-256 of its share of s, of its share of b, and both shares sealed to it."""

    holder: Address
    scalar_digest: bytes
    seed_digest: bytes
    box: bytes


@dataclass(frozen=True)
class Bundle:
    """All shares one dealer dealt in one round: 1284 bytes a holder and 152 for the head."""

    context: Context
    dealer: Address
    entries: tuple[Entry, ...]

    def encode(self) -> bytes:
        """magic, context (116), dealer (20), count (1), then the entries by ascending holder, each of fixed size."""
        head = MAGIC + self.context.encode() + self.dealer + len(self.entries).to_bytes(1, "big")
        return head + b"".join(e.holder + e.scalar_digest + e.seed_digest + e.box for e in self.entries)

    @classmethod
    def parse(cls, raw: bytes, context: Context, *, dealer: Address, roster: Roster) -> Bundle:
        """Untrusted, naming the dealer, unless `raw` is of this round and for exactly the roster's others."""
        holders = [member for member in roster.members if member != dealer]
        head = cls(context, dealer, ()).encode()[:-1] + len(holders).to_bytes(1, "big")
        if raw[: len(head)] != head or len(raw) != len(head) + ENTRY * len(holders):
            raise Untrusted("a share bundle that is not of this round", clause="bundle", culprit=dealer)
        rows = [raw[i : i + ENTRY] for i in range(len(head), len(raw), ENTRY)]
        if [row[:20] for row in rows] != holders:
            raise Untrusted("a share bundle for other holders", clause="bundle", culprit=dealer)
        entries = tuple(Entry(Address(row[:20]), row[20:52], row[52:84], row[84:]) for row in rows)
        return cls(context, dealer, entries)

    def entry(self, holder: Address) -> Entry:
        """The holder's entry; Refused for the dealer and for strangers."""
        for entry in self.entries:
            if entry.holder == holder:
                return entry
        raise Refused("no shares for this member", clause="holder", seen=holder.hex(), needed="another roster member")

    def open(self, holder: Address, key: ShareKey) -> tuple[bytes, bytes]:
        """The holder's shares of s and of b. Untrusted, naming the dealer, where they do not open or fit."""
        entry = self.entry(holder)
        try:
            plain = key.open(entry.box, _info(self.context, self.dealer, holder))
        except Untrusted as exc:
            raise Untrusted(exc.message, clause=exc.clause, culprit=self.dealer) from exc
        scalar_share, seed_share = plain[:32], plain[32:]
        if digest(scalar_share) != entry.scalar_digest or digest(seed_share) != entry.seed_digest:
            raise Untrusted("shares that differ from their digests", clause="share", culprit=self.dealer)
        return scalar_share, seed_share


def deal_bundle(
    context: Context, dealer: Address, secrets: tuple[bytes, bytes], share_keys: Mapping[Address, bytes],
    *, roster: Roster, rand: Random,
) -> Bundle:  # fmt: skip
    """Shares of (s, b) for all other members, sealed to `share_keys` (address -> HPKE public key)."""
    scalar_shares, seed_shares = (split(secret, roster, rand) for secret in secrets)
    entries = []
    for holder in roster.members:
        if holder != dealer:
            one, two = scalar_shares[holder], seed_shares[holder]
            box = _sealed(one + two, holder, share_keys, _info(context, dealer, holder))
            entries.append(Entry(holder, digest(one), digest(two), box))
    return Bundle(context, dealer, tuple(entries))


def _sealed(plain: bytes, holder: Address, share_keys: Mapping[Address, bytes], info: bytes) -> bytes:
    try:
        return seal(plain, share_keys[holder], info)
    except KeyError as exc:
        raise Refused("no share key to seal to", clause="share key", seen=None, needed=f"0x{holder.hex()}'s") from exc
    except Untrusted as exc:
        raise Untrusted(exc.message, clause=exc.clause, culprit=holder) from exc


def digest(share: bytes) -> bytes:
    """What a bundle says in public about a share. A share is uniform in 2^256, so its digest gives nothing away."""
    return hashlib.sha256(SHARE_TAG + share).digest()


def _info(context: Context, dealer: Address, holder: Address) -> bytes:
    return SHARE_TAG + context.encode() + dealer + holder
