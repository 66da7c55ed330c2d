"""An alliance's contracts put on a chain, once, by anybody with a key. Prints nothing.

Resumable: `done` remembers each address before it is sent to, so a second run takes up what the first one left.

    directory = deploy(chain, keyring, [Founder(alice, Role.MEMBER, card)], delay=86_400)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from node.chain import abi, directories, encode
from node.chain.artifacts import artifact, same_code
from node.chain.client import Chain
from node.chain.records import Receipt
from node.errors import Conflict, Misuse, NotFinal
from node.model import CONTRACTS, Address, Digest, Directory, TxHash

SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Founder:
    """A member from the first block on (the struct IMembers.Founder)."""

    account: Address
    roles: int
    card: Digest


class Signed(Protocol):
    """A signed transaction: the bytes to send."""

    @property
    def raw(self) -> bytes: ...


class Signer(Protocol):
    """Whoever signs for an account: the keyring."""

    address: Address

    def sign_transaction(self, transaction: Mapping[str, Any]) -> Signed: ...


def deploy(
    chain: Chain,
    signer: Signer,
    founders: Sequence[Founder],
    *,
    delay: int,
    done: MutableMapping[str, Address] | None = None,
    seconds: float = SECONDS,
) -> Directory:
    """Members, Datasets, Grants, Trainings, Consortium; `delay` in seconds is that of later directory changes.

    Raises Refused where the account cannot pay, NotFinal where the chain does not mine within `seconds` each.
    """
    if not founders:
        raise Misuse("an alliance needs a founder", clause="founders")
    done = {} if done is None else done
    until = time.monotonic() + seconds
    members = _put(chain, signer, "Members", [list(founders)], done=done, until=until)
    datasets = _put(chain, signer, "Datasets", [members], done=done, until=until)
    grants = _put(chain, signer, "Grants", [members, datasets], done=done, until=until)
    trainings = _put(chain, signer, "Trainings", [members, datasets, grants], done=done, until=until)
    named = [[directories.name_of(c) for c in CONTRACTS], [members, datasets, grants, trainings]]
    return chain.directory(_put(chain, signer, "Consortium", [members, *named, delay], done=done, until=until))


def settled(chain: Chain, tx: TxHash, *, seconds: float = SECONDS) -> Receipt:
    """Wait for a transaction to be mined and to have gone well; its refusal otherwise, NotFinal after `seconds`."""
    until, pause = time.monotonic() + seconds, 0.01
    while (receipt := chain.receipt(tx)) is None:
        if time.monotonic() > until:
            raise NotFinal("the chain has not mined the transaction", clause="deadline", seen=tx)
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)
    if receipt.refusal:
        raise receipt.refusal
    return receipt


def _put(
    chain: Chain, signer: Signer, name: str, args: list[Any], *, done: MutableMapping[str, Address], until: float
) -> Address:
    at = done.get(name)
    if at and same_code(artifact(name), chain.code(at)):
        return at
    data = artifact(name).bytecode + encode.arguments(abi.constructor_of(name).inputs, args, what=name)
    nonce = chain.nonce(signer.address)
    gas = chain.estimate(signer.address, None, data)
    fields = {"chainId": chain.chain_id, "nonce": nonce, "gas": gas, "value": 0, "data": data, **chain.fees().fields()}
    # A crash from here on leaves an address without code: the next run signs for the same nonce, or a later one.
    done[name] = created_at(signer.address, nonce)
    receipt = settled(chain, chain.send(signer.sign_transaction(fields).raw), seconds=max(until - time.monotonic(), 0))
    if receipt.created != done[name]:
        raise Conflict(f"{name} is not where it should be", clause="nonce", seen=receipt.created, needed=done[name])
    return done[name]


def created_at(sender: Address, nonce: int) -> Address:
    """The address of what `sender` deploys with its transaction number `nonce`."""
    from web3.utils.address import get_create_address

    made: Any = get_create_address
    return abi.checksummed(made(sender, nonce))
