"""Real HTTP servers that lie: an RPC endpoint in front of Anvil, a gateway in front of a store.

with lying_rpc(anvil, lambda method, params, result: ...) as url: ...
with gateway(store, {cid: None}) as url: ...              # that block is not served
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from node.errors import HanseError
from node.store import Cid
from node.store.blocks import BlockStore

Lie = Callable[[str, list[Any], Any], Any]

UNSUPPORTED = object()
"""What a lie returns for a method that the endpoint shall not know."""


@contextmanager
def lying_rpc(honest: str, lie: Lie) -> Iterator[str]:
    """Every answer of the endpoint at `honest`, as `lie(method, params, result)` tells it."""

    class Handler(_Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = urllib.request.Request(honest, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                told = _told(json.loads(body), json.load(answer), lie)
            self.answer(200, json.dumps(told).encode())

    with _serving(Handler) as url:
        yield url


def _told(asked: Any, answered: Any, lie: Lie) -> Any:
    if isinstance(asked, list):
        by_id = {one["id"]: one for one in asked}
        return [_told(by_id[one["id"]], one, lie) for one in answered]
    if "result" not in answered:
        return answered
    result = lie(asked["method"], asked.get("params", []), answered["result"])
    if result is UNSUPPORTED:
        return {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "Method not found"}}
    return answered | {"result": result}


@contextmanager
def gateway(store: BlockStore, lies: Mapping[str, bytes | None]) -> Iterator[str]:
    """The store's blocks by `?format=raw`; for the CIDs in `lies` other bytes, or (None) 404."""

    class Handler(_Quiet):
        def do_GET(self) -> None:
            cid = urlsplit(self.path).path.removeprefix("/ipfs/")
            try:
                block = lies[cid] if cid in lies else store.get_block(Cid.parse(cid))
            except HanseError:
                block = None
            self.answer(404 if block is None else 200, block or b"")

    with _serving(Handler) as url:
        yield url


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # head and body in one packet: else each answer waits 40 ms for an acknowledgement

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
