"""Logs of the alliance's contracts as events, fast: raw JSON in, ranges halved when the endpoint finds them too large.

Logs come without their block's time, so headers are fetched in batches, by hash: a block gone meanwhile shows.

    between(provider, directory, 100, 5_000)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from node.chain import decode, failures
from node.chain.failures import Reorged, RpcError, Translated
from node.errors import Untrusted
from node.model import Address, Block, BlockHash, Directory, Event, Position, Time, TxHash

if TYPE_CHECKING:
    from node.chain.provider import Provider

SPAN = 5000
"""Blocks asked for at once, to begin with."""

Log = dict[str, Any]


def between(rpc: Provider, directory: Directory, first: int, last: int) -> list[Event]:
    """All events in blocks `first` to `last`, both included. RpcError where even one block is too large to read."""
    names, found = _names(directory), list[Event]()
    for answer in _ranges(rpc, names, first, last, span=SPAN):
        with Translated(rpc.name):
            found += _events(rpc, names, _within(answer, first, last))
    return found


def first_block(rpc: Provider, contracts: Sequence[Address], last: int) -> int:
    """The block of the contracts' first log: in one question, or as many as the endpoint's limits need."""
    for answer in _ranges(rpc, contracts, 0, last, span=last + 1):
        with Translated(rpc.name):
            if answer:
                return min(int(log["blockNumber"], 16) for log in answer)
    raise Untrusted("contracts that have said nothing", clause="logs", seen=contracts[0])


def of_block(rpc: Provider, directory: Directory, block: Block) -> list[Event]:
    """The events of one block, by its hash (EIP-234)."""
    names = _names(directory)
    try:
        answer = rpc.ask("eth_getLogs", _filter(names, blockHash=block.hash))
    except RpcError as exc:
        if not _has(rpc, block.hash):
            raise _gone(block.hash) from exc
        raise
    if not answer and not _has(rpc, block.hash):  # some endpoints have "no logs" for a block they do not know
        raise _gone(block.hash)
    with Translated(rpc.name):
        if any(log["blockHash"] != block.hash for log in answer):
            raise Untrusted("logs of another block than was asked for", clause="block", needed=block.hash)
        return [_event(log, names, block.time) for log in _in_order(answer)]


def _names(directory: Directory) -> dict[str, str]:
    return {directory.consortium.lower(): "Consortium"} | {e.at.lower(): e.name for e in directory.entries}


def _ranges(rpc: Provider, contracts: Iterable[str], first: int, last: int, *, span: int) -> Iterator[list[Log]]:
    """The logs range by range: half the `span` when the endpoint finds one too large, twice it when it does not."""
    at = first
    while at <= last:
        to = min(at + span - 1, last)
        try:
            answer = rpc.ask("eth_getLogs", _filter(contracts, fromBlock=hex(at), toBlock=hex(to)))
        except RpcError as exc:
            if to == at or not exc.says(failures.TOO_BIG):
                raise
            span = (to - at + 1) // 2
            continue
        yield answer
        at, span = to + 1, min(max(SPAN, span), span * 2)


def _filter(names: Iterable[str], **where: str) -> dict[str, Any]:
    return {"address": list(names), **where}


def _within(answer: list[Log], first: int, last: int) -> list[Log]:
    outside = [log["blockNumber"] for log in answer if not first <= int(log["blockNumber"], 16) <= last]
    if outside:
        raise Untrusted(
            "logs outside the range asked for", clause="range", seen=outside[0], needed=f"{first} to {last}"
        )
    return _in_order(answer)


def _in_order(answer: list[Log]) -> list[Log]:
    return sorted(answer, key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))


def _events(rpc: Provider, names: dict[str, str], found: list[Log]) -> list[Event]:
    hashes = list(dict.fromkeys(log["blockHash"] for log in found))
    headers = rpc.many([("eth_getBlockByHash", [h, False]) for h in hashes])
    times = {h: _time(h, header) for h, header in zip(hashes, headers, strict=True)}
    return [_event(log, names, times[log["blockHash"]]) for log in found]


def _time(hash_: str, header: dict[str, Any] | None) -> Time:
    if header is None:
        raise _gone(hash_)
    if header["hash"] != hash_:
        raise Untrusted("another block than was asked for", clause="block", seen=header["hash"], needed=hash_)
    return Time(int(header["timestamp"], 16))


def _event(log: Log, names: dict[str, str], time: Time) -> Event:
    contract = names.get(log["address"].lower())
    if contract is None:
        raise Untrusted("a log of a contract that was not asked for", clause="address", seen=log["address"])
    where = int(log["blockNumber"], 16), int(log["logIndex"], 16)
    at = Position(*where, time, BlockHash(log["blockHash"]), TxHash(log["transactionHash"]))
    return decode.event(contract, [bytes.fromhex(t[2:]) for t in log["topics"]], bytes.fromhex(log["data"][2:]), at)


def _has(rpc: Provider, hash_: BlockHash) -> bool:
    return rpc.ask("eth_getBlockByHash", hash_, False) is not None


def _gone(hash_: str) -> Reorged:
    return Reorged(
        "the chain has changed: the block is not on it", clause="block", seen=hash_, hint="read from the fork again"
    )
