"""The wire: JSON-RPC over HTTP for web3.py, every answer capped, every call with a deadline, errors the node's own.

Importing it imports web3 (seconds): only Chain.connect does. Safe to share between threads.

    provider = Provider("http://127.0.0.1:8545", timeout=20)
    provider.many([("eth_getBlockByNumber", ["0x1", False]), ...])       # one HTTP request a hundred
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import requests
from pydantic_core import from_json
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from node.chain.failures import RpcError, failure, public
from node.errors import Misuse, Retry

MAX_ANSWER = 32 << 20
"""Bytes of one answer; logs are asked for in smaller ranges when they are more."""

BATCH = 100


class Provider(JSONBaseProvider):
    """web3.py's provider interface over one endpoint."""

    global_ccip_read_enabled = False

    def __init__(self, url: str, *, timeout: float, max_answer: int = MAX_ANSWER) -> None:
        super().__init__()
        if not url.startswith(("http://", "https://")):
            raise Misuse(
                "the chain's RPC address must be HTTP", clause="rpc", seen=public(url), needed="http:// or https://"
            )
        self._url, self._timeout, self._max = url, timeout, max_answer
        self.name = public(url)
        self._session = requests.Session()
        self._session.headers.update({"Content-Type": "application/json", "User-Agent": "hanse"})

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One call. Raises the node's errors, so that web3.py never sees an `error` member."""
        answer = self._post(self.encode_rpc_request(method, params))
        return cast(RPCResponse, self._checked(answer, method))

    def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse]:
        """Many calls in one HTTP request, in order; one by one where the endpoint takes no batches."""
        sent = json.loads(self.encode_batch_rpc_request(requests))
        answer = self._post(json.dumps(sent).encode())
        if not isinstance(answer, list):
            return [self.make_request(method, params) for method, params in requests]
        by_id = {a.get("id"): a for a in answer if isinstance(a, dict)}
        return [cast(RPCResponse, self._checked(by_id.get(s["id"]), s["method"])) for s in sent]

    def ask(self, method: str, *params: Any) -> Any:
        """The plain JSON result of one call."""
        return self.make_request(RPCEndpoint(method), list(params))["result"]

    def many(self, calls: Sequence[tuple[str, list[Any]]]) -> Iterator[Any]:
        """The plain JSON results of many calls, in order, `BATCH` in a request."""
        for at in range(0, len(calls), BATCH):
            batch = [(RPCEndpoint(method), params) for method, params in calls[at : at + BATCH]]
            yield from (answer["result"] for answer in self.make_batch_request(batch))

    def _checked(self, answer: Any, method: str) -> dict[str, Any]:
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise Retry(f"{self.name} is no EVM JSON-RPC endpoint, or is broken", clause="rpc", seen=str(answer)[:80])
        if answer.get("error") is not None:
            raise failure(answer["error"], asked=method, of=self.name)
        return answer

    def _post(self, body: bytes) -> Any:
        until = time.monotonic() + self._timeout
        try:
            post = self._session.post(self._url, body, timeout=self._timeout, stream=True, allow_redirects=False)
            with post as response:
                data = self._read(response, until)
        except requests.Timeout as exc:
            raise self._late() from exc
        except (requests.RequestException, OSError) as exc:
            hint = "is the chain running? `hanse chain up` starts the embedded one"
            raise Retry(f"{self.name} cannot be reached", clause="rpc", seen=type(exc).__name__, hint=hint) from exc
        return self._parsed(response.status_code, data)

    def _read(self, response: requests.Response, until: float) -> bytes:
        from urllib3.exceptions import HTTPError

        chunks, size = [], 0
        try:
            while chunk := response.raw.read1(1 << 20, decode_content=True):
                chunks.append(chunk)
                size += len(chunk)
                if size > self._max:
                    raise RpcError(f"{self.name} sent too much", said=f"more than {self._max} bytes", clause="size")
                if time.monotonic() > until:
                    raise self._late()
        except HTTPError as exc:
            raise requests.ConnectionError(exc) if "timed out" not in str(exc) else requests.Timeout(exc) from exc
        return b"".join(chunks)

    def _late(self) -> RpcError:
        return RpcError(
            f"{self.name} did not answer in time", said=f"timed out after {self._timeout:g} s", clause="deadline"
        )

    def _parsed(self, status: int, data: bytes) -> Any:
        """JSON, also of an HTTP error where it says what JSON-RPC error it is."""
        try:
            answer = from_json(data)  # limits nesting, which json leaves to the C stack
        except ValueError:
            answer = None
        if isinstance(answer, list) or (isinstance(answer, dict) and ("result" in answer or "error" in answer)):
            return answer
        if status != 200:
            text = f"HTTP {status} {data[:200].decode(errors='replace')}"
            raise RpcError(f"{self.name} answered with an error", said=text)
        return answer
