"""Shared by the tests of the records: one PostgreSQL a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a running server; each test takes a fresh database on it."""
    if postgres.binaries() is None:
        pytest.skip(postgres.MISSING)
    with postgres.server() as url:
        yield url
