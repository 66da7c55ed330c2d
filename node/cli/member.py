"""`hanse member`: who belongs to the alliance."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument

from node.cli.frame import Run, noun, verb

app = noun("member", "Who belongs to the alliance.")


@verb(app, "list", example="hanse member list")
def members(run: Run) -> Any:
    """Everybody who ever belonged, with state and roles."""
    from node import show

    with run.node() as node:
        return [show.member(found) for found in node.ledger.members.values()]


@verb(app, "show", example="hanse member show 0x8BcD5e92D62A3fCb3b95c6F4Ae11c4a6BcB38d11")
def member(run: Run, account: Annotated[str, Argument(metavar="ACCOUNT", help="The member's address.")]) -> Any:
    """One member and its card: name, endpoints, and the key that its grants are wrapped for."""
    from node import show
    from node.chain.abi import checksummed
    from node.ledger import member_of

    with run.node() as node:
        found = member_of(node.ledger, checksummed(account))
        shown = node.card_of(found.account)
        return show.with_card(found, shown.card, shown.key.digest)
