"""Noise that hides single records in a sum, drawn by the members themselves, and what it costs in epsilon.

Each member adds its part to its integers before they are masked: a discrete Gaussian on the whole numbers, from an
exact sampler (Canonne, Kamath & Steinke 2020, algorithms 1 to 3), so that no rounding of floats tells the noise from
the sum (Mironov 2012). Parts are sized so that the fewest survivors of a round already bring enough; their sum is
nearly a discrete Gaussian (Kairouz, Liu & Steinke 2021), and how nearly is in the account. A member knows its own part
and those of its friends: towards k who collude, `survivors` is k too many.

Epsilon: concentrated privacy rho = sensitivity^2 / (2 variance), summed over rounds, and from it epsilon at delta by
Google's dp-accounting (Renyi accountant, Mironov 2017). Adjacent: one record more or less.

    moved = rounded(1.0, scale=16, length=650)
    noise = plan_noise(1000, delta=1e-5, survivors=3, rounds=60, sensitivity=moved, length=650)
    part = noise.draw(650, rand)
"""

from __future__ import annotations

import bisect
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from federation import portable
from federation.errors import Refused
from federation.securesum.keys import Random
from federation.vectors import Integers, Reals

TAIL = 40  # deviations: noise is beyond with a chance under e^-800, and plans leave room for as much
SMALLEST = 8  # deviation on the grid under which a sum of parts is not near enough to a discrete Gaussian
MOST_DEVIATION = 1 << 39  # its variance is one that can be drawn
SLACK = 2.0**-40  # a chance in doubles is nearer than this to the true one; what falls within is decided exactly
WORD = 1 << 53


@dataclass(frozen=True)
class Noise:
    """The plan's part. `epsilon` in thousandths, over all `rounds`, at `delta`; each member's part has `deviation`,

    in whole steps of the grid, and at least `survivors` parts are in a sum.
    """

    epsilon: int
    delta: float
    survivors: int
    rounds: int
    deviation: int

    def __post_init__(self) -> None:
        if not (self.epsilon > 0 and 0 < self.delta < 1 and self.survivors > 0 and self.rounds > 0):
            raise Refused("no noise", clause="noise", seen=self, needed="positive numbers, delta under 1")
        if self.deviation < SMALLEST:
            raise Refused("the grid is too coarse for the noise", clause="deviation", seen=self.deviation,
                          needed=f"{SMALLEST} or more: a larger scale")  # fmt: skip

    @property
    def most(self) -> int:
        """What one member's part of a lane stays within."""
        return TAIL * self.deviation

    def check(self, sensitivity: float, length: int) -> None:
        """Refused if a sum of `length` lanes that one record moves by `sensitivity` (L2, in steps) costs more."""
        spent = self.spent(sensitivity, length)
        if spent > self.epsilon / 1000.0:
            raise Refused("the noise is too small for what the plan promises", clause="epsilon", seen=spent,
                          needed=self.epsilon / 1000.0)  # fmt: skip

    def spent(self, sensitivity: float, length: int) -> float:
        """Epsilon of all rounds together, at `delta`."""
        deviation = math.sqrt(self.survivors) * self.deviation
        apart = _apart(self.survivors, self.deviation)
        near = math.sqrt((sensitivity / deviation) ** 2 + apart * length / 2.0)
        return epsilon_of(self.rounds * near * near / 2.0, self.delta)

    def draw(self, length: int, rand: Random) -> Integers:
        """One member's part."""
        part = discrete_gaussian(self.deviation * self.deviation, length, rand)
        if np.abs(part).max() > self.most:
            raise Refused("noise beyond its tail", clause="noise", seen=int(np.abs(part).max()), needed=self.most)
        return part


def plan_noise(
    epsilon: int, *, delta: float, survivors: int, rounds: int, sensitivity: float, length: int
) -> Noise:  # fmt: skip
    """The least noise that keeps what it promises. `epsilon` in thousandths; see `Noise` and `Noise.check`."""

    def enough(deviation: int) -> bool:
        return Noise(epsilon, delta, survivors, rounds, deviation).spent(sensitivity, length) <= epsilon / 1000.0

    deviations = range(SMALLEST, MOST_DEVIATION)
    least = bisect.bisect_left(deviations, True, key=enough)
    if least == len(deviations):
        raise Refused("no noise is enough", clause="epsilon", seen=epsilon, needed="a finer grid")
    return Noise(epsilon, delta, survivors, rounds, deviations[least])


def rounded(clip: float, *, scale: int, length: int) -> float:
    """By how much (L2, in steps) a record of norm `clip` moves a sum: rounding adds at most half a step a lane."""
    return clip * 2.0**scale + math.sqrt(length) / 2.0


def _apart(parts: int, deviation: int) -> float:
    """tau of Kairouz, Liu & Steinke 2021: how far a sum of discrete Gaussians is from one."""
    terms = (math.exp(-2.0 * (math.pi * deviation) ** 2 * k / (k + 1)) for k in range(1, parts))
    return 10.0 * math.fsum(terms)


def epsilon_of(rho: float, delta: float) -> float:
    """The epsilon at `delta` of rho-concentrated privacy."""
    from dp_accounting import ZCDpEvent  # seconds, with most of scipy
    from dp_accounting.rdp import RdpAccountant

    near = math.sqrt(math.log(1.0 / delta) / rho)  # the best order less 1, but for a constant
    accountant = RdpAccountant([1.0 + near * 2.0 ** (step / 32.0) for step in range(-160, 64)])
    return float(accountant.compose(ZCDpEvent(rho)).get_epsilon(delta))


def stream(secret: bytes) -> Random:
    """Bytes that follow from a secret (SHAKE-256): a member that comes back draws the same noise for the same round.

    Fresh noise under the same masks would show the difference of both.
    """
    count = 0

    def drawn(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(b"hanse noise" + secret + count.to_bytes(8, "big")).digest(size)

    return drawn


def discrete_gaussian(variance: int, count: int, rand: Random) -> Integers:
    """`count` draws of x with chance proportional to e^(-x^2 / (2 variance)). Exact; 10^5 in a fraction of a second.

    Algorithm 3: a discrete Laplace y of scale t stays with chance e^-((|y| - variance/t)^2 / (2 variance)).
    """
    t = math.isqrt(variance) + 1
    if not 0 < variance < 1 << 80:
        raise Refused("no such noise", clause="variance", seen=variance, needed="1 to 2^80")

    def some(size: int) -> Integers:
        y = _laplace(t, size, rand)
        off = np.abs(y) - variance / t
        exact = lambda i: (abs(int(y[i])) - Fraction(variance, t)) ** 2 / (2 * variance)  # noqa: E731
        kept: Integers = y[_happens(off * off / (2.0 * variance), exact, rand)]
        return kept

    return _filled(some, count)


def _laplace(t: int, count: int, rand: Random) -> Integers:
    """Algorithm 2: chance proportional to e^(-|x| / t)."""

    def some(size: int) -> Integers:
        u = _below(t, size, rand)
        u = u[_happens(u / t, lambda i: Fraction(int(u[i]), t), rand)]
        y = u + t * _successes(len(u), rand)
        negative = (np.frombuffer(rand(len(y)), dtype=np.uint8) & 1).astype(bool)
        kept: Integers = np.where(negative, -y, y)[~negative | (y != 0)]
        return kept

    return _filled(some, count)


def _successes(count: int, rand: Random) -> Integers:
    """How often in a row something of chance 1/e happens."""
    found, going = np.zeros(count, dtype=np.int64), np.arange(count)
    while len(going):
        going = going[_happens(np.ones(len(going)), lambda i: Fraction(1), rand)]
        found[going] += 1
    return found


def _below(n: int, count: int, rand: Random) -> Integers:
    """Uniform in 0 to n - 1."""
    shift = np.uint64(64 - n.bit_length())

    def some(size: int) -> Integers:
        drawn: Integers = (_words(size, rand) >> shift).astype(np.int64)
        return drawn[drawn < n]

    return _filled(some, count)


def _filled(some: Callable[[int], Integers], count: int) -> Integers:
    """`count` of what `some` keeps of its draws, in the order they are drawn."""
    parts, have = [np.zeros(0, dtype=np.int64)], 0
    while have < count:
        parts.append(some(2 * (count - have) + 16))
        have += len(parts[-1])
    return np.concatenate(parts)[:count]


def _words(count: int, rand: Random) -> NDArray[np.uint64]:
    return np.frombuffer(rand(8 * count), dtype="<u8").astype(np.uint64)


def _happens(gamma: Reals, exact: Callable[[int], Fraction], rand: Random) -> NDArray[np.bool_]:
    """Whether something of chance e^-gamma happens, each by itself; `exact(i)` is gamma without rounding.

    The first 53 bits of a uniform number mostly decide; where they are too near to the chance in doubles, as many more
    bits are drawn as an exact comparison takes.
    """
    drawn = _words(len(gamma), rand) >> np.uint64(11)
    uniform, chance = drawn.astype(np.float64) / WORD, portable.exp_of_negative(-gamma)
    happens: NDArray[np.bool_] = uniform < chance
    for i in np.flatnonzero(np.abs(uniform - chance) <= SLACK):
        happens[i] = _decide(int(drawn[i]), exact(int(i)), rand)
    return happens


def _decide(prefix: int, gamma: Fraction, rand: Random) -> bool:
    """Whether a uniform number that begins with these 53 bits is under e^-gamma."""
    bits = 53
    while True:
        low, high = _bounds(gamma, bits)
        if prefix + 1 <= low:
            return True
        if prefix >= high:
            return False
        prefix, bits = prefix << 64 | int.from_bytes(rand(8), "big"), bits + 64


def _bounds(gamma: Fraction, bits: int) -> tuple[int, int]:
    """Whole numbers around e^-gamma 2^bits: the alternating series for gamma / 2^m <= 1/2, then squared m times."""
    halvings = max(0, math.ceil(gamma).bit_length() + 1)
    x, more = gamma / (1 << halvings), bits + 64 + 2 * halvings
    term, total, n = Fraction(1), Fraction(1), 0
    while term * (1 << more) >= 1 or n % 2 == 0:  # ends below the value; one term less is above it
        n += 1
        term *= x / n
        total += -term if n % 2 else term
    low, high = math.floor(total * (1 << more)), math.ceil((total + term) * (1 << more))
    for _ in range(halvings):
        low, high = low * low >> more, -(-(high * high) >> more)
    return low >> (more - bits), -(-high >> (more - bits))
