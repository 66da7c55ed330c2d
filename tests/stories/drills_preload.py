"""What the fork server imports once, so that a drill costs no imports; and the stories by name."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import eth_account  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401
import web3  # noqa: F401

from node import access, fetch, publish, training
from node.chain.provider import Provider  # noqa: F401
from node.model import DatasetId, GrantId, TrainingId
from node.policy import Offer
from node.wiring import Node
from tests.stories.alliance import PASSPHRASE  # noqa: F401

assert threading.active_count() == 1, "a process with threads cannot be forked safely"


def _publish(node: Node, source: str, title: str, dataset: str | None = None) -> Any:
    return publish.publish(
        node, Path(source), title=title, offer=Offer(days=90), dataset=DatasetId(dataset) if dataset else None
    )  # fmt: skip


def _request(node: Node, dataset: str) -> Any:
    return access.request(node, DatasetId(dataset), purposes=("research",))


def _grant(node: Node, number: str) -> Any:
    return access.grant(node, GrantId(number))


def _refuse(node: Node, number: str) -> Any:
    return access.refuse(node, GrantId(number), "not now")


def _fetch(node: Node, number: str, destination: str) -> Any:
    return fetch.fetch(node, GrantId(number), Path(destination), purposes=("research",))


def _revoke(node: Node, number: str) -> Any:
    return access.revoke(node, GrantId(number))


def _join(node: Node, number: str, dataset: str) -> Any:
    return training.join(node, TrainingId(number), DatasetId(dataset))


def _run(node: Node, number: str) -> Any:
    return training.run(node, TrainingId(number), deadline_seconds=60)


STORIES = {
    "publish": _publish, "request": _request, "grant": _grant, "refuse": _refuse, "fetch": _fetch, "revoke": _revoke,
    "join": _join, "run": _run,
}  # fmt: skip
