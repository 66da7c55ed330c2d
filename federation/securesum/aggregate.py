"""The sum, by anybody, from public bytes: contributions, revealed seeds and shares, the bundles of who is missing.

Nothing here is secret and nothing is trusted: every revealed value is checked against what its owner published before
the round, and a value that does not fit names its culprit. Whether a contribution is the one whose root the ledger
holds is for the caller to check.

    secrets = recover(round, reveals, bundles)
    total = aggregate(round, {address: lanes}, secrets)
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from federation.errors import Refused, Untrusted
from federation.securesum.keys import ORDER, pair_key, point_of, sign
from federation.securesum.masks import Mask, add_keystreams
from federation.securesum.member import Reveal, Share
from federation.securesum.round import Address, Round
from federation.securesum.shares import Bundle, combine, digest
from federation.vectors import Lanes

Given: TypeAlias = Mapping[Address, list[tuple[Address, bytes]]]  # by dealer: who gave which share


@dataclass(frozen=True)
class Secrets:
    """What the reveals of a round opened: b of every survivor, s of every dropped member, all checked.

    `false`: who gave a share that is not the one dealt to it, ascending; set aside, as enough good ones were there.
    """

    seeds: Mapping[Address, bytes]
    scalars: Mapping[Address, bytes]
    false: tuple[Address, ...] = ()


def recover(round: Round, reveals: Iterable[Reveal], bundles: Mapping[Address, Bundle]) -> Secrets:
    """Every secret the sum needs. `bundles` are needed of dropped and silent members only.

    Untrusted names who revealed a false seed, or dealt shares that do not fit together; a false share is set aside, its
    holder named in `false`, or in the Refused that follows if too few good ones are left.
    """
    answers = list(reveals)
    own = {answer.member: answer.seed for answer in answers if answer.seed}
    seeds, given = {}, _by_dealer((answer.member, one) for answer in answers for one in answer.seed_shares)
    for member in round.survivors:
        seeds[member] = own.get(member) or _rebuilt(round, member, given, bundles, kind="seed")
        check_seed(round, member, seeds[member])
    scalars, given = {}, _by_dealer((answer.member, one) for answer in answers for one in answer.scalar_shares)
    for member in round.dropped:
        scalars[member] = _rebuilt(round, member, given, bundles, kind="scalar")
        check_scalar(round, member, scalars[member])
    return Secrets(seeds, scalars, _false(answers, bundles))


def _by_dealer(given: Iterable[tuple[Address, Share]]) -> Given:
    found: dict[Address, list[tuple[Address, bytes]]] = {}
    for holder, one in given:
        found.setdefault(one.dealer, []).append((holder, one.share))
    return found


def check_seed(round: Round, member: Address, seed: bytes) -> None:
    """Untrusted, naming the member, unless `seed` is the one it committed to."""
    if len(seed) != 32 or hashlib.sha256(seed).digest() != round.keys[member].seed_digest:
        raise Untrusted("a seed that is not the one committed to", clause="seed", culprit=member)


def check_scalar(round: Round, member: Address, scalar: bytes) -> None:
    """Untrusted, naming the member, unless `scalar` belongs to the point it published."""
    possible = len(scalar) == 32 and 0 < int.from_bytes(scalar, "big") < ORDER
    if not possible or point_of(scalar) != round.keys[member].point:
        raise Untrusted("a scalar that does not belong to its point", clause="scalar", culprit=member)


def aggregate(round: Round, contributions: Mapping[Address, Lanes], secrets: Secrets) -> Lanes:
    """S = sum of y - sum of G(b) - sum over dropped d and survivors u of sign(u, d) G(k_ud), as fresh lanes.

    Untrusted names the member whose vector is unlike most others'. Who knows the round's length looks for itself first:
    what most of the survivors sent is no proof.
    """
    if contributions.keys() != set(round.survivors):
        raise Refused("contributions of others than the survivors", clause="survivors",
                      seen=len(contributions), needed=len(round.survivors))  # fmt: skip
    _refuse_uneven(contributions)
    total: Lanes = np.zeros_like(contributions[round.survivors[0]])
    add_keystreams(total, masks_left(round, secrets), vectors=list(contributions.values()))
    return total


def masks_left(round: Round, secrets: Secrets) -> list[Mask]:
    """What is to be added to the sum of contributions: the survivors' own masks, and the pair masks of the dropped."""
    masks = [Mask(secrets.seeds[member], -1) for member in round.survivors]
    survivors = set(round.survivors)
    for gone in round.dropped:
        for member in (one for one in round.neighbours(gone) if one in survivors):
            point = round.keys[member].point
            key = pair_key(round.context, mine=gone, scalar=secrets.scalars[gone], other=member, point=point)
            masks.append(Mask(key, -sign(member, gone)))
    return masks


def _refuse_uneven(contributions: Mapping[Address, Lanes]) -> None:
    kinds = {member: (lanes.shape, lanes.dtype.str) for member, lanes in sorted(contributions.items())}
    most = Counter(kinds.values()).most_common(1)[0][0]
    for member, kind in kinds.items():
        if kind != most or len(kind[0]) != 1 or kind[1] not in ("<u4", "<u8"):
            raise Untrusted(f"a contribution of {kind[0]} {kind[1]}", clause="length", culprit=member)


def _false(answers: list[Reveal], bundles: Mapping[Address, Bundle]) -> tuple[Address, ...]:
    """Who gave a share of another digest than its dealer dealt it, as far as there are bundles to see it by."""
    known = {(dealer, e.holder): e for dealer, bundle in bundles.items() for e in bundle.entries}
    false = set()
    for answer in answers:
        scalars = [(one, "scalar_digest") for one in answer.scalar_shares]
        for one, name in (*scalars, *((one, "seed_digest") for one in answer.seed_shares)):
            entry = known.get((one.dealer, answer.member))
            if one.dealer in bundles and (entry is None or getattr(entry, name) != digest(one.share)):
                false.add(answer.member)
    return tuple(sorted(false))


def _rebuilt(round: Round, dealer: Address, given: Given, bundles: Mapping[Address, Bundle], *, kind: str) -> bytes:
    if dealer not in bundles:
        raise Refused(f"the {kind} of a member is missing and so is its bundle", clause="bundle", seen=None,
                      needed=f"the bundle of 0x{dealer.hex()}")  # fmt: skip
    committed = {e.holder: e.seed_digest if kind == "seed" else e.scalar_digest for e in bundles[dealer].entries}
    shares, roster = given.get(dealer, []), round.roster_of(dealer)
    good = {roster.place(holder): share for holder, share in shares if committed.get(holder) == digest(share)}
    if len(good) < roster.threshold:
        false = sorted({f"0x{holder.hex()}" for holder, share in shares if committed.get(holder) != digest(share)})
        raise Refused(f"too few good shares of the {kind} of 0x{dealer.hex()}", clause="shares",
                      seen=f"{len(good)}, false ones from {false}", needed=roster.threshold)  # fmt: skip
    return combine(dict(sorted(good.items())[: roster.threshold]))
