"""A file sent as the body of one request: streamed to the node's home, with declared length and digest, then removed.

Nothing is parsed, no multipart, no decompression; memory stays constant whatever the size.

    @router.post("/datasets")
    def publish(upload: Uploaded) -> ...: upload.path, upload.sha256
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from node.api.guard import OurNode
from node.errors import Misuse, Retry

LARGEST = 1 << 40
BUFFER = 1 << 20
ROOM = 3
"""The upload, its sealed copy, and as much again for the database and what else the disk has to take."""

FOLDER = "uploads"
_SUFFIXES = {"text/csv": ".csv", "application/vnd.apache.parquet": ".parquet", "application/json": ".json"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A received file and the SHA-256 (hex) of its bytes."""

    path: Path
    size: int
    sha256: str


async def received(
    request: Request,
    node: OurNode,
    content_length: Annotated[int | None, Header(ge=0, include_in_schema=False)] = None,
    content_type: Annotated[str, Header(max_length=100, include_in_schema=False)] = "application/octet-stream",
    content_digest: Annotated[str | None, Header(description="RFC 9530: `sha-256=:...:`", max_length=200)] = None,
) -> AsyncIterator[Upload]:
    """The request's body as a file. Raises Misuse where length or digest are missing or wrong."""
    size = _declared(content_length)
    expected = _digest(content_digest)
    folder = node.settings.home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    _require_room(folder, size)
    handle, name = tempfile.mkstemp(dir=folder, suffix=_SUFFIXES.get(content_type.partition(";")[0].strip(), ""))
    try:
        upload = await _write(request, handle, Path(name), size)
        if expected is not None and upload.sha256 != expected:
            raise Misuse("the bytes are not the digest's", clause="digest", seen=upload.sha256, needed=expected)
        yield upload
    finally:
        Path(name).unlink(missing_ok=True)


Uploaded = Annotated[Upload, Depends(received, scope="function")]
"""Removed when the route is done, before its answer is sent."""


def clear(home: Path) -> None:
    """Remove what a killed process left behind."""
    shutil.rmtree(home / FOLDER, ignore_errors=True)


async def _write(request: Request, handle: int, path: Path, size: int) -> Upload:
    hashed, seen, waiting = hashlib.sha256(), 0, bytearray()
    with os.fdopen(handle, "wb", buffering=0) as file:

        def keep(data: bytes) -> None:
            hashed.update(data)
            try:
                file.write(data)
            except OSError as exc:
                raise Retry(f"the upload cannot be kept: {exc.strerror}", clause="disk") from exc

        async for chunk in _chunks(request):
            seen += len(chunk)
            if seen > size:
                raise Misuse("more bytes than declared", clause="size", seen=seen, needed=size)
            waiting += chunk
            if len(waiting) >= BUFFER:
                await run_in_threadpool(keep, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(keep, bytes(waiting))
    if seen != size:
        raise Misuse("fewer bytes than declared", clause="size", seen=seen, needed=size)
    return Upload(path, seen, hashed.hexdigest())


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as exc:
        raise Misuse("the body ended early", clause="size") from exc


def _declared(length: int | None) -> int:
    if length is None:
        raise Misuse("the length must be declared", clause="content-length", hint="send a Content-Length header")
    if length > LARGEST:
        raise Misuse("the file is too large", clause="content-length", seen=length, needed=f"at most {LARGEST}")
    return length


def _digest(header: str | None) -> str | None:
    """Hex of the sha-256 in a Content-Digest header."""
    if header is None:
        return None
    found = re.search(r"sha-256=:([A-Za-z0-9+/=]{44}):", header)
    if not found:
        raise Misuse("the digest cannot be read", clause="content-digest", needed="sha-256=:base64:")
    try:
        return base64.b64decode(found[1], validate=True).hex()
    except binascii.Error as exc:
        raise Misuse("the digest cannot be read", clause="content-digest", needed="sha-256=:base64:") from exc


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < ROOM * size:
        raise Retry("there is not enough room on the node's disk", clause="disk", seen=free, needed=ROOM * size)
