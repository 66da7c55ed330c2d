"""`hanse token`: who may use this node's HTTP API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from node.cli.frame import Run, noun, verb

if TYPE_CHECKING:
    from node.db import Database

app = noun("token", "Who may use this node's HTTP API.")


@contextmanager
def _database(run: Run) -> Iterator[Database]:
    """Tokens need no chain."""
    from node.db import Database

    with Database.open(run.settings().database_url) as db:
        yield db


@verb(app, "create", example="hanse token create notebook --scope read --days 30")
def create(
    run: Run,
    label: Annotated[str, Argument(help="What it is for.")],
    scope: Annotated[list[str], Option(help="May be repeated: read, operate (which includes read).")] = ["read"],
    days: Annotated[int, Option(help="For how long.")] = 90,
) -> Any:
    """Make a token. Its secret is shown this once and kept nowhere."""
    from node import tokens
    from node.model import Time

    with _database(run) as db:
        return tokens.create(db, label=label, scopes=scope, days=days, at=Time(int(time.time())))


@verb(app, "list", example="hanse token list")
def listed(run: Run) -> Any:
    """All tokens ever made, with their last use."""
    from node import tokens

    with _database(run) as db:
        return tokens.listed(db)


@verb(app, "revoke", example="hanse token revoke hanse_k3v9qa")
def revoke(run: Run, prefix: Annotated[str, Argument(help="The first letters of it, as listed.")]) -> Any:
    """End a token at once."""
    from node import tokens
    from node.model import Time

    with _database(run) as db:
        return tokens.revoke(db, prefix, at=Time(int(time.time())))
