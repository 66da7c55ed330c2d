"""Real numbers as integers that add up exactly: fixed point per record, lanes in Z_2^32 or Z_2^64.

A real x of one record becomes round-half-even(x * 2^f); only integers are ever summed, so the total does not depend
on how the records are spread over members: *federated = pooled*, bit for bit. Nothing is clipped and nothing wraps: a
layout whose worst case does not fit its ring is refused, and so is a value over the bound the layout declares.
Not here: masks (`securesum`), hash trees (the node's).

    layout = Layout(width=64, members=4, records=1000, blocks=(Block("age", length=1, scale=32, bound=120.0),))
    lanes = layout.encode({"age": layout["age"].quantise(ages).sum(axis=0)}, records=len(ages))
    layout["age"].real(layout.decode(total)["age"])
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from federation.errors import Refused, Untrusted

Lanes: TypeAlias = NDArray[np.uint32] | NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int64]
Reals: TypeAlias = NDArray[np.float64]

NO_NOISE: Mapping[str, Integers] = types.MappingProxyType({})
MAX_LANES = 1 << 28  # 2 GiB of Z_2^64


def ring(width: int) -> np.dtype[Any]:
    """The little-endian unsigned type whose wrapping addition is addition mod 2^width."""
    if width not in (32, 64):
        raise Refused("a ring is Z_2^32 or Z_2^64", clause="width", seen=width, needed="32 or 64")
    return np.dtype("<u4" if width == 32 else "<u8")


def to_bytes(lanes: Lanes) -> bytes:
    """Lanes one after the other, little-endian, no header."""
    return lanes.tobytes()


def from_bytes(width: int, raw: bytes | bytearray | memoryview) -> Lanes:
    """A read-only view of `raw` as lanes; Untrusted unless it is a whole number of them."""
    kind = ring(width)
    if len(raw) % kind.itemsize or len(raw) > MAX_LANES * 8:
        raise Untrusted(f"{len(raw)} bytes are no vector of {width}-bit lanes", clause="length")
    lanes: Lanes = np.frombuffer(raw, dtype=kind)
    lanes.flags.writeable = False
    return lanes


@dataclass(frozen=True)
class Block:
    """`length` lanes with one meaning: `scale` bits after the point, |x| <= `bound` for each record.

    `noise` is the largest integer that a member may add to a lane beside its records (`privacy`).
    """

    name: str
    length: int
    scale: int
    bound: float
    noise: int = 0

    @property
    def most(self) -> int:
        """The largest integer one record can put into a lane."""
        return math.ceil(Fraction(self.bound) * (1 << self.scale))

    def quantise(self, values: ArrayLike) -> Integers:
        """Each value, any shape, as round-half-even(value * 2^scale); Refused over the bound or not a number."""
        reals = np.asarray(values, dtype=np.float64)
        within = np.abs(reals) <= self.bound
        if not within.all():
            worst = float(reals[~within].flat[0])
            raise Refused(f"block {self.name}: a record's value is over its bound", clause="bound", seen=worst,
                          needed=f"at most {self.bound} in magnitude")  # fmt: skip
        return np.rint(reals * 2.0**self.scale).astype(np.int64)

    def real(self, sums: Integers) -> Reals:
        """Integers back to reals, each rounded at most once."""
        return sums.astype(np.float64) * 2.0**-self.scale


@dataclass(frozen=True)
class Layout:
    """The blocks of one vector in the order of its lanes, and the limits under which their sum cannot wrap.

    `members` is the most members, `records` the most records of one member. Refused unless for every block
    members * (records * ceil(bound * 2^scale) + noise) < 2^(width - 1).
    """

    width: int
    members: int
    records: int
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        ring(self.width)
        if len({block.name for block in self.blocks}) != len(self.blocks):
            raise Refused("two blocks have one name", clause="blocks", seen=[b.name for b in self.blocks], needed="one")
        if self.members < 1 or self.records < 1 or not 0 < self.length <= MAX_LANES:
            raise Refused("an empty or oversized layout", clause="lanes", seen=self.length, needed=f"1 to {MAX_LANES}")
        for block in self.blocks:
            _refuse_overflow(self, block)

    @property
    def length(self) -> int:
        """Lanes of the whole vector."""
        return sum(block.length for block in self.blocks)

    def __getitem__(self, name: str) -> Block:
        return next(block for block in self.blocks if block.name == name)

    def encode(self, sums: Mapping[str, Integers], *, records: int, noise: Mapping[str, Integers] = NO_NOISE) -> Lanes:
        """One member's sums over its `records` records, and its noise, as a fresh vector; Refused over any limit."""
        if records > self.records:
            raise Refused("more records than the plan allows", clause="records", seen=records, needed=self.records)
        lanes: Lanes = np.empty(self.length, dtype=ring(self.width))
        for block, part in self._parts():
            checked = _checked(block, sums[block.name], records)
            lanes[part] = (checked + _noise(block, noise)).astype(lanes.dtype)
        return lanes

    def decode(self, total: Lanes) -> dict[str, Integers]:
        """The signed sums of each block; Untrusted if `total` is of another shape, or over what all records allow."""
        if total.shape != (self.length,) or total.dtype != ring(self.width):
            raise Untrusted(f"a vector of {total.shape} {total.dtype} is not of this layout", clause="length")
        signed = total.view(np.dtype(f"<i{self.width // 8}")).astype(np.int64)
        worst = [b.name for b, part in self._parts() if _exceeds(signed[part], self.members * self._most(b))]
        if worst:
            raise Untrusted(f"a total that no records within their bounds have, in {worst}", clause="bound")
        return {block.name: signed[part] for block, part in self._parts()}

    def _most(self, block: Block) -> int:
        return self.records * block.most + block.noise

    def _parts(self) -> Iterator[tuple[Block, slice]]:
        start = 0
        for block in self.blocks:
            yield block, slice(start, start + block.length)
            start += block.length


def _refuse_overflow(layout: Layout, block: Block) -> None:
    if not (
        math.isfinite(block.bound)
        and block.bound > 0
        and block.length > 0
        and 0 <= block.scale < layout.width
        and block.noise >= 0
    ):
        raise Refused(f"block {block.name} is no block", clause="block", seen=block, needed="positive, finite limits")
    worst = layout.members * layout._most(block)
    if worst >= 2 ** (layout.width - 1):
        terms = f"{layout.members} members * {layout.records} records * ceil({block.bound} * 2^{block.scale})"
        terms += f" + {layout.members} * {block.noise} = {worst}" if block.noise else f" = {worst}"
        raise Refused(f"block {block.name} could overflow its ring", clause="overflow", seen=terms,
                      needed=f"less than 2^{layout.width - 1}")  # fmt: skip


def _checked(block: Block, sums: Integers, records: int) -> Integers:
    if sums.shape != (block.length,) or sums.dtype != np.int64:
        raise Refused(f"block {block.name} has another shape", clause="shape", seen=sums.shape, needed=block.length)
    if _exceeds(sums, records * block.most):
        raise Refused(f"block {block.name}: a sum is over what its records allow", clause="bound",
                      seen=max(sums.tolist(), key=abs), needed=f"at most {records * block.most}")  # fmt: skip
    return sums


def _noise(block: Block, noise: Mapping[str, Integers]) -> Integers:
    """A member's noise for a block, zeros where there is none; Refused where the layout leaves no room for it."""
    drawn = noise.get(block.name, np.zeros(block.length, dtype=np.int64))
    if drawn.shape != (block.length,) or _exceeds(drawn, block.noise):
        raise Refused(f"block {block.name}: noise without room", clause="noise", seen=drawn.shape, needed=block.noise)
    return drawn


def _exceeds(sums: Integers, most: int) -> bool:
    return int(sums.max()) > most or int(sums.min()) < -most
