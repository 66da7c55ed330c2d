"""Publish: seal a file, store it, and put one salted commitment on chain.

The order of writes is the design. Bytes come before the pointer to them and the key before the transaction, because a
published dataset whose key is lost is the one state that nothing repairs. The first run and the recovery after a crash
are the same code: run the same command again and it goes on from the last step that is on disk.

    published = publish(node, Path("mill.csv"), title="Mill 7, October", offer=Offer(purposes=("research",)))

It does not decide who may read: that is `access`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node import canon, documents, model, tables
from node.db import Tx, operations
from node.db import documents as private
from node.db.records import Holding, Operation
from node.encryption import commitment, floe
from node.errors import Conflict, Misuse, NotFound, Refused, Retry
from node.keyring import file_key_name
from node.ledger import require_active, require_owner
from node.model import DatasetId, DatasetState, Digest, Time, TxHash, Version
from node.policy import Offer, offer_document, parse_offer
from node.sealed import associated
from node.store.dag import PROFILES, UNIXFS_V1_2025
from node.wiring import Node

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """What publishing came to: its one transaction, its gas. `already` where an earlier run had finished it."""

    dataset: DatasetId
    version: int
    title: str
    envelope: str
    size: int
    tx: TxHash
    gas: int
    already: bool


@dataclass(frozen=True, slots=True)
class Retirement:
    dataset: DatasetId
    tx: TxHash
    gas: int


def publish(
    node: Node,
    source: Path,
    *,
    title: str,
    description: str = "",
    offer: Offer | None = None,
    budget: int = 0,
    dataset: DatasetId | None = None,
    profile: str = UNIXFS_V1_2025.name,
    key: str | None = None,
    progress: Progress | None = None,
) -> PublishedVersion:
    """Publish `source` as a new dataset, or as the next version of `dataset`. Idempotent under `key`, which is made
    from the file's path, size and time where none is given. `budget`: thousandths of epsilon for trainings to spend.
    `profile`: how the sealed file is cut into blocks (`store.dag.PROFILES`), and so its CID.

    Raises Refused for a stranger, a foreign or a retired dataset, Misuse for a file that cannot be read or a CSV that
    is no table, Conflict where `key` stands for something else, Retry when disk or chain fail.
    """
    require_active(node.ledger, node.me)
    with _readable(source):
        found = source.stat()
    if profile not in PROFILES:
        raise Misuse("unknown DAG profile", clause="profile", seen=profile, needed=", ".join(PROFILES))
    details = {"title": title, "description": description, "offer": offer_document(offer or Offer()), "budget": budget,
               "profile": profile}  # fmt: skip
    task = _begun(node, key or _key(source, found, dataset, details), dataset, details)
    if task.done:
        return _published(task, already=True)
    task = _sealed(node, task, source, found.st_size, progress or _silent)
    task = _described(node, task)
    return _sent(node, task)


def retire(node: Node, dataset: DatasetId) -> Retirement:
    """No new versions, requests, grants or trainings from now on; what was granted stays as granted."""
    require_owner(node.ledger, dataset, node.me)
    receipt = node.send(f"retire:{dataset}", "Datasets", "retire", dataset, purpose="retire a dataset")
    return Retirement(dataset, receipt.tx, receipt.gas)


def _begun(node: Node, key: str, dataset: DatasetId | None, details: Mapping[str, Any]) -> Operation:
    with node.db.reading() as tx:
        task = operations.find(tx, key)
    if task is None or _overtaken(node, task):
        intent = _intent(node, dataset, details)
        with node.db.writing() as tx:
            # A crash here leaves an operation without bytes: the next run starts it.
            task = operations.restart(tx, "publish", key, intent, at=node.clock())
    if any(task.state[name] != wanted for name, wanted in details.items()):
        raise Conflict("this key stands for another publication", clause="key", seen=key, needed="another key")
    return task


def _overtaken(node: Node, task: Operation) -> bool:
    """Whether somebody published other content under the version number that this run had set out to publish."""
    known = node.ledger.datasets.get(DatasetId(task.state["dataset"]))
    number = int(task.state["version"])
    if task.done or known is None or number > len(known.versions):
        return False
    return known.versions[number - 1].content.commitment != task.state.get("commitment")


def _intent(node: Node, dataset: DatasetId | None, details: Mapping[str, Any]) -> dict[str, Any]:
    """What a run sets out to do; all randomness of the run is drawn here, once, so that every retry does the same."""
    salt = model.digest(os.urandom(32))
    if dataset is None:
        born = node.dataset_id(node.me, salt)
        return {**details, "dataset": born, "version": 1, "salt": salt, "manifest_salt": os.urandom(32).hex()}
    found = require_owner(node.ledger, dataset, node.me)
    if found.state != DatasetState.ACTIVE:
        raise Refused("the dataset is retired", clause="state", seen="retired", needed="active")
    number = found.current.number + 1
    return {**details, "dataset": dataset, "version": number, "salt": salt, "manifest_salt": os.urandom(32).hex()}


def _sealed(node: Node, task: Operation, source: Path, size: int, progress: Progress) -> Operation:
    if task.step != operations.FIRST:
        return task
    dataset, version = DatasetId(task.state["dataset"]), int(task.state["version"])
    file_key = _file_key(node, dataset, version)
    aad = associated(node.chain.chain_id, dataset, version)
    total = floe.sealed_size(size)
    with _readable(source), source.open("rb", buffering=0) as plain, node.store.importing():
        table = tables.describe(source)
        # A crash inside leaves blocks without a pin, which the next collection removes.
        stored = node.store.put_file(
            floe.seal(file_key, aad, plain, random=os.urandom),
            profile=PROFILES[task.state["profile"]],
            progress=lambda done: progress("seal", done, total),
        )
        node.store.pin(stored.cid, f"{dataset}.{version}")
    if stored.size != total:
        raise Conflict("the file changed while it was read", clause="source", seen=stored.size, needed=total)
    with node.db.writing() as tx:
        # From here on the sealed bytes are kept; a crash before this line seals again under the same key.
        state = {"cid": str(stored.cid), "sealed_size": stored.size, "size": size, "table": documents.plain(table)}
        return operations.advance(tx, task.key, "sealed", state, at=node.clock())


def _file_key(node: Node, dataset: DatasetId, version: int) -> bytes:
    """The version's own key, in the keyring and on disk before anything is sealed with it."""
    name = file_key_name(dataset, version)
    try:
        return node.keys.get_secret(name)
    except NotFound:
        node.keys.put_secret(name, os.urandom(floe.KEY_SIZE))
        return node.keys.get_secret(name)


def _described(node: Node, task: Operation) -> Operation:
    if task.step != "sealed":
        return task
    state = task.state
    dataset, version = DatasetId(state["dataset"]), int(state["version"])
    envelope = node.put_document(
        documents.Envelope(dataset, version, state["cid"], state["sealed_size"], profile=state["profile"])
    )
    policy = node.put_bytes(canon.encode(state["offer"]))
    manifest = commitment.salted(_manifest(node, state, envelope), bytes.fromhex(state["manifest_salt"]))
    with node.db.writing() as tx:
        # Documents and step together: the commitment on chain never names a manifest that is not here.
        digest = private.put(tx, "manifest", manifest, at=node.clock())
        found = {"commitment": digest, "envelope": envelope, "policy": policy, "uses": _uses(state)}
        return operations.advance(tx, task.key, "described", found, at=node.clock())


def _manifest(node: Node, state: Mapping[str, Any], envelope: Digest) -> dict[str, Any]:
    table = state["table"]
    record = documents.Manifest(
        dataset=DatasetId(state["dataset"]),
        version=int(state["version"]),
        title=state["title"],
        description=state["description"],
        media_type=table["media_type"],
        size=int(state["size"]),
        envelope=envelope,
        created=node.clock(),
        salt="",
        rows=table["rows"],
        columns=tuple(documents.Column(**column) for column in table["columns"]),
    )
    fields = {"schema": documents.SCHEMAS[documents.Manifest]} | documents.plain(record)
    return {name: value for name, value in fields.items() if name != "salt"}


def _uses(state: Mapping[str, Any]) -> int:
    """The uses that the offer in an operation's state allows, as the contract's bit set."""
    return int(parse_offer(state["offer"]).uses)


def _sent(node: Node, task: Operation) -> PublishedVersion:
    state = task.state
    content = Version(state["commitment"], state["envelope"], state["policy"], state["uses"], int(state["budget"]))
    call: tuple[Any, ...]
    if int(state["version"]) == 1:
        call = ("publish", state["salt"], content)
    else:
        call = ("publishVersion", state["dataset"], int(state["version"]), content)
    # A crash around here leaves the intent in the outbox under the same key: sending twice is sending once.
    receipt = node.send(f"publish:{task.key}:{state['version']}", "Datasets", *call, purpose="publish a version")
    with node.db.writing() as tx:
        # Only what is on chain is held: of two files meant to be the same version, one was.
        found = {"tx": receipt.tx, "gas": receipt.gas}
        _hold(tx, task, at=node.clock())
        task = operations.advance(tx, task.key, "published", found, at=node.clock(), done=True)
    return _published(task, already=False)


def _hold(tx: Tx, task: Operation, *, at: Time) -> None:
    state = task.state
    dataset, version = DatasetId(state["dataset"]), int(state["version"])
    if private.holding(tx, dataset, version) is None:
        kept = Holding(
            dataset, version, name=state["title"], salt=state["salt"], manifest=state["commitment"],
            policy=state["policy"], envelope=state["envelope"], cid=state["cid"], created=at,
        )  # fmt: skip
        private.hold(tx, kept)


def _published(task: Operation, *, already: bool) -> PublishedVersion:
    state = task.state
    return PublishedVersion(
        DatasetId(state["dataset"]), int(state["version"]), state["title"], state["cid"], int(state["size"]),
        TxHash(state["tx"]), int(state["gas"]), already,
    )  # fmt: skip


def _key(source: Path, found: os.stat_result, dataset: DatasetId | None, details: Mapping[str, Any]) -> str:
    """Another file, or other words about it, are another publication."""
    file = [str(source.resolve()), str(found.st_size), str(found.st_mtime_ns)]
    return canon.digest({"file": file, "dataset": dataset, **details}).hex()


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    """What the disk says about the file to publish. The store and the keyring have words of their own."""
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFound("there is no such file", clause="source", seen=source) from exc
    except IsADirectoryError as exc:
        raise Misuse("a folder cannot be published, only a file", clause="source", seen=source) from exc
    except PermissionError as exc:
        raise Misuse("the file may not be read", clause="source", seen=source) from exc
    except OSError as exc:
        raise Retry(f"the file cannot be read: {exc.strerror}", clause="source", seen=source) from exc


def _silent(label: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""
