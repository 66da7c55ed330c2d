"""Tokens: what opens, what does not, and what a stolen database gives away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node import tokens
from node.db import Database
from node.errors import HanseError, Misuse, NotFound, Refused
from node.model import Time

NOW = Time(1_760_000_000)
DAY = 86_400


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database.open(f"sqlite:///{tmp_path / 'node.sqlite'}") as found:
        yield found


def make(db: Database, *scopes: str) -> tokens.Created:
    return tokens.create(db, label="notebook", scopes=scopes or ("read",), days=30, at=NOW)


def test_a_token_opens_its_scope_until_it_expires(db: Database) -> None:
    made = make(db, "read")
    assert tokens.require(db, made.secret, scope="read", at=Time(NOW + 30 * DAY - 1)).label == "notebook"
    with pytest.raises(Refused, match="expired"):
        tokens.require(db, made.secret, scope="read", at=Time(NOW + 30 * DAY))


def test_operate_includes_read_and_not_the_other_way_round(db: Database) -> None:
    tokens.require(db, make(db, "operate").secret, scope="read", at=NOW)
    with pytest.raises(Refused) as no:
        tokens.require(db, make(db, "read").secret, scope="operate", at=NOW)
    assert no.value.clause == "scope"


def test_a_revoked_token_opens_nothing_at_once(db: Database) -> None:
    made = make(db)
    shown = tokens.revoke(db, made.prefix, at=Time(NOW + 5))
    assert shown.revoked == NOW + 5
    with pytest.raises(Refused, match="revoked"):
        tokens.require(db, made.secret, scope="read", at=Time(NOW + 5))


def test_the_database_holds_nothing_that_opens(db: Database, tmp_path: Path) -> None:
    made = make(db)
    db.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert made.prefix.encode() in kept  # the search does find what is there
    assert made.secret.encode() not in kept
    assert made.secret.removeprefix(made.prefix).encode() not in kept
    for piece in (made.prefix, made.secret[:-1], made.secret.upper(), ""):
        with pytest.raises(Refused, match="opens nothing"):
            tokens.require(db, piece, scope="read", at=NOW)


def test_secrets_carry_256_bits_of_what_they_are_given(db: Database) -> None:
    drawn: list[int] = []

    def random(size: int) -> bytes:
        drawn.append(size)
        return bytes(range(size))

    first = tokens.create(db, label="a", scopes=("read",), days=1, at=NOW, random=random)
    assert drawn == [32]
    assert len(first.secret) == len("hanse_") + 52  # base32 of 32 bytes


def test_the_last_use_is_kept_to_the_minute(db: Database) -> None:
    made = make(db)
    for second in (1, 30, 59, 61):
        tokens.require(db, made.secret, scope="read", at=Time(NOW + second))
    assert [token.used for token in tokens.listed(db)] == [NOW + 61]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"scopes": ("admin",)}, Misuse),
        ({"scopes": ()}, Misuse),
        ({"days": 0}, Misuse),
        ({"days": 367}, Misuse),
        ({"label": ""}, Misuse),
        ({"label": "x" * 81}, Misuse),
    ],
)
def test_what_no_token_can_be(db: Database, change: dict[str, object], error: type[HanseError]) -> None:
    with pytest.raises(error):
        tokens.create(db, **({"label": "a", "scopes": ("read",), "days": 1, "at": NOW} | change))  # type: ignore[arg-type]
    assert tokens.listed(db) == []


def test_an_unknown_prefix_revokes_nothing(db: Database) -> None:
    with pytest.raises(NotFound):
        tokens.revoke(db, "hanse_nobody", at=NOW)
