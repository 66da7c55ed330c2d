"""The rules of Trainings for disputes: withheld vectors, wrong sums, and what follows.

Evidence is the contract's matter, and `audit` makes every sum again; the fold holds who may speak, how many must agree,
and that each decision is followed by its consequence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from node import model
from node.ledger.checks import on, rule
from node.ledger.records import Dispute, Ledger, Training
from node.ledger.trainings import ROUND, acted_on, bits, free, in_time, put, training, whole
from node.model import Address, Phase, Position, Reason

_DISPUTABLE = (Phase.KEYING, *ROUND, Phase.CHALLENGING)


@on(model.Accused)
def _accused(said: model.Accused, ledger: Ledger, at: Position) -> None:
    found = training(ledger, said.id, Phase.REVEALING)
    in_time(found, at)
    position, survivors = free(found, said.member), bits(found.of(found.round).vectors)
    rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    rule(said.positions > 0 and said.positions & ~survivors == 0, "survivors", seen=said.positions, needed=survivors)
    accused = [at for at in range(len(found.seats)) if said.positions >> at & 1]
    votes = found.votes | {((said.round, one), position) for one in accused}
    culprits = bits(one for one in accused if _agree(found, votes, (said.round, one)))
    dispute = Dispute(Reason.WITHHELD, said.round, culprits, said.member) if culprits else None
    ledger.trainings[said.id] = replace(found, votes=votes, dispute=dispute)


@on(model.Challenged)
def _challenged(said: model.Challenged, ledger: Ledger, at: Position) -> None:
    found = training(ledger, said.id, *_DISPUTABLE)
    position = found.position(said.by)
    within = position is not None and found.free >> position & 1 == 1
    if not within:  # who has no seat can but void a training: the members come first
        rule(found.phase == Phase.CHALLENGING, "a member, or the challenge window", seen=said.by)
        opens = found.deadline - found.terms.challenge_seconds // 2
        rule(at.time >= opens, "the second half of the window", seen=at.time, needed=opens)
    rule(said.round in [r.number for r in found.sums], "a round with a sum", seen=said.round)
    rule(said.by != found.of(said.round).poster, "another than the sum's poster", seen=said.by)
    ledger.trainings[said.id] = replace(found, dispute=_against_poster(found, said.round, said.by))


@on(model.Overruled)
def _overruled(said: model.Overruled, ledger: Ledger, at: Position) -> None:
    found = training(ledger, said.id, *_DISPUTABLE)
    position = free(found, said.member)
    rule(bool(found.sums), "a sum", seen=said.round)
    newest = found.sums[-1]
    rule(said.round == newest.number, "the newest sum", seen=said.round, needed=newest.number)
    rule(said.member != newest.poster, "another than the sum's poster", seen=said.member)
    whole(said.vector)
    stands = (newest.total, found.phase == Phase.CHALLENGING)
    rule((said.vector, said.last) != stands, "another sum than the one that stands", seen=said.vector.root)
    what = (newest.number, newest.total, newest.poster, said.vector, said.last)
    votes = found.votes | {(what, position)}
    dispute = _against_poster(found, newest.number, said.member) if _agree(found, votes, what) else None
    ledger.trainings[said.id] = replace(found, votes=votes, dispute=dispute)


@on(model.Barred)
def _barred(said: model.Barred, ledger: Ledger, at: Position) -> None:
    found = training(ledger, said.id)
    dispute = found.dispute
    rule(dispute is not None and not dispute.barred, "a dispute", seen=said.positions)
    assert dispute is not None
    rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    rule(said.positions == dispute.culprits, "culprits", seen=said.positions, needed=dispute.culprits)
    following = found.of(found.round + 1)
    kept = {at: keys for at, keys in following.keys.items() if not said.positions >> at & 1}
    if following.keys:
        put(ledger, found, replace(following, keys=kept))
    ledger.trainings[said.id] = replace(
        ledger.trainings[said.id], barred=found.barred | said.positions, dispute=replace(dispute, barred=True)
    )


@on(model.Corrected)
def _corrected(said: model.Corrected, ledger: Ledger, at: Position) -> None:
    """The sum is replaced; sums after it are struck, and so is a round under way."""
    found = training(ledger, said.id)
    acted_on(found, Reason.WRONG_AGGREGATE)
    assert found.dispute is not None
    free(found, said.by)
    rule(said.by == found.dispute.by, "who disputed the sum", seen=said.by, needed=found.dispute.by)
    rule(said.round == found.dispute.round, "round", seen=said.round, needed=found.dispute.round)
    struck = {r.number for r in found.sums if r.number > said.round}
    struck |= set() if found.phase == Phase.CHALLENGING else {found.round}
    for number in sorted(struck):
        gone = replace(found.of(number), total=None, poster=None, lost=Reason.WRONG_AGGREGATE)
        put(ledger, ledger.trainings[said.id], gone)
    after = ledger.trainings[said.id]
    whole(said.vector)
    rule(said.last or len(after.sums) < found.terms.rounds, "last round", seen=said.round, needed=found.terms.rounds)
    put(ledger, after, replace(after.of(said.round), total=said.vector, poster=said.by), ended=said.last, dispute=None)


def _against_poster(found: Training, number: int, by: Address) -> Dispute:
    poster = found.of(number).poster
    assert poster is not None
    position = found.position(poster)
    assert position is not None
    return Dispute(Reason.WRONG_AGGREGATE, number, 1 << position, by)


def _agree(found: Training, votes: frozenset[tuple[Any, int]], what: Any) -> bool:
    """Whether enough members that are not barred by now have said so."""
    return bits(at for said, at in votes if said == what and found.free >> at & 1).bit_count() >= found.terms.threshold
