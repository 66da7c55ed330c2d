"""Peer routes: answered to the active member that signed this very request just now, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from node import access, peers
from node.documents import Manifest, Refusal, decode
from node.errors import NotFound
from node.keyring import Keyring
from node.model import Address, Digest, GrantId
from tests.faces.conftest import Shared, token
from tests.stories.alliance import Person

pytestmark = pytest.mark.xdist_group("faces")  # one alliance for all of them


def signed(
    method: str, path: str, *, by: Keyring, audience: Address, at: int, member: Address | None = None
) -> dict[str, str]:
    signature = by.sign_digest(peers.signed_digest(method, path, audience, at))
    return {
        "X-Hanse-Member": member or by.address,
        "X-Hanse-Time": str(at),
        "X-Hanse-Signature": "0x" + signature.hex(),
    }


@pytest.fixture
def path(alice: Person, shared: Shared) -> str:
    return f"/peer/manifests/{alice.node.ledger.datasets[shared.dataset].current.content.commitment}"


@pytest.fixture
def web(alice: Person) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=alice.url, timeout=60) as found:
        yield found


def test_a_member_reads_a_manifest_and_can_check_it(web: httpx2.Client, alice: Person, bob: Person, path: str) -> None:
    headers = signed("GET", path, by=bob.node.keys, audience=alice.node.me, at=bob.node.clock())
    answer = web.get(path, headers=headers)
    assert decode(Manifest, answer.content).title == "Mill 7"


def test_the_window_is_300_seconds_to_either_side(web: httpx2.Client, alice: Person, bob: Person, path: str) -> None:
    seen = {}
    for ago in (peers.WINDOW - 20, peers.WINDOW + 20, 20 - peers.WINDOW, -peers.WINDOW - 20):
        at = bob.node.clock() - ago
        headers = signed("GET", path, by=bob.node.keys, audience=alice.node.me, at=at)
        seen[ago] = web.get(path, headers=headers).status_code
    assert list(seen.values()) == [200, 403, 200, 403]


@pytest.mark.parametrize("wrong", ["audience", "path", "method", "time", "member", "signature", "missing", "token"])
def test_anything_else_than_what_was_signed_is_403(
    web: httpx2.Client, alice: Person, bob: Person, carol: Person, path: str, wrong: str
) -> None:
    now, keys, me = bob.node.clock(), bob.node.keys, alice.node.me
    good = signed("GET", path, by=keys, audience=me, at=now)
    headers = {
        "audience": signed("GET", path, by=keys, audience=carol.node.me, at=now),
        "path": signed("GET", "/peer/refusals/0x" + "11" * 32, by=keys, audience=me, at=now),
        "method": signed("POST", path, by=keys, audience=me, at=now),
        "time": good | {"X-Hanse-Time": str(now - 1)},
        "member": signed("GET", path, by=keys, audience=me, at=now, member=carol.node.me),
        "signature": good | {"X-Hanse-Signature": "0x" + "00" * 65},
        "missing": {},
        "token": {"Authorization": f"Bearer {token(alice, 'operate')}"},
    }[wrong]
    answer = web.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "refused")
    assert "Mill 7" not in answer.text


def test_a_stranger_is_refused_although_it_signs(
    web: httpx2.Client, alice: Person, path: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Keyring.create(tmp_path_factory.mktemp("stranger"), b"x", scrypt_n=2)
    headers = signed("GET", path, by=stranger, audience=alice.node.me, at=alice.node.clock())
    answer = web.get(path, headers=headers)
    assert (answer.status_code, answer.json()["clause"]) == (403, "member")


def test_only_what_is_published_by_this_member_is_told(alice: Person, bob: Person, web: httpx2.Client) -> None:
    """Other private documents in the database stay there, whoever knows their digest."""
    from node.db import documents

    with alice.node.db.writing() as tx:
        private = documents.put(tx, "manifest", b"a draft", at=alice.node.clock())
    for digest in (private, Digest("0x" + "ab" * 32)):
        path = f"/peer/manifests/{digest}"
        headers = signed("GET", path, by=bob.node.keys, audience=alice.node.me, at=bob.node.clock())
        assert web.get(path, headers=headers).status_code == 404


def test_a_refusal_is_for_its_consumer_alone(
    web: httpx2.Client, alice: Person, bob: Person, carol: Person, shared: Shared
) -> None:
    carol.node.follow()
    asked = access.request(carol.node, shared.dataset, purposes=("research",), days=11)
    alice.node.follow()
    path = f"/peer/refusals/{asked.id}"

    def answered(person: Person) -> httpx2.Response:
        headers = signed("GET", path, by=person.node.keys, audience=alice.node.me, at=person.node.clock())
        return web.get(path, headers=headers)

    assert answered(carol).status_code == 404  # not answered yet
    with pytest.raises(NotFound):
        access.refusal(carol.node, asked.id)
    access.refuse(alice.node, asked.id, "not this quarter")
    assert decode(Refusal, answered(carol).content).message == "not this quarter"
    assert answered(bob).status_code == 403
    assert access.refusal(carol.node, asked.id).message == "not this quarter"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/peer/trainings/0x{'77' * 32}/views/0/contributing", 404),
        (f"/peer/trainings/0x{'77' * 32}/views/0/keying", 422),
        (f"/peer/trainings/0x{'77' * 32}/views/-1/revealing", 422),
    ],
)
def test_there_is_no_view_of_what_nobody_knows(
    web: httpx2.Client, alice: Person, bob: Person, path: str, status: int
) -> None:
    headers = signed("GET", path, by=bob.node.keys, audience=alice.node.me, at=bob.node.clock())
    assert web.get(path, headers=headers).status_code == status
    assert web.get(path, headers={"Authorization": f"Bearer {token(alice, 'operate')}"}).status_code == 403


def test_nobody_is_told_about_requests_to_others(web: httpx2.Client, alice: Person, bob: Person) -> None:
    path = f"/peer/refusals/{GrantId('0x' + '77' * 32)}"
    headers = signed("GET", path, by=bob.node.keys, audience=alice.node.me, at=bob.node.clock())
    assert web.get(path, headers=headers).status_code == 404
