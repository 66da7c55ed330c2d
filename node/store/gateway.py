"""Our store as an IPFS trustless gateway: other members, Kubo and Helia read blocks and CARs from it, and check them.

It answers from this store alone and asks no other peer. Left out: deserialised answers, IPNS, paths through sharded
directories (HAMT) and dag-cbor, because the store holds files and plain directories only.

    app.include_router(gateway_router(store, withdrawn=lambda cid: cid in tombstones))
    curl 'http://127.0.0.1:8000/ipfs/bafk…?format=raw'
    curl 'http://127.0.0.1:8000/ipfs/bafy…?format=car&dag-scope=entity&entity-bytes=0:65535' | ipfs dag import

Source: specs.ipfs.tech/http-gateways/trustless-gateway (2026-03) and /routing/http-routing-v1.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from node.errors import HanseError, Misuse, Refused
from node.store import Store, car, dag
from node.store.cid import DAG_PB, IDENTITY, RAW, Cid, base58

MAX_STREAMS = 32  # CARs at a time; one more is answered 429
MAX_SEGMENTS = 64
_FORMATS = {"raw": "application/vnd.ipld.raw", "car": "application/vnd.ipld.car"}
_UNSUPPORTED = ("ipns-record", "tar", "json", "cbor", "dag-json", "dag-cbor")
_LIFETIME = "max-age=29030400, immutable"

Asked = Callable[[Cid], bool]


@dataclass(frozen=True, slots=True)
class Provider:
    """This node as `/routing/v1` names it: a libp2p peer id and multiaddrs such as `/dns4/host/tcp/443/tls/http`."""

    peer_id: str
    addresses: tuple[str, ...]


def gateway_router(
    store: Store,
    *,
    may_read: Asked | None = None,
    withdrawn: Asked | None = None,
    provider: Provider | None = None,
) -> APIRouter:
    """Routes `/ipfs/…` and `/routing/v1/providers/…`.

    `may_read(cid)` false is 404, as if absent (its presence makes answers private to caches); `withdrawn(cid)` is 410.
    Both get the root or block that is asked for."""
    router = APIRouter(tags=["gateway"])
    streams = threading.BoundedSemaphore(MAX_STREAMS)

    @router.head("/ipfs/{path:path}", response_class=Response, include_in_schema=False)  # the same, without its body
    @router.get("/ipfs/{path:path}", response_class=Response)
    def ipfs(path: str, request: Request) -> Response:
        """A block (`format=raw`) or a CAR of blocks (`format=car`), for the caller to check."""
        try:
            asked = _read(path, request)
            _allow(asked, may_read, withdrawn, store)
            common = _headers(asked, public=may_read is None)
            return _raw(store, asked, common) if asked.format == "raw" else _car(store, asked, common, streams)
        except _Answer as answer:
            return PlainTextResponse(answer.words, answer.status, answer.headers)

    @router.get("/routing/v1/providers/{cid}")
    def providers(cid: str) -> Response:
        """Who serves this block over HTTP: this node, or nobody it knows."""
        try:
            here = (
                provider if _present(store, parsed := Cid.parse(cid)) and (not may_read or may_read(parsed)) else None
            )
        except Misuse as exc:
            return PlainTextResponse(exc.message, 400)
        return JSONResponse({"Providers": [_peer(here)] if here else []})

    return router


def peer_id(ed25519_public: bytes) -> str:
    """The libp2p peer id (12D3Koo…) of a raw 32-byte Ed25519 public key."""
    return base58(b"\x00\x24\x08\x01\x12\x20" + ed25519_public)


def _peer(provider: Provider) -> dict[str, object]:
    return {
        "Schema": "peer",
        "ID": provider.peer_id,
        "Addrs": list(provider.addresses),
        "Protocols": ["transport-ipfs-gateway-http"],
    }


class _Answer(Exception):
    """An answer other than the bytes asked for."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, headers


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, read."""

    cid: Cid
    text: str
    segments: tuple[str, ...]
    format: str
    location: str | None  # the same resource with its format in the query, when it came from Accept
    scope: str
    span: tuple[int, int | None] | None
    dups: str
    filename: str | None
    cached_only: bool
    none_match: str
    range: str
    head: bool


def _read(path: str, request: Request) -> _Asked:
    text, *segments = path.rstrip("/").split("/")
    try:
        cid = Cid.parse(text)
    except Misuse as exc:
        raise _Answer(400, "invalid CID") from exc
    if len(segments) > MAX_SEGMENTS or "" in segments:
        raise _Answer(400, "invalid path")
    query, headers = request.query_params, request.headers
    accepted, wants = _accepted(headers.get("accept", ""))
    format_ = query.get("format") or accepted
    if format_ not in _FORMATS:
        known = format_ in _UNSUPPORTED
        raise _Answer(406 if known else 400, "this is a trustless gateway: ask for ?format=raw or ?format=car")
    if format_ == "raw" and segments:
        raise _Answer(400, "a raw block has no path")
    location = None
    if not query.get("format"):
        location = f"/ipfs/{quote(path)}?format={format_}" + (f"&{query}" if query else "")
    scope, span = _scope(query)
    return _Asked(
        cid=cid,
        text=text,
        segments=tuple(segments),
        format=format_,
        location=location,
        scope=scope,
        span=span,
        dups=_car_choices(query, wants if accepted == "car" else {}) if format_ == "car" else "n",
        filename=query.get("filename"),
        cached_only="only-if-cached" in headers.get("cache-control", ""),
        none_match=headers.get("if-none-match", ""),
        range=headers.get("range", "") if "if-range" not in headers else "",
        head=request.method == "HEAD",
    )


def _accepted(header: str) -> tuple[str | None, dict[str, str]]:
    """The first of our formats in an Accept header, and its parameters."""
    for part in header[:2000].split(","):
        kind, *parameters = (bit.strip() for bit in part.split(";"))
        name = kind.lower().rpartition(".")[2] if kind.lower().startswith("application/vnd.ip") else None
        if name in _FORMATS or name in _UNSUPPORTED:
            return name, dict(bit.split("=", 1) for bit in parameters if "=" in bit)
    return None, {}


def _scope(query: Mapping[str, str]) -> tuple[str, tuple[int, int | None] | None]:
    scope, text = query.get("dag-scope", "all"), query.get("entity-bytes")
    if scope not in ("block", "entity", "all"):
        raise _Answer(400, "dag-scope is block, entity or all")
    if text is None:
        return scope, None
    found = re.fullmatch(r"(-?\d{1,19}):(\*|-?\d{1,19})", text)
    if not found:
        raise _Answer(400, "entity-bytes is from:to or from:*")
    first, last = int(found[1]), None if found[2] == "*" else int(found[2])
    if last is not None and (first < 0) == (last < 0) and last < first:
        raise _Answer(400, "entity-bytes ends before it starts")
    return "entity", (first, last)


def _car_choices(query: Mapping[str, str], wants: Mapping[str, str]) -> str:
    """Whether duplicates are asked for (`y` or `n`); the query wins over Accept."""
    version, order, dups = (
        query.get(f"car-{name}") or wants.get(name) or default
        for name, default in (("version", "1"), ("order", "dfs"), ("dups", "n"))
    )
    if version != "1" or order not in ("dfs", "unk") or dups not in ("y", "n"):
        raise _Answer(406, "CAR version 1, order dfs, dups y or n are served")
    return dups


def _allow(asked: _Asked, may_read: Asked | None, withdrawn: Asked | None, store: Store) -> None:
    if withdrawn and withdrawn(asked.cid):
        raise _Answer(410, "withdrawn by its owner")
    if (may_read and not may_read(asked.cid)) or not _present(store, asked.cid):
        raise _Answer(412 if asked.cached_only else 404, "not here")


def _present(store: Store, cid: Cid) -> bool:
    try:
        return cid.hash_code == IDENTITY or store.has(cid)
    except Refused:  # a hash function the store does not take
        return False


def _headers(asked: _Asked, *, public: bool) -> dict[str, str]:
    path = "/".join((asked.text, *asked.segments))
    extension = "bin" if asked.format == "raw" else "car"
    name = asked.filename or f"{asked.text}.{extension}"
    plain = "".join(char if " " <= char <= "~" and char not in '"\\' else "_" for char in name[:200])
    return {
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": f"{'public' if public else 'private'}, {_LIFETIME}",
        "X-Ipfs-Path": "/ipfs/" + quote(path),
        "X-Ipfs-Roots": asked.text,
        "Vary": "Accept",
        "Content-Disposition": f'attachment; filename="{plain}"'
        + ("" if plain == name else f"; filename*=UTF-8''{quote(name[:200])}"),
        **({"Access-Control-Allow-Origin": "*"} if public else {}),
        **({"Content-Location": asked.location} if asked.location else {}),
    }


def _raw(store: Store, asked: _Asked, headers: dict[str, str]) -> Response:
    headers |= {"Etag": (etag := f'"{asked.text}.raw"'), "Accept-Ranges": "bytes"}
    if _matches(asked.none_match, etag):
        return Response(status_code=304, headers=headers)
    block = _block(store, asked.cid)
    status, span = 200, re.fullmatch(r"bytes=(\d{0,19})-(\d{0,19})", asked.range)
    if span and (span[1] or span[2]):
        first = int(span[1]) if span[1] else max(len(block) - int(span[2]), 0)
        last = min(int(span[2]), len(block) - 1) if span[1] and span[2] else len(block) - 1
        if first > last:
            raise _Answer(416, "the range is outside the block", {"Content-Range": f"bytes */{len(block)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(block)}"
        status, block = 206, block[first : last + 1]
    return Response(block, status, headers, media_type=_FORMATS["raw"])


def _car(store: Store, asked: _Asked, headers: dict[str, str], streams: threading.BoundedSemaphore) -> Response:
    variant = sha256(repr((asked.segments, asked.scope, asked.span, asked.dups)).encode()).hexdigest()[:12]
    headers |= {"Etag": (etag := f'W/"{asked.text}.car.{variant}"'), "Accept-Ranges": "none"}
    kind = f"{_FORMATS['car']}; version=1; order=dfs; dups={asked.dups}"
    if _matches(asked.none_match, etag):
        return Response(status_code=304, headers=headers)
    trail, end = _resolve(store, asked)
    block = _block(store, end)
    if asked.scope != "block" and not _walkable(end, block, asked.scope):
        raise _Answer(406, "only files and plain directories are walked")
    if asked.head:
        return Response(None, 200, headers, media_type=kind)
    if not streams.acquire(blocking=False):
        raise _Answer(429, "too many CARs at a time", {"Retry-After": "5"})
    streams.release()  # taken for good inside the stream, where it is sure to be given back
    body = car.write(asked.cid, _without_repeats(chain(trail, _scoped(store, asked, end, block)), asked.dups))
    return StreamingResponse(_limited(body, streams), 200, headers, media_type=kind)


def _walkable(cid: Cid, block: bytes, scope: str) -> bool:
    if cid.codec == DAG_PB:
        return scope == "all" or dag.decode(block).kind != dag.SHARDED
    return cid.codec == RAW


def _limited(body: Iterator[bytes], streams: threading.BoundedSemaphore) -> Iterator[bytes]:
    """The stream, counted. What it raises (a missing child) cuts the connection: a short CAR never ends cleanly."""
    with streams:
        yield from body


def _without_repeats(blocks: Iterable[tuple[Cid, bytes]], dups: str) -> Iterator[tuple[Cid, bytes]]:
    seen: set[Cid] = set()
    for cid, block in blocks:
        if cid.hash_code == IDENTITY or cid in seen:
            continue
        if dups == "n":
            seen.add(cid)
        yield cid, block


def _scoped(store: Store, asked: _Asked, end: Cid, block: bytes) -> Iterator[tuple[Cid, bytes]]:
    def get(cid: Cid) -> bytes:
        return cid.digest if cid.hash_code == IDENTITY else store.get_block(cid)

    if asked.scope == "all":
        yield from dag.walk(get, end, set() if asked.dups == "n" else None)
    elif asked.scope == "entity" and end.codec == DAG_PB and (node := dag.decode(block)).is_file:
        yield from dag.walk_file(get, end, *_bounds(asked.span, node.size))
    else:
        yield end, block


def _bounds(span: tuple[int, int | None] | None, size: int) -> tuple[int, int]:
    """[start, stop) of an entity-bytes range; negatives count from the end, and the last byte is included."""
    if span is None:
        return 0, size
    first, last = span
    start = first if first >= 0 else max(size + first, 0)
    stop = size if last is None else (last if last >= 0 else size + last) + 1
    return (start, stop) if start < min(stop, size) else (size, size)


def _resolve(store: Store, asked: _Asked) -> tuple[list[tuple[Cid, bytes]], Cid]:
    """Follow the path through plain directories: the blocks passed, and where it ends."""
    trail, cid = [], asked.cid
    for segment in asked.segments:
        block = _block(store, cid)
        node = dag.decode(block) if cid.codec == DAG_PB else None
        if node and node.kind == dag.SHARDED:
            raise _Answer(406, "sharded directories are not walked")
        found = [link.cid for link in node.links if link.name == segment] if node and not node.is_file else []
        if not found:
            raise _Answer(404, "no such path")
        trail.append((cid, block))
        cid = found[0]
    return trail, cid


def _block(store: Store, cid: Cid) -> bytes:
    if cid.hash_code == IDENTITY:
        return cid.digest
    try:
        return store.get_block(cid)
    except HanseError as exc:  # absent, or rotten here: for the asker the same
        raise _Answer(404, "not here") from exc


def _matches(header: str, etag: str) -> bool:
    """If-None-Match, by the weak comparison of RFC 9110."""
    return any(tag.strip().removeprefix("W/") in ("*", etag.removeprefix("W/")) for tag in header.split(","))
