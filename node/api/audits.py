"""Routes about the audit: run one from public bytes alone, and read the last report."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from node.api.guard import OurNode, needs
from node.api.routes import one
from node.audit import audit
from node.audit.report import Report
from node.documents import plain
from node.errors import NotFound
from node.settings import write
from node.store.blocks import BlockStore
from node.wiring import Node

reading = APIRouter(tags=["audit"], dependencies=[Depends(needs("read"))])
operating = APIRouter(tags=["audit"], dependencies=[Depends(needs("operate"))])

FILE = "audit.json"
SECONDS = 600.0


class Auditing(BaseModel):
    """`block`: as of this one, the newest final one unless told. `sample`: fetch only so many sealed files."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"sample": 10}})
    block: int | None = Field(None, ge=0, le=1 << 62)
    sample: int | None = Field(None, ge=0, le=1 << 31)


@operating.post("/audit", **one(Report, 404))
def run(node: OurNode, asked: Auditing) -> Any:
    """Make all checks again: no database, no key, an empty store, and every block asked of the gateways."""
    with tempfile.TemporaryDirectory(prefix="hanse-audit-") as scratch:
        report = audit(
            node.chain,
            node.directory,
            BlockStore(Path(scratch)),
            gateways=[*node.settings.endpoints, *node.gateways()],
            block=asked.block,
            sample=asked.sample,
            seconds=SECONDS,
            allow_loopback=node.settings.development,
        )
    shown = plain(report)
    write(_file(node), json.dumps(shown).encode())
    return shown


@reading.get("/audit", **one(Report, 404))
def last(node: OurNode) -> Any:
    """The last report this node made."""
    try:
        return json.loads(_file(node).read_bytes())
    except FileNotFoundError as exc:
        raise NotFound("no audit has been made yet", clause="audit", hint="POST /audit makes one") from exc


def _file(node: Node) -> Path:
    return node.settings.home / FILE
