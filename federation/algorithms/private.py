"""Softmax regression whose every sum is noisy: what anybody can learn of one record is bounded by the plan's epsilon.

Gradient descent on all records at once (Bassily et al. 2014; per-record clipping as in Abadi et al. 2016). A record's
gradient z (p - y)^T, z = (1, values), is cut to the norm `clip`, becomes integers, and each member adds its part of the
noise (`privacy`) to its sum; the weights move by rate / `total`, where `total` is a public guess of how many records
there are (a true count would cost privacy too). The answer is the mean of the second half of all weights. No scaling is
learnt from data: ranges of features are public, and it pays to choose them well. Without noise, what is added to a sum
is the same for pooled and split records.

    noise = noise_for(params, epsilon=1000, delta=1e-5, survivors=3)
    params = replace(params, noise=noise)
    scores(params, state, table)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from federation import portable
from federation.algorithms import Algorithm, Fitted, Sums
from federation.algorithms.averaging import pack, unpack
from federation.errors import Refused
from federation.privacy import Noise, plan_noise, rounded
from federation.securesum.keys import Random
from federation.tables import Classes, Columns, Feature, Table, columns_of, encode, halves, middles
from federation.vectors import Block, Layout, Reals

CHUNK = 1 << 20  # numbers in one slice of gradients


@dataclass(frozen=True)
class PrivateParams:
    """The plan. `noise`: None to see what the same training would reach without any."""

    features: tuple[Feature, ...]
    target: Classes
    members: int
    records: int
    total: int
    rounds: int = 60
    clip: float = 1.0
    rate: float = 5.0
    width: Literal[32, 64] = 64
    scale: int = 16
    noise: Noise | None = None

    def __post_init__(self) -> None:
        if not (self.features and min(self.total, self.rounds, self.clip, self.rate) > 0):
            raise Refused("a plan that cannot run", clause="plan", seen=(self.total, self.rounds, self.clip, self.rate),
                          needed="features, positive numbers")  # fmt: skip
        if self.noise is not None:
            if self.noise.rounds != self.rounds:
                raise Refused("noise for another number of rounds", clause="rounds", seen=self.noise.rounds,
                              needed=self.rounds)  # fmt: skip
            self.noise.check(self.sensitivity, self.length)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return columns_of(self.features)

    @property
    def length(self) -> int:
        """Weights: for each column, and one more, one a level."""
        return (len(self.columns) + 1) * len(self.target.levels)

    @property
    def sensitivity(self) -> float:
        """By how much one record moves a sum, in steps of the grid."""
        return rounded(self.clip, scale=self.scale, length=self.length)


@dataclass(frozen=True)
class PrivateState:
    """Vectors are float64, little-endian, (1 + columns, levels) row by row; `mean` is of the rounds after the half."""

    weights: bytes
    mean: bytes
    rounds: int = 0


def noise_for(params: PrivateParams, *, epsilon: int, delta: float, survivors: int) -> Noise:
    """The least noise for `epsilon` thousandths over all rounds of such a plan."""
    return plan_noise(epsilon, delta=delta, survivors=survivors, rounds=params.rounds, sensitivity=params.sensitivity,
                      length=params.length)  # fmt: skip


def prepare(params: PrivateParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: PrivateParams) -> PrivateState:
    zero = pack(np.zeros(params.length))
    return PrivateState(zero, zero)


def layout(params: PrivateParams, state: PrivateState) -> Layout:
    """Room for all gradients and for the tails of all members' noise."""
    tail = params.noise.most if params.noise else 0
    block = Block("gradient", params.length, params.scale, params.clip, noise=tail)
    return Layout(params.width, params.members, params.records, (block,))


def local(params: PrivateParams, state: PrivateState, table: Table) -> Sums:
    """The sum of clipped gradients, without noise: each a function of its own record only."""
    total, block = np.zeros(params.length, dtype=np.int64), layout(params, state)["gradient"]
    z = _rows(table)
    for first in range(0, len(z), max(1, CHUNK // params.length)):
        rows = slice(first, first + max(1, CHUNK // params.length))
        total += block.quantise(_gradients(params, state, z[rows], table.target[rows])).sum(axis=0)
    return {"gradient": total}


def noise(params: PrivateParams, state: PrivateState, rand: Random) -> Sums:
    """A member's part of the noise."""
    return {"gradient": params.noise.draw(params.length, rand)} if params.noise else {}


def step(params: PrivateParams, state: PrivateState, sums: Sums) -> PrivateState:
    gradient = layout(params, state)["gradient"].real(sums["gradient"])
    moved = unpack(state.weights) - params.rate * (gradient / params.total)
    rounds, mean = state.rounds + 1, unpack(state.mean)
    later = rounds - params.rounds // 2
    mean = moved if later <= 1 else mean + (moved - mean) / later
    return PrivateState(pack(moved), pack(mean), rounds)


def done(params: PrivateParams, state: PrivateState) -> bool:
    return state.rounds >= params.rounds


def scores(params: PrivateParams, state: PrivateState, table: Table) -> Reals:
    """Margins of each level, (records, levels), by the mean weights; `portable.softmax` makes them chances."""
    return _margins(params, unpack(state.mean), _rows(table))


def fitted(params: PrivateParams, state: PrivateState) -> Fitted:
    """`weights` (classes, 1 + columns): intercepts first, in the units of the records; records by the plan's guess."""
    if not state.rounds:
        raise Refused("no round has ended yet", clause="order", seen=0, needed="one")
    matrix = unpack(state.mean).reshape(-1, len(params.target.levels))
    slopes = matrix[1:] / halves(params.features)[:, None]
    first = matrix[0] - portable.dot(slopes.T, middles(params.features))
    return Fitted(params.columns, params.total, {"weights": np.column_stack([first, slopes.T])}, params.target.levels)


def _rows(table: Table) -> Reals:
    return np.column_stack([np.ones(len(table)), np.nan_to_num(table.values, nan=0.0)])


def _margins(params: PrivateParams, weights: Reals, z: Reals) -> Reals:
    matrix = weights.reshape(-1, len(params.target.levels))
    return np.column_stack([portable.dot(z, column) for column in matrix.T])


def _gradients(params: PrivateParams, state: PrivateState, z: Reals, target: Reals) -> Reals:
    error = portable.softmax(_margins(params, unpack(state.weights), z))
    error[np.arange(len(z)), target.astype(np.int64)] -= 1.0
    norm = np.sqrt(portable.dot(z * z, np.ones(z.shape[1])) * portable.dot(error * error, np.ones(error.shape[1])))
    cut = np.minimum(1.0, params.clip * (1.0 - 2.0**-40) / np.maximum(norm, 2.0**-40))  # what is rounded stays under
    gradients = (z * cut[:, None])[:, :, None] * error[:, None, :]
    return gradients.reshape(len(z), -1)


PRIVATE_LOGISTIC = Algorithm(
    name="private-logistic", params=PrivateParams, state=PrivateState,
    prepare=prepare, start=start, layout=layout, local=local, step=step, done=done, noise=noise,
    fitted=fitted, shapes={"weights": ("classes", "1 + columns")},
)  # fmt: skip
