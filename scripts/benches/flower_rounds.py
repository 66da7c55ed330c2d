"""Flower's simulation of the job that `rounds` measures: runs in an environment of its own, prints one line of JSON.

    python flower_rounds.py FOLDER      # with values.npy and target.npy: ten members' records one after another

Softmax regression by averaging; the local step is numpy's, as ours is, so that what differs is what carries it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MEMBERS, ROUNDS, BATCH, RATE = 10, 20, 32, 0.1
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def trained(weights: np.ndarray[Any, Any], values: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> Any:
    """One epoch of softmax regression, (1 + columns, 10)."""
    weights, rows = weights.copy(), np.column_stack([np.ones(len(values)), values])
    order = np.random.default_rng(0).permutation(len(rows))
    for first in range(0, len(rows), BATCH):
        some = order[first : first + BATCH]
        power = np.exp(rows[some] @ weights)
        chance = power / power.sum(axis=1, keepdims=True)
        chance[np.arange(len(some)), target[some]] -= 1.0
        weights -= RATE * rows[some].T @ chance / len(some)
    return weights


def main(folder: Path) -> None:
    from flwr.client import ClientApp, NumPyClient
    from flwr.server import ServerApp, ServerAppComponents, ServerConfig
    from flwr.server.strategy import FedAvg
    from flwr.simulation import run_simulation

    values, target = np.load(folder / "values.npy"), np.load(folder / "target.npy")
    parts = np.array_split(np.arange(len(target)), MEMBERS)
    stamps: list[float] = []

    class Member(NumPyClient):  # type: ignore[misc]
        def __init__(self, part: int) -> None:
            self.rows = parts[part]

        def fit(self, parameters: Any, config: Any) -> tuple[list[Any], int, dict[str, Any]]:
            start = time.perf_counter()
            found = trained(parameters[0], values[self.rows], target[self.rows])
            return [found], len(self.rows), {"seconds": time.perf_counter() - start}

    locals_: list[float] = []

    def seconds(answers: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
        locals_.append(sum(float(metrics["seconds"]) for _, metrics in answers))
        return {}

    def stamp(number: int, parameters: Any, config: Any) -> tuple[float, dict[str, Any]]:
        stamps.append(time.perf_counter())
        return 0.0, {}

    def server(context: Any) -> Any:
        from flwr.common import ndarrays_to_parameters

        strategy = FedAvg(
            fraction_evaluate=0.0, min_fit_clients=MEMBERS, min_available_clients=MEMBERS, evaluate_fn=stamp,
            fit_metrics_aggregation_fn=seconds, initial_parameters=ndarrays_to_parameters([np.zeros((65, 10))]),
        )  # fmt: skip
        return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=ROUNDS))

    start = time.perf_counter()
    client = ClientApp(client_fn=lambda context: Member(int(context.node_config["partition-id"])).to_client())
    run_simulation(ServerApp(server_fn=server), client, num_supernodes=MEMBERS,
                   backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}})  # fmt: skip
    print(json.dumps({"start": start, "stamps": stamps, "local": locals_}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
