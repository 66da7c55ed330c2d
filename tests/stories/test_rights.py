"""Who may do what to which object; and what nobody outside ever gets to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from node import access, home, publish
from node.errors import HanseError, Refused
from node.fetch import fetch
from node.model import Address, raw
from node.settings import Settings
from node.store import Cid
from node.wiring import Node
from tests.chain.peers import ask
from tests.stories.alliance import PASSPHRASE, Person, follow_all
from tests.stories.sharing import RESEARCH, joined, plan, published, table
from tests.stories.taking_part import finish

People = dict[str, Person]
ROLES = ("owner", "consumer", "other member", "stranger")


@pytest.fixture(scope="module")
def nodes(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Node]]:
    """Alice owns, Bob consumes, Carol is a member like any other, Mallory belongs to nobody."""
    made = Settings(
        tmp_path_factory.mktemp("m") / "mallory", name="Mallory", rpc=people["alice"].node.settings.rpc,
        profile="development", peers=(people["alice"].url, people["bob"].url),
    )  # fmt: skip
    home.create(made, PASSPHRASE, account_key=b"\x0b" * 32)
    home.join(made.home, people["alice"].node.directory.consortium)
    with Node.open(made.home, passphrase=PASSPHRASE) as mallory:
        found = [people[name].node for name in ("alice", "bob", "carol")]
        yield dict(zip(ROLES, [*found, mallory], strict=True))


@pytest.fixture
def case(people: People, nodes: dict[str, Node], tmp_path: Path) -> dict[str, Any]:
    return _case(people, nodes, tmp_path)


@pytest.fixture(scope="module")
def standing(
    people: People, nodes: dict[str, Node], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:  # fmt: skip
    """One for all who are refused: they change nothing."""
    return _case(people, nodes, tmp_path_factory.mktemp("standing"))


def _case(people: People, nodes: dict[str, Node], tmp_path: Path) -> dict[str, Any]:
    """A dataset of Alice's, a request of Bob's for it, and a grant to Bob of another."""
    dataset, other = (published(people["alice"], tmp_path) for _ in range(2))
    follow_all(people)
    asked = access.request(nodes["consumer"], dataset, purposes=RESEARCH).id
    granted = access.request(nodes["consumer"], other, purposes=RESEARCH).id
    nodes["owner"].follow()
    access.grant(nodes["owner"], granted)
    for node in nodes.values():
        node.follow()
    return {"dataset": dataset, "asked": asked, "granted": granted, "folder": tmp_path}


def _fetch(node: Node, case: dict[str, Any]) -> Any:
    return fetch(node, case["granted"], case["folder"] / "out", purposes=RESEARCH)


def _version(node: Node, case: dict[str, Any]) -> Any:
    return publish.publish(node, table(case["folder"]), title="v2", dataset=case["dataset"])


ACTIONS: dict[str, tuple[Callable[[Node, dict[str, Any]], Any], tuple[str, ...]]] = {
    "read the manifest": (lambda node, case: node.manifest(case["dataset"], 1), ("owner", "consumer", "other member")),
    "add a version": (_version, ("owner",)),
    "retire": (lambda node, case: publish.retire(node, case["dataset"]), ("owner",)),
    "grant": (lambda node, case: access.grant(node, case["asked"]), ("owner",)),
    "grant again": (lambda node, case: access.grant(node, case["granted"]), ("owner",)),
    "refuse": (lambda node, case: access.refuse(node, case["asked"], "no"), ("owner",)),
    "fetch": (_fetch, ("consumer",)),
    "revoke": (lambda node, case: access.revoke(node, case["granted"]), ("owner", "consumer")),
    "be allowed": (lambda node, case: access.why(node, case["granted"], who=node.me), ("consumer",)),
}


@pytest.mark.parametrize(("action", "role"), [(action, role) for action in ACTIONS for role in ACTIONS[action][1]])
def test_a_role_may_do_what_the_table_says(
    nodes: dict[str, Node], case: dict[str, Any], action: str, role: str
) -> None:  # fmt: skip
    ACTIONS[action][0](nodes[role], case)


@pytest.mark.parametrize(
    ("action", "role"), [(action, role) for action in ACTIONS for role in ROLES if role not in ACTIONS[action][1]]
)
def test_a_role_may_not_do_what_the_table_does_not_say(
    nodes: dict[str, Node], standing: dict[str, Any], action: str, role: str
) -> None:
    with pytest.raises(HanseError) as caught:
        ACTIONS[action][0](nodes[role], standing)
    assert isinstance(caught.value, Refused) or action == "refuse", caught.value.record()


def test_an_answer_is_read_by_the_consumer_alone(nodes: dict[str, Node], case: dict[str, Any]) -> None:
    access.refuse(nodes["owner"], case["asked"], "please ask for quality")
    assert access.refusal(nodes["consumer"], case["asked"]).message == "please ask for quality"
    for role in ("other member", "stranger"):
        with pytest.raises(Refused):
            access.refusal(nodes[role], case["asked"])


def test_nothing_that_describes_a_dataset_is_public(people: People, tmp_path: Path) -> None:
    """Title, description, columns and cells of a full run are in no block of any store, no calldata and no log."""
    alice, bob = people["alice"], people["bob"]
    words = {"title": "Mill-Seven-Title", "description": "from-the-third-hall"}
    source = tmp_path / "secret-file-name.csv"
    source.write_text("hush_column,quiet_column\nwhispered-cell,1\n")
    dataset = publish.publish(alice.node, source, **words).dataset
    follow_all(people)
    assert bob.node.manifest(dataset, 1).title == words["title"]
    number = access.request(bob.node, dataset, purposes=RESEARCH).id
    follow_all(people)
    access.grant(alice.node, number)
    bob.node.follow()
    fetch(bob.node, number, tmp_path / "out.csv", purposes=RESEARCH)
    access.revoke(alice.node, number)
    training, _ = joined(people, plan(4), tmp_path)
    finish(people, training)

    secrets = [*words.values(), "secret-file-name", "hush_column", "quiet_column", "whispered-cell"]
    for text in secrets:
        assert not [where for where, data in _public(people) if text.encode() in data], text
    commitment = alice.node.ledger.datasets[dataset].current.content.commitment
    for person in people.values():
        assert not person.node.store.has(Cid.raw(raw(commitment)))


def _public(people: People) -> Iterator[tuple[str, bytes]]:
    for person in people.values():
        for path in (person.home / "store" / "blocks").rglob("*"):
            if path.is_file():
                yield f"{person.name} {path.name}", path.read_bytes()
    rpc = people["alice"].node.settings.rpc
    for number in range(int(ask(rpc, "eth_blockNumber"), 16) + 1):
        for tx in ask(rpc, "eth_getBlockByNumber", hex(number), True)["transactions"]:
            yield f"calldata {tx['hash']}", bytes.fromhex(tx["input"][2:])
    for log in ask(rpc, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"}):
        yield f"log {log['transactionHash']}", bytes.fromhex(log["data"][2:])


def test_a_manifest_is_asked_for_by_signature(people: People, tmp_path: Path) -> None:
    """Without one, with one over another path, another member, or an old time, the answer is no."""
    from node.peers import signed_digest
    from node.web import get, locate

    alice, bob = people["alice"], people["bob"]
    dataset = published(alice, tmp_path)
    path = f"/peer/manifests/{alice.node.ledger.datasets[dataset].current.content.commitment}"
    now = bob.node.clock()

    def asking(signed_path: str, audience: Address, at: int) -> int:
        signature = bob.node.keys.sign_digest(signed_digest("GET", signed_path, audience, at))
        headers = {"X-Hanse-Member": bob.me, "X-Hanse-Time": str(at), "X-Hanse-Signature": "0x" + signature.hex()}
        return get(locate(alice.url, allow_loopback=True), path, headers=headers, limit=1 << 20, seconds=10).status

    assert asking(path, alice.me, now) == 200
    assert asking(path + "0", alice.me, now) in (401, 403)
    assert asking(path, bob.me, now) in (401, 403)
    assert asking(path, alice.me, now - 3600) in (401, 403)
    bare = get(locate(alice.url, allow_loopback=True), path, headers={}, limit=1 << 20, seconds=10)
    assert bare.status in (401, 403, 422)
