"""A network of dense layers in numpy, trained in rounds (`averaging`): enough for tables and small pictures.

Each layer is x W + b, then max(0, .) but for the last; softmax and cross-entropy for classes, squares for a quantity.
No hidden layers: softmax regression. hidden=(128,) over 784 columns and 10 levels is the network of the FedAvg paper's
kind (Flatten, Dense 128, Dense 10). First weights are Glorot's (2010), from the plan's seed, so that everybody starts
alike. What is missing counts as the middle of its range. Not a framework: no convolutions, no GPU;
`federation.adapters` brings models of others.

    params = NeuralParams(features, Classes("digit", LEVELS), AveragingParams(5, 400, rounds=20), hidden=(64,))
    chances(params, state, table)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

from federation.algorithms import Fitted
from federation.algorithms.averaging import (
    AveragingParams,
    AveragingState,
    Learner,
    Pull,
    averaging,
    shuffled,
    uniform,
    weights_of,
)
from federation.errors import Refused
from federation.tables import Classes, Columns, Feature, Quantity, Table, columns_of, encode
from federation.vectors import Reals

STEPS = 32  # of the way from the middle of every range to a record


@dataclass(frozen=True)
class NeuralParams:
    """The plan. `hidden`: units of each layer but the last."""

    features: tuple[Feature, ...]
    target: Classes | Quantity
    averaging: AveragingParams
    hidden: tuple[int, ...] = (128,)

    def __post_init__(self) -> None:
        if not self.features or min(self.hidden, default=1) < 1:
            raise Refused("no network", clause="plan", seen=self.hidden, needed="features, layers of 1 unit or more")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return columns_of(self.features)

    @property
    def levels(self) -> tuple[str, ...]:
        """Of the target; none of a quantity."""
        return self.target.levels if isinstance(self.target, Classes) else ()

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Units from the columns to the answers."""
        return (len(self.columns), *self.hidden, len(self.levels) or 1)

    @property
    def weights(self) -> int:
        return sum((before + 1) * after for before, after in pairwise(self.sizes))

    @property
    def rounds(self) -> int:
        return self.averaging.rounds


def prepare(params: NeuralParams, columns: Columns) -> Table:
    return encode(columns, params.features, params.target)


def start(params: NeuralParams) -> Reals:
    """Glorot's uniform weights and no biases, layer after layer, each weight matrix row by row, then its biases."""
    draws, parts, used = uniform(params.averaging.seed, params.weights), list[Reals](), 0
    for before, after in pairwise(params.sizes):
        reach = math.sqrt(6.0 / (before + after))
        parts += [(2.0 * draws[used : used + before * after] - 1.0) * reach, np.zeros(after)]
        used += before * after
    return np.concatenate(parts)


def layers(params: NeuralParams, weights: Reals) -> list[tuple[Reals, Reals]]:
    """(W, b) of each layer, views of the flat vector."""
    found, used = [], 0
    for before, after in pairwise(params.sizes):
        middle, end = used + before * after, used + (before + 1) * after
        found.append((weights[used:middle].reshape(before, after), weights[middle:end]))
        used = end
    return found


def gradient(params: NeuralParams, weights: Reals, table: Table) -> Reals:
    """The mean gradient of the loss over the records of a table, in the order of the flat vector."""
    stack = layers(params, weights)
    inputs = _forward(stack, _filled(table))
    slope = _slope(params, inputs.pop(), table.target) / len(table)
    parts = list[Reals]()
    for (matrix, _), before in zip(reversed(stack), reversed(inputs), strict=True):
        parts += [slope.sum(axis=0), (before.T @ slope).ravel()]
        slope = (slope @ matrix.T) * (before > 0.0)
    return np.concatenate(parts[::-1])


def train(params: NeuralParams, weights: Reals, table: Table, seed: int, pull: Pull) -> tuple[Reals, int]:
    """Gradient steps over shuffled batches; what they change, and over how many records.

    On one thread: products of batches are so small that more of them only wait for each other."""
    with threadpool_limits(1):
        return _trained(params, weights, table, seed, pull), len(table)


def _trained(params: NeuralParams, weights: Reals, table: Table, seed: int, pull: Pull) -> Reals:
    plan, current = params.averaging, weights.copy()
    for epoch in range(plan.epochs):
        order = shuffled(seed * plan.epochs + epoch, len(table))
        for first in range(0, len(table), plan.batch or len(table)):
            rows = order[first : first + (plan.batch or len(table))]
            slope = gradient(params, current, Table(table.values[rows], table.target[rows]))
            if pull.control is not None:
                slope += pull.control
            current -= plan.rate * (slope + pull.proximal * (current - weights))
    return current - weights


def outputs(params: NeuralParams, state: AveragingState, table: Table) -> Reals:
    """The last layer's, (records, levels) or (records, 1)."""
    return _forward(layers(params, weights_of(state)), _filled(table))[-1]


def chances(params: NeuralParams, state: AveragingState, table: Table) -> Reals:
    """Of each level of the target, (records, levels)."""
    return _softmax(outputs(params, state, table))


def values(params: NeuralParams, state: AveragingState, table: Table) -> Reals:
    """A regression's answers in the units of the target, (records,)."""
    if isinstance(params.target, Classes):
        raise Refused("classes have chances, no values", clause="target", seen=params.target.name, needed="a quantity")
    return params.target.middle + params.target.half * outputs(params, state, table)[:, 0]


def contributions(params: NeuralParams, state: AveragingState, table: Table, wanted: Reals) -> tuple[Reals, Reals]:
    """`wanted` (records, outputs) times the outputs, taken apart: what a record with the middle of every range gets,
    (records,), and what each column adds to it, (records, columns).

    Integrated gradients (Sundararajan et al. 2017) by the midpoint rule; what is left over, for a bend between two
    steps, is shared out in proportion.
    """
    stack, values = layers(params, weights_of(state)), _filled(table)
    slopes = sum(_slopes(stack, values * ((step + 0.5) / STEPS), wanted) for step in range(STEPS)) / STEPS
    base, reached = ((_forward(stack, at)[-1] * wanted).sum(axis=1) for at in (np.zeros_like(values), values))
    added: Reals = slopes * values
    sizes = np.abs(added)
    left = reached - base - added.sum(axis=1)
    added += sizes * (left / np.maximum(sizes.sum(axis=1), np.finfo(np.float64).tiny))[:, None]
    return base, added


def fitted(params: NeuralParams, state: AveragingState) -> Fitted:
    """`weights`: the flat vector of `layers`, for values (and a quantity) scaled to [-1, 1] by their ranges."""
    if not state.rounds:
        raise Refused("no round has ended yet", clause="order", seen=0, needed="one")
    return Fitted(params.columns, state.records, {"weights": weights_of(state)}, params.levels)


def _forward(stack: list[tuple[Reals, Reals]], values: Reals) -> list[Reals]:
    """What goes into each layer, and what the last gives."""
    found = [values]
    for i, (matrix, bias) in enumerate(stack):
        result = found[-1] @ matrix + bias
        found.append(result if i + 1 == len(stack) else np.maximum(result, 0.0))
    return found


def _slopes(stack: list[tuple[Reals, Reals]], values: Reals, wanted: Reals) -> Reals:
    """The gradient of `wanted` times the outputs by the values, (records, columns)."""
    slope, inputs = wanted, _forward(stack, values)[:-1]
    for i in reversed(range(len(stack))):
        slope = slope @ stack[i][0].T
        if i:
            slope = slope * (inputs[i] > 0.0)
    return slope


def _slope(params: NeuralParams, answers: Reals, target: Reals) -> Reals:
    if isinstance(params.target, Quantity):
        return answers - ((target - params.target.middle) / params.target.half)[:, None]
    slope = _softmax(answers)
    slope[np.arange(len(target)), target.astype(np.int64)] -= 1.0
    return slope


def _softmax(answers: Reals) -> Reals:
    powers: Reals = np.exp(answers - answers.max(axis=1, keepdims=True))
    total: Reals = powers.sum(axis=1, keepdims=True)
    return powers / total


def _filled(table: Table) -> Reals:
    return np.nan_to_num(table.values, nan=0.0)


LEARNER = Learner(averaging=lambda params: params.averaging, start=start, train=train, gradient=gradient)
NEURAL = replace(averaging("neural", NeuralParams, prepare, LEARNER), fitted=fitted, shapes={"weights": ("weights",)})
