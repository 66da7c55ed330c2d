"""Overlap: two members find which records they share (customers, patients, parts) without showing the others.

The asker's node makes the request and keeps it; nothing is sent to anybody. The owner looks at what a member asks, and
answers what a person approves, at most `MOST_A_DAY` times a day for one asker: nothing is ever answered by itself.
Then the asker fetches the answer. Every message goes by a signed request between the two nodes; nothing goes on chain.

    asked = ask(bob, dataset, own, column="customer")       # at bob's
    waiting(alice, bob.me); approve(alice, bob.me, asked.id, column="client_no")       # at alice's
    found = result(bob, asked.id)                           # how many; with reveal=True: which

What the protocol promises, and what it does not, is said in `encryption.psi`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from node import canon, model, signature, tables
from node.db import documents as private
from node.db import operations
from node.documents import SCHEMAS, OverlapAnswer, OverlapRequest, decode, digest_of, encode
from node.encryption import psi
from node.errors import Conflict, HanseError, Misuse, NotFound, Refused, Untrusted
from node.ledger import dataset_of, require_active, require_owner
from node.model import Address, DatasetId, DatasetState, Digest, Time
from node.sealed import open_own
from node.wiring import Node

DAY = 86_400
MOST_A_DAY = 4
"""Answers to one asker in 24 hours. Each tells it about up to 25,000 guesses, if it guesses."""

MOST_WAITING = 16
ASKED_LAST_DAYS = 14
MAX_LIST = 1 << 16

Part = Literal["message", "setup", "response"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request made here, that waits for the owner. `keys`: how many different ones of ours are in it."""

    id: Digest
    owner: Address
    dataset: DatasetId
    version: int
    reveal: bool
    keys: int
    already: bool


@dataclass(frozen=True, slots=True)
class WaitingOverlap:
    """What another member asks of us."""

    id: Digest
    asker: Address
    dataset: DatasetId
    version: int
    key: str
    reveal: bool
    keys: int
    at: Time


@dataclass(frozen=True, slots=True)
class Approved:
    """An answer given. `keys`: how many of ours went into it."""

    id: Digest
    asker: Address
    reveal: bool
    keys: int
    already: bool


@dataclass(frozen=True, slots=True)
class Overlap:
    """What it came to: how many keys are ours, the owner's, and common; and where our rows of them were put."""

    id: Digest
    ours: int
    theirs: int
    common: int
    rows: str


# --- the asker ---


def ask(node: Node, dataset: DatasetId, own: DatasetId, *, column: str, reveal: bool = False) -> Asked:
    """Prepare a request about another member's dataset, with the keys in `column` of the newest version of `own`.

    The same words again are the same request, for two weeks. Raises Refused for too few or too many keys, and for a
    dataset of ours."""
    require_active(node.ledger, node.me)
    found, mine = dataset_of(node.ledger, dataset), require_owner(node.ledger, own, node.me)
    if found.owner == node.me or found.state != DatasetState.ACTIVE:
        raise Refused(
            "an overlap is asked of another member's active dataset",
            clause="owner",
            seen=found.owner,
            needed="another member",
        )
    words = [dataset, found.current.number, own, mine.current.number, column, reveal]
    key = f"overlap:{canon.digest({'words': words}).hex()}"
    with node.db.reading() as tx:
        task = operations.find(tx, key)
    if task is None or task.created < node.clock() - ASKED_LAST_DAYS * DAY:
        keys = psi.distinct(_column(node, own, mine.current.number, column))
        secret = psi.drawn_key(os.urandom)
        message = psi.blind(keys, secret, reveal=reveal)
        bare = OverlapRequest(
            node.me, found.owner, dataset, found.current.number, column, reveal, len(keys), _digest(message),
            node.clock(),
        )  # fmt: skip
        asked = replace(bare, signature=_signed(node, bare))
        # The secret before what it belongs to: a crash between leaves a secret that nothing names.
        node.keys.put_secret(_secret_name(digest_of(asked)), secret)
        state = {"request": digest_of(asked), "own": own, "version": mine.current.number, "column": column}
        with node.db.writing() as tx:
            private.put(tx, "overlap", message, at=node.clock())
            private.put(tx, "overlap", encode(asked), at=node.clock())
            task = operations.restart(tx, "overlap", key, state, at=node.clock())
        return _asked(_request(node, task.state), already=False)
    return _asked(_request(node, task.state), already=True)


def result(node: Node, number: Digest, *, rows: Path | None = None, keep: Sequence[str] = ()) -> Overlap:
    """Fetch the owner's answer and see what is common. With `rows`, where the keys were revealed, our own rows of the
    common keys go into that file, one a key, sorted by key: the other side's file has the same keys in the same order.
    `keep`: with these of our columns only; all where none is named.

    Raises NotFound while the owner has not answered, Untrusted for an answer that is not the owner's or does not fit.
    """
    state = _own_task(node, number)
    asked = _request(node, state)
    if rows is not None and not asked.reveal:
        raise Refused("only the number of common keys was asked for", clause="reveal", seen="count", needed="keys",
                      hint="ask again with --reveal")  # fmt: skip
    given = decode(OverlapAnswer, node.ask(asked.owner, f"/peer/overlaps/{number}"))
    _require_signed(given, asked.owner)
    if given.request != number:
        raise Untrusted("the answer is to another request", clause="request", seen=given.request, needed=number)
    setup = _fetched(node, asked.owner, number, "setup", given.setup)
    response = _fetched(node, asked.owner, number, "response", given.response)
    cells = _table(node, state)
    keys, secret = psi.distinct(_cells(cells, state["column"])), node.keys.get_secret(_secret_name(number))
    theirs = psi.owner_count(setup)
    if not asked.reveal:
        return Overlap(number, len(keys), theirs, psi.common_count(keys, secret, setup, response), "")
    common = psi.common_keys(keys, secret, setup, response)
    if rows is not None:
        places = _places(cells[state["column"]], common)
        _write_rows(rows, {name: _cells(cells, name) for name in keep or cells}, places)
    return Overlap(number, len(keys), theirs, len(common), str(rows or ""))


# --- the owner ---


def waiting(node: Node, asker: Address) -> list[WaitingOverlap]:
    """What a member's node asks of us, asked there now; what does not hold, or is about no version of ours, is left
    out. Answered ones are left out too."""
    return [_waiting(one) for one in _asked_by(node, asker) if _given(node, digest_of(one)) is None]


def approve(node: Node, asker: Address, number: Digest, *, column: str) -> Approved:
    """Answer one request with the keys in `column` of the version that it names. Only a person's word gets here.

    Raises NotFound where the member asks no such thing, Refused (clause `rate`) over the day's bound, or for a set that
    is too small, Untrusted for a message that is not what was signed."""
    given = _given(node, number)
    if given is not None:
        return Approved(number, asker, bool(given["reveal"]), int(given["keys"]), already=True)
    _require_rate(node, asker)
    asked = next((one for one in _asked_by(node, asker) if digest_of(one) == number), None)
    if asked is None:
        raise NotFound("the member asks no such thing", clause="overlap", seen=number)
    message = _fetched(node, asker, number, "message", asked.message)
    if psi.count_of(message) != asked.keys or not psi.MIN_KEYS <= asked.keys <= psi.MAX_KEYS:
        raise Untrusted("the message has another number of keys", clause="keys", seen=psi.count_of(message),
                        needed=f"{asked.keys}, {psi.MIN_KEYS} to {psi.MAX_KEYS}")  # fmt: skip
    keys = psi.distinct(_column(node, asked.dataset, asked.version, column))
    # The owner's exponent is used once and forgotten: two answers cannot be compared with each other.
    setup, response = psi.answer(
        keys, message, psi.drawn_key(os.urandom), reveal=asked.reveal, order=os.urandom(32)
    )  # fmt: skip
    bare = OverlapAnswer(number, _digest(setup), _digest(response), node.clock())
    answer = replace(bare, signature=_signed(node, bare))
    state = {"answer": digest_of(answer), "asker": asker, "reveal": asked.reveal, "keys": len(keys)}
    with node.db.writing() as tx:
        for body in (setup, response, encode(answer)):
            private.put(tx, "overlap", body, at=node.clock())
        operations.begin(tx, "overlap-answer", _answer_key(number), state, at=node.clock())
    return Approved(number, asker, asked.reveal, len(keys), already=False)


# --- what the other node is told ---


def addressed_to(node: Node, owner: Address) -> list[OverlapRequest]:
    """Our newest requests to a member, of the last days."""
    with node.db.reading() as tx:
        tasks = operations.since(tx, "overlap", Time(node.clock() - ASKED_LAST_DAYS * DAY))
    found = (_request(node, task.state) for task in reversed(tasks))
    return [one for one in found if one.owner == owner][:MOST_WAITING]


def answer_to(node: Node, number: Digest, asker: Address) -> OverlapAnswer:
    """Our answer, for the member that asked. NotFound for anybody else, and where nobody approved."""
    given = _given(node, number)
    if given is None or given["asker"] != asker:
        raise NotFound("no answer to such a request", clause="overlap", seen=number)
    with node.db.reading() as tx:
        return decode(OverlapAnswer, private.get(tx, Digest(given["answer"])))


def part_for(node: Node, number: Digest, part: Part, member: Address) -> bytes:
    """One message's bytes: ours as the asker for the owner, ours as the owner for the asker; NotFound for others."""
    if part == "message":
        asked = next((one for one in addressed_to(node, member) if digest_of(one) == number), None)
        if asked is None:
            raise NotFound("no such request to this member", clause="overlap", seen=number)
        digest = asked.message
    else:
        digest = getattr(answer_to(node, number, member), part)
    with node.db.reading() as tx:
        return private.get(tx, digest)


# --- parts ---


def _asked_by(node: Node, asker: Address) -> list[OverlapRequest]:
    """A member's requests to us, each signed by it and about the newest version of a dataset of ours."""
    data = node.ask(asker, "/peer/overlaps")
    try:
        plain = json.loads(data)
        found = [decode(OverlapRequest, canon.encode({"schema": SCHEMAS[OverlapRequest], **one})) for one in plain]
    except (ValueError, TypeError, RecursionError, Misuse) as exc:
        raise Untrusted("not a list of requests", clause="overlap", seen=data[:80]) from exc
    return [one for one in found[:MOST_WAITING] if _is_for_us(node, one, asker)]


def _is_for_us(node: Node, one: OverlapRequest, asker: Address) -> bool:
    found = node.ledger.datasets.get(one.dataset)
    if (one.asker, one.owner) != (asker, node.me) or found is None or found.owner != node.me:
        return False
    try:
        _require_signed(one, asker)
    except HanseError:
        return False
    return one.version == found.current.number


def _require_rate(node: Node, asker: Address) -> None:
    with node.db.reading() as tx:
        done = operations.since(tx, "overlap-answer", Time(node.clock() - DAY))
    given = sum(task.state["asker"] == asker for task in done)
    if given >= MOST_A_DAY:
        raise Refused("this member had its answers of the day", clause="rate", seen=given,
                      needed=f"under {MOST_A_DAY} in 24 hours")  # fmt: skip


def _given(node: Node, number: Digest) -> Mapping[str, Any] | None:
    with node.db.reading() as tx:
        task = operations.find(tx, _answer_key(number))
    return None if task is None else task.state


def _own_task(node: Node, number: Digest) -> Mapping[str, Any]:
    with node.db.reading() as tx:
        tasks = operations.since(tx, "overlap", Time(0))
    found = next((task.state for task in tasks if task.state["request"] == number), None)
    if found is None:
        raise NotFound("this node made no such request", clause="overlap", seen=number)
    return found


def _request(node: Node, state: Mapping[str, Any]) -> OverlapRequest:
    with node.db.reading() as tx:
        return decode(OverlapRequest, private.get(tx, Digest(state["request"])))


def _fetched(node: Node, member: Address, number: Digest, part: Part, digest: Digest) -> bytes:
    data = node.ask(member, f"/peer/overlaps/{number}/{part}")
    seen = _digest(data)
    if seen != digest:
        raise Untrusted(f"the {part} is not the one signed", clause="digest", seen=seen, needed=digest)
    return data


def _digest(data: bytes) -> Digest:
    return model.digest(hashlib.sha256(data).digest())


def _signed(node: Node, bare: OverlapRequest | OverlapAnswer) -> str:
    return "0x" + node.keys.sign_digest(model.raw(digest_of(bare))).hex()


def _require_signed(one: OverlapRequest | OverlapAnswer, member: Address) -> None:
    try:
        signer = signature.recover(model.raw(digest_of(replace(one, signature=""))), model.raw(one.signature))
    except ValueError as exc:
        raise Untrusted("not a signature", clause="signature", seen=one.signature[:80]) from exc
    if signer != member:
        raise Untrusted("the member did not sign this", clause="signature", seen=signer, needed=member)


def _column(node: Node, dataset: DatasetId, version: int, column: str) -> list[Any]:
    return _cells(_table(node, {"own": dataset, "version": version}), column)


def _table(node: Node, state: Mapping[str, Any]) -> dict[str, list[str | float]]:
    with open_own(node, DatasetId(state["own"]), int(state["version"])) as file:
        return tables.columns(file)


def _cells(table: dict[str, list[str | float]], column: str) -> list[Any]:
    if column not in table:
        raise NotFound("the version has no such column", clause="column", seen=column, needed=", ".join(table))
    return list(table[column])


def _places(cells: Sequence[Any], common: Sequence[str]) -> dict[str, int]:
    """Where each common key is among our records, by key. Refused where a key is twice."""
    places: dict[str, int] = dict.fromkeys(sorted(common), -1)
    for place, cell in enumerate(cells):
        key = psi.normalised(cell)
        if places.get(key, -1) >= 0:
            raise Refused("two records have the same key", clause="keys", needed="one record for each key",
                          seen=f"records {places[key] + 1} and {place + 1}")  # fmt: skip
        if key in places:
            places[key] = place
    return places


def _write_rows(path: Path, table: Mapping[str, Sequence[Any]], places: Mapping[str, int]) -> None:
    """The records in `places`, the normalised key first. Conflict where a file is there."""
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["key", *table])
            for key, place in places.items():
                cells = (values[place] for values in table.values())
                writer.writerow([key, *("" if cell != cell else cell for cell in cells)])
    except FileExistsError as exc:
        raise Conflict("a file is there already", clause="rows", seen=path) from exc
    except OSError as exc:
        raise Misuse(f"the file cannot be written: {exc.strerror}", clause="rows", seen=path) from exc


def _asked(one: OverlapRequest, *, already: bool) -> Asked:
    return Asked(digest_of(one), one.owner, one.dataset, one.version, one.reveal, one.keys, already)


def _waiting(one: OverlapRequest) -> WaitingOverlap:
    return WaitingOverlap(digest_of(one), one.asker, one.dataset, one.version, one.key, one.reveal, one.keys, one.at)


def _answer_key(number: Digest) -> str:
    return f"overlap-answer:{number}"


def _secret_name(number: Digest) -> str:
    return f"overlap.{number}"
