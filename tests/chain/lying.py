"""A real HTTP proxy in front of a chain, with edges that can be broken.

with proxy(rpc) as edge:
    edge.most_blocks = 10                  # refuses larger log ranges, as hosted endpoints do
    Chain.connect(edge.url)
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Call = dict[str, Any]


@dataclass
class Edge:
    """What the proxy does to what passes; nothing, to begin with."""

    chain: str
    url: str = ""
    most_blocks: int | None = None
    most_logs: int | None = None
    wording: str = "query returned more than {most} results"
    batches: bool = True
    delay: float = 0.0
    raw: bytes | None = None
    status: int = 200
    endless: bool = False
    drips: bool = False
    change: Callable[[Call, Any], Any] | None = None
    asked: list[Call] = field(default_factory=list)

    def answer(self, call: Call) -> Call:
        refused = self._refused(call)
        if refused:
            return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32005, "message": refused}}
        body = json.dumps(call).encode()
        request = urllib.request.Request(self.chain, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            found: Call = json.load(response)
        if call["method"] == "eth_getLogs" and self.most_logs is not None and len(found["result"]) > self.most_logs:
            return {
                "jsonrpc": "2.0",
                "id": call["id"],
                "error": {"code": -32005, "message": self._words(self.most_logs)},
            }
        if self.change and "result" in found:
            found["result"] = self.change(call, found["result"])
        return found

    def _refused(self, call: Call) -> str:
        if call["method"] != "eth_getLogs" or self.most_blocks is None or "fromBlock" not in call["params"][0]:
            return ""
        first, last = (call["params"][0][key] for key in ("fromBlock", "toBlock"))
        wide = last == "latest" or int(last, 16) - int(first, 16) + 1 > self.most_blocks
        return self._words(self.most_blocks) if wide else ""

    def _words(self, most: int) -> str:
        return self.wording.format(most=most)


@contextmanager
def proxy(chain: str) -> Iterator[Edge]:
    edge = Edge(chain)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(edge))
    server.daemon_threads = True
    edge.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield edge
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _handler(edge: Edge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            edge.asked += body if isinstance(body, list) else [body]
            time.sleep(edge.delay)
            if edge.endless or edge.drips:
                self._without_end()
            else:
                self._say(edge.raw if edge.raw is not None else self._answered(body))

        def _answered(self, body: Any) -> bytes:
            if isinstance(body, list) and edge.batches:
                return json.dumps([edge.answer(call) for call in reversed(body)]).encode()
            if isinstance(body, list):
                return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"message": "no batches"}}).encode()
            return json.dumps(edge.answer(body)).encode()

        def _say(self, data: bytes) -> None:
            self.send_response(edge.status)
            self.send_header("Content-Length", str(len(data)))
            try:
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True  # the other side would not wait

        def _without_end(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b" " if edge.drips else b" " * (1 << 20))
                    time.sleep(0.02 if edge.drips else 0)
            except OSError:
                self.close_connection = True  # the other side has had enough

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
