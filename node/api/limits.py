"""What no request may exceed, and the headers that every answer carries. Plain ASGI: streams pass through untouched.

app.add_middleware(Limits, largest=64 * 1024, uploads={"/datasets"})
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from node.errors import Misuse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

BODY_LIMIT = 64 * 1024
STALL_SECONDS = 30.0
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class TooLarge(HTTPException):
    """A body over its limit. FastAPI lets exceptions of this family pass while it reads a body."""

    def __init__(self, largest: int) -> None:
        record = Misuse("the request is too large", clause="size", needed=f"at most {largest} bytes").record()
        super().__init__(413, record)  # type: ignore[arg-type]  # the error's record is the detail


class TooSlow(HTTPException):
    """A body whose next part does not come."""

    def __init__(self, seconds: float) -> None:
        record = Misuse("the body does not come", clause="deadline", needed=f"some of it every {seconds:g} s").record()
        super().__init__(408, record, {"Connection": "close"})  # type: ignore[arg-type]


class Limits:
    """Refuses bodies over `largest` bytes before and while they are read, and those that stall for `seconds`.

    Routes in `uploads` count bytes for themselves."""

    def __init__(
        self, app: App, *, largest: int = BODY_LIMIT, uploads: Collection[str] = (), seconds: float = STALL_SECONDS
    ) -> None:
        self._app, self._largest, self._uploads, self._seconds = app, largest, uploads, seconds

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with_defaults(message.get("headers", ()))}
            await send(message)

        limit = None if scope["path"] in self._uploads else self._largest
        if limit is not None and _declared(scope) > limit:
            too_large = TooLarge(limit)
            await JSONResponse(too_large.detail, too_large.status_code)(scope, receive, sending)
        else:
            await self._app(scope, self._bounded(receive, limit), sending)

    def _bounded(self, receive: Receive, limit: int | None) -> Receive:
        seen, more = 0, True

        async def receiving() -> Message:
            nonlocal seen, more
            if not more:
                return await receive()  # whoever asks after the end waits for the client to go, which takes its time
            try:
                async with asyncio.timeout(self._seconds):
                    message = await receive()
            except TimeoutError as exc:
                raise TooSlow(self._seconds) from exc
            more = bool(message.get("more_body", False))
            seen += len(message.get("body", b""))
            if limit is not None and seen > limit:
                raise TooLarge(limit)
            return message

        return receiving


def _declared(scope: Message) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


def _with_defaults(given: Any) -> list[tuple[bytes, bytes]]:
    """The answer's own headers, and ours where it has none of that name."""
    own = list(given)
    names = {name.lower() for name, _ in own}
    return own + [(name, value) for name, value in HEADERS if name not in names]
