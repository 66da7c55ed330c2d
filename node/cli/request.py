"""`hanse request`: ask owners for their datasets, and see what others ask of us."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Option

from node.cli.frame import Run, noun, verb
from node.cli.words import DatasetArg, Purposes, RequestArg, Uses

app = noun("request", "Ask owners for their datasets, and see what others ask of you.")


@verb(app, "create", example="hanse request create 0x52ab0c6b --purpose research --days 30")
def create(
    run: Run,
    dataset: DatasetArg,
    purpose: Purposes,
    use: Uses = ["read"],
    days: Annotated[int, Option(help="For how long.", min=1, max=36_500)] = 30,
    count: Annotated[int, Option(help="For how many openings; 0: no limit.", min=0)] = 0,
) -> Any:
    """Ask for the current version under signed terms."""
    from node import access
    from node.show import uses

    return run.story(access.request, dataset, purposes=purpose, uses=uses(use), days=days, count=count)


@verb(app, "list", example="hanse request list --waiting")
def requests(
    run: Run, waiting: Annotated[bool, Option("--waiting", help="Only those that wait for your answer.")] = False
) -> Any:
    """All requests of the alliance, or those that wait for this member's answer."""
    from node import access, show

    if waiting:
        return run.story(access.inbox)
    with run.node() as node:
        return [show.request(node.ledger, found) for found in node.ledger.requests.values()]


@verb(app, "show", example="hanse request show 0x9f3c21aa")
def request(run: Run, request: RequestArg) -> Any:
    """The terms a request asks for, as its consumer signed them."""
    from node import access

    return run.story(access.request_record, request)
