"""`hanse store`: the sealed bytes and public documents that this node keeps."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option

from node.cli.frame import Run, noun, verb

app = noun("store", "The sealed bytes and public documents that this node keeps.")


@verb(app, "stat", example="hanse store stat")
def stat(run: Run) -> Any:
    """Blocks, bytes, pins, and room on the disk."""
    from node.wiring import open_store

    return open_store(run.settings()).stat()


@verb(app, "verify", example="hanse store verify bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
def verify(run: Run, cid: Annotated[str, Argument(metavar="CID", help="The root of a file or document.")]) -> Any:
    """Read and hash again every block under a CID."""
    from node.store import Cid
    from node.wiring import open_store

    stored = open_store(run.settings()).verify(Cid.parse(cid))
    return {"cid": str(stored.cid), "size": stored.size, "blocks": stored.blocks}


@verb(app, "collect", example="hanse store collect --dry-run")
def collect(run: Run, dry_run: Annotated[bool, Option("--dry-run", help="Only say what would go.")] = False) -> Any:
    """Remove blocks that nothing keeps and that are older than a day."""
    from node.wiring import open_store

    return open_store(run.settings()).collect(dry_run=dry_run)
