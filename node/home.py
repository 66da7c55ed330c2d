"""A node's beginning: its folder, its account and recipient key, its alliance, its card.

made = create(Settings(home, name="Alice Mills"), passphrase)     # its address and card go to the other members
join(home, consortium, rpc="http://127.0.0.1:8545")               # once the alliance's contracts are known
show_card(home, passphrase)                                       # again whenever endpoints change
found(home, passphrase, founders)                                 # one of the founders puts the contracts there
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import UserDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coincurve import PrivateKey

from node import documents, model
from node.chain.client import Chain
from node.chain.deploy import Founder, deploy
from node.development_keys import DEVELOPMENT_ADDRESSES, refuse_development_key
from node.errors import Conflict, Misuse
from node.keyring import Keyring
from node.model import Address, Card, Digest, Role, TxHash
from node.settings import FILE, Settings, write
from node.signature import address_of
from node.wiring import Node, open_store

CARD = "card.json"


@dataclass(frozen=True, slots=True)
class Made:
    """A new node: what the others need to let it in is `account` and `card`."""

    account: Address
    card: Digest
    home: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The alliance that a node works in from now on. `state` is its member's."""

    consortium: Address
    chain_id: int
    state: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A member's card in its store; `tx` put its digest on chain, None where that was not needed."""

    account: Address
    card: Digest
    endpoints: tuple[str, ...]
    tx: TxHash | None


def create(settings: Settings, passphrase: bytes, *, account_key: bytes | None = None) -> Made:
    """Make the home. Raises Conflict where a node is there, Refused for a development key on another chain."""
    if (settings.home / FILE).exists():
        raise Conflict("there is a node in this folder already", clause="home", seen=settings.home)
    if account_key is not None:
        _refuse_known(account_key, settings.rpc)
    ring = _keyring(settings.home / "keys", passphrase, account_key)
    # A crash here leaves keys without settings: the same command with the same passphrase takes them up again.
    card = _keep_card(settings, ring)
    settings.save()
    return Made(ring.address, card, str(settings.home))


def join(home: Path, consortium: Address, *, rpc: str | None = None, peers: Sequence[str] = ()) -> Joined:
    """Work in the alliance of this Consortium; `peers` are gateways to ask before any card is known.

    Raises NotFound or Untrusted where there is none at that address, Conflict where the node has another."""
    settings = Settings.load(home)
    if settings.consortium and settings.consortium != consortium:
        raise Conflict("this node belongs to another alliance", clause="consortium", seen=consortium,
                       needed=settings.consortium, hint="make another home for another alliance")  # fmt: skip
    known = tuple(dict.fromkeys((*settings.peers, *peers)))
    settings = replace(settings, consortium=consortium, rpc=rpc or settings.rpc, peers=known)
    Chain.connect(settings.rpc).directory(consortium)
    settings.save()
    with Node.open(home) as node:
        found = node.ledger.members.get(node.me)
        return Joined(node.directory.consortium, node.chain.chain_id, found.state.name.lower() if found else "stranger")


def show_card(home: Path, passphrase: bytes) -> Shown:
    """Put the card of the present settings into the store; a member's goes on chain where that has another one."""
    settings = Settings.load(home)
    card = _keep_card(settings, Keyring.open(home / "keys", passphrase))
    tx = _card_on_chain(home, passphrase, card) if settings.consortium else None
    return Shown(Keyring.address_in(home / "keys"), card, settings.endpoints, tx)


def found(home: Path, passphrase: bytes, founders: Sequence[Founder], *, delay: int) -> Address:
    """Put an alliance's contracts on the chain of this home's settings; the Consortium's address.

    Interrupted, the same call takes up what is there. `delay`: seconds that later changes of the directory wait."""
    settings = Settings.load(home)
    chain, ring = Chain.connect(settings.rpc), Keyring.open(home / "keys", passphrase)
    refuse_development_key(ring.address, chain.chain_id)
    what = repr((chain.genesis, [(f.account, int(f.roles), f.card) for f in founders], delay))
    done = _Kept(home / f"deployment-{hashlib.sha256(what.encode()).hexdigest()[:16]}.json")
    return deploy(chain, ring, founders, delay=delay, done=done).consortium


def founder_of(home: Path) -> Founder:
    """The founder that a home on this machine would be."""
    data = (Settings.load(home).home / CARD).read_bytes()
    return Founder(Keyring.address_in(home / "keys"), Role.MEMBER, model.digest(hashlib.sha256(data).digest()))


class _Kept(UserDict[str, Address]):
    """A mapping that is on disk as soon as it changes."""

    def __init__(self, path: Path) -> None:
        super().__init__(json.loads(path.read_text()) if path.exists() else {})
        self._path = path

    def __setitem__(self, name: str, at: Address) -> None:
        super().__setitem__(name, at)
        if hasattr(self, "_path"):
            write(self._path, json.dumps(self.data).encode())


def _card_on_chain(home: Path, passphrase: bytes, card: Digest) -> TxHash | None:
    with Node.open(home, passphrase=passphrase) as node:
        found = node.ledger.members.get(node.me)
        if found is None or found.card == card:
            return None
        # Cards can go back and forth: each change is an act of its own, named by how many came before.
        key = f"card:{node.ledger.counts['Members']}:{card}"
        return node.send(key, "Members", "setCard", card, purpose="show another card").tx


def _keep_card(settings: Settings, ring: Keyring) -> Digest:
    """In our own store, from where the gateway serves it, and beside the settings, from where founders' is read."""
    public = base64.b64encode(ring.hpke.public.raw).decode("ascii")
    data = documents.encode(Card(settings.name, settings.endpoints, public))
    store = open_store(settings)
    with store.importing():
        cid = store.put_block(data)
        store.pin(cid, "card")
    write(settings.home / CARD, data)
    return model.digest(cid.digest)


def _keyring(folder: Path, passphrase: bytes, account_key: bytes | None) -> Keyring:
    try:
        return Keyring.create(folder, passphrase, account_key=account_key)
    except Conflict:
        ring = Keyring.open(folder, passphrase)
    if account_key is not None and ring.address != _address(account_key):
        raise Conflict("another account's keyring is there", clause="keyring", seen=ring.address)
    return ring


def _refuse_known(account_key: bytes, rpc: str) -> None:
    """Only a well-known key is worth asking the chain about."""
    address = _address(account_key)
    if address.lower() in DEVELOPMENT_ADDRESSES:
        refuse_development_key(address, Chain.connect(rpc).chain_id)


def _address(account_key: bytes) -> Address:
    try:
        return address_of(PrivateKey(account_key).public_key.format(compressed=False))
    except ValueError as exc:
        raise Misuse("not a private key of secp256k1", clause="account-key", needed="32 bytes in hex") from exc
