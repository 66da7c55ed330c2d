"""What a coalition can work out of a round, from its own secrets and all public bytes: a fixpoint, then a cut.

It finds what follows by the protocol's own steps (combining shares, making pair keys, taking keystreams off, adding),
not what follows from a broken ChaCha20, SHA-256 or discrete logarithm.

    known = closure(seen, spies)
    known.opened({alice})        # the sum of these members' vectors, or None where an unknown keystream is left in it

**Why a cut is enough.** A masked vector is y_u = x_u + G(b_u) + sum of +-G(k_uv). Take off every keystream whose key is
known. Each unknown one is an independent uniform vector r_e (that is what ChaCha20 under an unknown key is taken for),
so what is left is y = x + M r, with one row of M for each member and one column for each unknown keystream: a seed
stands in one row, a pair key that both ends used stands in two, once + and once -. M is the incidence matrix of a
graph: members are its points, pair keys its edges, and a keystream that stands in one row only is an edge to `ground`.
As r is uniform, y tells of x exactly the combinations c x with c M = 0: every other one still holds a uniform r_e.
c M = 0 says that c is equal at both ends of each edge and 0 next to ground, so c is constant on each connected part
and 0 on parts that touch ground. Therefore what the coalition learns is the sum over each part without ground,
multiples and sums of these, and nothing else; a subset's sum is hidden if and only if an unknown edge leaves it.
`opened` decides that by looking at each edge; `parts` counts the same with the rank of M over GF(2) (M is totally
unimodular, so its rank is the same over every field, and a kernel mod 2 of dimension d lifts to exactly d free
combinations mod 2^w). The tests compare both, and both with the bytes: what is said to be open must give x, what is
said to be hidden must not.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from federation.securesum import Address, Bundle, Keys, Mask, MemberState, Reveal, Roster, add_keystreams, pair_key
from federation.securesum.keys import point_of, sign
from federation.securesum.shares import combine, digest
from federation.vectors import Lanes

_pair_key = functools.lru_cache(1 << 16)(pair_key)


@dataclass
class Seen:
    """All that left any machine in one round. `among`: the key list each masked vector was made among."""

    roster: Roster
    states: Mapping[Address, MemberState]
    keys: Mapping[Address, Keys]
    bundles: Mapping[Address, Bundle] = field(default_factory=dict)
    vectors: dict[Address, Lanes] = field(default_factory=dict)
    among: dict[Address, Mapping[Address, Keys]] = field(default_factory=dict)
    reveals: list[Reveal] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """The fixpoint: every seed, scalar and pair key (by the two members and their points) that the coalition has."""

    seen: Seen
    seeds: Mapping[Address, bytes]
    scalars: Mapping[bytes, bytes]  # by point: two members with one point have one scalar

    def opened(self, members: Iterable[Address]) -> Lanes | None:
        """The sum of these members' vectors in clear, or None where an unknown keystream is left."""
        subset = frozenset(members)
        if any(len(ends & subset) % 2 for ends in self.edges):  # an edge to ground has one end, a pair's mask two
            return None
        return self.stripped(subset)

    def stripped(self, members: Iterable[Address]) -> Lanes:
        """The sum of these members' masked vectors, every known keystream taken off."""
        vectors = [self.bare[member] for member in sorted(members)]
        return np.add.reduce(vectors, dtype=vectors[0].dtype)

    def parts(self) -> int:
        """How many independent sums are open: members less the rank of M over GF(2), rows as bit sets."""
        rows = dict.fromkeys(self.seen.vectors, 0)
        for column, ends in enumerate(self.edges):
            for member in ends:
                rows[member] |= 1 << column
        return len(rows) - _rank(list(rows.values()))

    @functools.cached_property
    def edges(self) -> list[frozenset[Address]]:
        """Each unknown keystream once, with the members in whose masked vectors it stands."""
        grounded = [frozenset({member}) for member in self.seen.vectors if member not in self.seeds]
        ends: dict[object, set[Address]] = {}
        for member, keys in self.seen.among.items():
            for other in keys.keys() - {member}:
                if self._pair(member, other) is None:
                    points = frozenset({keys[member].point, keys[other].point})
                    ends.setdefault((frozenset({member, other}), points), set()).add(member)
        return [*grounded, *map(frozenset, ends.values())]

    @functools.cached_property
    def bare(self) -> dict[Address, Lanes]:
        """Each masked vector, every known keystream taken off."""
        return {member: self._bare(member) for member in self.seen.vectors}

    def _bare(self, member: Address) -> Lanes:
        found = {other: self._pair(member, other) for other in self.seen.among[member].keys() - {member}}
        masks = [Mask(key, -sign(member, other)) for other, key in found.items() if key is not None]
        if member in self.seeds:
            masks.append(Mask(self.seeds[member], -1))
        lanes = self.seen.vectors[member].copy()
        add_keystreams(lanes, masks)
        return lanes

    def _pair(self, member: Address, other: Address) -> bytes | None:
        keys, context = self.seen.among[member], self.seen.states[member].context
        for mine, theirs in ((member, other), (other, member)):
            scalar = self.scalars.get(keys[mine].point)
            if scalar is not None:
                return _pair_key(context, mine=mine, scalar=scalar, other=theirs, point=keys[theirs].point)
        return None


def closure(seen: Seen, spies: Iterable[Address], *, scalars: Iterable[bytes] = ()) -> Known:
    """What the spies have and what follows from it; `scalars` are those of keys they made up besides.

    Seeds and scalars do not lead to further shares, so one pass over the shares is the fixpoint of the first kind, and
    pair keys follow from scalars alone. A seed or scalar opens whatever was published with the same digest or point.
    """
    coalition = sorted(spies)
    own = [seen.states[spy] for spy in coalition]
    found = {"seed": [state.seed for state in own], "scalar": [*(state.scalar for state in own), *scalars]}
    found["seed"] += [answer.seed for answer in seen.reveals if answer.seed]
    for dealer in sorted(seen.bundles.keys() - set(coalition)):
        for kind in ("seed", "scalar"):
            found[kind] += rebuilt(seen, coalition, dealer, kind)
    digests = {hashlib.sha256(seed).digest(): seed for seed in found["seed"]}
    seeds = {m: digests[keys.seed_digest] for m, keys in seen.keys.items() if keys.seed_digest in digests}
    return Known(seen, seeds, {point_of(scalar): scalar for scalar in found["scalar"]})


def rebuilt(seen: Seen, coalition: Iterable[Address], dealer: Address, kind: str) -> list[bytes]:
    """A dealer's secret, if any subset of the shares at hand combines to what it published: every subset is tried."""
    shares = shares_of(seen, coalition, dealer, kind)
    if len(shares) > 7:  # 2^7 subsets are tried one by one; with more, those of the threshold stand for all
        sizes: Iterable[int] = [seen.roster.threshold]
        shares = dict(sorted(shares.items())[: seen.roster.threshold])
    else:
        sizes = range(1, len(shares) + 1)
    for size in sizes:
        for places in itertools.combinations(sorted(shares), size):
            secret = combine({place: shares[place] for place in places})
            if _is(secret, seen.keys[dealer], kind):
                return [secret]
    return []


def shares_of(seen: Seen, coalition: Iterable[Address], dealer: Address, kind: str) -> dict[int, bytes]:
    """Shares of one secret by place: dealt to the coalition, or opened by anybody; only those dealt, as digests say."""
    given = [(spy, one.seed_share if kind == "seed" else one.scalar_share)
             for spy in coalition for one in seen.states[spy].held if one.dealer == dealer]  # fmt: skip
    for answer in seen.reveals:
        opened = answer.seed_shares if kind == "seed" else answer.scalar_shares
        given += [(answer.member, one.share) for one in opened if one.dealer == dealer]
    committed = {e.holder: e.seed_digest if kind == "seed" else e.scalar_digest for e in seen.bundles[dealer].entries}
    return {seen.roster.place(holder): share for holder, share in given if committed.get(holder) == digest(share)}


def _is(secret: bytes, keys: Keys, kind: str) -> bool:
    if kind == "seed":
        return hashlib.sha256(secret).digest() == keys.seed_digest
    return any(secret) and point_of(secret) == keys.point


def _rank(rows: list[int]) -> int:
    rank = 0
    while rows:
        pivot = rows.pop()
        if pivot:
            rank += 1
            low = pivot & -pivot
            rows = [row ^ pivot if row & low else row for row in rows]
    return rank
