"""The same store in a Kubo daemon, through its RPC: for alliances that run IPFS already.

Kubo is a place to put blocks, nothing more: we cut the file, hash every block and upload a CAR, so that the CID does
not depend on the daemon's version or settings, and what comes back is hashed again. Every call is offline: this store
never makes Kubo ask the network. Kubo keeps one name a pin; ours are joined in it.

    store = KuboStore("http://127.0.0.1:5001")
    stored = store.put_file(open("sealed.bin", "rb")); store.pin(stored.cid, "dataset 7 version 1")

Garbage collection is Kubo's own: it knows no grace time, and `importing` holds back `collect` of this process only.
Where the daemon collects by itself (`--enable-gc`), `pin` says what it took. RPC: docs.ipfs.tech/reference/kubo/rpc.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

import ipfshttpclient
import requests
import urllib3
from ipfshttpclient import exceptions, multipart

from node.errors import Misuse, NotFound, Refused, Retry, Untrusted
from node.store import Collected, Progress, Source, Stat, Stored, car, dag
from node.store.cid import MAX_BLOCK, RAW, SHA2_256, Cid, of
from node.store.dag import UNIXFS_V1_2025, Profile

MAX_LEAF = 1 << 20
MAX_NAMES = 255  # bytes of Kubo's one name for a pin
CONNECT_SECONDS, READ_SECONDS = 5.0, 120.0
_NOBODY = Cid.parse("bafkqaaa")  # a CAR's header needs a root, before the root of a streamed file is known


class KuboStore:
    """A `Store` in the daemon whose RPC answers at `url`; `authorization` as in Kubo's `API.Authorizations`."""

    def __init__(self, url: str, *, authorization: str | None = None) -> None:
        warnings.filterwarnings("ignore", "The 'strict' parameter", FutureWarning, "urllib3")  # of this client's making
        # Not `connect()`: it refuses every Kubo since 2021 by its version number.
        self._client = ipfshttpclient.Client(
            _multiaddr(url),
            session=True,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            headers={"Authorization": authorization} if authorization else None,
        )
        self._imports, self._guard = 0, threading.Lock()

    @contextmanager
    def importing(self) -> Iterator[None]:
        with self._guard:
            self._imports += 1
        try:
            yield
        finally:
            with self._guard:
                self._imports -= 1

    def put_file(
        self, source: Source, *, profile: Profile = UNIXFS_V1_2025, progress: Progress | None = None
    ) -> Stored:
        sent = self._upload(dag.blocks(dag.pieces(source, profile.chunk), profile.width), progress)
        return Stored(sent.root, dag.file_size(sent.root, sent.last), sent.count)

    def put_block(self, data: bytes) -> Cid:
        if len(data) > MAX_LEAF:
            raise Misuse("too large for one block; use put_file", clause="data", seen=len(data), needed=f"{MAX_LEAF}")
        return self._upload([(of(RAW, data), data)]).root

    def put_blocks(self, blocks: Iterable[tuple[Cid, bytes]], *, durable: bool = True) -> None:
        first = next(rest := iter(blocks), None)
        if first:
            self._upload(chain((first,), rest))

    def _upload(self, blocks: Iterable[tuple[Cid, bytes]], progress: Progress | None = None) -> _Sent:
        """One CAR; the answer's counts and the root's presence are compared with what was sent."""
        sent = _Sent(blocks, progress)
        with self.importing():
            body, headers = multipart.stream_bytes(car.write(_NOBODY, sent), chunk_size=MAX_BLOCK)
            options = {"pin-roots": "false", "stats": "true"}
            try:
                answers = self._json("/dag/import", options=options, data=body, headers=headers)
            except Retry as exc:
                raise sent.failure or exc from exc
            with _translated():
                taken = [answer["Stats"]["BlockCount"] for answer in answers if answer.get("Stats")]
            if not sent.complete or taken != [sent.count] or not self.has(sent.root):
                raise Retry("Kubo did not take every block", clause="dag/import", seen=taken, needed=sent.count)
        return sent

    def get_block(self, cid: Cid) -> bytes:
        _only_sha2_256(cid)
        with _translated(cid):
            block = b""
            with self._request("/block/get", str(cid), stream=True) as parts:
                for part in parts:
                    block += part
                    if len(block) > MAX_BLOCK:
                        raise Untrusted(f"{cid} came with more than {MAX_BLOCK} bytes", clause="block size")
        cid.check(block)  # also finds an answer cut short, which this client does not notice
        return block

    def has(self, cid: Cid) -> bool:
        _only_sha2_256(cid)
        try:
            self._json("/block/stat", str(cid))
        except NotFound:
            return False
        return True

    def open(self, cid: Cid, *, hashed: bool = True) -> BinaryIO:
        return dag.open_file(self.get_block, cid)

    def pin(self, cid: Cid, name: str) -> None:
        _only_sha2_256(cid)
        if not name:
            raise Misuse("a pin has a name", clause="name")
        self._set_names(cid, {*self.pins().get(cid, ()), name})

    def unpin(self, cid: Cid, name: str) -> None:
        names = self.pins().get(cid, ())
        if name not in names:
            raise NotFound(f"{cid} is not pinned under this name", clause="name", seen=name)
        if len(names) > 1:
            self._set_names(cid, {*names} - {name})
        else:
            self._json("/pin/rm", str(cid))

    def _set_names(self, cid: Cid, names: set[str]) -> None:
        joined = "&".join(quote(name, safe=" ") for name in sorted(names))
        if len(joined) > MAX_NAMES:
            raise Refused("Kubo keeps 255 bytes of names for a pin", clause="name", seen=len(joined))
        with self.importing():
            self._json("/pin/add", str(cid), options={"name": joined})
            if set(self.pins().get(cid, ())) != names:
                raise Retry(f"Kubo did not keep the pin of {cid}", clause="pin/add")

    def pins(self) -> dict[Cid, tuple[str, ...]]:
        """Pins with a name; those without are other people's, Kubo's own root of MFS among them."""
        found = {}
        answers = self._json("/pin/ls", options={"type": "recursive", "names": "true", "stream": "true"})
        with _translated():
            for answer in answers:
                if joined := answer.get("Name"):
                    found[Cid.parse(answer["Cid"])] = tuple(sorted(map(unquote, joined.split("&"))))
        return dict(sorted(found.items()))

    def verify(self, cid: Cid) -> Stored:
        return dag.verify(self.get_block, cid)

    def collect(self, *, dry_run: bool = False, grace_seconds: float = 0.0) -> Collected:
        if dry_run or grace_seconds:
            raise Refused("Kubo collects at once and does not say beforehand what", clause="collect")
        with self._guard:  # no import begins before it is done
            if self._imports:
                raise Retry("the store is busy: an import is in progress", clause="lock")
            (before,) = self._numbers("RepoSize")
            removed = self._json("/repo/gc")
        if failed := [answer["Error"] for answer in removed if answer.get("Error")]:
            raise Retry(f"Kubo did not collect everything: {failed[0]}", clause="repo/gc")
        (after,) = self._numbers("RepoSize")
        return Collected(len(removed), max(before - after, 0))

    def import_car(self, stream: BinaryIO, *, limit_bytes: int = car.DEFAULT_LIMIT) -> Stored:
        """As in `Store`; of a CAR that turns out to be bad, Kubo keeps blocks without a pin until it collects."""
        archive = car.read(stream, limit_bytes=limit_bytes)
        if len(archive.roots) != 1:
            raise Refused("a CAR with one root is needed", clause="roots", seen=len(archive.roots))
        sent = self._upload(_checked(archive.blocks))
        return Stored(archive.roots[0], self.verify(archive.roots[0]).size, sent.count)

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        return car.write(cid, dag.walk(self.get_block, cid, set()))

    def stat(self) -> Stat:
        count, size, most = self._numbers("NumObjects", "RepoSize", "StorageMax")
        return Stat(count, size, len(self.pins()), max(most - size, 0))

    def _numbers(self, *names: str) -> list[int]:
        answers = self._json("/repo/stat")
        with _translated():
            return [int(answers[0][name]) for name in names]  # js-ipfs writes numbers as text

    def _json(
        self, path: str, *args: str, options: Mapping[str, str] | None = None, **more: Any
    ) -> list[dict[str, Any]]:
        """Every JSON object of the answer."""
        with (
            _translated(*args),
            self._request(path, *args, options=options, decoder="json", stream=True, **more) as answers,
        ):
            return list(answers)

    def _request(self, path: str, *args: str, options: Mapping[str, str] | None = None, **more: Any) -> Any:
        return self._client._client.request(path, args, opts=dict(options or {}), offline=True, **more)


class _Sent:
    """The blocks on their way out: counted, and the source's own failure kept apart from the daemon's."""

    def __init__(self, blocks: Iterable[tuple[Cid, bytes]], progress: Progress | None) -> None:
        self._blocks, self._progress = blocks, progress
        self.count, self.done, self.last, self.root = 0, 0, b"", _NOBODY
        self.complete = False  # an answer may come before the last block is sent
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[tuple[Cid, bytes]]:
        try:
            for cid, block in self._blocks:
                self.count, self.root, self.last = self.count + 1, cid, block
                self.done += len(block) if cid.codec == RAW else 0
                if self._progress and cid.codec == RAW:
                    self._progress(self.done)
                yield cid, block
            self.complete = True
        except Exception as exc:
            self.failure = exc
            raise


def _checked(blocks: Iterable[tuple[Cid, bytes]]) -> Iterator[tuple[Cid, bytes]]:
    for cid, block in blocks:
        _only_sha2_256(cid)
        dag.children(cid, block)
        cid.check(block)
        yield cid, block


def _only_sha2_256(cid: Cid) -> None:
    if cid.hash_code != SHA2_256:
        raise Refused("only sha2-256 blocks are stored", clause="hash", seen=hex(cid.hash_code))


def _multiaddr(url: str) -> str:
    """The address as this client wants it: `http://127.0.0.1:5001` is `/ip4/127.0.0.1/tcp/5001/http`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.username:
        raise Misuse("this is not a Kubo RPC address", clause="url", seen=url, needed="http://127.0.0.1:5001")
    host = parts.hostname
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    return f"/{kind}/{host}/tcp/{parts.port or {'http': 80, 'https': 443}[parts.scheme]}/{parts.scheme}"


@contextmanager
def _translated(*asked: object) -> Iterator[None]:
    """The client lets `requests` exceptions through where a connection is cut: both families are Kubo's failure."""
    try:
        yield
    except exceptions.ErrorResponse as exc:
        if "could not find" in str(exc) or "not found" in str(exc):
            raise NotFound(f"Kubo does not have {', '.join(map(str, asked))}", clause="cid") from exc
        raise Retry(f"Kubo refuses: {exc}", clause="kubo") from exc
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
        raise Retry("Kubo's RPC answers in an unknown shape", clause="kubo") from exc
    except (exceptions.Error, requests.RequestException, urllib3.exceptions.HTTPError) as exc:
        raise Retry(f"Kubo's RPC failed: {exc}", clause="kubo", hint="is `ipfs daemon` running?") from exc
