"""`hanse audit`: judge the alliance's whole history from public bytes alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Option

from node.cli.frame import Run, noun, verb
from node.cli.output import Outcome, progress
from node.errors import Misuse, NotFound

app = noun("audit", "Judge the alliance's whole history from public bytes alone.")


@verb(
    app, "run", example="hanse audit run --rpc http://127.0.0.1:8545 --consortium 0x5FbD... --gateway https://alice..."
)
def audit(
    run: Run,
    rpc: Annotated[str, Option(metavar="URL", help="JSON-RPC endpoint; this home's unless told.")] = "",
    consortium: Annotated[str, Option(metavar="ADDRESS", help="The alliance's; this home's unless told.")] = "",
    gateway: Annotated[list[str], Option(metavar="URL", help="Where to ask for bytes; may be repeated.")] = [],
    block: Annotated[int | None, Option(help="As of this block; the newest final one unless told.", min=0)] = None,
    sample: Annotated[int | None, Option(help="Fetch only so many sealed files.", min=0)] = None,
    language: Annotated[Literal["en", "zh-CN"], Option(help="Of the report.")] = "en",
    loopback: Annotated[bool, Option("--allow-loopback", help="Gateways may be on this machine.")] = False,
) -> Any:
    """Make all twenty checks and print the report. Needs no home, no key and no passphrase.

    Exit code 0: nothing is untrusted. 7: something is. 6: the history itself could not be judged."""
    from node.audit import audit, render
    from node.chain.abi import checksummed
    from node.chain.client import Chain
    from node.store.blocks import BlockStore

    rpc, consortium, gateways, allow = _where(run, rpc, consortium, gateway, loopback)
    with tempfile.TemporaryDirectory(prefix="hanse-audit-") as scratch, progress() as report:
        found = audit(
            Chain.connect(rpc),
            checksummed(consortium),
            BlockStore(Path(scratch)),
            gateways=gateways,
            block=block,
            sample=sample,
            allow_loopback=allow,
            progress=report,
        )
    return Outcome(found, render(found, language), found.exit_code)


def _where(
    run: Run, rpc: str, consortium: str, gateways: list[str], loopback: bool
) -> tuple[str, str, list[str], bool]:
    """What was not told, from the settings of this home, if there is one."""
    try:
        settings = run.settings()
    except NotFound as exc:
        if rpc and consortium and gateways:
            return rpc, consortium, gateways, loopback
        needed = "--rpc, --consortium and at least one --gateway"
        raise Misuse("without a home an audit has to be told where to look", clause="audit", needed=needed) from exc
    known = gateways or [*settings.endpoints, *settings.peers]
    return rpc or settings.rpc, consortium or settings.consortium, known, loopback or settings.development
