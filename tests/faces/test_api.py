"""The HTTP API: who may do what on every route, shapes of answers and errors, and an OpenAPI that says the truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from node import tokens
from tests.chain.peers import ZERO_FEES, anvil
from tests.faces.conftest import CSV, Shared, token
from tests.stories.alliance import Person

pytestmark = pytest.mark.xdist_group("faces")  # one alliance for all of them

UNKNOWN = "0x" + "ee" * 32
PUBLIC = {"/health", "/ipfs/{path}", "/routing/v1/providers/{cid}", "/openapi.json"}
ASKED = {("POST", "/trainings/{number}/predict")}
"""Changes nothing, and has a body all the same: a token to read with is enough."""

ROLES = ("nobody", "another scheme", "unknown", "expired", "revoked", "read", "operate")


@pytest.fixture(scope="session")
def openapi(alice: Person) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(alice.url + "/openapi.json").json()
    return found


@pytest.fixture(scope="session")
def secrets(alice: Person) -> dict[str, str]:
    """An Authorization header for each role."""
    revoked = token(alice, "operate")
    tokens.revoke(alice.node.db, revoked[:12], at=alice.node.clock())
    return {
        "another scheme": f"Basic {token(alice, 'operate')}",
        "unknown": "Bearer hanse_" + "a" * 52,
        "expired": f"Bearer {token(alice, 'operate', ago=86_400)}",
        "revoked": f"Bearer {revoked}",
        "read": f"Bearer {token(alice, 'read')}",
        "operate": f"Bearer {token(alice, 'operate')}",
    }


def routes(openapi: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, operations in openapi["paths"].items():
        for method in operations:
            yield method.upper(), path
    yield "GET", "/openapi.json"


def expected(method: str, path: str, role: str) -> set[int] | None:
    """The statuses that a role may see; None: anything but a no for want of rights."""
    if path in PUBLIC:
        return None
    if path.startswith("/peer/"):
        return {403}  # tokens are for our own people; a member signs
    if role not in ("read", "operate"):
        return {401}
    return None if role == "operate" or method == "GET" or (method, path) in ASKED else {403}


def test_role_by_route(alice: Person, openapi: dict[str, Any], secrets: dict[str, str]) -> None:
    """Every cell: no right, no more than a no, and nothing behind it is told apart."""
    wrong, cells = [], 0
    with httpx2.Client(base_url=alice.url, timeout=60) as client:
        for method, path in routes(openapi):
            url = re.sub(r"\{version\}", "1", re.sub(r"\{(?!version)\w+\}", UNKNOWN, path))
            for role in ROLES:
                headers = {"Authorization": secrets[role]} if role in secrets else {}
                status = client.request(method, url, headers=headers).status_code
                allowed = expected(method, path, role)
                fine = status in allowed if allowed else status not in (401, 403) and status < 500
                cells += 1
                if not fine:
                    wrong.append((method, path, role, status))
    assert wrong == []
    assert cells == len(ROLES) * len(list(routes(openapi))) > 150


def test_every_route_of_the_agreement_is_there(openapi: dict[str, Any]) -> None:
    assert {
        ("GET", "/health"),
        ("GET", "/members"),
        ("GET", "/datasets"),
        ("POST", "/datasets"),
        ("GET", "/requests"),
        ("POST", "/requests"),
        ("POST", "/requests/{grant}/grant"),
        ("POST", "/requests/{grant}/refuse"),
        ("GET", "/grants"),
        ("GET", "/grants/{grant}/why"),
        ("POST", "/grants/{grant}/fetch"),
        ("POST", "/grants/{grant}/revoke"),
        ("GET", "/trainings"),
        ("POST", "/trainings"),
        ("POST", "/trainings/{number}/join"),
        ("GET", "/trainings/{number}/result"),
        ("GET", "/audit"),
        ("POST", "/audit"),
        ("GET", "/peer/manifests/{commitment}"),
        ("GET", "/peer/refusals/{grant}"),
        ("GET", "/peer/trainings/{number}/views/{round_number}/{phase}"),
        ("GET", "/ipfs/{path}"),
    } <= set(routes(openapi))


# --- the OpenAPI ---


def test_every_route_answers_with_a_model_that_has_a_valid_example(openapi: dict[str, Any]) -> None:
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema"})
    checked = 0
    for path, operations in openapi["paths"].items():
        if path in PUBLIC - {"/health"}:
            continue
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if "content" not in answer:
                    continue
                schema = answer["content"]["application/json"]["schema"]
                example = _example(openapi, schema)
                assert example is not None, (method, path, status)
                _validator(openapi, schema).validate(example)
                checked += 1
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                _validator(openapi, body["schema"]).validate(_example(openapi, body["schema"]))
                checked += 1
    assert checked > 100


def test_the_validator_does_refuse(openapi: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Grant"}
    example = _example(openapi, schema)
    for change in ({"owner": "alice"}, {"id": "0x12"}, {"count": "many"}, {"colour": "red"}):
        with pytest.raises(jsonschema_rs.ValidationError):
            _validator(openapi, schema).validate(example | change)


def _validator(openapi: dict[str, Any], schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator(schema | {"components": openapi["components"]})


def _example(openapi: dict[str, Any], schema: dict[str, Any]) -> Any:
    if schema.get("type") == "array":
        return [_example(openapi, schema["items"])]
    name = schema["$ref"].rpartition("/")[2]
    return openapi["components"]["schemas"][name].get("example")


def test_no_route_is_described_twice(alice: Person) -> None:
    import warnings

    from node.api import create_app

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = create_app(alice.node).openapi()
    ids = [operation["operationId"] for part in document["paths"].values() for operation in part.values()]
    assert len(ids) == len(set(ids))


# --- answers ---


def test_a_story_over_http(alice: Person, bob: Person, client: httpx2.Client) -> None:
    """Publish by alice, request by bob, grant, why, fetch, revoke: the record of each, as the story made it."""
    query = {"title": "Over HTTP", "purpose": ["research"], "days": 20}
    headers = {"Content-Type": "text/csv"}
    made = client.post("/datasets", params=query, headers=headers, content=CSV.encode()).json()
    again = client.post("/datasets", params=query, headers=headers, content=CSV.encode()).json()
    assert again == made | {"already": True}
    manifest = client.get(f"/datasets/{made['dataset']}/versions/1/manifest").json()
    assert (manifest["title"], manifest["rows"]) == ("Over HTTP", 200)

    bob.node.follow()
    theirs = {"Authorization": f"Bearer {token(bob, 'operate')}"}
    with httpx2.Client(base_url=bob.url, headers=theirs, timeout=60) as asking:
        asked = asking.post("/requests", json={"dataset": made["dataset"], "purposes": ["research"], "days": 5}).json()
        alice.node.follow()
        waiting = client.get("/requests/waiting").json()
        assert [w["breaks"] for w in waiting if w["id"] == asked["id"]] == [None]
        assert client.post(f"/requests/{asked['id']}/grant").json()["id"] == asked["id"]
        bob.node.follow()
        allowed = asking.get(f"/grants/{asked['id']}/why", params={"purpose": "research"}).json()
        assert "declared only" in " ".join(clause["enforced_by"] for clause in allowed["clauses"])
        fetched = asking.post(f"/grants/{asked['id']}/fetch", json={"purposes": ["research"]}).json()
        assert (bob.home / "fetched" / asked["id"]).read_text() == CSV
        assert fetched["size"] == len(CSV)
        assert client.post(f"/grants/{asked['id']}/revoke").status_code == 200
        bob.node.follow()
        over = asking.post(f"/grants/{asked['id']}/fetch", json={"purposes": ["research"]})
        assert (over.status_code, over.json()["clause"]) == (403, "state")


def test_an_audit_over_http(alice: Person, shared: Shared, client: httpx2.Client) -> None:
    report = client.post("/audit", json={}).json()
    assert report["untrusted"] == []
    assert report["about"]["consortium"] == alice.node.directory.consortium
    assert {check["state"] for check in report["checks"]} <= {"holds", "unchecked"}
    assert client.get("/audit").json() == report


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code", "clause"),
    [
        ("GET", f"/datasets/{UNKNOWN}", None, 404, "not_found", "dataset"),
        ("GET", "/datasets/mill", None, 422, "usage", "path.dataset"),
        ("GET", "/datasets/{dataset}/versions/2/manifest", None, 404, "not_found", "version"),
        ("GET", "/grants/{grant}/why?purpose=fun", None, 422, "usage", "purpose"),
        ("GET", "/grants/{grant}/why?who=alice", None, 422, "usage", "query.who"),
        ("POST", "/requests", {"dataset": UNKNOWN, "purposes": ["research"]}, 404, "not_found", "dataset"),
        ("POST", "/requests", {"dataset": "{dataset}", "purposes": ["risk"]}, 403, "refused", "purpose"),
        ("POST", "/requests", {"dataset": "{dataset}", "purposes": []}, 422, "usage", "body.purposes"),
        ("POST", "/requests", {"dataset": "{dataset}", "purposes": ["risk"], "more": 1}, 422, "usage", "body.more"),
        ("POST", f"/requests/{UNKNOWN}/grant", None, 404, "not_found", "request"),
        (
            "POST",
            "/trainings",
            {"title": "x", "algorithm": "magic", "params": {}, "seats": 3},
            422,
            "usage",
            "algorithm",
        ),
        ("GET", "/nowhere", None, 404, "not_found", None),
        ("DELETE", "/datasets", None, 405, "usage", None),
    ],
)
def test_errors_have_one_shape(
    client: httpx2.Client, openapi: dict[str, Any], shared: Shared, method: str, path: str, sent: dict[str, Any] | None,
    status: int, code: str, clause: str | None,
) -> None:  # fmt: skip
    names = {"dataset": shared.dataset, "grant": shared.grant}
    body = {key: value.format(**names) if isinstance(value, str) else value for key, value in (sent or {}).items()}
    answer = client.request(method, path.format(**names), json=body if sent else None)
    assert (answer.status_code, answer.json()["code"], answer.json().get("clause")) == (status, code, clause)
    _validator(openapi, {"$ref": "#/components/schemas/Problem"}).validate(answer.json())


def test_a_body_that_is_no_json_is_a_usage_error(client: httpx2.Client) -> None:
    for content, kind in ((b"{", "application/json"), (b"dataset=1", "application/x-www-form-urlencoded")):
        answer = client.post("/requests", content=content, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (422, "usage")


def test_every_answer_carries_the_headers_of_a_careful_server(client: httpx2.Client, alice: Person) -> None:
    for answer in (client.get("/datasets"), client.get("/nowhere"), httpx2.get(alice.url + "/members")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert httpx2.get(alice.url + "/members").headers["www-authenticate"] == "Bearer"


def test_the_gateway_serves_sealed_bytes_and_nothing_private(alice: Person, shared: Shared) -> None:
    history = alice.node.ledger.datasets[shared.dataset].current.content
    from node import model
    from node.store import Cid

    public = Cid.raw(model.raw(history.envelope))
    private = Cid.raw(model.raw(history.commitment))
    assert httpx2.get(f"{alice.url}/ipfs/{public}?format=raw").status_code == 200
    assert httpx2.get(f"{alice.url}/ipfs/{private}?format=raw").status_code == 404


def test_a_chain_that_is_gone_is_503_and_comes_back(alice: Person, client: httpx2.Client) -> None:
    from node.chain.client import Chain

    with anvil(*ZERO_FEES) as rpc:
        real, dead = alice.node.chain, Chain.connect(rpc, timeout=2)
    alice.node.chain = dead
    try:
        answer = client.get("/status")
    finally:
        alice.node.chain = real
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "retry-after" in answer.headers
    assert client.get("/status").status_code == 200
