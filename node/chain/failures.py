"""What an EVM endpoint can say when it fails, and what that means here. No I/O.

Nodes agree on few error codes, so wordings decide; they come from Geth, Besu, Anvil, Hardhat, Ganache and their issues.
A revert becomes the contract's own words; everything else an RpcError, which the client sorts by `said`.

    raise failure(error, asked="eth_call", of="http://127.0.0.1:8545")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from node.chain.words import refusal
from node.errors import Conflict, HanseError, NotFound, Refused, Retry, Untrusted

KNOWN = ("already known", "already imported", "known transaction", "alreadyknown")
NONCE_LOW = ("nonce too low", "nonce is too low", "nonce below", "invalid nonce", "correct nonce")
CHEAP = (
    "less than block base fee",
    "lower than the block's base fee",
    "below base fee",
    "underpriced",
    "fee too low",
    "gas price too low",
    "gasprice is less",
    "less than the minimum",
)
TOO_BIG = ("range", "more than", "too many", "too large", "too big", "limit", "exceed", "timeout", "timed out", "size")
_POOR = ("insufficient funds", "doesn't have enough funds", "insufficient balance", "upfront cost exceeds")
_REVERT = ("revert", "vm exception", "invalid opcode", "out of gas")


class RpcError(Retry):
    """The endpoint answered with an error that is no contract's refusal; `said` is its text in lower case."""

    def __init__(self, message: str, *, said: str, clause: str = "rpc", hint: str | None = None) -> None:
        super().__init__(message, clause=clause, seen=said[:300], hint=hint)
        self.said = said.lower()

    def says(self, wordings: tuple[str, ...]) -> bool:
        return any(w in self.said for w in wordings)


class Reorged(Retry):
    """The block asked for is not, or no longer, on the endpoint's chain."""


class NonceTaken(Conflict):
    """Another transaction of the same account was mined under this nonce."""


class Underpriced(Retry):
    """The fees signed for are too low now: sign again at the same nonce with higher ones."""


class Translated:
    """A block in which what web3.py raises, and answers of the wrong shape, become the node's errors."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, exc: BaseException | None, trace: Any) -> None:
        if exc is None or isinstance(exc, HanseError) or not isinstance(exc, Exception):
            return
        from web3.exceptions import BlockNotFound, TransactionNotFound, Web3Exception

        if isinstance(exc, BlockNotFound | TransactionNotFound):
            raise NotFound("the chain has no such block or transaction", clause="chain", seen=str(exc)[:200]) from exc
        if isinstance(exc, Web3Exception | KeyError | TypeError | ValueError | AttributeError):
            what = f"{self._endpoint} does not answer as a chain"
            raise Untrusted(what, clause="rpc", seen=f"{type(exc).__name__} {exc}"[:200]) from exc


def failure(error: Any, *, asked: str, of: str) -> HanseError:
    """The node's error behind a JSON-RPC `error` member."""
    fields = error if isinstance(error, Mapping) else {"message": error}
    text = str(fields.get("message", ""))[:500]
    data = revert_data(fields.get("data"))
    said = text.lower()
    if any(w in said for w in _POOR):
        return Refused("the account cannot pay for this", clause="funds", seen=text, hint="send it the chain's coin")
    if data or any(w in said for w in _REVERT):
        return refusal(data) if data else Refused("the contract refused without words", clause="revert", seen=text)
    return RpcError(f"{of} refused {asked}", said=text)


def revert_data(value: Any) -> bytes:
    """The contract's bytes, wherever the endpoint puts them: mostly plainly, Hardhat in a dict, Parity after a word."""
    if isinstance(value, Mapping):
        return revert_data(value.get("data") or value.get("result"))
    hex_text = value.removeprefix("Reverted ") if isinstance(value, str) else ""
    try:
        return bytes.fromhex(hex_text.removeprefix("0x")) if hex_text.startswith("0x") else b""
    except ValueError:
        return b""  # then the message has to do


def public(url: str) -> str:
    """`url` without user, password, path and query: any of them may be a key."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
