"""What everybody knows about a round: where it happens, who may take part, what they published, who stayed.

All of it is for a ledger to fix; nothing here is secret, and nothing here knows when.

    roster = Roster.of(addresses)
    round = Round(context, roster, keys={address: Keys(...)}, survivors=addresses)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NewType, Protocol

from federation.errors import Refused

Address = NewType("Address", bytes)

MIN_SURVIVORS = 3  # the sum of two shows each of them the other
MAX_MEMBERS = 64  # where everybody masks with everybody, as on a ledger; beyond, a `graph.Graph`
MAX_HOLDERS = 255  # of one member's shares: a bundle counts them in one byte


@dataclass(frozen=True)
class Context:
    """Where a round happens; in every derivation, so that nothing made for one round fits another.

    Fixed widths, each value as the EVM packs it: chain id 32 bytes, ledger address 20, training id 32, round number 32.
    """

    chain: bytes
    ledger: bytes
    training: bytes
    round: bytes

    def __post_init__(self) -> None:
        widths = [len(part) for part in (self.chain, self.ledger, self.training, self.round)]
        if widths != [32, 20, 32, 32]:
            raise Refused("a context of other widths", clause="context", seen=widths, needed=[32, 20, 32, 32])

    def encode(self) -> bytes:
        """The four values one after the other, 116 bytes."""
        return self.chain + self.ledger + self.training + self.round


@dataclass(frozen=True)
class Roster:
    """Among whom secrets are shared, ascending; how many shares open one, how many survivors a sum needs.

    Up to 64, all members of a training; beyond, a member and its neighbours in a `graph.Graph`.
    """

    members: tuple[Address, ...]
    threshold: int
    floor: int = MIN_SURVIVORS

    def __post_init__(self) -> None:
        n = len(self.members)
        if list(self.members) != sorted(set(self.members)) or any(len(member) != 20 for member in self.members):
            raise Refused("a roster not in order", clause="roster", seen=n, needed="distinct addresses, ascending")
        if not MIN_SURVIVORS <= self.floor <= n <= MAX_HOLDERS + 1:
            raise Refused("a roster of another size", clause="floor", seen=(self.floor, n),
                          needed=f"{MIN_SURVIVORS} <= floor <= members <= {MAX_HOLDERS + 1}")  # fmt: skip
        if not n < 2 * self.threshold <= 2 * n:
            raise Refused("two separate groups could each open secrets, or nobody could", clause="threshold",
                          seen=self.threshold, needed=f"over half of {n}, at most {n}")  # fmt: skip

    @classmethod
    def of(cls, members: Iterable[Address], *, threshold: int | None = None, floor: int = MIN_SURVIVORS) -> Roster:
        """All members of a training, sorted; a threshold of floor(2n/3) + 1 unless another is given."""
        ordered = tuple(sorted(members))
        if len(ordered) > MAX_MEMBERS:
            raise Refused("too many for everybody to mask with everybody", clause="floor", seen=len(ordered),
                          needed=f"at most {MAX_MEMBERS}; a graph beyond")  # fmt: skip
        return cls(ordered, len(ordered) * 2 // 3 + 1 if threshold is None else threshold, floor)

    def roster_of(self, member: Address) -> Roster:
        """Among whom the member's secrets are shared: everybody."""
        self.place(member)
        return self

    def place(self, member: Address) -> int:
        """Where the member's shares lie on the polynomial: 1 for the lowest address."""
        if member not in self.members:
            raise Refused("not in the roster", clause="roster", seen=member.hex(), needed="a member that joined")
        return self.members.index(member) + 1

    def refuse_fewer(self, survivors: Iterable[Address]) -> None:
        """Refused where so few are left that the round is void."""
        have, need = len(set(survivors)), max(self.threshold, self.floor)
        if have < need:
            raise Refused("too few members are left: the round is void", clause="survivors", seen=have, needed=need)


class Sharing(Protocol):
    """Who shares secrets with whom: a `Roster`, everybody with everybody, or a `graph.Graph`."""

    @property
    def members(self) -> tuple[Address, ...]:
        """All, ascending."""

    def roster_of(self, member: Address) -> Roster:
        """Among whom the member's secrets are shared, itself included; Refused for strangers."""

    def refuse_fewer(self, survivors: Iterable[Address]) -> None:
        """Refused where so few are left that the round is void."""


@dataclass(frozen=True)
class Keys:
    """What a member publishes for a round: `point` = s G, uncompressed x || y (64 bytes), and SHA-256 of its seed b."""

    point: bytes
    seed_digest: bytes


def keys_digest(keys: Mapping[Address, Keys]) -> bytes:
    """SHA-256 over address, point and seed digest of each, by ascending address: which key list a member acted on."""
    rows = (member + keys[member].point + keys[member].seed_digest for member in sorted(keys))
    return hashlib.sha256(b"".join(rows)).digest()


@dataclass(frozen=True)
class Round:
    """A round whose survivors are final: who posted keys in time (U1, `keys`) and who contributed in time (U3)."""

    context: Context
    roster: Sharing
    keys: Mapping[Address, Keys]
    survivors: tuple[Address, ...]

    def __post_init__(self) -> None:
        if not set(self.survivors) <= self.keys.keys() <= set(self.roster.members):
            raise Refused("survivors without keys, or keys of strangers", clause="survivors",
                          seen=len(self.survivors), needed="survivors among keys among the roster")  # fmt: skip
        if list(self.survivors) != sorted(set(self.survivors)):
            raise Refused("survivors not in order", clause="survivors", seen=len(self.survivors), needed="ascending")
        self.roster.refuse_fewer(self.survivors)

    def roster_of(self, member: Address) -> Roster:
        """Among whom the member's secrets are shared: with whom it masks, and itself."""
        return self.roster.roster_of(member)

    def neighbours(self, member: Address) -> tuple[Address, ...]:
        """With whom of those who posted keys the member masks, ascending."""
        return tuple(one for one in self.roster_of(member).members if one != member and one in self.keys)

    def seen_by(self, member: Address) -> Round:
        """The part of the round that the member takes part in: its roster's. All of it where everybody masks with
        everybody; Refused where so few neighbours are left that the member's vector could be laid bare."""
        roster = self.roster_of(member)
        keys = {one: self.keys[one] for one in roster.members if one in self.keys}
        return Round(self.context, roster, keys, tuple(one for one in self.survivors if one in keys))

    @property
    def dropped(self) -> tuple[Address, ...]:
        """Who posted keys but no contribution, ascending."""
        return tuple(sorted(self.keys.keys() - set(self.survivors)))
