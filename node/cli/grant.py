"""`hanse grant`: answer requests, fetch what was granted, end it, and say why or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from node.cli.frame import Run, noun, verb
from node.cli.words import GrantArg, Purposes, RequestArg

app = noun("grant", "Answer requests, fetch what was granted, end it, and see why or why not.")


@verb(app, "create", example="hanse grant create 0x9f3c21aa")
def create(run: Run, request: RequestArg) -> Any:
    """Grant a request: wrap the file key for its consumer, bring both signatures to the contract."""
    from node import access

    return run.story(access.grant, request)


@verb(app, "refuse", example='hanse grant refuse 0x9f3c21aa "please ask for research only"')
def refuse(
    run: Run, request: RequestArg, message: Annotated[str, Argument(help="What the consumer will read.")]
) -> Any:
    """Answer a request with a signed no. Nothing goes on chain."""
    from node import access

    return run.story(access.refuse, request, message)


@verb(app, "list", example="hanse grant list --mine")
def grants(
    run: Run, mine: Annotated[bool, Option("--mine", help="Only those this member gave or was given.")] = False
) -> Any:
    """All grants of the alliance, ended ones too."""
    from node import show

    with run.node() as node:
        found = [show.grant(grant) for grant in node.ledger.grants.values()]
        return [grant for grant in found if not mine or node.me in (grant.owner, grant.consumer)]


@verb(app, "show", example="hanse grant show 0x9f3c21aa")
def grant(run: Run, grant: GrantArg) -> Any:
    """One grant."""
    from node import show

    with run.node() as node:
        return show.grant(node.ledger.grants[grant.of(node.ledger)])


@verb(app, "why", example="hanse grant why 0x9f3c21aa --purpose research")
def why(
    run: Run,
    grant: GrantArg,
    purpose: Purposes = [],
    who: Annotated[str | None, Option(metavar="ACCOUNT", help="Somebody else than this node's member.")] = None,
    at: Annotated[int | None, Option(metavar="SECONDS", help="Another time than now, since the epoch.", min=0)] = None,
) -> Any:
    """The clauses under which the version may be read, and who enforces each; or the one that forbids it."""
    from node import access
    from node.chain.abi import checksummed
    from node.model import Time

    with run.node() as node:
        account = node.me if who is None else checksummed(who)
        moment = None if at is None else Time(at)
        return access.why(node, grant.of(node.ledger), who=account, purposes=purpose, at=moment).clauses


@verb(app, "fetch", example="hanse grant fetch 0x9f3c21aa mill.csv --purpose research")
def fetch(
    run: Run,
    grant: GrantArg,
    destination: Annotated[Path, Argument(metavar="FILE", help="Where to put it; no file may be there.")],
    purpose: Purposes,
) -> Any:
    """Fetch, verify every byte, open, and post a receipt."""
    from node.fetch import fetch

    return run.story(fetch, grant, destination, purposes=purpose)


@verb(app, "revoke", example="hanse grant revoke 0x9f3c21aa")
def revoke(run: Run, grant: GrantArg) -> Any:
    """End a grant, as owner or consumer. What was opened before stays with whoever opened it."""
    from node import access

    return run.story(access.revoke, grant)
