"""A block's header, hashed again: what ties its state root to the hash that everybody knows the block by.

header_hash(json_header) == block.hash          # not on chains that leave seals out of the hash (QBFT, IBFT)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from node.errors import Untrusted
from node.model import BlockHash
from node.signature import keccak

_BYTES = ("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom")
_NUMBERS = ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")
_LATER = ("baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash")
"""Each fork since London appended one or more (EIP-1559, 4895, 4844, 4788, 7685)."""

_QUANTITIES = {*_NUMBERS, "baseFeePerGas", "blobGasUsed", "excessBlobGas"}


def header_hash(header: Mapping[str, Any]) -> BlockHash:
    """keccak-256 of the header's RLP, made from the JSON of `eth_getBlockBy…`. Untrusted where that is no header."""
    import rlp

    try:
        names = [*_BYTES, *_NUMBERS, "extraData", "mixHash", "nonce", *(n for n in _LATER if header.get(n) is not None)]
        encoded = rlp.encode([_field(name, header[name]) for name in names])
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise Untrusted("the endpoint answers with no header", clause="header") from exc
    return BlockHash("0x" + keccak(encoded).hex())


def _field(name: str, value: str) -> bytes:
    if name in _QUANTITIES:
        number = int(value, 16)
        return number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes.fromhex(value.removeprefix("0x"))
