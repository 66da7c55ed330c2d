"""Members confirm to each other, signed, that they see the same round before they act on it: the key list (U1) before
they contribute, the survivors (U3) before they reveal (Bonawitz et al. 2017, the consistency check of round 3).

A node signs one view of a round for each of the two, the first, and never another. A member goes on once `threshold`
members, itself among them, have signed the same one; nobody counts who has signed two. So of n members two honest ones
do not act on two views unless at least 2 * threshold - n others sign both; and one honest member alone is not led away
unless threshold - 1 others sign what it was shown. Who signs two has lied, as the two signatures prove. It does not
know which view is the chain's, nor who the members are, but from the chain that this node sees.

    Views(node, place, training_id, 7, Phase.REVEALING).confirm(training)    # before the seed leaves
    Views(node, place, training_id, 7, Phase.REVEALING).answer()             # for other members
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from federation.securesum.round import keys_digest
from node import ledger, model, signature, sums
from node.documents import View, ViewList, decode, digest_of, encode
from node.errors import Conflict, HanseError, NotFinal, NotFound, Untrusted
from node.evidence import start_of
from node.kept import Kept
from node.ledger import training_of
from node.model import Address, Digest, Phase, TrainingId, raw
from node.sums import Place
from node.wiring import Node

AT_ONCE = 8
"""Members asked at the same time; no more are asked once enough have confirmed."""

_WHAT = ("roster", "sums", "keys", "survivors")


class Views:
    """Everybody's views of one round before one step, as far as this node has heard; ours is among them."""

    def __init__(self, node: Node, place: Place, training: TrainingId, number: int, phase: Phase) -> None:
        self._node, self._place, self._id, self._round, self._phase = node, place, training, number, phase
        self._kept = Kept(node, training)
        self._name = f"{number}:{phase.name.lower()}"

    def answer(self) -> ViewList:
        """Our view, and those of others that we hold. NotFound while we see no such round that is settled."""
        first = self._kept.first(self._name) or self._kept.once(self._name, encode(self._settled()).decode())
        return ViewList((self._signed(decode(View, first.encode())), *self._heard()))

    def confirm(self, training: ledger.Training) -> None:
        """Return where enough members see the round as we do. What `training` shows of it must be settled.

        Raises NotFinal where too few have said so yet, naming who does not answer; Untrusted, naming who sees what
        else, where that leaves too few; Conflict where we have signed another view, or dealt to another roster: after
        a reorg of what was settled a member stays silent, as it cannot take back what it said."""
        seen = seen_by(self._node.me, self._place, training, self._round, self._phase)
        first = decode(View, self._kept.once(self._name, encode(seen).decode()).encode())
        if first != seen:
            raise Conflict("this node has signed another view of the round", clause="view", seen=_differs(first, seen))
        require_dealt(self._kept, training, self._round)
        views, silent = (self._signed(first), *self._heard()), ""
        if len(_agreeing(views, first)) < training.terms.threshold:
            views, silent = self._asked(training, views)
        self._judge(training, views, silent)

    def _judge(self, training: ledger.Training, views: tuple[View, ...], silent: str) -> None:
        agreeing = _agreeing(views, views[0])
        against = "; ".join(
            _accusation(views, who) for who in dict.fromkeys(v.member for v in views) if who not in agreeing
        )
        if against:
            self._kept.note(against)
        if len(agreeing) >= training.terms.threshold:
            return
        needed = f"{training.terms.threshold} members that see round {self._round} alike"
        if against:
            raise Untrusted("the members do not see the same round", clause="view", seen=against, needed=needed)
        raise NotFinal("too few members have confirmed the round", clause="view", seen=f"{len(agreeing)}; {silent}",
                       needed=needed)  # fmt: skip

    # --- others' ---

    def _asked(self, training: ledger.Training, views: tuple[View, ...]) -> tuple[tuple[View, ...], str]:
        """More views, from who was not heard yet, and who did not answer. First those before us, who have likely heard
        most; each passes on what it has heard, so that two views of one member meet."""
        at, n = training.position(self._node.me) or 0, len(training.seats)
        free = [(at - step) % n for step in range(1, n) if training.free >> (at - step) % n & 1]
        members, heard = [training.seats[one].member for one in free], {view.member for view in views}
        waiting, silent = [member for member in members if member not in heard], []
        while waiting and len(_agreeing(views, views[0])) < training.terms.threshold:
            batch, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for member, told in zip(batch, pool.map(self._told, batch), strict=True):
                    if isinstance(told, HanseError):
                        silent.append(f"{member}: {told.message}")
                    else:
                        views = _joined(views, [v for v in told.views if v.member in (*members, self._node.me)])
            waiting = [member for member in waiting if member not in {view.member for view in views}]
        self._kept.hear(self._name, encode(ViewList(views[1:])).decode())
        return views, "; ".join(silent)

    def _told(self, member: Address) -> ViewList | HanseError:
        """What a member says, every signature checked."""
        try:
            found = self._node.ask_views(member, self._id, self._round, self._phase.name.lower())
            for view in found.views:
                self._require_signed(view)
        except HanseError as exc:
            return exc
        return found

    def _require_signed(self, view: View) -> None:
        """Untrusted unless it is of this very round and phase, and its member signed it."""
        same = (view.chain_id, view.trainings, view.training, view.round, view.phase)
        if same != (*self._where(), self._round, self._phase.name.lower()):
            raise Untrusted("a view of another round", clause="view", seen=same)
        try:
            signed = raw(view.signature)
        except ValueError as exc:
            raise Untrusted("a view's signature is not hex", clause="signature") from exc
        signer = signature.recover(raw(digest_of(replace(view, signature=""))), signed)
        if signer != view.member:
            raise Untrusted("a view that its member did not sign", clause="signature", seen=signer, needed=view.member)

    def _heard(self) -> tuple[View, ...]:
        text = self._kept.heard(self._name)
        return decode(ViewList, text.encode()).views if text else ()

    # --- our own ---

    def _where(self) -> tuple[int, Address, TrainingId]:
        return self._place.chain_id, self._place.trainings, self._id

    def _settled(self) -> View:
        training = training_of(self._node.ledger, self._id)
        under_way = training.round == self._round and self._phase <= training.phase <= Phase.AGGREGATING
        if not under_way or training.position(self._node.me) is None or not self._node.is_settled(training.block):
            raise NotFound("this node sees no such round, or not for sure yet", clause="view", seen=self._name)
        return seen_by(self._node.me, self._place, training, self._round, self._phase)

    def _signed(self, view: View) -> View:
        return replace(view, signature="0x" + self._node.keys.sign_digest(raw(digest_of(view))).hex())


def seen_by(me: Address, place: Place, training: ledger.Training, number: int, phase: Phase) -> View:
    """What a member sees of a round before a step, not signed yet."""
    round_ = training.of(number)
    earlier = b"".join(raw(s.total.root) for s in training.sums if s.total and s.number < number)
    stayed = sorted(raw(training.seats[at].member) + raw(vector.root) for at, vector in round_.vectors.items())
    return View(
        chain_id=place.chain_id, trainings=place.trainings, training=training.id, round=number,
        phase=phase.name.lower(), member=me, roster=roster_digest(training), sums=_digest(earlier),
        keys=model.digest(keys_digest(sums.keys_by_member(training, round_))),
        survivors=_digest(b"".join(stayed)) if phase == Phase.REVEALING else model.ZERO,
    )  # fmt: skip


def roster_digest(training: ledger.Training) -> Digest:
    """Over the terms, hence the plan and the threshold, and each seat's account and share key."""
    seats = b"".join(raw(seat.member) + raw(seat.hpke) for seat in training.seats)
    return _digest(raw(start_of(training.terms)) + seats)


def require_dealt(kept: Kept, training: ledger.Training, number: int) -> None:
    """Conflict unless our shares for the round go, or went, to this very roster: made-up share keys would open them."""
    now = roster_digest(training)
    first = kept.once(f"{number}:dealt", now)
    if first != now:
        raise Conflict("this node dealt its shares to another roster", clause="roster", seen=first, needed=now)


def _digest(data: bytes) -> Digest:
    return model.digest(hashlib.sha256(data).digest())


def _agreeing(views: Iterable[View], ours: View) -> set[Address]:
    """Who has signed what we see, and nothing else."""
    views = tuple(views)
    return {view.member for view in views} - {view.member for view in views if _differs(view, ours)}


def _joined(views: tuple[View, ...], more: Iterable[View]) -> tuple[View, ...]:
    """With what is new in `more`; two different ones of a member are proof enough, and no third is kept."""
    for view in more:
        known = [one for one in views if one.member == view.member]
        if len(known) < 2 and all(_differs(one, view) for one in known):
            views = (*views, view)
    return views


def _differs(one: View, other: View) -> str:
    """In what two views are not the same; empty where they are."""
    return ", ".join(name for name in _WHAT if getattr(one, name) != getattr(other, name))


def _accusation(views: tuple[View, ...], who: Address) -> str:
    said = [view for view in views if view.member == who]
    if len(said) > 1:
        return f"{who} signed two views: other {_differs(*said)} ({said[0].signature} and {said[1].signature})"
    return f"{who} sees other {_differs(said[0], views[0])} ({said[0].signature})"
