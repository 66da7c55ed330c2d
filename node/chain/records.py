"""What the chain edge returns beside the words of node.model: fees, a sent transaction, what became of it.

signed = account.sign_transaction({..., **fees.fields()})
higher = fees.raised(chain.fees())            # None: nothing to raise, send the same bytes again
"""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import HanseError
from node.model import Address, BlockHash, TxHash


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei for a unit of gas: at most `most`, of which `tip` to the block's maker; no `tip` on a chain before London."""

    most: int
    tip: int | None

    def fields(self) -> dict[str, int]:
        """The transaction fields to sign: EIP-1559 (type 2) or legacy."""
        if self.tip is None:
            return {"gasPrice": self.most}
        return {"maxFeePerGas": self.most, "maxPriorityFeePerGas": self.tip}

    def raised(self, now: Fees) -> Fees | None:
        """Fees that replace these at the same nonce: an eighth more, or today's, whichever is higher.

        None where nothing rises: on a chain without fees a transaction can only be sent again (besu #7676).
        """
        if self.most == 0 and now.most == 0:
            return None
        tip = None if self.tip is None else max(_eighth_more(self.tip), now.tip or 0)
        return Fees(max(_eighth_more(self.most), now.most, tip or 0), tip)


def _eighth_more(wei: int) -> int:
    return wei * 9 // 8 + (1 if wei else 0)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction the chain knows; no `block` and `block_hash` while it waits, no `to` where it deploys."""

    hash: TxHash
    sender: Address
    to: Address | None
    nonce: int
    gas: int
    input: bytes
    block: int | None
    block_hash: BlockHash | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The chain's receipt of a mined transaction (a member's receipt for bytes is `Received`).

    `refusal` says why where it is not `ok`; `created` is the address of a deployed contract.
    """

    tx: TxHash
    ok: bool
    block: int
    block_hash: BlockHash
    gas_used: int
    created: Address | None
    refusal: HanseError | None


@dataclass(frozen=True, slots=True)
class Proof:
    """An account's eth_getProof answer: RLP nodes from the state root, and for each slot its value and nodes."""

    account: tuple[bytes, ...]
    storage_hash: bytes
    slots: tuple[tuple[int, int, tuple[bytes, ...]], ...]
