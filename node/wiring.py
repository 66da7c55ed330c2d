"""One node put together: its settings, its edges, and what every story needs of them. It decides nothing.

    with Node.open(home, passphrase=b"...") as node:
        publish(node, Path("mill.csv"), title="Mill 7")

Opened without a passphrase a node can read everything and sign nothing.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from node import documents, model, peers
from node.chain import typed
from node.chain.client import Chain
from node.db import Database, events, operations
from node.db import documents as private
from node.db.records import Operation
from node.development_keys import refuse_development_key
from node.documents import Refusal
from node.encryption import commitment
from node.encryption.wrap import PublicKey
from node.errors import Misuse, NotFinal, NotFound, Refused, Untrusted
from node.follow import Follower
from node.keyring import Keyring
from node.ledger import Ledger, apply, dataset_of, member_of
from node.model import Address, Card, DatasetId, Digest, TrainingId
from node.outbox import Outbox
from node.settings import Settings
from node.store import Cid, Progress, Store, Stored
from node.store.blocks import BlockStore
from node.store.fetch import Leaf, fetch

DOCUMENT_SECONDS = 20.0
FETCH_SECONDS = 3600.0
VIEW_SECONDS = 5.0
SETTLE_SECONDS = 120.0
FOLLOW_SECONDS = 600.0
NODE_LIMIT = 1 << 16
"""Bytes of tree nodes allowed on top of each MiB of a fetched file."""

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class MemberCard:
    """A member's card, checked against the digest on chain."""

    account: Address
    card: Card

    @property
    def key(self) -> PublicKey:
        try:
            return PublicKey(base64.b64decode(self.card.hpke, validate=True))
        except binascii.Error as exc:
            raise Untrusted("the card's key is not base64", clause="card", seen=self.account) from exc


class Node:
    """Threads may share one; several processes may open the same home at once."""

    def __init__(
        self, settings: Settings, *, chain: Chain, db: Database, store: Store, keyring: Keyring | None, account: Address
    ) -> None:
        self.settings, self.chain, self.db, self.store, self.keyring = settings, chain, db, store, keyring
        self.directory = chain.directory(Address(settings.consortium))
        self.me = account
        self.follower = Follower(db, chain, self.directory, depth=settings.depth or None)
        self._picture = Picture(db)
        self._outbox = Outbox(db, chain, keyring, depth=settings.depth or None) if keyring else None

    @classmethod
    @contextmanager
    def open(cls, home: Path, *, passphrase: bytes | None = None) -> Iterator[Node]:
        """Open what `hanse node init` made. Raises NotFound without a home, Refused for a wrong passphrase, Retry when
        the chain does not answer, Conflict when the database belongs to another chain."""
        settings = Settings.load(home)
        if not settings.consortium:
            raise Misuse(
                "this node does not know its alliance yet", clause="consortium", seen=home / "hanse.toml",
                needed='consortium = "0x..."', hint="`hanse node join --consortium 0x... --rpc URL`",
            )  # fmt: skip
        keyring = Keyring.open(home / "keys", passphrase) if passphrase is not None else None
        account = keyring.address if keyring else Keyring.address_in(home / "keys")
        chain = Chain.connect(settings.rpc)
        if keyring:
            refuse_development_key(keyring.address, chain.chain_id)
        with Database.open(settings.database_url) as db:
            store = open_store(settings)
            node = cls(settings, chain=chain, db=db, store=store, keyring=keyring, account=account)
            db.pin(chain_id=chain.chain_id, genesis=chain.genesis, consortium=node.directory.consortium)
            node.follow()
            yield node

    # --- time, keys, chain ---

    def clock(self) -> model.Time:
        """Seconds since the epoch: the only clock that stories read."""
        return model.Time(int(time.time()))

    @property
    def keys(self) -> Keyring:
        """The open keyring; Refused where the node was opened without a passphrase."""
        if self.keyring is None:
            raise Refused("this needs the node's keys", clause="passphrase", hint="give --passphrase-file")
        return self.keyring

    @property
    def ledger(self) -> Ledger:
        """What the chain said, folded, as far as the database has it."""
        return self._picture.ledger()

    def follow(self) -> Ledger:
        """Bring database and ledger up to the head of the chain; a long history takes several steps.

        Raises NotFinal after ten minutes: what was read is kept, the same call goes on from there."""
        until = time.monotonic() + FOLLOW_SECONDS
        while not (seen := self.follower.step()).caught_up:
            if time.monotonic() > until:
                raise NotFinal("still reading the chain's history", clause="follow", seen=seen.tip, needed=seen.head)
        return self.ledger

    def send(self, key: str, contract: str, function: str, *args: Any, purpose: str) -> Sent:
        """One transaction through the outbox, once for `key`; returns when it is settled and the ledger knows it.

        Raises Refused in the contract's words, NotFinal where it takes over two minutes (run again to go on waiting).
        """
        outbox = self.outbox
        data = self.chain.encode(contract, function, *args)
        ticket = outbox.submit(key, self.directory.address(contract), data, purpose=purpose)
        receipt = outbox.wait(ticket, deadline_seconds=SETTLE_SECONDS)
        self.follow()
        return Sent(receipt.tx, receipt.gas_used, receipt.block)

    @property
    def outbox(self) -> Outbox:
        self.keys  # noqa: B018  says what is missing
        assert self._outbox is not None
        return self._outbox

    def mined(self, at: model.Position) -> Sent:
        """The transaction behind an event, whoever sent it."""
        receipt = self.chain.receipt(at.tx)
        return Sent(at.tx, receipt.gas_used if receipt else 0, at.block)

    def finish(self, key: str, state: dict[str, Any]) -> Operation:
        """Note that an operation is done."""
        with self.db.writing() as tx:
            return operations.advance(tx, key, "done", state, at=self.clock(), done=True)

    def require_settled(self, block: int) -> None:
        """Raise NotFinal where a reorg could still take `block` away."""
        if not self.is_settled(block):
            raise NotFinal("the block may still be replaced", clause="settled", seen=block, needed="a final block")

    def is_settled(self, block: int) -> bool:
        """Whether no reorg can take `block` away."""
        return block <= self.chain.final(self.settings.depth or None)

    def dataset_id(self, owner: Address, salt: Digest) -> DatasetId:
        """The id that Datasets gives to (owner, salt): known before sending."""
        return DatasetId(typed.born_id(self.chain.chain_id, self.directory.address("Datasets"), owner, salt))

    # --- documents and bytes ---

    def put_document(self, record: Any) -> Digest:
        """Store and keep a public document; its digest is its CID."""
        return self.put_bytes(documents.encode(record))

    def put_bytes(self, data: bytes) -> Digest:
        with self.store.importing():
            cid = self.store.put_block(data)
            self.store.pin(cid, "document")
        return model.digest(cid.digest)

    def get_document(self, kind: type[Record], digest: Digest, *, member: Address | None = None) -> Record:
        """A public document from our store or from gateways (`member`'s first), checked and kept."""
        return documents.decode(kind, self.get_bytes(digest, member=member))

    def get_bytes(self, digest: Digest, *, member: Address | None = None) -> bytes:
        cid = Cid.raw(model.raw(digest))
        if not self.store.has(cid):
            with self.store.importing():
                self._fetch(cid, self.gateways(member), documents.LIMIT, DOCUMENT_SECONDS)
                self.store.pin(cid, "document")
        return self.store.get_block(cid)

    def fetch(
        self,
        cid: Cid,
        *,
        member: Address | None,
        limit: int,
        progress: Progress | None = None,
        leaf: Leaf | None = None,
    ) -> Stored:
        """A whole file from gateways into our store, every block re-hashed; goes on where an earlier run stopped.

        `leaf` is told the file's bytes in order as they come in."""
        with self.store.importing():
            stored = self._fetch(cid, self.gateways(member), limit, FETCH_SECONDS, progress, leaf)
            self.store.pin(cid, "fetched")
        return stored

    def _fetch(
        self,
        cid: Cid,
        gateways: Sequence[str],
        limit: int,
        seconds: float,
        progress: Progress | None = None,
        leaf: Leaf | None = None,
    ) -> Stored:
        allow = self.settings.development
        return fetch(
            cid, gateways, self.store, limit_bytes=limit + NODE_LIMIT * (1 + (limit >> 20)), deadline_seconds=seconds,
            progress=progress, leaf=leaf, allow_loopback=allow,
        )  # fmt: skip

    # --- other members ---

    def card_of(self, account: Address) -> MemberCard:
        """A member's card as its digest on chain says. Raises NotFound for a stranger, Retry where nobody serves it."""
        digest = member_of(self.ledger, account).card
        return MemberCard(account, self.get_document(Card, digest))

    def gateways(self, member: Address | None = None) -> list[str]:
        """Where to ask for bytes: `member`'s own endpoints, the peers in the settings, then everybody known."""
        first = self._endpoints(member) if member else []
        rest = [url for account in self.ledger.members if account != self.me for url in self._endpoints(account)]
        own = set(self.settings.endpoints)
        return [url for url in dict.fromkeys([*first, *self.settings.peers, *rest]) if url not in own]

    def _endpoints(self, account: Address) -> list[str]:
        """Endpoints on a card we already hold: looking for gateways must not need gateways."""
        found = self.ledger.members.get(account)
        if found is None or not self.store.has(Cid.raw(model.raw(found.card))):
            return []
        data = self.store.get_block(Cid.raw(model.raw(found.card)))
        return list(documents.decode(Card, data).endpoints)

    def ask_refusal(self, owner: Address, number: model.GrantId) -> Refusal:
        """The owner's refusal of a request, from the owner's node. NotFound where it has not refused."""
        self.card_of(owner)
        return documents.decode(Refusal, peers.ask(self._peer(owner), f"/peer/refusals/{number}"))

    def ask_views(self, member: Address, number: TrainingId, round_: int, phase: str) -> documents.ViewList:
        """A member's signed view of a round, with those it holds of others, for the caller to check. NotFound where it
        does not see the round settled yet."""
        self.card_of(member)
        path = f"/peer/trainings/{number}/views/{round_}/{phase}"
        return documents.decode(documents.ViewList, peers.ask(self._peer(member), path, seconds=VIEW_SECONDS))

    def ask(self, account: Address, path: str) -> bytes:
        """What another member's node answers to us alone. Raises as `peers.ask` does."""
        self.card_of(account)
        return peers.ask(self._peer(account), path)

    def manifest(self, dataset: DatasetId, version: int) -> documents.Manifest:
        """The private description of a version: ours from the database, another member's from its node."""
        found = dataset_of(self.ledger, dataset)
        if not 1 <= version <= len(found.versions):
            raise NotFound("no such version", clause="version", seen=version, needed=f"1 to {len(found.versions)}")
        digest = found.versions[version - 1].content.commitment
        with self.db.reading() as tx:
            data = private.find(tx, digest)
        if data is None:
            self.card_of(found.owner)
            data = peers.ask(self._peer(found.owner), f"/peer/manifests/{digest}")
            commitment.verify(data, model.raw(digest))
            with self.db.writing() as tx:
                private.put(tx, "manifest", data, at=self.clock())
        return documents.decode(documents.Manifest, data)

    def _peer(self, account: Address) -> peers.Peer:
        return peers.Peer(
            account=account, endpoints=tuple(self._endpoints(account)), me=self.me, sign=self.keys.sign_digest,
            clock=self.clock, allow_loopback=self.settings.development,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """A settled transaction."""

    tx: model.TxHash
    gas: int
    block: int


class Picture:
    """The ledger in memory, kept equal to the events in the database, whichever process put them there."""

    def __init__(self, db: Database) -> None:
        self._db, self._lock = db, threading.Lock()
        self._ledger, self._block, self._hash = Ledger(), -1, model.BlockHash("")

    def ledger(self) -> Ledger:
        """Take in what is new; after a rewind, fold again from the start."""
        with self._lock:
            return self._taken_in()

    def _taken_in(self) -> Ledger:
        with self._db.reading() as tx:
            if self._block >= 0 and events.block_hash(tx, self._block) != self._hash:
                self._forget()
            new = list(events.read(tx, above=self._block))
        if new:
            # Readers keep the ledger they were given: it never changes under them. An event that breaks a rule leaves
            # the picture as it was, and says the same every time.
            fresh = self._ledger.copy()
            for event in new:
                apply(fresh, event)
            self._ledger, self._block, self._hash = fresh, new[-1].at.block, new[-1].at.block_hash
        return self._ledger

    def _forget(self) -> None:
        self._ledger, self._block, self._hash = Ledger(), -1, model.BlockHash("")


def open_store(settings: Settings) -> Store:
    """The store that the settings name: embedded in the home, or a Kubo daemon's RPC."""
    if settings.store == "embedded":
        return BlockStore(settings.home / "store")
    if settings.store.startswith("kubo+"):
        from node.store.kubo import KuboStore

        return KuboStore(settings.store.removeprefix("kubo+"))
    raise Misuse("unknown kind of store", clause="store", seen=settings.store, needed="embedded or kubo+http://...")
