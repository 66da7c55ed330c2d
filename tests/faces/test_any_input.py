"""Whatever the OpenAPI allows, and much that it does not, is sent to every route: no answer is a server's fault."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.faces.conftest import Shared, token
from tests.stories.alliance import Person

pytestmark = pytest.mark.xdist_group("faces")  # one alliance for all of them

EVERYDAY, LONG = 3, 400


@pytest.fixture(scope="session")
def described(alice: Person, shared: Shared) -> Any:
    """Every route but the one that would audit the alliance each time."""
    found = schemathesis.openapi.from_url(alice.url + "/openapi.json")
    return found.exclude(method="POST", path="/audit")


def test_a_few_inputs(described: Any, alice: Person) -> None:
    assert _sent(described, alice, settings(max_examples=EVERYDAY, derandomize=True)) > 50


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_inputs(described: Any, alice: Person) -> None:
    assert _sent(described, alice, settings(max_examples=LONG)) > 10_000


def _sent(described: Any, alice: Person, how: settings) -> int:
    """Send generated requests to every route; how many. The first answer over 499 fails, with the shortest request."""
    headers, count = {"Authorization": f"Bearer {token(alice, 'operate')}"}, 0
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(how, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def send(case: Any) -> None:
            nonlocal count
            count += 1
            answer = case.call(headers=headers)
            assert answer.status_code < 500, (answer.status_code, answer.text)

        send()
    return count
