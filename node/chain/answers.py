"""An endpoint's answers as records, each held against what was asked for. No I/O.

block(found, asked=7)            # Untrusted where `found` is another block
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from node.chain.records import Proof, Receipt, Transaction
from node.errors import Misuse, Untrusted
from node.model import Address, Block, BlockHash, Time, TxHash, raw
from node.signature import checksummed

_EXTRA_LIMIT = 1 << 16


def block(found: Mapping[str, Any], *, asked: int | str) -> Block:
    """A block by web3.py; `asked` is a number, a hash or a tag."""
    hash_, parent = (BlockHash("0x" + bytes(found[k]).hex()) for k in ("hash", "parentHash"))
    number = int(found["number"])
    if asked not in (number, hash_) and (isinstance(asked, int) or asked.startswith("0x")):
        raise Untrusted("another block than was asked for", clause="block", seen=f"{number} {hash_}", needed=asked)
    return Block(number, hash_, parent, Time(found["timestamp"]))


def receipt(found: Mapping[str, Any], *, asked: TxHash) -> Receipt:
    """A receipt by web3.py, its refusal still unknown."""
    _same("0x" + bytes(found["transactionHash"]).hex(), asked)
    at, made = BlockHash("0x" + bytes(found["blockHash"]).hex()), _address(found.get("contractAddress"))
    return Receipt(asked, found["status"] == 1, found["blockNumber"], at, found["gasUsed"], made, None)


def transaction(found: Any, *, asked: TxHash) -> Transaction:
    """A transaction of plain JSON. Untrusted where it is another one, or none."""
    try:
        _same(found["hash"], asked)
        at = found["blockHash"]
        where = (int(found["blockNumber"], 16), BlockHash(at)) if at else (None, None)
        parties = checksummed(found["from"]), _address(found["to"])
        nonce, gas = int(found["nonce"], 16), int(found["gas"], 16)
        return Transaction(asked, *parties, nonce, gas, bytes.fromhex(found["input"][2:]), *where)
    except (KeyError, TypeError, ValueError, Misuse) as exc:
        raise Untrusted("the endpoint answers with no transaction", clause="transaction", seen=asked) from exc


def proof(found: Any) -> Proof:
    """An eth_getProof answer of plain JSON; what it proves is for the auditor to check."""
    slots = [(int(s["key"], 16), int(s["value"], 16), tuple(map(raw, s["proof"]))) for s in found["storageProof"]]
    return Proof(tuple(map(raw, found["accountProof"])), raw(found["storageHash"]), tuple(slots))


def is_bft(extra: bytes) -> bool:
    """Whether extraData is Besu's of QBFT or IBFT 2: RLP of vanity, validators, vote, round and seals."""
    import rlp

    try:
        fields = rlp.decode(extra) if len(extra) <= _EXTRA_LIMIT else None
    except (rlp.DecodingError, RecursionError):
        return False
    return isinstance(fields, list) and len(fields) == 5 and len(fields[0]) == 32


def _same(seen: Any, asked: TxHash) -> None:
    if seen != asked:
        raise Untrusted("another transaction than was asked for", clause="hash", seen=seen, needed=asked)


def _address(found: str | None) -> Address | None:
    return checksummed(found) if found else None
