"""Who masks with whom in a round too large for all pairs: every member with `degree` neighbours that chance picks.

The library's way beyond 64 members; on chain, where a training has at most 64 seats, everybody masks with everybody.
A secret is shared among the neighbours alone, so a member's cost grows with the logarithm of the members. Not here:
where the beacon comes from. It has to be fixed after the list of keys is, or members could choose their neighbours.

    degree, threshold = degree_for(1000, corrupt=50, dropping=100)
    graph = Graph(members, degree, threshold, beacon)
    round = Round(context, graph, keys, survivors)

Source: Bell, Bonawitz, Gascon, Lepoint, Raykova 2020, "Secure Single-Server Aggregation with (Poly)Logarithmic
Overhead" (CCS '20): a Harary graph whose nodes are the members in a random order. Harary 1962 for the graph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import comb, prod

from federation.errors import Refused
from federation.securesum.round import MAX_HOLDERS, MIN_SURVIVORS, Address, Roster

TAG = b"hanse/graph/1"
FAILURE = 2.0**-40


@dataclass(frozen=True)
class Graph:
    """The circulant graph of `degree` (even) on the members, ordered by SHA-256(tag, beacon, address).

    `threshold` shares of a member's neighbours open its secret; it is over half of a member and its neighbours, so that
    no two separate groups open two secrets of one member.
    """

    members: tuple[Address, ...]
    degree: int
    threshold: int
    beacon: bytes

    def __post_init__(self) -> None:
        n = len(self.members)
        if list(self.members) != sorted(set(self.members)) or any(len(member) != 20 for member in self.members):
            raise Refused("members not in order", clause="roster", seen=n, needed="distinct addresses, ascending")
        if len(self.beacon) != 32:
            raise Refused("a beacon of another size", clause="beacon", seen=len(self.beacon), needed=32)
        if self.degree % 2 or not MIN_SURVIVORS <= self.degree + 1 <= min(n, MAX_HOLDERS + 1):
            raise Refused("a degree that this graph cannot have", clause="degree", seen=self.degree,
                          needed=f"even, from 2 to {min(n - 1, MAX_HOLDERS)}")  # fmt: skip
        if not self.degree + 1 < 2 * self.threshold <= 2 * self.degree:
            raise Refused("two separate groups could each open secrets, or nobody could", clause="threshold",
                          seen=self.threshold,
                          needed=f"over half of {self.degree + 1}, at most {self.degree}")  # fmt: skip

    @cached_property
    def _ring(self) -> tuple[Address, ...]:
        return tuple(sorted(self.members, key=lambda one: hashlib.sha256(TAG + self.beacon + one).digest()))

    @cached_property
    def _at(self) -> dict[Address, int]:
        return {member: at for at, member in enumerate(self._ring)}

    @cached_property
    def _rosters(self) -> dict[Address, Roster]:
        return {}

    def neighbours(self, member: Address) -> tuple[Address, ...]:
        """The `degree` members next to it on the ring, ascending by address; Refused for strangers."""
        return tuple(one for one in self.roster_of(member).members if one != member)

    def roster_of(self, member: Address) -> Roster:
        """Among whom the member's secrets are shared: itself and its neighbours."""
        if member not in self._at:
            raise Refused("not in the graph", clause="roster", seen=member.hex(), needed="a member that joined")
        if member not in self._rosters:
            at, n = self._at[member], len(self._ring)
            near = (self._ring[(at + step) % n] for step in range(-(self.degree // 2), self.degree // 2 + 1))
            self._rosters[member] = Roster(tuple(sorted(near)), self.threshold)
        return self._rosters[member]

    def refuse_fewer(self, survivors: Iterable[Address]) -> None:
        """Refused, and the round is void, where a survivor has too few surviving neighbours, or where the survivors
        fall apart: the sum of each part would show."""
        left = set(survivors)
        for member in left:
            roster = self.roster_of(member)
            roster.refuse_fewer(left.intersection(roster.members))
        reached = self._reached(left)
        if not left or len(reached) < len(left):
            raise Refused("the survivors fall apart: the round is void", clause="survivors", seen=len(reached),
                          needed=f"all {len(left)} connected")  # fmt: skip

    def _reached(self, left: set[Address]) -> set[Address]:
        reached = set(sorted(left)[:1])
        ahead = list(reached)
        while ahead:
            new = left.intersection(self.roster_of(ahead.pop()).members) - reached
            reached |= new
            ahead.extend(new)
        return reached


def degree_for(members: int, *, corrupt: int, dropping: int, failure: float = FAILURE) -> tuple[int, int]:
    """The least even degree, and a threshold of shares for it, such that with a chance of at least 1 - `failure`

    1. no member has `threshold` corrupt neighbours: they would open its secrets,
    2. every member has `threshold` neighbours that are neither corrupt nor dropping: they can be opened when due,
    3. the honest survivors are connected: no part of their sum shows.

    `corrupt` members do whatever they like, others up to `dropping` vanish; both are fixed before the beacon. Refused
    where no degree below the number of members does it. Definition 3.2 and its proof in Bell et al. 2020, with exact
    tails in place of their bounds: a member's neighbours are a uniform sample of the others, so how many of
    them are of m marked ones is hypergeometric, and the ring falls apart only where two runs of degree / 2
    in a row are gone, of which a given one is with the chance prod (gone - i) / (members - i).
    """
    gone = corrupt + dropping
    if not 0 <= corrupt <= gone < members or not 0 < failure < 1:
        raise Refused("nobody would be left, or no chance of failing", clause="degree",
                      seen=(members, corrupt, dropping, failure), needed="corrupt + dropping < members")  # fmt: skip
    most = Fraction(failure) / members  # for one member: the chances of all add up (union bound)
    for degree in range(2, min(members, MAX_HOLDERS + 1), 2):
        apart = prod((Fraction(max(gone - i, 0), members - i) for i in range(degree // 2)), start=Fraction(1))
        threshold = (degree + 1) // 2 + 1
        while apart <= most and threshold <= degree:
            opened = at_least(threshold, marked=corrupt, others=members - 1, degree=degree)
            stuck = at_least(degree - threshold + 1, marked=gone, others=members - 1, degree=degree)
            if opened + stuck + apart <= most:
                return degree, threshold
            if stuck > most:
                break  # it only grows with the threshold
            threshold += 1
    raise Refused("no degree is enough", clause="degree", seen=(members, corrupt, dropping, failure),
                  needed="fewer corrupt and dropping members, or every pair")  # fmt: skip


def at_least(least: int, *, marked: int, others: int, degree: int) -> Fraction:
    """The chance that a uniform sample of `degree` of `others` has `least` or more of the `marked`.

    The upper tail of the hypergeometric distribution: the sum over i >= `least` of
    C(marked, i) C(others - marked, degree - i) / C(others, degree).
    """
    ways = (comb(marked, i) * comb(others - marked, degree - i) for i in range(max(least, 0), min(marked, degree) + 1))
    return Fraction(sum(ways), comb(others, degree))
