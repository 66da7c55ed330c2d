"""What everybody knows about a round: where it happens, who may take part, what they published, who stayed.

All of it is for a ledger to fix; nothing here is secret, and nothing here knows when.

    roster = Roster.of(addresses)
    round = Round(context, roster, keys={address: Keys(...)}, survivors=addresses)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NewType

from federation.errors import Refused

Address = NewType("Address", bytes)

MIN_SURVIVORS = 3  # the sum of two shows each of them the other
MAX_MEMBERS = 64


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
    """The members of a training in ascending order, how many shares open a secret, how many survivors a sum needs."""

    members: tuple[Address, ...]
    threshold: int
    floor: int = MIN_SURVIVORS

    def __post_init__(self) -> None:
        n = len(self.members)
        if list(self.members) != sorted(set(self.members)) or any(len(member) != 20 for member in self.members):
            raise Refused("a roster not in order", clause="roster", seen=n, needed="distinct addresses, ascending")
        if not MIN_SURVIVORS <= self.floor <= n <= MAX_MEMBERS:
            raise Refused("a roster of another size", clause="floor", seen=(self.floor, n),
                          needed=f"{MIN_SURVIVORS} <= floor <= members <= {MAX_MEMBERS}")  # fmt: skip
        if not n < 2 * self.threshold <= 2 * n:
            raise Refused("two separate groups could each open secrets, or nobody could", clause="threshold",
                          seen=self.threshold, needed=f"over half of {n}, at most {n}")  # fmt: skip

    @classmethod
    def of(cls, members: Iterable[Address], *, threshold: int | None = None, floor: int = MIN_SURVIVORS) -> Roster:
        """Sorted, with a threshold of floor(2n/3) + 1 unless another is given."""
        ordered = tuple(sorted(members))
        return cls(ordered, len(ordered) * 2 // 3 + 1 if threshold is None else threshold, floor)

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
    roster: Roster
    keys: Mapping[Address, Keys]
    survivors: tuple[Address, ...]

    def __post_init__(self) -> None:
        if not set(self.survivors) <= self.keys.keys() <= set(self.roster.members):
            raise Refused("survivors without keys, or keys of strangers", clause="survivors",
                          seen=len(self.survivors), needed="survivors among keys among the roster")  # fmt: skip
        if list(self.survivors) != sorted(set(self.survivors)):
            raise Refused("survivors not in order", clause="survivors", seen=len(self.survivors), needed="ascending")
        self.roster.refuse_fewer(self.survivors)

    @property
    def dropped(self) -> tuple[Address, ...]:
        """Who posted keys but no contribution, ascending."""
        return tuple(sorted(self.keys.keys() - set(self.survivors)))
