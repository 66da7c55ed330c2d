"""People with an account: Alice, Bob, Carol and Dave are members, Erin is the auditor, Mallory belongs to nobody.

Their accounts are the first of Hardhat's mnemonic, which every development chain funds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from node.chain.client import Chain
from node.chain.deploy import Founder, settled
from node.chain.records import Receipt
from node.development_keys import HARDHAT_MNEMONIC
from node.keyring import SignedTransaction
from node.model import Address, Digest, Directory, Role, TxHash, digest


def named(text: str) -> Digest:
    """A digest that says what it stands for."""
    return digest(sha256(text.encode()).digest())


@dataclass(frozen=True)
class Person:
    """Signs as the keyring does."""

    account: LocalAccount

    @property
    def address(self) -> Address:
        return Address(self.account.address)

    def sign_transaction(self, transaction: Mapping[str, Any]) -> SignedTransaction:
        signed = self.account.sign_transaction(dict(transaction))
        return SignedTransaction(bytes(signed.raw_transaction), TxHash("0x" + bytes(signed.hash).hex()))

    def sign_typed(self, message: Mapping[str, Any]) -> bytes:
        return bytes(self.account.sign_message(encode_typed_data(full_message=dict(message))).signature)

    def signs(self, chain: Chain, to: Address | None, data: bytes, **changed: Any) -> bytes:
        """A signed transaction's bytes, with today's fees and next nonce unless `changed`."""
        fields = {"chainId": chain.chain_id, "value": 0, "data": data, **({"to": to} if to else {})}
        fields |= {"nonce": chain.nonce(self.address), **chain.fees().fields()} | changed
        if "gas" not in fields:
            fields["gas"] = chain.estimate(self.address, to, data)
        return self.sign_transaction(fields).raw

    def sends(self, chain: Chain, directory: Directory, contract: str, function: str, *args: Any) -> Receipt:
        """Send and wait until it has gone well."""
        to = directory.address(contract)
        return settled(chain, chain.send(self.signs(chain, to, chain.encode(contract, function, *args))), seconds=30)


@cache
def person(index: int) -> Person:
    Account.enable_unaudited_hdwallet_features()
    return Person(Account.from_mnemonic(HARDHAT_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}"))


@cache
def stranger(name: str) -> Person:
    """Somebody whose account no chain has ever seen."""
    return Person(Account.from_key(sha256(name.encode()).digest()))


def founders() -> list[Founder]:
    roles = [Role.MEMBER] * 4 + [Role.AUDITOR]
    return [Founder(person(i).address, int(role), named(f"card {i}")) for i, role in enumerate(roles)]
