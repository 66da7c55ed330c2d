"""The rules of Trainings, one event each: who sits where, what is due, what a round may hold.

What members say against each other and against sums is `disputes`'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from node import model
from node.ledger.checks import active, on, published, rule
from node.ledger.records import Ledger, Round, Seat, Training
from node.model import (
    NO_VECTOR,
    ZERO,
    Address,
    Phase,
    Position,
    Post,
    Reason,
    TrainingId,
    Use,
    Vector,
)


@on(model.Opened)
def _opened(said: model.Opened, ledger: Ledger, at: Position) -> None:
    active(ledger, said.opener, at)
    rule(said.id not in ledger.trainings, "opened once", seen=said.id)
    terms = said.terms
    rule(3 <= terms.seats <= 64 and 3 <= terms.minimum <= terms.seats, "seats", seen=(terms.seats, terms.minimum))
    rule(terms.seats < 2 * terms.threshold <= 2 * terms.seats, "threshold", seen=terms.threshold, needed=terms.seats)
    rule(terms.ring in (32, 64) and terms.rounds > 0, "ring and rounds", seen=(terms.ring, terms.rounds))
    rule(terms.plan != ZERO, "plan", seen=terms.plan)
    durations = (terms.join_seconds, terms.phase_seconds, terms.challenge_seconds)
    rule(0 not in durations, "durations", seen=durations)
    rule(said.join_until == at.time + terms.join_seconds, "deadline", seen=said.join_until)
    ledger.trainings[said.id] = Training(
        said.id, said.opener, terms, Phase.JOINING, said.join_until, block=at.block, spares=terms.spares
    )  # fmt: skip


@on(model.Joined)
def _joined(said: model.Joined, ledger: Ledger, at: Position) -> None:
    found = training(ledger, said.id, Phase.JOINING)
    in_time(found, at)
    active(ledger, said.member, at)
    rule(found.position(said.member) is None, "joined once", seen=said.member)
    rule(said.position == len(found.seats) < found.terms.seats, "position", seen=said.position)
    dataset = published(ledger, said.dataset)
    version = dataset.current
    rule(dataset.owner == said.member, "owner", seen=said.member, needed=dataset.owner)
    rule(version.number == said.version, "current version", seen=said.version, needed=version.number)
    rule(bool(version.content.uses & Use.TRAIN), "may be trained on", seen=said.dataset)
    left = version.content.budget - ledger.spent.get((said.dataset, said.version), 0)
    rule(found.terms.epsilon <= left, "budget", seen=found.terms.epsilon, needed=left)
    ledger.spent[said.dataset, said.version] += found.terms.epsilon
    seat = Seat(said.member, said.dataset, said.version, said.hpke)
    ledger.trainings[said.id] = replace(found, seats=(*found.seats, seat))


@on(model.Keyed)
def _keyed(said: model.Keyed, ledger: Ledger, at: Position) -> None:
    found = training(ledger, said.id, Phase.KEYING, *ROUND)
    seated(found, said.member, said.position)
    rule(found.free >> said.position & 1 == 1, "not barred", seen=said.member)
    need = found.round
    if found.phase == Phase.KEYING:
        in_time(found, at)
    else:  # a member that missed a round returns with the next
        need += 1
    rule(said.round == need, "round", seen=said.round, needed=need)
    round_ = found.of(said.round)
    rule(said.position not in round_.keys, "keyed once", seen=said.position)
    post = Post(said.member, said.position, said.round, NO_VECTOR, said.keys)
    put(ledger, found, replace(round_, keys=round_.keys | {said.position: said.keys}), posts=(*found.posts, post))


@on(model.Contributed)
def _contributed(said: model.Contributed, ledger: Ledger, at: Position) -> None:
    found, round_ = posting(ledger, said, Phase.CONTRIBUTING, at)
    rule(said.position in round_.keys, "posted keys for the round", seen=said.position)
    rule(said.position not in round_.vectors, "contributes once", seen=said.position)
    whole(said.vector)
    after = found.of(said.round + 1)
    following = said.next.x != ZERO
    rule(not following or said.position not in after.keys, "keyed once", seen=said.position)
    post = Post(said.member, said.position, said.round, said.vector, said.next)
    round_ = replace(round_, vectors=round_.vectors | {said.position: said.vector})
    put(ledger, found, round_, posts=(*found.posts, post))
    if following:  # they wait in a round of their own until the next one begins
        put(ledger, ledger.trainings[said.id], replace(after, keys=after.keys | {said.position: said.next}))


@on(model.Revealed)
def _revealed(said: model.Revealed, ledger: Ledger, at: Position) -> None:
    found, round_ = posting(ledger, said, Phase.REVEALING, at)
    rule(said.position in round_.vectors, "a survivor", seen=said.position)
    rule(said.position not in round_.seeds, "reveals once", seen=said.position)
    put(ledger, found, replace(round_, seeds=round_.seeds | {said.position: said.seed}))


@on(model.Recovered)
def _recovered(said: model.Recovered, ledger: Ledger, at: Position) -> None:
    found, round_ = posting(ledger, said, Phase.RECOVERING, at)
    rule(said.position in round_.seeds, "revealed its own seed", seen=said.position)
    rule(said.position not in round_.recovered, "recovers once", seen=said.position)
    put(ledger, found, replace(round_, recovered=round_.recovered | {said.position}))


@on(model.ShareOpened)
def _share_opened(said: model.ShareOpened, ledger: Ledger, at: Position) -> None:
    """Follows the event of its holder's step: with a seed, of the dropped; while Recovering, of the silent."""
    found = training(ledger, said.id, Phase.REVEALING, Phase.RECOVERING)
    round_, holder = found.of(said.round), found.position(said.holder)
    rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    while_revealing = found.phase == Phase.REVEALING
    rule(holder in (round_.seeds if while_revealing else round_.recovered), "after its holder's step", seen=said.holder)
    assert holder is not None
    of = round_.keys.keys() - round_.vectors if while_revealing else round_.vectors.keys() - round_.seeds
    rule(said.dealer in of, "a dropped or silent member", seen=said.dealer, needed=sorted(of))
    rule((holder, said.dealer) not in round_.shares, "opened once", seen=(holder, said.dealer))
    put(ledger, found, replace(round_, shares=round_.shares | {(holder, said.dealer): said.share}))


@on(model.Aggregated)
def _aggregated(said: model.Aggregated, ledger: Ledger, at: Position) -> None:
    found = training(ledger, said.id, Phase.AGGREGATING)
    in_time(found, at)
    free(found, said.poster)
    whole(said.vector)
    rule(said.round == found.round and found.ended is None, "round", seen=said.round, needed=found.round)
    round_ = found.of(said.round)
    rule(said.survivors == bits(round_.vectors), "survivors", seen=said.survivors, needed=bits(round_.vectors))
    rule(
        said.last or len(found.sums) + 1 < found.terms.rounds, "last round", seen=said.round, needed=found.terms.rounds
    )
    summed = replace(
        round_, total=said.vector, poster=said.poster, survivors=said.survivors, posted=len(found.posts)
    )  # fmt: skip
    put(ledger, found, summed, ended=said.last)


@on(model.RoundLost)
def _round_lost(said: model.RoundLost, ledger: Ledger, at: Position) -> None:
    found, reason = training(ledger, said.id), Reason(said.reason)
    rule(said.round == found.round and found.ended is None, "round", seen=said.round, needed=found.round)
    rule(not _too_few(found), "enough members to go on", seen=found.free.bit_count())
    spares = found.spares
    if reason == Reason.WITHHELD:
        acted_on(found, reason)
    else:
        rule(found.dispute is None, "the dispute's consequence", seen=reason.name)
        rule(reason == VOID.get(found.phase) and found.phase in SPARED, "reason", seen=reason.name)
        rule(late(found, at) and count(found) < found.needed, "too few, past the deadline", seen=count(found))
        rule(spares > 0, "a spare round", seen=spares)
        spares -= 1
    put(ledger, found, replace(found.of(said.round), lost=reason), ended=False, spares=spares, dispute=None)


@on(model.PhaseChanged)
def _phase_changed(said: model.PhaseChanged, ledger: Ledger, at: Position) -> None:
    found, phase = training(ledger, said.id), Phase(said.phase)
    rule(found.dispute is None, "the dispute's consequence", seen=phase.name)
    number = found.round + (found.ended is False)
    rule(said.round == number, "round", seen=said.round, needed=number)
    _require_due(found, phase, at)
    expected = _expected(found, phase, found.of(number))
    rule(said.members == expected, "members", seen=said.members, needed=expected)
    seconds = found.terms.challenge_seconds if phase == Phase.CHALLENGING else found.terms.phase_seconds
    rule(said.deadline == at.time + seconds, "deadline", seen=said.deadline, needed=at.time + seconds)
    ledger.trainings[said.id] = replace(
        found, phase=phase, deadline=said.deadline, block=at.block, round=number, ended=None
    )  # fmt: skip


@on(model.Voided)
def _voided(said: model.Voided, ledger: Ledger, at: Position) -> None:
    found, reason = training(ledger, said.id), Reason(said.reason)
    rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    if found.dispute is not None:
        acted_on(found, reason)
        if reason == Reason.WITHHELD:
            rule(_too_few(found), "too few members to go on", seen=found.free.bit_count(), needed=found.needed)
        else:  # nobody of the training has put a sum in the wrong one's place
            position = found.position(found.dispute.by)
            rule(position is None or found.barred >> position & 1 == 1, "a correction", seen=found.dispute.by)
    elif found.ended is False:  # corrected, and rounds are left
        rule(reason == Reason.WRONG_AGGREGATE, "reason", seen=reason.name)
        rule(_too_few(found), "too few members to go on", seen=found.free.bit_count(), needed=found.needed)
    else:
        rule(reason == VOID.get(found.phase), "reason", seen=reason.name, needed=VOID.get(found.phase))
        rule(late(found, at), "deadline", seen=at.time, needed=found.deadline)
        rule(_hopeless(found), "nothing left to do", seen=count(found), needed=found.needed)
    wrong = found.dispute.round if found.dispute and reason == Reason.WRONG_AGGREGATE else found.round + 1
    rounds = tuple(replace(r, total=None, poster=None) if r.number >= wrong else r for r in found.rounds)
    ledger.trainings[said.id] = replace(found, phase=Phase.VOID, void=reason, dispute=None, rounds=rounds)


@on(model.Finalized)
def _finalized(said: model.Finalized, ledger: Ledger, at: Position) -> None:
    found = training(ledger, said.id, Phase.CHALLENGING)
    rule(found.position(said.by) is not None, "a joined member", seen=said.by)
    rule(at.time > found.deadline, "challenge window", seen=at.time, needed=found.deadline)
    ledger.trainings[said.id] = replace(found, phase=Phase.FINAL, model=said.model)


@on(model.Attested)
def _attested(said: model.Attested, ledger: Ledger, at: Position) -> None:
    """The last word of each member counts."""
    found, who = training(ledger, said.id, Phase.FINAL), {said.member}
    rule(found.position(said.member) is not None, "a joined member", seen=said.member)
    same, other = (who, set()) if said.model == found.model else (set(), who)
    ledger.trainings[said.id] = replace(
        found, attested=found.attested - who | same, disputed=found.disputed - who | other
    )


ROUND = (Phase.CONTRIBUTING, Phase.REVEALING, Phase.RECOVERING, Phase.AGGREGATING)
SPARED = (Phase.KEYING, Phase.CONTRIBUTING)
"""Phases in which no seed is out yet: a round that ends here can be gone on without."""

VOID = {
    Phase.JOINING: Reason.TOO_FEW_JOINED,
    Phase.KEYING: Reason.TOO_FEW_KEYS,
    Phase.CONTRIBUTING: Reason.TOO_FEW_CONTRIBUTIONS,
    Phase.REVEALING: Reason.SILENT_AT_REVEAL,
    Phase.RECOVERING: Reason.SILENT_AT_REVEAL,
    Phase.AGGREGATING: Reason.NO_AGGREGATE,
}
"""Why a phase that is past its deadline costs a round or the training."""

_WHEN_ALL = {
    Phase.JOINING: Phase.KEYING,
    Phase.KEYING: Phase.CONTRIBUTING,
    Phase.CONTRIBUTING: Phase.REVEALING,
    Phase.REVEALING: Phase.AGGREGATING,
    Phase.RECOVERING: Phase.AGGREGATING,
}
_WHEN_LATE = _WHEN_ALL | {Phase.REVEALING: Phase.RECOVERING}
"""What comes next where all have posted, and past the deadline, where enough have."""


# --- phases ---


def _require_due(found: Training, phase: Phase, at: Position) -> None:
    """Refuse a phase that is not the one in turn."""
    if found.ended is not None:
        rule(found.ended or not _too_few(found), "enough members to go on", seen=found.free.bit_count())
        following = bits(found.of(found.round + 1).keys).bit_count() >= found.needed
        need = Phase.CHALLENGING if found.ended else Phase.CONTRIBUTING if following else Phase.KEYING
        return rule(phase == need, "phase", seen=phase.name, needed=need.name)
    if _complete(found):
        return rule(phase == _WHEN_ALL[found.phase], "phase", seen=phase.name, needed=_WHEN_ALL[found.phase].name)
    rule(late(found, at), "everybody, or past the deadline", seen=at.time, needed=found.deadline)
    rule(phase == _WHEN_LATE.get(found.phase), "phase", seen=(found.phase.name, phase.name))
    rule(count(found) >= _enough(found), "enough members", seen=count(found), needed=_enough(found))


def _expected(training: Training, phase: Phase, round_: Round) -> int:
    """Whom a phase waits for, as bits of positions."""
    if phase == Phase.KEYING:
        return training.free
    if phase == Phase.RECOVERING:
        return bits(round_.seeds)
    if phase == Phase.CHALLENGING:
        return bits(round_.vectors) & ~training.barred
    return bits(round_.keys if phase == Phase.CONTRIBUTING else round_.vectors)


def count(training: Training) -> int:
    """How many have posted what the present phase asks for."""
    round_ = training.of(training.round)
    posted = {Phase.JOINING: training.seats, Phase.KEYING: round_.keys, Phase.CONTRIBUTING: round_.vectors,
              Phase.REVEALING: round_.seeds, Phase.RECOVERING: round_.recovered}  # fmt: skip
    return len(posted.get(training.phase, ()))


def _enough(training: Training) -> int:
    """How many let a phase end past its deadline: to open secrets the threshold is enough, even of few survivors."""
    opening = training.phase in (Phase.REVEALING, Phase.RECOVERING)
    return training.terms.threshold if opening else training.needed


def _complete(training: Training) -> bool:
    """Whether all have posted whom the present phase waits for."""
    round_ = training.of(training.round)
    waits = {Phase.JOINING: training.terms.seats, Phase.KEYING: training.free.bit_count(),
             Phase.CONTRIBUTING: len(round_.keys), Phase.REVEALING: len(round_.vectors),
             Phase.RECOVERING: len(round_.seeds)}  # fmt: skip
    return count(training) == waits.get(training.phase)


def _too_few(training: Training) -> bool:
    """Whether too few are left for another round."""
    return training.free.bit_count() < training.needed


def _hopeless(training: Training) -> bool:
    """Whether a phase past its deadline leaves nothing but to make the training void."""
    if training.phase == Phase.AGGREGATING:
        return True
    spare = training.phase in SPARED and training.spares > 0 and not _too_few(training)
    return count(training) < _enough(training) and not spare


# --- what the rules share ---


def training(ledger: Ledger, number: TrainingId, *phases: Phase) -> Training:
    """The training, in one of these phases; without them, for an event that carries out what was decided."""
    found = ledger.trainings.get(number)
    rule(found is not None, "an open training", seen=number)
    assert found is not None
    rule(not phases or found.phase in phases, "phase", seen=found.phase.name, needed=[p.name for p in phases])
    settled = found.dispute is None and found.ended is None
    rule(not phases or settled, "what was decided comes first", seen=found.phase.name)
    return found


def posting(ledger: Ledger, said: Any, phase: Phase, at: Position) -> tuple[Training, Round]:
    """The training and its round under way, for what a member at a position posts in time."""
    found = training(ledger, said.id, phase)
    seated(found, said.member, said.position)
    in_time(found, at)
    rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    return found, found.of(said.round)


def seated(found: Training, member: Address, position: int) -> None:
    rule(found.position(member) == position, "seat", seen=(member, position), needed=found.position(member))


def free(found: Training, member: Address) -> int:
    """The position of a member that has joined and is not barred."""
    position = found.position(member)
    rule(position is not None, "a joined member", seen=member)
    assert position is not None
    rule(found.free >> position & 1 == 1, "not barred", seen=member)
    return position


def in_time(found: Training, at: Position) -> None:
    rule(at.time <= found.deadline, "deadline", seen=at.time, needed=found.deadline)


def late(found: Training, at: Position) -> bool:
    return at.time > found.deadline


def whole(vector: Vector) -> None:
    rule(ZERO not in (vector.root, vector.blob) and vector.leaves > 0, "a vector", seen=vector.root)


def acted_on(found: Training, reason: Reason) -> None:
    """What follows a dispute follows the barring of whom it was found against."""
    seen = found.dispute.reason.name if found.dispute else None
    rule(found.dispute is not None and found.dispute.barred, "a dispute that was decided", seen=reason.name)
    assert found.dispute is not None
    rule(found.dispute.reason == reason, "reason", seen=reason.name, needed=seen)


def put(ledger: Ledger, found: Training, round_: Round, **changes: Any) -> None:
    """The training with one of its rounds as it is now."""
    others = [r for r in found.rounds if r.number != round_.number]
    rounds = tuple(sorted([*others, round_], key=lambda r: r.number))
    ledger.trainings[found.id] = replace(found, rounds=rounds, **changes)


def bits(positions: Iterable[int]) -> int:
    return sum(1 << p for p in positions)
