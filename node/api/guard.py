"""Who is asking: a token for this node's own people, a member's signature for other nodes.

Both say no before anything else runs.

router = APIRouter(dependencies=[Depends(needs("read"))])
@router.get("/peer/manifests/{commitment}")
def manifest(asker: Asker, node: OurNode) -> Response: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from node import peers, tokens
from node.api.shapes import ACCOUNT
from node.errors import HanseError, Refused
from node.ledger import require_active
from node.model import Address, Time, raw
from node.signature import recover
from node.wiring import Node

_bearer = HTTPBearer(scheme_name="token", description="`hanse token create` makes one.", auto_error=False)


class Unauthenticated(Refused):
    """No token that opens anything came with the request."""

    code, http_status = "unauthenticated", 401


def our_node(request: Request) -> Node:
    node: Node = request.app.state.node
    return node


OurNode = Annotated[Node, Depends(our_node)]


def needs(scope: str) -> Callable[..., None]:
    """A dependency that lets only tokens of this scope through: 401 where there is none, 403 where it is too small."""

    def check(node: OurNode, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
        if given is None:
            raise Unauthenticated("this needs a token", clause="token", needed="Authorization: Bearer hanse_...")
        try:
            tokens.require(node.db, given.credentials, scope=scope, at=Time(node.clock()))
        except Refused as no:
            if no.clause != "token":
                raise
            raise Unauthenticated(no.message, clause=no.clause, seen=no.seen, needed=no.needed, hint=no.hint) from no

    return check


def asker(
    request: Request,
    node: OurNode,
    x_hanse_member: Annotated[str, Header(pattern=ACCOUNT)] = "",
    x_hanse_time: Annotated[int, Header(ge=0, le=1 << 48)] = 0,
    x_hanse_signature: Annotated[str, Header(pattern="^0x[0-9a-fA-F]{130}$")] = "0x",
) -> Address:
    """The active member that signed this very request to us just now. Refused, naming the check, for anybody else."""
    now = node.clock()
    if abs(now - x_hanse_time) > peers.WINDOW:
        raise Refused("the request was signed too long ago", clause="time", seen=x_hanse_time,
                      needed=f"within {peers.WINDOW} s of {now}")  # fmt: skip
    signed = peers.signed_digest(request.method, request.url.path, node.me, x_hanse_time)
    try:
        signer = recover(signed, raw(x_hanse_signature))
    except HanseError as exc:
        raise Refused(exc.message, clause="signature") from exc
    if signer != x_hanse_member:
        raise Refused("the member did not sign this request", clause="signature", seen=signer, needed=x_hanse_member)
    return require_active(node.ledger, signer).account


Asker = Annotated[Address, Depends(asker)]
