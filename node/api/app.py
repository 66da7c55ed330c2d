"""The ASGI application of one node: routes, error shapes, limits. See `guard` for who may ask.

uvicorn.run(create_app(node))
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from node.api import alliance, audits, grants, members_only, trainings, uploads
from node.api.limits import Limits
from node.errors import HanseError, Misuse
from node.store.gateway import gateway_router
from node.wiring import Node

log = logging.getLogger("hanse.api")

ABOUT = """One member's node. Reads, and questions to a model, need a token of scope `read`, everything else one of
scope `operate` (`hanse token create`). Peer routes are for other members' nodes, which sign each request with their
account. The gateway is an IPFS trustless gateway: public, and it holds sealed bytes and public documents only."""


def create_app(node: Node) -> FastAPI:
    """The application for an open node. It keeps no state of its own but the node."""
    app = FastAPI(
        title="Hanse",
        version=version("hanse"),
        description=ABOUT,
        docs_url=None,  # its page would load a CDN's script
        redoc_url=None,
        strict_content_type=True,
    )
    app.state.node = node
    uploads.clear(node.settings.home)
    for part in (alliance, grants, trainings, audits):
        app.include_router(part.reading)
        app.include_router(part.operating)
    app.include_router(alliance.public)
    app.include_router(members_only.router)
    app.include_router(gateway_router(node.store))
    app.add_exception_handler(HanseError, _refused)
    app.add_exception_handler(RequestValidationError, _misused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    app.add_middleware(Limits, uploads={"/datasets"})
    return app


def _problem(record: dict[str, Any], status: int) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": "5"} if status == 503 else {}
    return JSONResponse(record, status, headers)


def _refused(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HanseError)
    if exc.http_status >= 500:
        log.warning("%s %s: %s", request.method, request.url.path, exc)
    return _problem(exc.record(), exc.http_status)


def _misused(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    first = exc.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    misuse = Misuse(str(first["msg"]), clause=where, seen=str(first.get("input"))[:200])
    return _problem(misuse.record(), misuse.http_status)


def _http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    code = {400: "usage", 404: "not_found", 405: "usage"}.get(exc.status_code, "error")
    detail: object = exc.detail
    record = detail if isinstance(detail, dict) else {"code": code, "message": str(detail)}
    answer = _problem(record, exc.status_code)
    answer.headers.update(exc.headers or {})
    return answer


def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    """Starlette raises it again afterwards, so that the server logs where it came from."""
    return _problem({"code": "error", "message": "the node failed unexpectedly; its log says where"}, 500)
