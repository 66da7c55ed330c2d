"""What many tests of the stories begin with: a table, its publication, a grant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from node.access import grant, request
from node.chain import typed
from node.model import DatasetId, GrantId, Terms, Time, TrainingId
from node.policy import Offer
from node.publish import publish
from node.sums import Plan, plan_of
from node.training import join, open_training
from node.wiring import Node
from tests.stories.alliance import Person

RESEARCH = ("research",)
_number = count()


def table(folder: Path, rows: int = 20, *, low: int = 0) -> Path:
    """A table unlike all others: an amount, a kind, and whether the machine failed."""
    number = next(_number)
    lines = ["amount,kind,failed"]
    lines += [
        f"{low + (row * 37 + number) % 50},{'ab'[row % 2]},{(row * row + number) % 3 == 0:d}" for row in range(rows)
    ]
    path = folder / f"mill-{number}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def published(person: Person, folder: Path, **changed: Any) -> DatasetId:
    return publish(person.node, table(folder), **({"title": "Mill", "offer": Offer(days=90)} | changed)).dataset


def granted(owner: Person, consumer: Person, dataset: DatasetId, **changed: Any) -> GrantId:
    """Asked for and granted; both nodes know it."""
    consumer.node.follow()
    asked = request(consumer.node, dataset, **({"purposes": RESEARCH, "days": 30} | changed))
    owner.node.follow()
    grant(owner.node, asked.id)
    consumer.node.follow()
    return asked.id


def granted_terms(owner: Person, consumer: Person, asked: GrantId, **changed: int) -> GrantId:
    """A grant under other times than the story asks for: both sign what it would not."""
    terms = asked_terms(consumer.node, asked)
    terms = replace(terms, **{name: Time(value) for name, value in changed.items()})
    at = owner.node.directory.address("Grants")
    message = typed.terms_message(terms, owner.node.chain.chain_id, at)
    signatures = owner.node.keys.sign_typed(message), consumer.node.keys.sign_typed(message)
    number = typed.grant_id(terms, owner.node.chain.chain_id, at)
    owner.node.send(f"test:{number}", "Grants", "grant", terms, *signatures, terms.nonce, purpose="a test")
    consumer.node.follow()
    return number


def asked_terms(node: Node, asked: GrantId) -> Terms:
    from node.access import request_record

    return request_record(node, asked).terms


def plan(members: int, *, rounds: int = 2, records: int = 100, high: int = 100) -> Plan:
    features = [{"name": "amount", "low": 0, "high": high}, {"name": "kind", "levels": ["a", "b"]}]
    params = {
        "features": features, "target": {"name": "failed", "above": 0}, "members": members, "records": records,
        "ridge": 1.0, "rounds": rounds,
    }  # fmt: skip
    return plan_of(f"mill {next(_number)}", "logistic", params)


def opened(opener: Person, people: Sequence[Person], plan_: Plan, **changed: Any) -> TrainingId:
    """A training that all of them know; nobody has joined."""
    terms = {"seats": len(people), "challenge_seconds": 1} | changed
    number = open_training(opener.node, plan_, **terms).id
    for person in people:
        person.node.follow()
    return number


def joined(people: Mapping[str, Person], plan_: Plan, folder: Path, **changed: Any) -> tuple[TrainingId, list[Path]]:
    """A training that all of them joined, each with a table of its own; and the tables in the order of seats."""
    number = opened(next(iter(people.values())), list(people.values()), plan_, **changed)
    paths = []
    for person in people.values():
        paths.append(table(folder))
        join(person.node, number, publish(person.node, paths[-1], title="Mill").dataset)
    for person in people.values():
        person.node.follow()
    return number, paths
