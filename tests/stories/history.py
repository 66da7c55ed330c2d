"""A small alliance's history made step by step through the edges: real chain, real bytes, real signatures.

    world = found(rpc, store)                       # Alice, Bob and Carol, by the constructor
    world.admit(dave)                               # by the consent of all three
    dataset = world.publish(alice, b"...")
    grant = world.grant(world.request(bob, dataset))
    training = world.train([alice, bob, carol], rounds=2)

`Wrong` says where a training is dishonest: the members then post what they should not.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from federation.algorithms import vector
from federation.algorithms.logistic import LogisticParams
from federation.securesum import MemberState, ShareKey, accept, contribute, deal, draw, reveal
from federation.tables import Feature, Table, Target
from federation.vectors import to_bytes
from node import canon, documents, merkle, model, models, signature, sums
from node.chain import typed
from node.chain.client import Chain
from node.chain.deploy import Founder, deploy, settled
from node.chain.records import Receipt as Mined
from node.documents import Envelope, PublicKey, Receipt, ReceiptList, RequestRecord
from node.encryption import floe
from node.encryption.wrap import RecipientKey, WrapContext, wrap
from node.ledger import Training, fold
from node.model import (
    NO_KEYS,
    ZERO,
    Address,
    Card,
    DatasetId,
    Digest,
    Directory,
    GrantId,
    Role,
    Terms,
    Time,
    TrainingId,
    TrainingTerms,
    Use,
    Vector,
    Version,
)
from node.policy import Offer, agreement_document, bits, offer_document
from node.store.blocks import BlockStore
from tests.chain.peers import advance, ask
from tests.chain.people import Person

GAS = 3_000_000

WALLET = "631626ba7e60e01b5f5260205ff3"
"""A contract account that takes any signature in its name for good (EIP-1271)."""

FORWARDER = "6014360380601" + "45f375f5f825f5f5f3560601c5af1601b575f5ffd5b00"
"""Calls the address in its first 20 bytes with the rest."""

DAY = 86_400
CHALLENGE = 60


def sign_digest(person: Person, digest: bytes) -> bytes:
    """As the keyring signs public documents."""
    return signature.sign(digest, bytes(person.account.key))


def recipient_of(person: Person) -> RecipientKey:
    """A person's HPKE key, made again from the address."""
    return RecipientKey(bytes.fromhex(person.address[2:].rjust(64, "0")))


@dataclass(frozen=True)
class Wrong:
    """Where a training is dishonest: what each is given, and what is posted in its place."""

    seed: Callable[[bytes], bytes] = lambda seed: seed
    total: Callable[[bytes], bytes] = lambda total: total
    model: Callable[[bytes], bytes] = lambda data: data
    served: Callable[[bytes], bytes] = lambda masked: masked
    """What the first member's store holds in place of its first contribution."""


HONEST = Wrong()


@dataclass
class World:
    """An alliance on a chain, and the one store that serves all its public bytes."""

    rpc: str
    chain: Chain
    directory: Directory
    store: BlockStore
    names: dict[Address, str] = field(default_factory=dict)

    # --- acting ---

    def send(self, who: Person, contract: str, function: str, *args: Any) -> Mined:
        to = self.directory.consortium if contract == "Consortium" else self.directory.address(contract)
        signed = who.signs(self.chain, to, self.chain.encode(contract, function, *args), gas=GAS)
        return settled(self.chain, self.chain.send(signed), seconds=30)

    def put(self, record: Any) -> Digest:
        return self.put_bytes(documents.encode(record))

    def put_bytes(self, data: bytes) -> Digest:
        return model.digest(self.store.put_block(data).digest)

    def now(self) -> Time:
        return self.chain.block("latest").time

    def card(self, who: Person, name: str) -> Digest:
        self.names[who.address] = name
        public = base64.b64encode(recipient_of(who).public.raw).decode()
        return self.put(Card(name, (f"https://{name.split()[0].lower()}.example",), public))

    def salt(self) -> Digest:
        return model.digest(os.urandom(32))

    # --- members ---

    def consents(self, signers: Sequence[Person], message: Callable[[typed.Place], typed.Message]) -> typed.Consents:
        epoch = self.chain.call(self.directory, "Members", "epoch")
        place = typed.Place(
            self.chain.chain_id, self.directory.address("Members"), epoch, Time(self.now() + DAY)
        )  # fmt: skip
        return typed.consents(place, {who.address: who.sign_typed(message(place)) for who in signers})

    def admit(self, who: Person, name: str, *, by: Sequence[Person]) -> None:
        card, roles = self.card(who, name), int(Role.MEMBER)
        consents = self.consents(by, lambda place: typed.admit(place, who.address, roles, card))
        self.send(by[0], "Members", "admit", who.address, roles, card, consents)

    def decide(
        self, function: str, args: Sequence[Any], *, by: Sequence[Person],
        message: Callable[[typed.Place], typed.Message],
    ) -> None:  # fmt: skip
        """Any decision of Members."""
        self.send(by[0], "Members", function, *args, self.consents(by, message))

    def admit_by_approval(self, who: Person, name: str, *, by: Sequence[Person]) -> None:
        """As `admit`, but the first consents on chain: its signature stays empty."""
        card, roles = self.card(who, name), int(Role.MEMBER)
        consents = self.consents(by, lambda place: typed.admit(place, who.address, roles, card))
        place = typed.Place(self.chain.chain_id, self.directory.address("Members"), consents.epoch, consents.until)
        digest = typed.digest(typed.admit(place, who.address, roles, card))
        self.send(by[0], "Members", "approve", model.digest(digest))
        at = consents.signers.index(by[0].address)
        empty = tuple(b"" if i == at else one for i, one in enumerate(consents.signatures))
        self.send(by[0], "Members", "admit", who.address, roles, card, replace(consents, signatures=empty))

    def deploy(self, runtime: str) -> Address:
        """A contract from its runtime code in hex, by the first founder."""
        code = bytes.fromhex(runtime)
        created = bytes.fromhex(f"60{len(code):02x}8060095f395ff3") + code
        signed = self.people[0].signs(self.chain, None, created, gas=GAS)
        made = settled(self.chain, self.chain.send(signed), seconds=30).created
        assert made is not None
        return made

    def forward(self, who: Person, forwarder: Address, contract: str, data: bytes) -> None:
        """Call a contract of the alliance from inside another one."""
        inner = model.raw(self.directory.address(contract)) + data
        settled(self.chain, self.chain.send(who.signs(self.chain, forwarder, inner, gas=GAS)), seconds=30)

    # --- datasets and grants ---

    def publish(
        self, owner: Person, plain: bytes, *, budget: int = 0, lie: Callable[[Envelope], Envelope] = lambda e: e
    ) -> DatasetId:
        """Seal, store, publish; `lie` changes the public record before it is digested."""
        salt, datasets = self.salt(), self.directory.address("Datasets")
        dataset = DatasetId(typed.born_id(self.chain.chain_id, datasets, owner.address, salt))
        aad = canon.encode({"label": "hanse/file/1", "dataset": dataset})
        stored = self.store.put_file(floe.seal(os.urandom(32), aad, [plain], random=os.urandom))
        envelope = self.put(lie(Envelope(dataset, 1, str(stored.cid), stored.size)))
        offer = Offer(days=365)
        content = Version(
            self.salt(), envelope, self.put_bytes(canon.encode(offer_document(offer))), int(offer.uses), budget
        )  # fmt: skip
        self.send(owner, "Datasets", "publish", salt, content)
        return dataset

    def request(self, consumer: Person, dataset: DatasetId, owner: Person) -> RequestRecord:
        grants = self.directory.address("Grants")
        version = self.version(dataset)
        start = self.now()
        bare = Terms(
            dataset=dataset, version=1, owner=owner.address, consumer=consumer.address, policy=version.policy,
            document=ZERO, recipient=recipient_of(consumer).public.digest, uses=int(Use.READ),
            purposes=bits(["research"]), count=0, from_=start, until=Time(start + 30 * DAY),
            deadline=Time(start + 14 * DAY), replaces=GrantId(ZERO), nonce=self.salt(),
        )  # fmt: skip
        terms = replace(bare, document=model.digest(canon.digest(agreement_document(bare))))
        message = typed.terms_message(terms, self.chain.chain_id, grants)
        number = typed.grant_id(terms, self.chain.chain_id, grants)
        record = RequestRecord(
            self.chain.chain_id, grants, number, terms, "0x" + consumer.sign_typed(message).hex()
        )  # fmt: skip
        self.send(consumer, "Grants", "request", number, dataset, 1, self.put(record))
        return record

    def grant(self, asked: RequestRecord, owner: Person, *, wrapped_by: Person | None = None) -> GrantId:
        """Both signatures and the wrapped key; `wrapped_by` signs the wrap record in the owner's place."""
        terms = asked.terms
        envelope = documents.decode(
            Envelope, self.store.get_block(sums_cid(self.version(terms.dataset).envelope))
        )  # fmt: skip
        context = WrapContext(
            self.chain.chain_id, asked.grants, terms.dataset, 1, envelope.cid, asked.id, terms.recipient
        )  # fmt: skip
        consumer = next(p for p in self.people if p.address == terms.consumer)
        signer = wrapped_by or owner
        record = wrap(os.urandom(32), recipient_of(consumer).public, context, sign=lambda d: sign_digest(signer, d))
        message = typed.terms_message(terms, self.chain.chain_id, asked.grants)
        theirs = bytes.fromhex(asked.signature[2:])
        self.send(owner, "Grants", "grant", terms, owner.sign_typed(message), theirs, self.put_bytes(record.encode()))
        return asked.id

    def receive(self, consumer: Person, asked: RequestRecord) -> None:
        """Anchor one signed receipt."""
        terms = asked.terms
        envelope = documents.decode(
            Envelope, self.store.get_block(sums_cid(self.version(terms.dataset).envelope))
        )  # fmt: skip
        bare = Receipt(asked.id, terms.dataset, 1, envelope.cid, envelope.size, terms.purposes, self.now())
        digest = model.raw(documents.digest_of(bare))
        body = documents.encode(replace(bare, signature="0x" + sign_digest(consumer, digest).hex()))
        listed = self.put(ReceiptList((self.put_bytes(body),)))
        self.send(consumer, "Grants", "receive_", model.digest(merkle.root_of([body])), 1, listed)

    def revoke(self, who: Person, asked: RequestRecord) -> None:
        self.send(who, "Grants", "revoke", asked.id, asked.terms.dataset, asked.terms.consumer)

    def train_with_a_dropout(self, members: Sequence[Person], datasets: Sequence[DatasetId]) -> TrainingId:
        """One round in which the last member posts keys and no contribution; the others open their shares of it."""
        run = _Run(self, members, plan_for(len(members), 2), HONEST)
        run.open(1, 0)
        run.join(datasets)
        run.key()
        for who in members[:-1]:
            run.contribute(who, 0, run.plan.steps.start(run.plan.params))
        advance(self.rpc, DAY + 1)
        run.say(members[0], "lapse")
        for who in members[:-1]:
            run.reveal(who, 0)
        run.aggregate(0, run.masked)
        return run.id

    def version(self, dataset: DatasetId) -> Version:
        """The content of version 1 as published."""
        return self.ledger().datasets[dataset].versions[0].content

    def ledger(self) -> Any:
        return fold(self.chain.events(self.directory, self.directory.born, self.chain.final()))

    @property
    def people(self) -> list[Person]:
        from tests.chain.people import person

        return [person(i) for i in range(6)]

    # --- trainings ---

    def train(
        self, members: Sequence[Person], datasets: Sequence[DatasetId], *, rounds: int, wrong: Wrong = HONEST,
        epsilon: int = 0, tolerance: float = 1e-12,
    ) -> TrainingId:  # fmt: skip
        """A whole training of logistic regression over made-up records, by the real steps of the secure sum."""
        plan = plan_for(len(members), rounds, tolerance)
        run = _Run(self, members, plan, wrong)
        run.open(rounds, epsilon)
        run.join(datasets)
        run.key()
        while not run.over:
            run.round()
        run.finish()
        return run.id


def sums_cid(digest: Digest) -> Any:
    from node.store import Cid

    return Cid.raw(model.raw(digest))


def found(rpc: str, store: BlockStore, founders: Sequence[tuple[Person, str]]) -> World:
    """The contracts, founded by these people."""
    chain = Chain.connect(rpc)
    world = World(rpc, chain, None, store)  # type: ignore[arg-type]  (the cards come before the directory)
    entries = [Founder(who.address, int(Role.MEMBER), world.card(who, name)) for who, name in founders]
    world.directory = deploy(chain, founders[0][0], entries, delay=3600)
    return world


def plan_for(members: int, rounds: int, tolerance: float = 1e-12) -> sums.Plan:
    params = LogisticParams(
        features=(Feature("speed", -1.0, 1.0), Feature("load", -1.0, 1.0)), target=Target("fault", 0.0),
        members=members, records=100, rounds=rounds, tolerance=tolerance,
    )  # fmt: skip
    return sums.Plan("faults", "logistic", params)


def table_for(seed: int) -> Table:
    """Fifty made-up records, the same for the same seed."""
    drawn = np.random.default_rng(seed)
    values = np.round(drawn.uniform(-1.0, 1.0, (50, 2)), 3)
    return Table(values, (values[:, 0] + drawn.normal(0.0, 0.5, 50) > 0).astype(np.float64))


class _Run:
    """One training under way."""

    def __init__(self, world: World, members: Sequence[Person], plan: sums.Plan, wrong: Wrong) -> None:
        self.world, self.members, self.plan, self.wrong = world, members, plan, wrong
        self.tables = {who.address: table_for(i) for i, who in enumerate(members)}
        self.share_keys = {who.address: ShareKey.draw(os.urandom) for who in members}
        self.secrets: dict[tuple[Address, int], MemberState] = {}
        self.totals: list[bytes] = []
        self.bundles: dict[tuple[Address, int], bytes] = {}
        self.place = sums.Place(world.chain.chain_id, world.directory.address("Trainings"))
        self.over = False

    def say(self, who: Person, function: str, *args: Any) -> None:
        self.world.send(who, "Trainings", function, self.id, *args)

    def training(self) -> Training:
        found: Training = self.world.ledger().trainings[self.id]
        return found

    def open(self, rounds: int, epsilon: int) -> None:
        seats, salt = len(self.members), self.world.salt()
        terms = TrainingTerms(
            plan=self.world.put_bytes(self.plan.encode()), ring=64, seats=seats, minimum=3,
            threshold=seats * 2 // 3 + 1, rounds=rounds, spares=0, join_seconds=DAY, phase_seconds=DAY,
            challenge_seconds=CHALLENGE, epsilon=epsilon,
        )  # fmt: skip
        opener = self.members[0]
        self.id = TrainingId(typed.born_id(self.place.chain_id, self.place.trainings, opener.address, salt))
        self.world.send(opener, "Trainings", "open", salt, terms)

    def join(self, datasets: Sequence[DatasetId]) -> None:
        for who, dataset in zip(self.members, datasets, strict=True):
            key = self.world.put(PublicKey(who.address, self.share_keys[who.address].public.hex()))
            self.say(who, "join", dataset, 1, key)

    def key(self) -> None:
        for who in self.members:
            self.say(who, "postKeys", 0, self.keys_for(who, 0))

    def keys_for(self, who: Person, number: int) -> model.Keys:
        context = sums.context_of(self.place, self.id, number)
        state, keys = draw(context, sums.member_of(who.address), os.urandom)
        public = {sums.member_of(a): k.public for a, k in self.share_keys.items()}
        state, bundle = deal(state, sums.roster_of(self.training()), public, os.urandom)
        self.secrets[who.address, number], self.bundles[who.address, number] = state, bundle.encode()
        return sums.posted(keys, self.world.put_bytes(bundle.encode()))

    def round(self) -> None:
        number = len(self.totals)
        state = sums.state_after(self.plan, self.totals, width=64)
        for who in self.members:
            self.contribute(who, number, state)
        for who in self.members:
            self.reveal(who, number)
        self.aggregate(number, self.masked)

    def reveal(self, who: Person, number: int) -> None:
        """The seed, and shares of whoever dropped out."""
        training = self.training()
        _, answer = reveal(self.secrets[who.address, number], sums.round_of(self.place, training, training.of(number)))
        seed = self.wrong.seed(answer.seed) if number == 0 else answer.seed
        dropped = training.of(number).keys.keys() - training.of(number).vectors
        self.say(who, "reveal", number, model.digest(seed), sums.by_position(training, dropped, answer.scalar_shares))

    def contribute(self, who: Person, number: int, state: Any) -> None:
        if who is self.members[0]:
            self.masked: dict[Address, bytes] = {}
        secrets, training = self.secrets[who.address, number], self.training()
        for other in self.members:
            if other is not who:
                dealer, raw = sums.member_of(other.address), self.bundles[other.address, number]
                secrets = accept(secrets, dealer, raw, self.share_keys[who.address])
        lanes = vector(self.plan.steps, self.plan.params, state, self.tables[who.address])
        keys = sums.keys_by_member(training, training.rounds[number])
        self.secrets[who.address, number], masked = contribute(secrets, keys, lanes)
        self.masked[who.address] = to_bytes(masked)
        last = number + 1 == training.terms.rounds
        following = NO_KEYS if last else self.keys_for(who, number + 1)
        first = who is self.members[0] and number == 0
        served = self.wrong.served(self.masked[who.address]) if first else self.masked[who.address]
        posted = replace(vector_of(self.masked[who.address]), blob=self.put_vector(served))
        self.say(who, "contribute", number, posted, following)

    def put_vector(self, data: bytes) -> Digest:
        return model.digest(self.world.store.put_file([data]).cid.digest)

    def aggregate(self, number: int, masked: dict[Address, bytes]) -> None:
        training, lanes = self.training(), {}
        honest = {a: self.secrets[a, number].seed for a in masked}
        seeds = {training.position(a): model.digest(seed) for a, seed in honest.items()}
        round_ = replace(training.rounds[number], seeds=seeds)
        bundles = {who: raw for (who, of), raw in self.bundles.items() if of == number}
        lanes = sums.total_of(self.place, training, round_, masked, bundles)
        total = to_bytes(lanes)
        posted = self.wrong.total(total) if number == 0 else total
        self.totals.append(total)
        after = sums.state_after(self.plan, self.totals, width=64)
        self.over = self.plan.steps.done(self.plan.params, after) or number + 1 == training.terms.rounds
        vector = replace(vector_of(posted), blob=self.put_vector(posted))
        self.say(self.members[1], "aggregate", number, vector, self.over)

    def finish(self) -> None:
        advance(self.world.rpc, CHALLENGE + 1)
        state = sums.state_after(self.plan, self.totals, width=64)
        made = models.encode_model(self.plan, state, self.id)
        digest = self.world.put_bytes(self.wrong.model(made))
        self.say(self.members[0], "finalize", digest)
        for who in self.members:
            self.say(who, "attest", digest)


def vector_of(data: bytes) -> Vector:
    return sums.vector_of(data, bytes(32))


__all__ = ["HONEST", "World", "Wrong", "ask", "found"]
