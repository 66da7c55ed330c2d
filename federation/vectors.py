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
import operator
import os
import types
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from federation.errors import Refused, Untrusted

Lanes: TypeAlias = NDArray[np.uint32] | NDArray[np.uint64]
Result = TypeVar("Result")
Integers: TypeAlias = NDArray[np.int64]
Reals: TypeAlias = NDArray[np.float64]

NO_NOISE: Mapping[str, Integers] = types.MappingProxyType({})
MAX_LANES = 1 << 28  # 2 GiB of Z_2^64
CHUNK = 1 << 17  # values worked on at a time: fewer would have two threads wait for the interpreter more than they work
STRETCH = 2 * CHUNK  # values that one thread does at a time; shorter work starts no thread
MOST_THREADS = (
    8  # numpy and the cipher let go of the interpreter, but between two chunks each thread needs it; measured for two
)


def ring(width: int) -> np.dtype[Any]:
    """The little-endian unsigned type whose wrapping addition is addition mod 2^width."""
    if width not in (32, 64):
        raise Refused("a ring is Z_2^32 or Z_2^64", clause="width", seen=width, needed="32 or 64")
    return np.dtype("<u4" if width == 32 else "<u8")


def threads() -> int:
    """How many work at once: one for each core that this process may use. On two cores 1.8 times as fast as one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, MOST_THREADS)


def in_stretches(work: Callable[[int], Result], length: int, per: int) -> list[Result]:
    """work(start) for the start of every stretch of `per` values, in order; the caller's own thread works too."""
    starts, done = range(0, length, per), {}
    todo = iter(starts)  # the threads share it; its next() is one step of the interpreter

    def take() -> None:
        for start in todo:
            done[start] = work(start)

    helpers = min(threads(), len(starts)) - 1
    if helpers < 1:
        return [work(start) for start in starts]
    with ThreadPoolExecutor(helpers) as pool:
        others = [pool.submit(take) for _ in range(helpers)]
        take()
        for other in others:
            other.result()
    return [done[start] for start in starts]


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
        return math.ceil(self._exact_bound() * (1 << int(self.scale)))

    def quantise(self, values: ArrayLike) -> Integers:
        """Each value, any shape, as round-half-even(value * 2^scale); Refused over the bound or not a number.

        Integers are compared and scaled as integers, all else as float64.
        """
        quantised = np.empty(np.shape(values), dtype=np.int64)
        self._quantise(values, quantised)
        return quantised

    def _quantise(self, values: ArrayLike, out: NDArray[np.signedinteger[Any]]) -> None:
        """Into `out`, as many integers as there are values, wide enough for `most`."""
        self._refuse_no_block(64)
        if self.most >= 2**63:
            terms = f"ceil({self.bound} * 2^{self.scale}) = {self.most}"
            raise Refused(
                f"block {self.name}: one record could overflow", clause="overflow", seen=terms, needed="under 2^63"
            )
        given = np.asarray(values)
        if given.dtype.kind not in "biuf":
            given = _reals(self, given)
        flat, into = given.reshape(-1), out.reshape(-1)
        scaled = self._shifted if given.dtype.kind in "biu" else self._rounded

        def stretch(begin: int) -> None:
            scratch = np.empty(CHUNK, dtype=np.float32 if given.dtype == np.float32 else np.float64)
            for start in range(begin, min(begin + STRETCH, len(flat)), CHUNK):
                scaled(flat[start : start + CHUNK], scratch, into[start : start + CHUNK])

        in_stretches(stretch, len(flat), STRETCH)

    def _rounded(self, reals: NDArray[Any], scratch: NDArray[Any], out: NDArray[Any]) -> None:
        """In the values' own precision: a product with a power of two is exact, and so is rounding it."""
        unit, scaled = 2.0 ** int(self.scale), scratch[: len(reals)]
        top = _float_below(self._exact_bound()) * unit
        with np.errstate(over="ignore"):  # an infinite product is over the bound
            np.multiply(reals, scaled.dtype.type(unit), out=scaled)
        if not (-top <= float(scaled.min()) and float(scaled.max()) <= top):  # false for NaN
            self._over(reals[~(np.abs(scaled.astype(np.float64)) <= top)])
        np.copyto(out, np.rint(scaled, out=scaled), casting="unsafe")

    def _shifted(self, integers: NDArray[Any], scratch: NDArray[Any], out: NDArray[Any]) -> None:
        top = math.floor(self._exact_bound())
        if not -top <= int(integers.min()) <= int(integers.max()) <= top:
            self._over(np.array([max((int(integers.min()), int(integers.max())), key=abs)], dtype=object))
        np.left_shift(integers.astype(out.dtype), int(self.scale), out=out)

    def _over(self, wrong: NDArray[Any]) -> None:
        (seen,) = wrong[:1].tolist()
        raise Refused(f"block {self.name}: a record's value is over its bound", clause="bound", seen=seen,
                      needed=f"at most {self.bound} in magnitude")  # fmt: skip

    def _exact_bound(self) -> Fraction:
        whole = hasattr(self.bound, "__index__")  # a plan's JSON may say 120 instead of 120.0
        return Fraction(operator.index(self.bound) if whole else float(self.bound))  # type: ignore[arg-type]

    def _refuse_no_block(self, width: int) -> None:
        _refuse_fractions(length=self.length, scale=self.scale, noise=self.noise)
        if not (_is_limit(self.bound) and self.length > 0 and 0 <= self.scale < width and self.noise >= 0):
            raise Refused(f"block {self.name} is no block", clause="block", seen=self, needed="positive, finite limits")

    def real(self, sums: Integers) -> Reals:
        """Integers back to reals, each rounded at most once."""
        return sums.astype(np.float64) * 2.0 ** -int(self.scale)


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
        _refuse_fractions(members=self.members, records=self.records)
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
        _refuse_fractions(records=records)
        if not 0 <= records <= self.records:
            raise Refused(
                "another number of records than the plan allows", clause="records", seen=records, needed=self.records
            )
        lanes: Lanes = np.empty(self.length, dtype=ring(self.width))
        for block, part in self._parts():
            _fill(lanes[part], _checked(block, sums[block.name]), most=int(records) * block.most, block=block)
            if block.name in noise:
                lanes[part] += _noise(block, noise[block.name]).astype(lanes.dtype)
        return lanes

    def encode_record(self, values: Mapping[str, ArrayLike]) -> Lanes:
        """The vector of a single record, such as a model's update: as `encode` of every block's `quantise`, without the
        vector of 64-bit integers between."""
        lanes: Lanes = np.empty(self.length, dtype=ring(self.width))
        for block, part in self._parts():
            if np.shape(values[block.name]) != (block.length,):
                raise Refused(f"block {block.name} has another shape", clause="shape",
                              seen=np.shape(values[block.name]), needed=block.length)  # fmt: skip
            block._quantise(values[block.name], _signed(lanes[part]))
        return lanes

    def decode(self, total: Lanes) -> dict[str, Integers]:
        """The signed sums of each block; Untrusted if `total` is of another shape, or over what all records allow."""
        if total.shape != (self.length,) or total.dtype != ring(self.width):
            raise Untrusted(f"a vector of {total.shape} {total.dtype} is not of this layout", clause="length")
        signed = _signed(total).astype(np.int64)
        worst = [b.name for b, part in self._parts() if _exceeds(signed[part], self._most(b))]
        if worst:
            raise Untrusted(f"a total that no records within their bounds have, in {worst}", clause="bound")
        return {block.name: signed[part] for block, part in self._parts()}

    def _most(self, block: Block) -> int:
        """The largest magnitude of a sum over all records, noise included, in Python's integers: numpy's would wrap."""
        return int(self.members) * (int(self.records) * block.most + int(block.noise))

    def _parts(self) -> Iterator[tuple[Block, slice]]:
        start = 0
        for block in self.blocks:
            yield block, slice(start, start + block.length)
            start += block.length


def _signed(lanes: Lanes) -> NDArray[np.signedinteger[Any]]:
    """The same memory, lanes over half the ring as negative integers."""
    return lanes.view(np.dtype(f"<i{lanes.itemsize}"))


def _refuse_overflow(layout: Layout, block: Block) -> None:
    block._refuse_no_block(layout.width)
    worst = layout._most(block)
    if worst >= 2 ** (layout.width - 1):
        terms = f"{layout.members} members * {layout.records} records * ceil({block.bound} * 2^{block.scale})"
        terms += f" + {layout.members} * {block.noise} = {worst}" if block.noise else f" = {worst}"
        raise Refused(f"block {block.name} could overflow its ring", clause="overflow", seen=terms,
                      needed=f"less than 2^{layout.width - 1}")  # fmt: skip


def _refuse_fractions(**limits: Any) -> None:
    for name, value in limits.items():
        try:
            operator.index(value)
        except TypeError as exc:
            raise Refused(f"{name} is no whole number", clause=name, seen=value, needed="a whole number") from exc


def _is_limit(bound: float) -> bool:
    try:
        return math.isfinite(bound) and bound > 0
    except OverflowError:  # a whole number beyond float64
        return False


def _reals(block: Block, given: NDArray[Any]) -> Reals:
    """What is neither integers nor floats: whole numbers beyond 64 bits, fractions; anything else is Refused."""
    try:
        if given.dtype.kind == "O":
            return given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as exc:
        raise Refused(
            f"block {block.name}: not a number", clause="bound", seen=str(exc), needed="real numbers"
        ) from exc
    raise Refused(f"block {block.name}: not a number", clause="bound", seen=given.dtype, needed="real numbers")


def _float_below(limit: Fraction) -> float:
    """The largest float64 that is at most `limit`: comparing with a rounded-up one would let too much through."""
    near = float(limit)
    return near if Fraction(near) <= limit else math.nextafter(near, 0.0)


def _checked(block: Block, sums: Integers) -> Integers:
    if sums.shape != (block.length,) or sums.dtype != np.int64:
        raise Refused(f"block {block.name} has another shape", clause="shape", seen=sums.shape, needed=block.length)
    return sums


def _fill(lanes: Lanes, sums: Integers, *, most: int, block: Block) -> None:
    def stretch(begin: int) -> None:
        for start in range(begin, min(begin + STRETCH, len(sums)), CHUNK):
            part = sums[start : start + CHUNK]
            if _exceeds(part, most):
                raise Refused(f"block {block.name}: a sum is over what its records allow", clause="bound",
                              seen=max(part.tolist(), key=abs), needed=f"at most {most}")  # fmt: skip
            lanes[start : start + CHUNK] = part

    in_stretches(stretch, len(sums), STRETCH)


def _noise(block: Block, drawn: Integers) -> Integers:
    """A member's noise for a block; Refused where the layout leaves no room for it."""
    if drawn.shape != (block.length,) or _exceeds(drawn, block.noise):
        raise Refused(f"block {block.name}: noise without room", clause="noise", seen=drawn.shape, needed=block.noise)
    return drawn


def _exceeds(sums: Integers, most: int) -> bool:
    return int(sums.max()) > most or int(sums.min()) < -most
