"""The rules of Trainings, one event each: who sits where, what is due, what a round may hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from node import model
from node.ledger.checks import active, on, published, rule
from node.ledger.records import Ledger, Round, Seat, Training
from node.model import (
    ZERO,
    Address,
    Phase,
    Position,
    TrainingId,
    Use,
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
    ledger.trainings[said.id] = Training(said.id, said.opener, terms, Phase.JOINING, said.join_until, block=at.block)


@on(model.Joined)
def _joined(said: model.Joined, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, Phase.JOINING)
    _in_time(found, at)
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
    found = _training(ledger, said.id, Phase.KEYING, Phase.CONTRIBUTING, Phase.REVEALING, Phase.AGGREGATING)
    _seated(found, said.member, said.position)
    need = found.round
    if found.phase == Phase.KEYING:
        _in_time(found, at)
    else:  # a member that missed a round returns with the next
        need += 1
    rule(said.round == need, "round", seen=said.round, needed=need)
    round_ = found.of(said.round)
    rule(said.position not in round_.keys, "keyed once", seen=said.position)
    _put(ledger, found, replace(round_, keys=round_.keys | {said.position: said.keys}))


@on(model.Contributed)
def _contributed(said: model.Contributed, ledger: Ledger, at: Position) -> None:
    found, round_ = _posted(ledger, said, Phase.CONTRIBUTING, at)
    rule(said.position in round_.keys, "posted keys for the round", seen=said.position)
    rule(said.position not in round_.vectors, "contributes once", seen=said.position)
    after = found.of(said.round + 1)
    following = said.next.x != ZERO
    rule(not following or said.position not in after.keys, "keyed once", seen=said.position)
    _put(ledger, found, replace(round_, vectors=round_.vectors | {said.position: said.vector}))
    if following:  # they wait in a round of their own until the aggregate opens it
        _put(ledger, found, replace(after, keys=after.keys | {said.position: said.next}))


@on(model.Revealed)
def _revealed(said: model.Revealed, ledger: Ledger, at: Position) -> None:
    found, round_ = _posted(ledger, said, Phase.REVEALING, at)
    rule(said.position in round_.vectors, "a survivor", seen=said.position)
    rule(said.position not in round_.seeds, "reveals once", seen=said.position)
    _put(ledger, found, replace(round_, seeds=round_.seeds | {said.position: said.seed}))


@on(model.Aggregated)
def _aggregated(said: model.Aggregated, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, Phase.AGGREGATING)
    _in_time(found, at)
    rule(found.position(said.poster) is not None, "a joined member", seen=said.poster)
    rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    round_ = found.of(said.round)
    rule(said.survivors == _bits(round_.vectors), "survivors", seen=said.survivors, needed=_bits(round_.vectors))
    rule(said.last or said.round + 1 < found.terms.rounds, "last round", seen=said.round, needed=found.terms.rounds)
    _put(ledger, found, replace(round_, total=said.vector, poster=said.poster, survivors=said.survivors))


@on(model.PhaseChanged)
def _phase_changed(said: model.PhaseChanged, ledger: Ledger, at: Position) -> None:
    found, phase = _training(ledger, said.id), Phase(said.phase)
    rule((found.phase, phase) in _STEPS, "phase", seen=(found.phase.name, phase.name))
    number = found.round - (phase == Phase.CHALLENGING)  # its sum is posted, and no other round follows
    rule(said.round == number, "round", seen=said.round, needed=number)
    expected = _expected(found, phase, found.of(number))
    rule(said.members == expected, "members", seen=said.members, needed=expected)
    rule(_complete(found) or _late(found, at), "everybody, or past the deadline", seen=at.time, needed=found.deadline)
    few = expected.bit_count() < found.needed
    rule(not few or phase == Phase.KEYING, "enough members", seen=expected.bit_count(), needed=found.needed)
    seconds = found.terms.challenge_seconds if phase == Phase.CHALLENGING else found.terms.phase_seconds
    rule(said.deadline == at.time + seconds, "deadline", seen=said.deadline, needed=at.time + seconds)
    ledger.trainings[said.id] = replace(found, phase=phase, deadline=said.deadline, block=at.block)


@on(model.Voided)
def _voided(said: model.Voided, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, *_VOID)
    rule(said.reason == _VOID[found.phase], "reason", seen=said.reason, needed=_VOID[found.phase])
    rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    rule(at.time > found.deadline, "deadline", seen=at.time, needed=found.deadline)
    few = found.phase in (Phase.REVEALING, Phase.AGGREGATING) or _count(found) < found.needed
    rule(few, "too few members", seen=_count(found), needed=found.needed)
    ledger.trainings[said.id] = replace(found, phase=Phase.VOID, void=model.Reason(said.reason))


@on(model.Finalized)
def _finalized(said: model.Finalized, ledger: Ledger, at: Position) -> None:
    found = _training(ledger, said.id, Phase.CHALLENGING)
    rule(found.position(said.by) is not None, "a joined member", seen=said.by)
    rule(at.time > found.deadline, "challenge window", seen=at.time, needed=found.deadline)
    ledger.trainings[said.id] = replace(found, phase=Phase.FINAL, model=said.model)


@on(model.Attested)
def _attested(said: model.Attested, ledger: Ledger, at: Position) -> None:
    """The last word of each member counts."""
    found, who = _training(ledger, said.id, Phase.FINAL), {said.member}
    rule(found.position(said.member) is not None, "a joined member", seen=said.member)
    same, other = (who, set()) if said.model == found.model else (set(), who)
    ledger.trainings[said.id] = replace(
        found, attested=found.attested - who | same, disputed=found.disputed - who | other
    )


_STEPS = {
    (Phase.JOINING, Phase.KEYING),
    (Phase.KEYING, Phase.CONTRIBUTING),
    (Phase.CONTRIBUTING, Phase.REVEALING),
    (Phase.REVEALING, Phase.AGGREGATING),
    (Phase.AGGREGATING, Phase.CONTRIBUTING),
    (Phase.AGGREGATING, Phase.KEYING),
    (Phase.AGGREGATING, Phase.CHALLENGING),
}

_VOID = {
    Phase.JOINING: model.Reason.TOO_FEW_JOINED,
    Phase.KEYING: model.Reason.TOO_FEW_KEYS,
    Phase.CONTRIBUTING: model.Reason.TOO_FEW_CONTRIBUTIONS,
    Phase.REVEALING: model.Reason.SILENT_AT_REVEAL,
    Phase.AGGREGATING: model.Reason.NO_AGGREGATE,
}
"""Why a phase that is past its deadline makes the training void."""


# --- rounds ---


def _posted(
    ledger: Ledger, said: model.Contributed | model.Revealed, phase: Phase, at: Position
) -> tuple[Training, Round]:
    """The training and its round under way, for what a member posts in time."""
    found = _training(ledger, said.id, phase)
    _seated(found, said.member, said.position)
    _in_time(found, at)
    rule(said.round == found.round, "round", seen=said.round, needed=found.round)
    return found, found.of(said.round)


def _expected(training: Training, phase: Phase, round_: Round) -> int:
    """Whom a phase waits for, as bits of positions."""
    if phase == Phase.KEYING:
        return _bits(range(len(training.seats)))
    return _bits(round_.keys if phase == Phase.CONTRIBUTING else round_.vectors)


def _count(training: Training) -> int:
    """How many have posted what the present phase asks for."""
    round_ = training.of(training.round)
    posted = {Phase.JOINING: training.seats, Phase.KEYING: round_.keys, Phase.CONTRIBUTING: round_.vectors,
              Phase.REVEALING: round_.seeds}  # fmt: skip
    return len(posted.get(training.phase, ()))


def _complete(training: Training) -> bool:
    """Whether all have posted whom the present phase waits for."""
    round_ = training.of(training.round)
    if training.phase == Phase.AGGREGATING:
        return not round_.vectors  # the sum is posted: this is the next round already
    waits = {Phase.JOINING: training.terms.seats, Phase.KEYING: len(training.seats),
             Phase.CONTRIBUTING: len(round_.keys), Phase.REVEALING: len(round_.vectors)}  # fmt: skip
    return _count(training) == waits[training.phase]


def _late(training: Training, at: Position) -> bool:
    """Whether a phase may end without some: seeds and sums cannot be done without."""
    return at.time > training.deadline and training.phase not in (Phase.REVEALING, Phase.AGGREGATING)


def _training(ledger: Ledger, training: TrainingId, *phases: Phase) -> Training:
    found = ledger.trainings.get(training)
    rule(found is not None, "an open training", seen=training)
    assert found is not None
    rule(not phases or found.phase in phases, "phase", seen=found.phase.name, needed=[p.name for p in phases])
    return found


def _seated(training: Training, member: Address, position: int) -> None:
    rule(training.position(member) == position, "seat", seen=(member, position), needed=training.position(member))


def _in_time(training: Training, at: Position) -> None:
    rule(at.time <= training.deadline, "deadline", seen=at.time, needed=training.deadline)


def _put(ledger: Ledger, training: Training, round_: Round) -> None:
    others = [r for r in ledger.trainings[training.id].rounds if r.number != round_.number]
    rounds = tuple(sorted([*others, round_], key=lambda r: r.number))
    ledger.trainings[training.id] = replace(ledger.trainings[training.id], rounds=rounds)


def _bits(positions: Iterable[int]) -> int:
    return sum(1 << p for p in positions)
