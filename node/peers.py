"""Asking another member's node for what only members may read: manifests, refusals, views of a round.

A request is signed with the member's account over method, path, the answering member's address and the time, so that it
is worth nothing elsewhere or later. An edge: it talks to other members' nodes and to nothing else.

    data = ask(Peer(account=bob, endpoints=("https://bob.example",), ...), "/peer/manifests/0x...")
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from node.errors import HanseError, Misuse, NotFound, Refused, Retry, Untrusted
from node.model import Address
from node.web import get, locate

LIMIT = 1 << 20
SECONDS = 10.0
WINDOW = 300
"""Seconds a signed request stays good."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to ask, and as whom."""

    account: Address
    endpoints: tuple[str, ...]
    me: Address
    sign: Callable[[bytes], bytes]
    clock: Callable[[], int]
    allow_loopback: bool


def signed_digest(method: str, path: str, audience: Address, at: int) -> bytes:
    """What the asking member signs, 32 bytes."""
    return hashlib.sha256(f"hanse peer request\n{method} {path}\n{audience}\n{at}".encode()).digest()


def ask(peer: Peer, path: str, *, seconds: float = SECONDS) -> bytes:
    """The body of the answer, at most 1 MiB. Raises NotFound, Refused or Retry as the other node says.

    An endpoint that is bad or down costs no other one."""
    at = peer.clock()
    signature = peer.sign(signed_digest("GET", path, peer.account, at))
    headers = {"X-Hanse-Member": peer.me, "X-Hanse-Time": str(at), "X-Hanse-Signature": "0x" + signature.hex()}
    reasons: list[str] = []
    for endpoint in peer.endpoints:
        try:
            place = locate(endpoint, allow_loopback=peer.allow_loopback)
            answer = get(place, path, headers=headers, limit=LIMIT, seconds=seconds)
        except (Misuse, Refused, Retry) as exc:
            reasons.append(f"{endpoint}: {exc.message}")
            continue
        if answer.status == 200:
            return answer.body
        if answer.status != 429 and answer.status < 500:
            raise _answered(answer.status, path, endpoint)
        reasons.append(f"{endpoint}: {answer.status}")
    raise Retry("the member's node does not answer", clause="peer", seen="; ".join(reasons) or "no known endpoint",
                hint="try again when it is back")  # fmt: skip


def _answered(status: int, path: str, endpoint: str) -> HanseError:
    if status == 404:
        return NotFound("the member's node does not have it", clause="peer", seen=f"{endpoint}{path}")
    if status in (401, 403):
        return Refused("the member's node refused this node", clause="peer", seen=f"{status} from {endpoint}")
    return Untrusted("the member's node gave no sensible answer", clause="peer", seen=f"{status} from {endpoint}")
