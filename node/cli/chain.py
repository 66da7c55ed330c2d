"""`hanse chain`: a chain of one's own for trying, and an alliance's contracts on any chain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from node.cli.frame import Run, noun, verb
from node.errors import Misuse, NotFound

app = noun("chain", "A chain of your own for trying, and an alliance's contracts on any chain.")


@verb(app, "up", example="hanse chain up")
def up(run: Run, port: Annotated[int, Option(help="0 takes a free one.", min=0, max=65_535)] = 8545) -> Any:
    """Start the embedded chain (Anvil, on loopback, no fees), or find it running. It outlives this command."""
    from node.chain import embedded

    return embedded.up(run.home / "chain", port=port)


@verb(app, "down", example="hanse chain down")
def down(run: Run) -> Any:
    """Stop the embedded chain, its state written."""
    from node.chain import embedded

    if not embedded.down(run.home / "chain"):
        raise NotFound("no embedded chain runs in this home", clause="chain", seen=run.home, hint="`hanse chain up`")


@verb(app, "status", example="hanse chain status")
def status(run: Run) -> Any:
    """Where the embedded chain runs."""
    from node.chain import embedded

    running = embedded.status(run.home / "chain")
    if running is None:
        raise NotFound("no embedded chain runs in this home", clause="chain", seen=run.home, hint="`hanse chain up`")
    return running


@verb(app, "deploy", example="hanse chain deploy --founder-home alice --founder-home bob --founder-home carol")
def deploy(
    run: Run,
    founder: Annotated[
        list[str], Option(metavar="ADDRESS:CARD", help="A founding member and its card's digest; may be repeated.")
    ] = [],
    founder_home: Annotated[
        list[Path], Option(metavar="DIR", help="A founding member with a home on this machine; may be repeated.")
    ] = [],
    delay: Annotated[int, Option(metavar="SECONDS", help="How long directory changes wait.", min=0)] = 86_400,
) -> Any:
    """Put an alliance's contracts on the chain, paid by this home's account, and print the Consortium's address."""
    from node import home

    founders = [*(_founder(text) for text in founder), *(home.founder_of(folder.absolute()) for folder in founder_home)]
    return home.found(run.home, run.passphrase(), founders, delay=delay)


def _founder(text: str) -> Any:
    from node.chain.abi import checksummed
    from node.chain.deploy import Founder
    from node.model import Digest, Role

    address, _, card = text.partition(":")
    if len(card) != 66 or not card.startswith("0x"):
        needed = "ADDRESS:CARD, as `hanse node init` shows them"
        raise Misuse("not a founder", clause="founder", seen=text, needed=needed)
    return Founder(checksummed(address), Role.MEMBER, Digest(card.lower()))
