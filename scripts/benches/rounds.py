"""What a round costs beside the members' own training: ours in memory, masks and all, against Flower's simulation.

The same job for both: digits over ten members, twenty rounds of averaging a softmax regression, one epoch a round.
Flower's simulation adds bare floats, and so its like is ours without masks ("bare"); with them ("masked") every step of
the secure sum is taken for all ten members, one after another in one process. The overhead of a round is its time less
that of all members' local training in it (Flower's two processes let members train at once, which is to its advantage);
medians, without Flower's first round, which starts its processes.

    python scripts/benches/rounds.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from federation.algorithms import advance, vector
from federation.algorithms.averaging import AveragingParams
from federation.algorithms.neural import NEURAL, NeuralParams
from federation.securesum import ShareKey
from federation.simulate import addresses, context_of, run_round
from federation.tables import Classes, Feature, Table
from scripts.benches.flower_env import flower_python

PIN = "flwr[simulation]==1.42.0"
MEMBERS, ROUNDS = 10, 20
SECONDS = 600


def run() -> dict[str, Any]:
    """The bench document; about a minute, and an installation the first time."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    values, target = x[order] / 8.0 - 1.0, y[order]
    (_, bare), (total, masked) = (ours(values, target, masks=masks) for masks in (False, True))
    peer = theirs(values, target)
    rows = [
        row("overhead_bare", bare, peer and peer[1], goal=1.0),
        row("overhead_masked", masked, peer and peer[1]),
        row("twenty_rounds_masked", total, peer and peer[0]),
    ]
    return {"bench": "rounds", "runs": ROUNDS, "results": rows}


def ours(values: np.ndarray[Any, Any], target: np.ndarray[Any, Any], *, masks: bool) -> tuple[float, float]:
    """Seconds of all rounds, and of a round without the local training."""
    params = plan()
    tables = [
        Table(values[part], target[part].astype(np.float64)) for part in np.array_split(range(len(target)), MEMBERS)
    ]
    members = addresses(MEMBERS)
    start, rest, state = time.perf_counter(), list[float](), NEURAL.start(params)
    share_keys = {member: ShareKey.draw(os.urandom) for member in members}
    while not NEURAL.done(params, state):
        vectors = {member: vector(NEURAL, params, state, table) for member, table in zip(members, tables, strict=True)}
        trained = time.perf_counter()
        if masks:
            context = context_of(state.rounds)
            total = run_round(vectors, context=context, rand=os.urandom, share_keys=share_keys).total
        else:
            total = np.sum(list(vectors.values()), axis=0, dtype="<u4")
        state = advance(NEURAL, params, state, total)
        rest.append(time.perf_counter() - trained)
    return time.perf_counter() - start, statistics.median(rest)


def plan() -> NeuralParams:
    features = tuple(Feature(f"p{i}", 0, 16) for i in range(64))
    averaging = AveragingParams(MEMBERS, 200, rounds=ROUNDS)
    return NeuralParams(features, Classes("digit", tuple(str(i) for i in range(10))), averaging, hidden=())


def theirs(values: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> tuple[float, float] | None:
    """The same of Flower; None where it cannot be had."""
    python = flower_python(PIN)
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "values.npy", values)
        np.save(Path(folder) / "target.npy", target)
        script = str(Path(__file__).with_name("flower_rounds.py"))
        done = subprocess.run(
            [str(python), script, folder], capture_output=True, text=True, timeout=SECONDS, check=True
        )
    found = json.loads(done.stdout.strip().splitlines()[-1])
    stamps, local = found["stamps"], found["local"]  # the first stamp is of the first weights, before any round
    rounds = [after - before - own for before, after, own in zip(stamps[:-1], stamps[1:], local, strict=True)]
    return stamps[-1] - found["start"], statistics.median(rounds[1:])


def row(name: str, value: float, peer: float | None, goal: float | None = None) -> dict[str, Any]:
    """One row; where there is a goal, the ratio must not be over it."""
    ratio, goal = (value / peer, goal) if peer else (None, None)
    return {"name": name, "value": value, "unit": "s", "against": {"flower 1.42": peer} if peer else {}, "ratio": ratio,
            "goal": goal, "holds": ratio <= goal if ratio and goal else None}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
