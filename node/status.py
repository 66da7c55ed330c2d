"""How a node is doing: its chain, how far it follows, its store.

print(status(node).block)
"""

from __future__ import annotations

from dataclasses import dataclass

from node.db import events
from node.model import Address
from node.wiring import Node


@dataclass(frozen=True, slots=True)
class Health:
    """What anybody may know: whose node it is, in which alliance, and the chain's newest block."""

    name: str
    account: Address
    chain_id: int
    consortium: Address
    block: int


@dataclass(frozen=True, slots=True)
class Status:
    """`block` is the newest on chain, `final` the newest that will not change, `followed` the newest this node took in.
    `state` is the member's in the alliance, `following` how a running node's follower does, `free` in bytes."""

    name: str
    account: Address
    state: str
    chain_id: int
    consortium: Address
    block: int
    final: int
    followed: int
    following: str
    members: int
    datasets: int
    blocks: int
    bytes: int
    free: int


def health(node: Node) -> Health:
    """Asks the chain once. Raises Retry where it does not answer."""
    block = node.chain.block("latest").number
    return Health(node.settings.name, node.me, node.chain.chain_id, node.directory.consortium, block)


def status(node: Node) -> Status:
    """Asks the chain once and the store once. Raises Retry where one of them does not answer."""
    ledger, stat = node.ledger, node.store.stat()
    me = ledger.members.get(node.me)
    with node.db.reading() as tx:
        tip = events.tip(tx)
    return Status(
        name=node.settings.name,
        account=node.me,
        state=me.state.name.lower() if me else "stranger",
        chain_id=node.chain.chain_id,
        consortium=node.directory.consortium,
        block=node.chain.block("latest").number,
        final=node.chain.final(node.settings.depth or None),
        followed=tip.number if tip else 0,
        following=str(node.follower.health.condition),
        members=len(ledger.members),
        datasets=len(ledger.datasets),
        blocks=stat.blocks,
        bytes=stat.bytes,
        free=stat.free,
    )
