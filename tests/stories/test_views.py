"""Members confirm to each other what the chain shows them: one that is shown another round gives nothing away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from federation.securesum import ShareKey
from federation.securesum.keys import draw_scalar, publish
from node import model, sums
from node.db import operations
from node.documents import PublicKey, View, ViewList, digest_of, encode
from node.errors import Conflict, NotFinal, NotFound, Refused, Retry, Untrusted
from node.ledger import Training
from node.model import ZERO, Phase, TrainingId, Vector
from node.trainer import Trainer
from node.views import Views
from tests.chain.peers import ask
from tests.stories.alliance import Person, follow_all, pass_time
from tests.stories.sharing import joined, opened, plan
from tests.stories.taking_part import posted_sums, together, trainers, work
from tests.stories.test_refusals import refused

People = dict[str, Person]
OTHERS = ("alice", "bob", "carol")


class Shown:
    """The chain as a lying endpoint shows it to one node: one training looks different."""

    def __init__(self, picture: Any, number: TrainingId, change: Callable[[Training], Training]) -> None:
        self._picture, self._number, self._change = picture, number, change

    def ledger(self) -> Any:
        found = self._picture.ledger().copy()
        found.trainings[self._number] = self._change(found.trainings[self._number])
        return found


@contextmanager
def lied_to(person: Person, number: TrainingId, change: Callable[[Training], Training]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(person.node, "_picture", Shown(person.node._picture, number, change))
        yield


@contextmanager
def swallowed(person: Person) -> Iterator[list[tuple[Any, ...]]]:
    """An endpoint that takes transactions and passes none on: what it got."""
    got: list[tuple[Any, ...]] = []

    def send(key: str, contract: str, function: str, *args: Any, **purpose: Any) -> Any:
        got.append((function, *args))
        raise NotFinal("the endpoint keeps it", clause="deadline")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(person.node, "send", send)
        yield got


def views(person: Person, trainer: Trainer, phase: Phase) -> Views:
    return Views(person.node, trainer.place, trainer.id, 0, phase)


def under_way(people: People, folder: Path, phase: Phase) -> tuple[TrainingId, list[Path], dict[str, Trainer]]:
    number, paths = joined(people, plan(4), folder, phase_seconds=60)
    part = trainers(people, number)
    work(people, part, until=lambda: people["alice"].node.ledger.trainings[number].phase == phase)
    follow_all(people)
    return number, paths, part


def note(person: Person, number: TrainingId) -> str:
    with person.node.db.reading() as tx:
        return operations.get(tx, f"training:{number}").error or ""


def on_chain(person: Person, secret: bytes) -> bool:
    """Whether any transaction of the chain carries it."""
    rpc = person.node.settings.rpc
    blocks = (ask(rpc, "eth_getBlockByNumber", hex(at), True) for at in range(int(ask(rpc, "eth_blockNumber"), 16) + 1))
    return any(secret.hex() in sent["input"] for block in blocks for sent in block["transactions"])


def test_who_is_shown_itself_as_a_survivor_and_is_none_keeps_its_seed(people: People, tmp_path: Path) -> None:
    """Dave's endpoint keeps his vector back and shows it as posted: the others open his scalar, and his seed stays."""
    number, paths, part = under_way(people, tmp_path, Phase.CONTRIBUTING)
    dave, node = people["dave"], people["alice"].node
    with swallowed(dave) as got, pytest.raises(NotFinal):
        part["dave"].step()
    ((_, _, _, vector, _),) = got
    assert isinstance(vector, Vector)
    others = {name: part[name] for name in OTHERS}
    work(people, others, until=lambda: False, patience=1)
    pass_time(people, 90)
    work(people, others, until=lambda: node.ledger.trainings[number].phase == Phase.REVEALING)
    seeds = {name: part[name].kept.required(0)[0].seed for name in ("alice", "dave")}

    def with_dave(training: Training) -> Training:
        round_ = training.of(0)
        return replace(training, rounds=(replace(round_, vectors=round_.vectors | {3: vector}), *training.rounds[1:]))

    with lied_to(dave, number, with_dave), swallowed(dave) as got:
        assert 3 in part["dave"].training.of(0).vectors
        error = refused(part["dave"].step, Untrusted, "view", 7)
        assert all(f"{people[name].me} sees other survivors (0x" in str(error.seen) for name in OTHERS)
        work(people, others, until=lambda: bool(node.ledger.trainings[number].sums))
        assert got == []
    found = node.ledger.trainings[number]
    assert sorted(found.of(0).vectors) == [0, 1, 2]
    assert [dealer for _, dealer in found.of(0).shares] == [3, 3, 3]
    assert posted_sums(people, number)[0] == together(part["alice"].plan, paths[:3]).totals[0]
    assert on_chain(dave, seeds["alice"])
    assert not on_chain(dave, seeds["dave"])


def test_who_is_shown_made_up_keys_gives_no_vector(people: People, tmp_path: Path) -> None:
    number, _, part = under_way(people, tmp_path, Phase.CONTRIBUTING)
    dave = people["dave"]
    made_up = {at: sums.posted(publish(draw_scalar(os.urandom), os.urandom(32)), ZERO) for at in range(3)}

    def among(training: Training) -> Training:
        round_ = training.of(0)
        return replace(training, rounds=(replace(round_, keys=round_.keys | made_up),))

    with lied_to(dave, number, among), swallowed(dave) as got:
        error = refused(part["dave"].step, Untrusted, "view", 7)
        assert f"{people['bob'].me} sees other keys" in str(error.seen)
        assert got == []
    assert part["dave"].kept.required(0)[0].contribution == b""
    follow_all(people)
    refused(part["dave"].step, Conflict, "view", 5)  # shown the truth he stays silent: he has signed the lie
    work(people, {name: part[name] for name in OTHERS}, until=lambda: False, patience=1)
    assert sorted(dave.node.follow().trainings[number].of(0).vectors) == [0, 1, 2]


def test_who_dealt_its_shares_to_a_made_up_share_key_gives_no_vector(people: People, tmp_path: Path) -> None:
    """Whoever made it up opens Dave's shares of both his secrets: the mask must never be used."""
    number, _ = joined(people, plan(4), tmp_path, phase_seconds=60)
    part, dave = trainers(people, number), people["dave"]
    key = PublicKey(people["carol"].me, ShareKey.draw(os.urandom).public.hex())
    digest = dave.node.put_document(key)

    def made_up(training: Training) -> Training:
        return replace(
            training, seats=(*training.seats[:2], replace(training.seats[2], hpke=digest), training.seats[3])
        )

    with lied_to(dave, number, made_up):
        assert part["dave"].step()
    others = {name: part[name] for name in OTHERS}
    work(people, others, until=lambda: dave.node.ledger.trainings[number].phase == Phase.CONTRIBUTING)
    follow_all(people)
    refused(part["dave"].step, Conflict, "roster", 5)
    assert part["dave"].kept.required(0)[0].contribution == b""


def test_who_signs_two_views_is_named_with_both_signatures(people: People, tmp_path: Path) -> None:
    """Bob tells Carol something else than Alice: Carol passes it on, and the three who see the same go on."""
    number, _, part = under_way(people, tmp_path, Phase.CONTRIBUTING)
    alice, bob, carol = (people[name] for name in OTHERS)
    true = views(bob, part["bob"], Phase.CONTRIBUTING).answer().views[0]
    false = replace(true, keys=ZERO, signature="")
    false = replace(false, signature="0x" + bob.node.keys.sign_digest(model.raw(digest_of(false))).hex())
    views(carol, part["carol"], Phase.CONTRIBUTING).answer()
    part["carol"].kept.hear("0:contributing", encode(ViewList((false,))).decode())
    assert part["alice"].step()
    said = note(alice, number)
    assert f"{bob.me} signed two views" in said
    assert true.signature in said
    assert false.signature in said


def test_a_view_that_its_member_did_not_sign_counts_for_nothing(people: People, tmp_path: Path) -> None:
    """Carol and Dave see other keys, and one of them passes on forged views in the names of the others."""
    number, _, part = under_way(people, tmp_path, Phase.CONTRIBUTING)
    alice, carol = people["alice"], people["carol"]
    own = views(carol, part["carol"], Phase.CONTRIBUTING).answer().views[0]
    wrong = [replace(own, member=alice.me), replace(own, signature="0xzz"), replace(own, round=1)]
    for view in wrong:
        with pytest.raises(Untrusted):
            views(alice, part["alice"], Phase.CONTRIBUTING)._require_signed(view)
    views(alice, part["alice"], Phase.CONTRIBUTING)._require_signed(own)
    part["carol"].kept.hear("0:contributing", encode(ViewList((replace(own, member=people["dave"].me),))).decode())
    with cut(people, "dave"):
        assert not part["alice"].step()  # alice and bob, no more
    assert f"{carol.me}: a view that its member did not sign" in note(alice, number)


@contextmanager
def cut(people: People, *names: str) -> Iterator[None]:
    """Nobody reaches these members' nodes."""
    from node import peers, web

    away = {int(people[name].url.rpartition(":")[2]) for name in names}

    def get(place: web.Place, *args: Any, **kwargs: Any) -> web.Answer:
        if place.port in away:
            raise Retry("connection refused", clause="endpoint", seen=place.host)
        return web.get(place, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(peers, "get", get)
        yield


def test_members_that_cannot_be_reached_cost_time_and_nothing_else(people: People, tmp_path: Path) -> None:
    number, paths, part = under_way(people, tmp_path, Phase.CONTRIBUTING)
    alice = people["alice"]
    with cut(people, "bob", "carol"):
        assert not part["alice"].step()
        assert f"{people['bob'].me}: the member's node does not answer" in note(alice, number)
    with cut(people, "bob"):
        assert part["alice"].step()  # three of four are enough
    work(people, part, until=lambda: bool(alice.node.ledger.trainings[number].sums))
    assert posted_sums(people, number) == [together(part["alice"].plan, paths).totals[0]]


def test_only_who_has_joined_is_told(people: People) -> None:
    number = opened(people["alice"], list(people.values()), plan(4))
    error = refused(lambda: people["dave"].node.ask_views(people["alice"].me, number, 0, "contributing"), Refused,
                    "peer", 4)  # fmt: skip
    assert "403" in str(error.seen)


def test_the_one_view_outlives_restarts_and_a_reorg(people: People, tmp_path: Path) -> None:
    number, _, part = under_way(people, tmp_path, Phase.CONTRIBUTING)
    alice = people["alice"]
    signed = views(alice, part["alice"], Phase.CONTRIBUTING).answer().views
    assert [type(view) for view in signed] == [View]
    refused(lambda: people["bob"].node.ask_views(alice.me, number, 0, "revealing"), NotFound, "peer", 3)  # not yet

    def without_bob(training: Training) -> Training:
        round_ = training.of(0)
        keys = {at: keys for at, keys in round_.keys.items() if at != 1}
        return replace(training, rounds=(replace(round_, keys=keys), *training.rounds[1:]))

    with alice.restarted() as node:
        again = Trainer(node, number)
        assert Views(node, again.place, number, 0, Phase.CONTRIBUTING).answer().views == signed
        with lied_to(replace(alice, node=node), number, without_bob):
            assert 1 not in again.training.of(0).keys
            refused(again.step, Conflict, "view", 5)
            assert Views(node, again.place, number, 0, Phase.CONTRIBUTING).answer().views == signed
    assert part["alice"].step()
