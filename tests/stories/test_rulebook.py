"""One rulebook, two forms: random commands by random actors meet the contracts and the fold, which must always agree.

What the contracts refuse, the fold refuses; what they emit, it takes; and the state it comes to is theirs.
Sums of another number of leaves than what they are the sum of can be shown to be wrong without a vector: some here are.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import pytest

from node import model
from node.chain import typed
from node.chain.client import Chain
from node.chain.deploy import Founder, deploy
from node.errors import Untrusted
from node.evidence import rolled, start_of
from node.ledger import Dataset, Ledger, Round, Training, apply
from node.model import (
    NO_KEYS,
    ZERO,
    Address,
    BlockHash,
    DatasetId,
    DatasetState,
    Digest,
    Event,
    Evidence,
    GrantId,
    GrantState,
    MemberState,
    Phase,
    Position,
    Reason,
    Role,
    Sum,
    Terms,
    Time,
    TrainingId,
    TrainingTerms,
    TxHash,
    Vector,
    Version,
)
from tests.chain.flow import keys_of
from tests.chain.peers import ask
from tests.chain.people import Person, named, person

GAS = 3_000_000
EVERYBODY = range(9)
"""Five members and an auditor to begin with, then three whom nobody knows yet."""
VECTOR = Vector(named("root"), named("blob"), 4)
OTHER, LONGER, EMPTY = replace(VECTOR, root=named("other")), replace(VECTOR, leaves=5), replace(VECTOR, root=ZERO)


@dataclass(frozen=True)
class Command:
    """What somebody sends, and what the contract says if it lets it pass: one of `said`."""

    who: Person
    contract: str
    function: str
    args: tuple[Any, ...]
    said: tuple[Any, ...]


Commands: TypeAlias = "dict[Callable[[Play], Command], float]"


class Play:
    """An alliance, the fold of all it said, and dice."""

    def __init__(self, rpc: str, seed: int, commands: Commands) -> None:
        self.rpc, self.dice, self.commands = rpc, random.Random(seed), commands
        self.chain = Chain.connect(rpc)
        roles = [Role.MEMBER] * 5 + [Role.AUDITOR]
        founders = [Founder(person(i).address, int(role), named(f"card {i}")) for i, role in enumerate(roles)]
        self.directory = deploy(self.chain, person(0), founders, delay=60)
        self.ledger, self.read = Ledger(), self.directory.born - 1
        self.now = self.chain.block("latest").time
        self.nonces = {person(i).address: self.chain.nonce(person(i).address) for i in EVERYBODY}
        self.passed: set[str] = set()
        self.seen: Counter[str] = Counter()
        """Events, and phases that began."""
        self.sums: dict[TrainingId, list[tuple[Digest, Sum]]] = {}
        """The sums that stand, each with the transcript before it: what is said against them."""
        self.take_in()

    # --- one command ---

    def turn(self) -> None:
        self.now = Time(self.now + self.dice.choice((1,) * 20 + (30, 30, 400)))
        self.take(self.dice.choices(list(self.commands), weights=list(self.commands.values()))[0](self))

    def take(self, command: Command) -> None:
        expected = self.fold_allows(command)
        ok, why = self.send(command)
        name = f"{command.contract}.{command.function}{command.args} by {command.who.address}"
        assert ok == expected, f"{name}: the contract says {why or 'yes'}, the fold {'yes' if expected else 'no'}"
        if ok:
            self.passed.add(command.function)
            self.take_in()

    def fold_allows(self, command: Command) -> bool:
        at = Position(self.read + 1, 0, self.now, BlockHash(ZERO), TxHash(ZERO))
        number = self.ledger.counts[command.contract] + 1
        return any(self._takes(Event(command.contract, number, at, said)) for said in command.said)

    def _takes(self, event: Event) -> bool:
        before, trial = self.ledger.copy(), self.ledger.copy()
        try:
            apply(trial, event)
        except Untrusted:
            assert trial == before, "a refused event has changed the ledger"
            return False
        return True

    def send(self, command: Command) -> tuple[bool, str]:
        """Mined at the time of play, whether it passes or not."""
        data = self.chain.encode(command.contract, command.function, *command.args)
        to, nonce = self.directory.address(command.contract), self.nonces[command.who.address]
        ask(self.rpc, "evm_setNextBlockTimestamp", self.now)
        fields = {"chainId": self.chain.chain_id, "nonce": nonce, "gas": GAS, "gasPrice": 0, "value": 0}
        tx = self.chain.send(command.who.sign_transaction(fields | {"to": to, "data": data}).raw)
        self.nonces[command.who.address] = nonce + 1
        until = time.monotonic() + 20
        while (receipt := self.chain.receipt(tx)) is None:
            assert time.monotonic() < until, "not mined"
            time.sleep(0.002)
        return receipt.ok, str(receipt.refusal or "")

    def take_in(self) -> None:
        last = self.chain.final()
        for event in self.chain.events(self.directory, self.read + 1, last):
            self.note(event)
            apply(self.ledger, event)
        self.read = last

    def note(self, event: Event) -> None:
        said = event.said
        self.seen[type(said).__name__] += 1
        if isinstance(said, model.PhaseChanged):
            self.seen[Phase(said.phase).name] += 1
        elif isinstance(said, model.RoundLost | model.Voided):
            self.seen[f"{type(said).__name__} {Reason(said.reason).name}"] += 1
        elif isinstance(said, model.Aggregated):  # as the board stood before it, which the fold has no part in
            board = self.board(said.id, event.at.block - 1)
            summed = Sum(said.round, board.posts, board.keyed, board.contributed, said.vector, said.poster)
            self.sums.setdefault(said.id, []).append((board.transcript, summed))
        elif isinstance(said, model.Corrected):
            kept = [(before, one) for before, one in self.sums[said.id] if one.round <= said.round]
            before, wrong = kept[-1]
            self.sums[said.id] = [*kept[:-1], (before, replace(wrong, vector=said.vector, poster=said.by))]

    def board(self, number: TrainingId, block: int | None = None) -> Any:
        return self.chain.call(self.directory, "Trainings", "training", number, block=block)

    # --- drawing ---

    def one(self, things: Iterable[Any], other: Any) -> Any:
        """Mostly one of what there is, now and then something that is not."""
        there = list(things)
        return self.dice.choice(there) if there and self.dice.random() < 0.95 else other

    def anybody(self) -> Person:
        """Mostly somebody who may act."""
        able = [m.account for m in self.ledger.members.values() if m.state == MemberState.ACTIVE and m.roles & 1]
        if able and self.dice.random() < 0.7:
            return self.at(self.dice.choice(able), person(self.dice.choice(EVERYBODY)))
        return person(self.dice.choice(EVERYBODY))

    def at(self, account: Address, other: Person | None = None) -> Person:
        """Mostly whoever has this account."""
        found = next((person(i) for i in EVERYBODY if person(i).address == account), None)
        return found if found and self.dice.random() < 0.9 else other or self.anybody()

    def salt(self) -> Digest:
        return model.digest(self.dice.randbytes(32))

    def near(self, number: int) -> int:
        return max(0, number + self.dice.choice((0,) * 20 + (1, -1)))

    def dataset(self) -> DatasetId:
        return DatasetId(self.one(self.ledger.datasets, named("no dataset")))

    def training(self) -> Training | None:
        """Mostly one that goes on, mostly the newest."""
        open_ = [t for t in self.ledger.trainings.values() if t.phase not in (Phase.FINAL, Phase.VOID)]
        pool = open_ if open_ and self.dice.random() < 0.95 else list(self.ledger.trainings.values())
        return (pool[-1] if self.dice.random() < 0.8 else self.dice.choice(pool)) if pool else None

    def owner(self, dataset: DatasetId) -> Person:
        found = self.ledger.datasets.get(dataset)
        return self.at(found.owner) if found else self.anybody()

    def consents(self, message: Callable[[typed.Place], typed.Message]) -> typed.Consents:
        """Everybody's who may: how many are needed is the contract's matter alone."""
        members = self.directory.address("Members")
        place = typed.Place(self.chain.chain_id, members, self.ledger.epoch, Time(self.now + 10**6))
        able = [m.account for m in self.ledger.members.values() if m.state == MemberState.ACTIVE and m.roles & 1]
        signing = [person(i) for i in EVERYBODY if person(i).address in able]
        return typed.consents(place, {who.address: who.sign_typed(message(place)) for who in signing})


# --- members ---


def admit(play: Play) -> Command:
    who, card, roles = play.anybody().address, play.salt(), play.dice.choice((0, 1, 1, 1, 2, 7, 8))
    index = 1 + max(m.index for m in play.ledger.members.values())
    said = model.Admitted(who, index, roles, card, play.ledger.epoch + 1)
    consents = play.consents(lambda place: typed.admit(place, who, roles, card))
    return Command(play.anybody(), "Members", "admit", (who, roles, card, consents), (said,))


def set_state(play: Play) -> Command:
    who, state = play.anybody().address, play.dice.choice((1, 1, 1, 1, 1, 2, 2, 2, 3))
    able = [m for m in play.ledger.members.values() if m.state == MemberState.ACTIVE and m.roles & 1]
    if len(able) < 4:  # somebody must be left to go on
        state = 1
    said = model.StateChanged(who, state, play.ledger.epoch + 1)
    consents = play.consents(lambda place: typed.set_state(place, who, state))
    return Command(play.anybody(), "Members", "setState", (who, state, consents), (said,))


def rotate(play: Play) -> Command:
    from_, to = play.anybody().address, play.anybody().address
    found = play.ledger.members.get(from_)
    said = model.AccountRotated(from_, to, found.index if found else 0, play.ledger.epoch + 1)
    consents = play.consents(lambda place: typed.rotate(place, from_, to))
    return Command(play.anybody(), "Members", "rotate", (from_, to, consents), (said,))


def pause(play: Play) -> Command:
    until = Time(play.now + play.dice.choice((0, 5, 100, 8 * 86_400)))
    said = model.PauseSet(until, play.ledger.epoch + 1)
    consents = play.consents(lambda place: typed.pause(place, until))
    return Command(play.anybody(), "Members", "pause", (until, consents), (said,))


def set_card(play: Play) -> Command:
    who, card = play.anybody(), play.salt()
    return Command(who, "Members", "setCard", (card,), (model.CardChanged(who.address, card),))


def approve(play: Play) -> Command:
    who, digest = play.anybody(), play.salt()
    return Command(who, "Members", "approve", (digest,), (model.Approved(who.address, digest),))


# --- datasets ---


def content(play: Play) -> Version:
    empty = play.dice.random() < 0.05
    uses = play.dice.choice((0, 1, 3, 3, 3, 3, 3, 4))
    return Version(play.salt(), ZERO if empty else named("envelope"), named("policy"), uses, play.dice.choice((0, 100)))


def publish(play: Play, who: Person | None = None) -> Command:
    who, salt, version = who or play.anybody(), play.salt(), content(play)
    born = DatasetId(
        typed.born_id(play.chain.chain_id, play.directory.address("Datasets"), who.address, salt)
    )  # fmt: skip
    said = model.Published(born, who.address, 1, version)
    return Command(who, "Datasets", "publish", (salt, version), (said,))


def publish_version(play: Play) -> Command:
    dataset, version = play.dataset(), content(play)
    who, found = play.owner(dataset), play.ledger.datasets.get(dataset)
    number = play.near(found.current.number + 1 if found else 2) or 1
    said = () if found is None else (model.Published(dataset, who.address, number, version),)
    return Command(who, "Datasets", "publishVersion", (dataset, number, version), said)


def retire(play: Play) -> Command:
    dataset = play.dataset()
    who = play.owner(dataset)
    return Command(who, "Datasets", "retire", (dataset,), (model.Retired(dataset, who.address),))


def transfer(play: Play) -> Command:
    """By the owner, by the account that took the owner's place, or by somebody whom it does not concern."""
    dataset, to = play.dataset(), play.anybody().address
    found = play.ledger.datasets.get(dataset)
    from_ = found.owner if found else to
    indices = {m.account: m.index for m in play.ledger.members.values()}
    heirs = [a for a, index in indices.items() if index == indices.get(from_)]
    who = play.at(play.dice.choice(heirs)) if heirs else play.anybody()
    concerned = indices.get(who.address) == indices.get(from_) and play.ledger.members.get(who.address) is not None
    acting = concerned and play.ledger.members[who.address].state == MemberState.ACTIVE
    said = (model.Transferred(dataset, from_, to),) if acting else ()
    return Command(who, "Datasets", "transfer", (dataset, to), said)


def anchor(play: Play) -> Command:
    who, root = play.anybody(), named(str(play.dice.randrange(4)))
    size = play.dice.choice((0, 1, 5, 5, 5))
    return Command(who, "Datasets", "anchor", (root, size, named("list")),
                   (model.Anchored(root, who.address, size, named("list")),))  # fmt: skip


# --- grants ---


def terms_of(play: Play, replaces: GrantId) -> tuple[Terms, Person, Person]:
    dataset, consumer = play.dataset(), play.anybody()
    owner, found = play.owner(dataset), play.ledger.datasets.get(dataset)
    version = play.near(found.current.number if found else 1) or 1
    from_ = Time(play.now + play.dice.choice((0, 0, 5)))
    until = Time(from_ + play.dice.choice((0, 100, 10_000)))
    terms = Terms(
        dataset, version, owner.address, consumer.address, named("policy"), named("document"), named("recipient"),
        play.dice.choice((0, 1, 1, 2, 3)), 1, 0, from_, until, Time(play.now + play.dice.choice((0, 500))), replaces,
        play.salt(),
    )  # fmt: skip
    return terms, owner, consumer


def request(play: Play) -> Command:
    dataset, who = play.dataset(), play.anybody()
    found = play.ledger.datasets.get(dataset)
    version = play.near(found.current.number if found else 1) or 1
    decided = [*play.ledger.grants, *play.ledger.withdrawn, *play.ledger.requests]
    number = GrantId(play.one(decided, play.salt()) if play.dice.random() < 0.3 else play.salt())
    said = model.Requested(number, dataset, who.address, version, named("record"))
    return Command(who, "Grants", "request", (number, dataset, version, named("record")), (said,))


def grant(play: Play) -> Command:
    standing = list(play.ledger.grants.values())
    replaces = GrantId(ZERO)
    terms, owner, consumer = terms_of(play, replaces)
    if standing and play.dice.random() < 0.3:
        old = play.dice.choice(standing)
        consumer, dataset = play.at(old.terms.consumer), old.terms.dataset
        owner, found = play.owner(dataset), play.ledger.datasets[dataset]
        fields = {f: getattr(terms, f) for f in terms.__slots__}
        terms = Terms(**fields | {
            "dataset": dataset, "version": found.current.number, "owner": owner.address, "consumer": consumer.address,
            "replaces": old.id,
        })  # fmt: skip
    at = play.directory.address("Grants")
    message = typed.terms_message(terms, play.chain.chain_id, at)
    number = typed.grant_id(terms, play.chain.chain_id, at)
    said = model.Granted(number, terms.dataset, terms.consumer, terms, named("wrap"))
    args = (terms, owner.sign_typed(message), consumer.sign_typed(message), named("wrap"))
    return Command(play.anybody(), "Grants", "grant", args, (said,))


def revoke(play: Play) -> Command:
    found = play.one(play.ledger.grants.values(), None)
    number, dataset = (found.id, found.terms.dataset) if found else (GrantId(play.salt()), play.dataset())
    dataset = DatasetId(play.one([dataset], play.dataset()))
    consumer = found.terms.consumer if found else play.anybody().address
    owner = play.ledger.datasets[dataset].owner if dataset in play.ledger.datasets else consumer
    who = play.at(play.dice.choice((owner, consumer)))
    said = model.Revoked(number, dataset, who.address)
    return Command(who, "Grants", "revoke", (number, dataset, consumer), (said,))


def withdraw(play: Play) -> Command:
    known = play.one(play.ledger.grants.values(), None)
    terms = known.terms if known and play.dice.random() < 0.3 else terms_of(play, GrantId(ZERO))[0]
    who = play.at(terms.consumer)
    number = typed.grant_id(terms, play.chain.chain_id, play.directory.address("Grants"))
    said = (model.Withdrawn(number, who.address),) if who.address == terms.consumer else ()
    return Command(who, "Grants", "withdraw", (terms,), said)


def receive(play: Play) -> Command:
    who, root = play.anybody(), play.salt()
    said = model.Received(who.address, root, 1, named("list"))
    return Command(who, "Grants", "receive_", (root, 1, named("list")), (said,))


# --- trainings ---


def open_(play: Play) -> Command:
    who, salt, dice = play.anybody(), play.salt(), play.dice
    terms = TrainingTerms(
        plan=named("plan"), ring=dice.choice((32, 64, 64, 64, 64, 16)), seats=dice.choice((3, 4, 5, 5, 5, 2)),
        minimum=3, threshold=dice.choice((2, 3, 3, 3, 3, 1)), rounds=dice.choice((1, 2, 3, 3, 3, 0)),
        spares=dice.choice((0, 1, 2)), join_seconds=6000, phase_seconds=dice.choice((6000, 6000, 600)),
        challenge_seconds=dice.choice((600, 600, 600, 0)),
        epsilon=dice.choice((0, 0, 60)),
    )  # fmt: skip
    born = TrainingId(typed.born_id(play.chain.chain_id, play.directory.address("Trainings"), who.address, salt))
    said = model.Opened(born, who.address, terms, Time(play.now + terms.join_seconds))
    return Command(who, "Trainings", "open", (salt, terms), (said,))


def join(play: Play) -> Command:
    found, ledger = play.training(), play.ledger
    fit = [d for d in ledger.datasets.values() if found and _fits(ledger, found, d)]
    dataset = DatasetId(play.one([d.id for d in fit], play.dataset()))
    who, known = play.owner(dataset), ledger.datasets.get(dataset)
    version = play.near(known.current.number if known else 1) or 1
    number = found.id if found else TrainingId(play.salt())
    said = model.Joined(number, who.address, dataset, version, len(found.seats) if found else 0, named("hpke"))
    return Command(who, "Trainings", "join", (number, dataset, version, named("hpke")), (said,))


def _fits(ledger: Ledger, training: Training, dataset: Dataset) -> bool:
    content = dataset.current.content
    free = training.position(dataset.owner) is None and dataset.state == DatasetState.ACTIVE
    return free and bool(content.uses & 2) and content.budget >= training.terms.epsilon


def _seat(play: Play, missing: Callable[[Training], Any] = lambda t: ()) -> tuple[TrainingId, Training | None, Person]:
    """A training and somebody in it, mostly one whom it waits for."""
    found = play.training()
    if found is None:
        return TrainingId(play.salt()), None, play.anybody()
    posted = missing(found)
    waiting = [seat.member for at, seat in enumerate(found.seats) if at not in posted]
    return found.id, found, play.at(play.one(waiting, play.anybody().address))


def post_keys(play: Play) -> Command:
    later = play.dice.random() < 0.3
    number, found, who = _seat(play, lambda t: t.of(t.round + later).keys)
    return _keys_command(play, number, found, who, play.near((found.round if found else 0) + later))


def _keys_command(play: Play, number: TrainingId, found: Training | None, who: Person, round_: int) -> Command:
    position = found.position(who.address) if found else None
    said = model.Keyed(number, who.address, round_, position or 0, keys_of(who))
    return Command(who, "Trainings", "postKeys", (number, round_, keys_of(who)), (said,))


def contribute(play: Play) -> Command:
    number, found, who = _seat(play, lambda t: t.of(t.round).vectors)
    round_, vector = play.near(found.round if found else 0), play.one([VECTOR], EMPTY)
    following = play.dice.choice((NO_KEYS, keys_of(who), keys_of(who)))
    position = found.position(who.address) if found else None
    said = model.Contributed(number, who.address, round_, position or 0, vector, following)
    return Command(who, "Trainings", "contribute", (number, round_, vector, following), (said,))


def reveal(play: Play) -> Command:
    number, found, who = _seat(play, lambda t: t.of(t.round).seeds)
    round_ = play.near(found.round if found else 0)
    position = found.position(who.address) if found else None
    shares, fit = _shares(play, found, lambda r: r.keys.keys() - r.vectors)
    said = (model.Revealed(number, who.address, round_, position or 0, named("seed")),) if fit else ()
    return Command(who, "Trainings", "reveal", (number, round_, named("seed"), shares), said)


def recover(play: Play) -> Command:
    number, found, who = _seat(play, lambda t: t.of(t.round).recovered)
    round_ = play.near(found.round if found else 0)
    position = found.position(who.address) if found else None
    shares, fit = _shares(play, found, lambda r: r.vectors.keys() - r.seeds)
    said = (model.Recovered(number, who.address, round_, position or 0),) if fit else ()
    return Command(who, "Trainings", "recover", (number, round_, shares), said)


def _shares(play: Play, found: Training | None, missing: Callable[[Round], set[int]]) -> tuple[list[Digest], bool]:
    """Some of them zero; and whether they are as many as are asked for, which no event says."""
    need = len(missing(found.of(found.round))) if found else 0
    given = play.near(need)
    return [play.dice.choice((named("share"), ZERO)) for _ in range(given)], given == need


def accuse(play: Play) -> Command:
    """Mostly the same one, so that they come to agree; now and then somebody who cannot be accused."""
    number, found, who = _seat(play, lambda t: {at for _, at in t.votes} if play.dice.random() < 0.8 else ())
    survivors = list(found.of(found.round).vectors) if found else []
    culprit = survivors[0] if survivors and play.dice.random() < 0.9 else play.dice.randrange(6)
    positions = play.dice.choice((1 << culprit,) * 6 + (1 << culprit | 1 << play.dice.randrange(5), 0))
    round_ = play.near(found.round if found else 0)
    said = model.Accused(number, who.address, round_, positions)
    return Command(who, "Trainings", "accuse", (number, round_, positions), (said,))


def aggregate(play: Play) -> Command:
    number, found, who = _seat(play)
    round_, last = play.near(found.round if found else 0), play.dice.random() < 0.2
    survivors = sum(1 << at for at in found.of(round_).vectors) if found else 0
    ends = last or (found is not None and len(found.sums) + 1 == found.terms.rounds)
    vector = play.one([VECTOR, VECTOR, OTHER, LONGER], EMPTY)
    said = model.Aggregated(number, who.address, round_, vector, survivors, ZERO, ends)
    return Command(who, "Trainings", "aggregate", (number, round_, vector, last), (said,))


def _disputed(play: Play) -> tuple[TrainingId, Training | None, Person]:
    """Mostly a training with a sum."""
    summed = [t for t in play.ledger.trainings.values() if t.sums and t.phase not in (Phase.FINAL, Phase.VOID)]
    if not summed or play.dice.random() < 0.1:
        return _seat(play)
    found = play.dice.choice(summed[-3:])
    return found.id, found, play.at(play.dice.choice(found.seats).member)


def overrule(play: Play) -> Command:
    """Mostly to the right vector, so that they come to agree; now and then an older sum, or one that never was."""
    number, _, who = _disputed(play)
    history = play.sums.get(number, [])
    wanted, last = play.one([(VECTOR, False)], (play.dice.choice((VECTOR, OTHER, EMPTY)), play.dice.random() < 0.5))
    before, summed = play.one(history[-1:], play.dice.choice(history) if history else (ZERO, NO_SUM))
    newest = (before, summed) in history[-1:]
    said = (model.Overruled(number, who.address, summed.round, wanted, last),) if newest else ()
    return Command(who, "Trainings", "overrule", (number, before, summed, wanted, last), said)


def challenge(play: Play) -> Command:
    """With evidence that holds exactly where the first of the sums has other leaves than its vectors."""
    number, found, who = _disputed(play)
    history, wanted, last = play.sums.get(number, []), play.dice.choice((VECTOR, OTHER)), play.dice.random() < 0.3
    if found is None or not history or play.dice.random() < 0.1:
        return Command(who, "Trainings", "challenge", (number, NO_EVIDENCE, wanted, last), ())
    at = play.dice.choice([i for i, (_, one) in enumerate(history) if one.vector == LONGER] or [0])
    before, wrong = history[at]
    posts = found.posts[: found.of(wrong.round).posted - (play.dice.random() < 0.1)]
    sums = tuple(one for _, one in history[at:])
    evidence = replace(NO_EVIDENCE, before=before, sums=sums, posts=posts)
    holds = wrong.vector == LONGER and rolled(ZERO, posts) == wrong.posts
    said = (model.Challenged(number, who.address, wrong.round, 0),) if holds else ()
    return Command(who, "Trainings", "challenge", (number, evidence, wanted, last), said)


NO_SUM = Sum(0, ZERO, 0, 0, VECTOR, person(0).address)
NO_EVIDENCE = Evidence(ZERO, (), ZERO, (), 0, (), (), (), (), ())


def finalize(play: Play) -> Command:
    number, _, who = _seat(play)
    said = model.Finalized(number, who.address, named("model"))
    return Command(who, "Trainings", "finalize", (number, named("model")), (said,))


def attest(play: Play) -> Command:
    finals = [t for t in play.ledger.trainings.values() if t.phase == Phase.FINAL]
    number, found, who = _seat(play)
    if finals:
        found = play.dice.choice(finals)
        number, who = found.id, play.at(play.dice.choice(found.seats).member)
    digest = play.dice.choice((named("model"), named("another model")))
    return Command(who, "Trainings", "attest", (number, digest), (model.Attested(number, who.address, digest),))


def lapse(play: Play) -> Command:
    """It says one of three things; whom it leaves expected is read from the contract's board, not from the fold."""
    found = play.training()
    if found is None:
        return Command(play.anybody(), "Trainings", "lapse", (TrainingId(play.salt()),), ())
    board = play.board(found.id)
    steps = {
        Phase.JOINING: (Phase.KEYING, (1 << board.size) - 1),
        Phase.KEYING: (Phase.CONTRIBUTING, board.keyed),
        Phase.CONTRIBUTING: (Phase.REVEALING, board.contributed),
        Phase.REVEALING: (Phase.RECOVERING, board.revealed),
        Phase.RECOVERING: (Phase.AGGREGATING, board.contributed),
    }
    why = VOIDS.get(board.phase, 0)
    said: list[Any] = [model.Voided(found.id, why, board.round), model.RoundLost(found.id, why, board.round)]
    if board.phase in steps:
        until = Time(play.now + found.terms.phase_seconds)
        said.append(model.PhaseChanged(found.id, steps[board.phase][0], board.round, steps[board.phase][1], until))
    return Command(play.anybody(), "Trainings", "lapse", (found.id,), tuple(said))


VOIDS = {
    Phase.JOINING: Reason.TOO_FEW_JOINED,
    Phase.KEYING: Reason.TOO_FEW_KEYS,
    Phase.CONTRIBUTING: Reason.TOO_FEW_CONTRIBUTIONS,
    Phase.REVEALING: Reason.SILENT_AT_REVEAL,
    Phase.RECOVERING: Reason.SILENT_AT_REVEAL,
    Phase.AGGREGATING: Reason.NO_AGGREGATE,
}


def go_on(play: Play) -> Command:
    """What the newest open training waits for, now and then with patience at its end: few would come to an end else."""
    steps = {Phase.JOINING: join, Phase.KEYING: post_keys, Phase.CONTRIBUTING: contribute, Phase.REVEALING: reveal,
             Phase.RECOVERING: recover, Phase.AGGREGATING: aggregate, Phase.CHALLENGING: finalize}  # fmt: skip
    found = play.training()
    if found is None or (found.phase in (Phase.FINAL, Phase.VOID) and play.dice.random() < 0.8):
        return open_(play)
    if found.phase == Phase.JOINING and not any(_fits(play.ledger, found, d) for d in play.ledger.datasets.values()):
        return publish(play)
    if found.phase in VOIDS and play.dice.random() < _impatience(play, found):
        play.now = Time(max(play.now, found.deadline + 1))
        return lapse(play)
    if found.phase == Phase.REVEALING and play.dice.random() < (0.8 if _mood(play, found) == 0 else 0.05):
        return accuse(play)
    if any(one.vector == LONGER for _, one in play.sums.get(found.id, [])) and play.dice.random() < 0.4:
        return challenge(play)
    if found.sums and play.dice.random() < (0.7 if _mood(play, found) == 2 else 0.1):
        return play.dice.choice((overrule, overrule, challenge))(play)
    if found.phase == Phase.CHALLENGING and play.dice.random() < 0.3:
        play.now = Time(max(play.now, found.deadline + 1))
    return steps.get(found.phase, attest)(play)


def _mood(play: Play, found: Training) -> int:
    """In turn, trainings quarrel about vectors, stay silent, quarrel about sums, or just go on."""
    return list(play.ledger.trainings).index(found.id) % 4


def _impatience(play: Play, found: Training) -> float:
    """More where enough have posted: a training that is void has no more to tell."""
    board = play.board(found.id)
    posted = {Phase.KEYING: board.keyed, Phase.CONTRIBUTING: board.contributed, Phase.REVEALING: board.revealed,
              Phase.RECOVERING: board.recovered}.get(found.phase, 0)  # fmt: skip
    return (0.7 if _mood(play, found) == 1 else 0.2) if posted.bit_count() >= found.needed else 0.03


COMMANDS: Commands = {
    admit: 2, set_state: 2, rotate: 0.3, pause: 0.3, set_card: 1, approve: 1,
    publish: 12, publish_version: 2, retire: 0.4, transfer: 2, anchor: 2,
    request: 4, grant: 6, revoke: 2, withdraw: 2, receive: 1,
    open_: 1, join: 2, post_keys: 2, contribute: 2, reveal: 2, recover: 2, aggregate: 2, finalize: 1, attest: 1,
    lapse: 3, accuse: 2, overrule: 2, challenge: 1, go_on: 60,
}  # fmt: skip


TRAINING: Commands = {
    open_: 2, join: 2, post_keys: 3, contribute: 2, reveal: 2, recover: 2, aggregate: 2, finalize: 1, attest: 1,
    lapse: 3, accuse: 3, overrule: 5, challenge: 3, go_on: 80,
}  # fmt: skip


# --- the state both come to ---


def assert_same_state(play: Play) -> None:
    call, ledger = play.chain.call, play.ledger
    for account, member in ledger.members.items():
        seat = call(play.directory, "Members", "member", account)
        assert (seat.index, seat.state, seat.roles, seat.card) == (
            member.index, member.state, member.roles, member.card,
        )  # fmt: skip
    assert call(play.directory, "Members", "epoch") == ledger.epoch
    assert call(play.directory, "Members", "pausedUntil") == ledger.paused_until
    for dataset in ledger.datasets.values():
        kept, current = call(play.directory, "Datasets", "dataset", dataset.id), dataset.current.content
        assert (kept.owner, kept.version, kept.state, kept.uses, kept.budget, kept.commitment) == (
            dataset.owner, dataset.current.number, dataset.state, current.uses, current.budget, current.commitment,
        )  # fmt: skip
        for version in dataset.versions:
            spent = call(play.directory, "Trainings", "spent", dataset.id, version.number)
            assert spent == ledger.spent[dataset.id, version.number]
    for number, granted in ledger.grants.items():
        assert call(play.directory, "Grants", "state", number)[0] == granted.state
    for number in ledger.withdrawn:
        assert call(play.directory, "Grants", "state", number)[0] == GrantState.WITHDRAWN
    for training in ledger.trainings.values():
        _assert_same_board(play, training)


def _assert_same_board(play: Play, training: Training) -> None:
    board, round_ = play.board(training.id), training.of(training.round)
    opening = training.phase in (Phase.REVEALING, Phase.RECOVERING)
    posted = (round_.keys, round_.vectors, round_.seeds if opening else (), round_.recovered if opening else ())
    assert (board.phase, board.round) == (training.phase, round_.number)
    if training.phase != Phase.VOID:
        bits = tuple(sum(1 << at for at in whose) for whose in posted)
        assert (board.keyed, board.contributed, board.revealed, board.recovered) == bits
        assert board.lost == training.lost
    assert (board.barred, board.spares) == (training.barred, training.spares)
    assert board.posts == rolled(ZERO, training.posts)
    history = play.sums.get(training.id, [])
    assert board.transcript == rolled(start_of(training.terms), [one for _, one in history])
    assert [(one.round, one.vector, one.poster, one.keyed, one.survivors, one.posts) for _, one in history] == [
        (
            r.number,
            r.total,
            r.poster,
            sum(1 << at for at in r.keys),
            r.survivors,
            rolled(ZERO, training.posts[: r.posted]),
        )
        for r in training.sums
    ]
    if training.phase not in (Phase.FINAL, Phase.VOID):
        assert board.deadline == training.deadline
    for account in play.ledger.members:
        seat = play.chain.call(play.directory, "Trainings", "seat", training.id, account)
        assert seat - 1 == (-1 if training.position(account) is None else training.position(account))


def _play(rpc: str, seed: int, turns: int, commands: Commands = COMMANDS) -> Play:
    play = Play(rpc, seed, commands)
    for index in range(5):  # something for the dice to fall on
        play.now = Time(play.now + 1)
        play.take(publish(play, person(index)))
    for _ in range(turns):
        play.turn()
    assert_same_state(play)
    return play


def test_contracts_and_fold_agree_on_every_command(anvil_rpc: str) -> None:
    play = _play(anvil_rpc, seed=4, turns=150)
    assert {"publish", "request", "grant", "join", "postKeys"} <= play.passed


REACHED = (
    "RECOVERING", "Recovered", "ShareOpened", "RoundLost TOO_FEW_CONTRIBUTIONS", "RoundLost WITHHELD", "Barred",
    "Challenged", "Corrected", "CHALLENGING",
)  # fmt: skip
"""What a campaign must have come to, or it has tried too little."""


def test_contracts_and_fold_agree_on_trainings(anvil_rpc: str) -> None:
    play = _play(anvil_rpc, seed=41, turns=350, commands=TRAINING)
    assert {what for what in REACHED if not play.seen[what]} == set()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 14))
def test_contracts_and_fold_agree_for_long(anvil_rpc: str, seed: int) -> None:
    play = _play(anvil_rpc, seed, turns=2000)
    assert {"contribute", "reveal", "aggregate"} <= play.passed


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_contracts_and_fold_agree_on_trainings_for_long(anvil_rpc: str) -> None:
    """A single seed may never recover a round or lose one; all together come to everything."""
    seen: Counter[str] = Counter()
    for seed in range(2, 14):
        seen += _play(anvil_rpc, seed, turns=2000, commands=TRAINING).seen
    assert {what for what in (*REACHED, "Overruled") if not seen[what]} == set()
