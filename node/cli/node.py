"""`hanse node`: make this member's node, run it, and see how it is doing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from node.cli.frame import Run, noun, verb
from node.errors import Misuse

app = noun("node", "Make this member's node, run it, and see how it is doing.")

Endpoints = Annotated[
    list[str], Option("--endpoint", metavar="URL", help="Where others reach this node; may be repeated.")
]
Peers = Annotated[
    list[str], Option("--peer", metavar="URL", help="A member's gateway, to learn the others from; may be repeated.")
]
Rpc = Annotated[str, Option(metavar="URL", help="JSON-RPC endpoint of the chain.")]


@verb(app, "init", example="hanse node init --name 'Alice Mills' --endpoint https://hanse.alice.example")
def init(
    run: Run,
    name: Annotated[str, Option(help="The member's name, on its public card.")],
    rpc: Rpc = "http://127.0.0.1:8545",
    endpoint: Endpoints = [],
    peer: Peers = [],
    listen: Annotated[str, Option(metavar="HOST:PORT", help="Where `hanse node run` listens.")] = "127.0.0.1:8400",
    store: Annotated[str, Option(help="embedded, or kubo+http://... for a Kubo daemon's RPC.")] = "embedded",
    database: Annotated[str, Option(metavar="URL", help="PostgreSQL URL; SQLite in the home unless told.")] = "",
    profile: Annotated[str, Option(help="production, or development (allows loopback endpoints).")] = "production",
    account_key_file: Annotated[
        Path | None, Option(metavar="FILE", help="Take this account (a private key in hex) instead of a new one.")
    ] = None,
) -> Any:
    """Make the home: settings, an account, a recipient key, a card. The others need address and card to let it in."""
    from node import home
    from node.settings import Settings

    settings = Settings(
        run.home,
        name=name,
        rpc=rpc,
        endpoints=tuple(endpoint),
        peers=tuple(peer),
        listen=listen,
        store=store,
        database=database,
        profile=profile,
    )
    return home.create(settings, run.passphrase(new=True), account_key=_account_key(account_key_file))


@verb(
    app,
    "join",
    example="hanse node join --consortium 0x5FbDB2315678afecb367f032d93F642f64180aa3 --peer https://hanse.bob.example",
)
def join(
    run: Run,
    consortium: Annotated[str, Option(metavar="ADDRESS", help="The alliance's Consortium contract.")],
    rpc: Annotated[str | None, Option(metavar="URL", help="Another JSON-RPC endpoint than at init.")] = None,
    peer: Peers = [],
) -> Any:
    """Tell the node its alliance. Whether its member belongs there, only a quorum of the members decides."""
    from node import home
    from node.chain.abi import checksummed

    return home.join(run.home, checksummed(consortium), rpc=rpc, peers=peer)


@verb(app, "card", example="hanse node card")
def card(run: Run) -> Any:
    """Put the member's card, made from the settings, into the store; a member's new card also goes on chain."""
    from node import home

    return home.show_card(run.home, run.passphrase())


@verb(app, "status", example="hanse node status")
def status(run: Run) -> Any:
    """How far the node follows its chain, and what its store holds."""
    from node import status

    with run.node() as node:
        return status.status(node)


@verb(app, "doctor", example="hanse node doctor")
def doctor(run: Run) -> Any:
    """Check keys, disk, database, chain, clock, contracts and endpoints, each with its remedy. Changes nothing."""
    from node.doctor import examine

    return examine(run.home)


@verb(app, "run", example="hanse node run --passphrase-file ~/.hanse-passphrase")
def serve(run: Run) -> Any:
    """Serve the API and the gateway, and follow the chain, until told to stop (SIGINT or SIGTERM)."""
    from node.serve import serve

    with run.node(keys=True) as node:
        serve(node)


def _account_key(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        with file.open("rb") as stream:
            return bytes.fromhex(stream.read(200).decode("ascii").strip().removeprefix("0x"))
    except (OSError, ValueError) as exc:
        raise Misuse("the account key cannot be read", clause="account-key", seen=file, needed="64 hex digits") from exc
