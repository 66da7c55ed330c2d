"""What a member says against a posted sum: a challenge where a wrong leaf can be shown, a vote where it cannot.

    objection = against(node, place, training, Wrong(round_, ours, last, size), note=note)
    node.send(..., "Trainings", objection.function, training.id, *objection.args)

Anybody who holds the contributions can build the evidence: nothing here is secret, no key is needed. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from node import evidence, ledger, model, posted, sums
from node.errors import HanseError, Untrusted
from node.model import Address, Phase, TrainingId, Vector
from node.sums import Place
from node.wiring import Node


@dataclass(frozen=True)
class Objection:
    """A function of Trainings with its arguments after the id; against which round's sum, and whose."""

    function: str
    args: tuple[Any, ...]
    round: int
    poster: Address
    vector: Vector

    def key(self, number: TrainingId) -> str:
        """The outbox's key: the same objection is sent once."""
        return f"{self.function}:{number}:{self.round}:{self.vector.root}:{self.poster}"


@dataclass(frozen=True)
class Wrong:
    """A round whose posted sum is wrong; `ours` (kept in our store, `size` bytes) is right, and the `last` or not."""

    round: ledger.Round
    ours: Vector
    last: bool
    size: int


def against(
    node: Node, place: Place, training: ledger.Training, wrong: Wrong, *, note: Callable[[str], None]
) -> Objection:
    """What voids a wrong sum. Raises Untrusted where neither a proof nor a vote is possible any more."""
    posted_ = wrong.round.total
    assert posted_ is not None
    try:
        false = _posted_sum(node, wrong)
    except HanseError as exc:
        note(f"the sum posted by {wrong.round.poster} cannot be shown: {exc}")
        return _overrule(training, wrong)
    block = evidence.first_difference(posted.vector(node, wrong.ours, node.me, wrong.size), false or b"")
    proof = evidence_for(node, place, training, wrong, block, false=false or b"", note=note)
    return _objection("challenge", wrong.round, proof, wrong.ours, wrong.last)


def evidence_for(
    node: Node, place: Place, training: ledger.Training, wrong: Wrong, block: int, *, false: bytes,
    note: Callable[[str], None],
) -> model.Evidence:  # fmt: skip
    """Evidence about a block, from what is here: contributions, secrets that were revealed, the posted sum."""
    round_ = wrong.round
    owners = {at: (vector, training.seats[at].member) for at, vector in round_.vectors.items()}
    vectors = {at: posted.vector(node, vector, owner, wrong.size) for at, (vector, owner) in owners.items()}
    sum_round = sums.round_of(place, training, round_)
    secrets = sums.secrets_of(sum_round, training, round_, posted.bundles(node, training, round_, note))
    data = evidence.Bytes(vectors, false)
    return evidence.evidence_of(sums.history_of(training), sum_round, secrets, data, block)


def about_the_end(training: ledger.Training, *, done: bool) -> Objection | None:
    """A vote where the newest sum is right and yet ended the training too early, or let it go on too long."""
    newest, complete = training.sums[-1], done or len(training.sums) == training.terms.rounds
    if complete == (training.phase == Phase.CHALLENGING):
        return None
    assert newest.total is not None
    return _overrule(training, Wrong(newest, newest.total, complete, 0))


def untrusted(wrong: Wrong) -> Untrusted:
    """The error that names who posted a wrong sum."""
    posted_ = wrong.round.total
    assert posted_ is not None
    seen = f"{posted_.root} by {wrong.round.poster} in round {wrong.round.number}"
    what = "a posted sum is not the sum of the contributions"
    return Untrusted(what, clause="sum", seen=seen, needed=wrong.ours.root, hint="`hanse training challenge` voids it")


def _posted_sum(node: Node, wrong: Wrong) -> bytes | None:
    """The bytes of the posted sum; None where its tree alone, being of another size, shows it to be wrong."""
    posted_, poster = wrong.round.total, wrong.round.poster
    assert posted_ is not None
    assert poster is not None
    return posted.vector(node, posted_, poster, wrong.size) if posted_.leaves == wrong.ours.leaves else None


def _overrule(training: ledger.Training, wrong: Wrong) -> Objection:
    history = sums.history_of(training)
    newest, before = history.sums[-1], evidence.rolled(history.start, history.sums[:-1])
    if newest.round != wrong.round.number:
        raise untrusted(wrong)
    return _objection("overrule", wrong.round, before, newest, wrong.ours, wrong.last)


def _objection(function: str, round_: ledger.Round, *args: Any) -> Objection:
    assert round_.total is not None
    assert round_.poster is not None
    return Objection(function, args, round_.number, round_.poster, round_.total)
