"""Training: open one with a public plan, join it with a dataset, take part until it is final, read what it came to.

The steps of the secure sum are `trainer`'s; what they compute is `federation`'s.

    opened = open_training(node, plan, seats=4)
    join(node, opened.id, dataset)
    run(node, opened.id, deadline_seconds=600)
    challenge(node, opened.id)                      # where a posted sum is wrong
    result(node, opened.id)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from federation.algorithms.judging import Report
from federation.errors import FederationError
from node import canon, mapped, model, models
from node import ledger as rules
from node.alone import Alone, alone_of
from node.chain import typed
from node.db import operations
from node.db.records import Operation
from node.documents import PublicKey, digest_of
from node.errors import Conflict, NotFinal, Refused, Retry
from node.kept import share_key
from node.ledger import require_active, training_of
from node.model import Address, DatasetId, Digest, Phase, TrainingId, TrainingTerms, TxHash, Use
from node.sums import Plan, check_noise, noise_of
from node.trainer import Trainer, is_over, place_of, plan_of, table_of, translated
from node.wiring import Node


@dataclass(frozen=True, slots=True)
class OpenedTraining:
    id: TrainingId
    plan: Digest
    tx: TxHash
    gas: int
    already: bool


@dataclass(frozen=True, slots=True)
class JoinedTraining:
    id: TrainingId
    dataset: DatasetId
    version: int
    tx: TxHash
    gas: int
    already: bool


@dataclass(frozen=True, slots=True)
class Objected:
    """What was said against a posted sum: by `challenge`, which voids it, or by `overrule`, a vote."""

    id: TrainingId
    round: int
    poster: Address
    by: str
    tx: TxHash
    gas: int


@dataclass(frozen=True)
class Result:
    """What a training came to. `evaluation` on held-out records where the plan holds some out; `attested` by whom;
    `alone`: what our own records alone would have given us, where it was asked for, for nobody's eyes but ours."""

    id: TrainingId
    title: str
    algorithm: str
    phase: str
    rounds: int
    records: int
    columns: tuple[str, ...]
    weights: tuple[float, ...]
    evaluation: Report | None
    model: Digest
    attested: tuple[Address, ...]
    alone: Alone | None = None


def open_training(
    node: Node,
    plan: Plan,
    *,
    seats: int,
    minimum: int = 3,
    threshold: int | None = None,
    spares: int = 2,
    join_seconds: int = 86_400,
    phase_seconds: int = 3_600,
    challenge_seconds: int = 3_600,
    epsilon: int | None = None,
    key: str | None = None,
) -> OpenedTraining:
    """Publish the plan and open a training for `seats` members. Idempotent under `key`, which is made from plan and
    terms where none is given: other terms are another training, and so are the same ones once theirs is void.

    `epsilon`: thousandths that each joining version spends; what the plan's noise costs, unless more is asked for.
    Raises Refused for a stranger, for less epsilon than the noise costs, and in the contract's words for terms it does
    not take; Conflict, naming what differs, where `key` stands for another plan or other terms.
    """
    require_active(node.ledger, node.me)
    if epsilon is None:
        noise = noise_of(plan)
        epsilon = noise.epsilon if noise else 0
    terms = TrainingTerms(
        plan=mapped.plan_digest(plan), ring=_model_width(plan), seats=seats, minimum=minimum,
        threshold=threshold or seats * 2 // 3 + 1, rounds=plan.params.rounds, spares=spares, join_seconds=join_seconds,
        phase_seconds=phase_seconds, challenge_seconds=challenge_seconds, epsilon=epsilon,
    )  # fmt: skip
    check_noise(plan, terms)
    task = _begun(node, f"open:{key or canon.digest(asdict(terms)).hex()}", terms)
    number = _born(node, task)
    if task.done:
        return OpenedTraining(number, terms.plan, TxHash(task.state["tx"]), int(task.state["gas"]), already=True)
    node.put_bytes(plan.encode())
    sent = node.send(f"open:{number}", "Trainings", "open", task.state["salt"], terms, purpose=f"open {plan.title}")
    node.finish(task.key, {"tx": sent.tx, "gas": sent.gas})
    return OpenedTraining(number, terms.plan, sent.tx, sent.gas, already=False)


def join(node: Node, number: TrainingId, dataset: DatasetId) -> JoinedTraining:
    """Join with the current version of one of our datasets, checked against the plan before anything is sent.

    Where `hanse mapping set` has a mapping for the plan, the table goes through it, and its digest is fixed with ours.

    Raises Refused naming the clause: not ours, not for training, a value the plan does not allow, budget, seats;
    Conflict where we joined already, with another dataset or another version of the mapping.
    """
    training = training_of(node.ledger, number)
    found = rules.dataset_of(node.ledger, dataset)
    key, version = f"join:{number}", found.current.number
    seat = next((s for s in training.seats if s.member == node.me), None)
    with node.db.reading() as tx:
        task = operations.find(tx, key)
    if seat is not None and seat.dataset != dataset:
        raise Conflict("joined with another dataset already", clause="dataset", seen=dataset, needed=seat.dataset)
    if seat is not None and (task is None or task.done):
        mapped.require_joined_with(node, training)
        state: Mapping[str, Any] = task.state if task else {}
        return JoinedTraining(
            number, dataset, seat.version, TxHash(state.get("tx", "")), int(state.get("gas", 0)), already=True
        )
    if seat is not None:  # a run was killed before it could note that it had joined
        version, digest = seat.version, seat.hpke
    else:
        _require_joinable(node, training, found)
        plan, mapping = plan_of(node, training), mapped.current(node, training.terms.plan)
        check_noise(plan, training.terms)
        table_of(node, plan, dataset, version, mapping)
        fixed = digest_of(mapping) if mapping else None
        digest = node.put_document(PublicKey(node.me, share_key(node, number).public.hex(), fixed))
        with node.db.writing() as tx:
            operations.begin(tx, "join", key, {"dataset": dataset, "version": version}, at=node.clock())
    sent = node.send(key, "Trainings", "join", number, dataset, version, digest, purpose="join a training")
    node.finish(key, {"tx": sent.tx, "gas": sent.gas})
    return JoinedTraining(number, dataset, version, sent.tx, sent.gas, already=seat is not None)


def run(
    node: Node, number: TrainingId, *, deadline_seconds: float, progress: Callable[[str], None] | None = None
) -> Result:
    """Take our part in a training until it is final; a chain or a member that does not answer is asked again till then.

    Raises NotFinal after the deadline; run again to go on."""
    trainer, until, said = Trainer(node, number), time.monotonic() + deadline_seconds, ""
    while (tried := _tried(trainer)) is not None:
        acted, state = tried
        if acted or state != said:
            (progress or _silent)(state)
        said = state
        if time.monotonic() > until:
            raise NotFinal("the training is still running", clause="deadline", seen=said, needed="final")
        if not acted:
            time.sleep(node.settings.poll)
    return result(node, number)


def _tried(trainer: Trainer) -> tuple[bool, str] | None:
    """Whether there was a step to take, and how the training stands, in words; None where it is over."""
    try:
        if trainer.finished():
            return None
        trainer.node.follow()
        return trainer.step(), trainer.phase()
    except Retry as exc:
        return False, f"{trainer.phase()}, waiting: {exc.message}"


def challenge(node: Node, number: TrainingId) -> Objected:
    """Make every posted sum again, and object to the first wrong one; a running node does so by itself.

    Raises Refused where all sums are right, and in the contract's words where it does not let us object.
    """
    trainer = Trainer(node, number)
    try:
        objection = trainer.objection()
    except FederationError as exc:
        raise translated(exc) from exc
    if objection is None:
        raise Refused("every posted sum is that of its contributions", clause="sum",
                      seen=f"{len(trainer.training.sums)} right sums", needed="a wrong one")  # fmt: skip
    sent = node.send(objection.key(number), "Trainings", objection.function, number, *objection.args,
                     purpose=f"{objection.function} in a training")  # fmt: skip
    return Objected(number, objection.round, objection.poster, objection.function, sent.tx, sent.gas)


def result(node: Node, number: TrainingId, *, alone: bool = False) -> Result:
    """What the sums say, derived here from the plan and the posted sums. NotFinal before the last round.

    `alone`: beside it what our own records alone would have given us, which takes as long as our part in the training.
    """
    training = training_of(node.ledger, number)
    if training.phase == Phase.VOID:
        raise Refused("the training is void", clause="phase", seen=training.void.name.lower(), needed="final")
    if training.phase not in (Phase.CHALLENGING, Phase.FINAL):
        raise NotFinal(
            "the training is still running", clause="phase", seen=training.phase.name.lower(), needed="final"
        )
    trainer = Trainer(node, number)
    plan, state = trainer.plan, trainer.state()
    trained = models.model_of(plan, state, number)
    return Result(
        id=number, title=plan.title, algorithm=plan.algorithm, phase=training.phase.name.lower(),
        rounds=len(training.sums), records=models.records_of(plan, state), columns=trained.columns,
        weights=tuple(trained.weights.tolist()), evaluation=models.evaluation_of(plan, state), model=training.model,
        attested=tuple(sorted(training.attested)), alone=alone_of(trainer, state) if alone else None,
    )  # fmt: skip


def joined(node: Node) -> list[TrainingId]:
    """Trainings in which we have a seat and something may still be due."""
    mine = [t for t in node.ledger.trainings.values() if t.position(node.me) is not None]
    return [t.id for t in mine if not is_over(node, t)]


def _begun(node: Node, key: str, terms: TrainingTerms) -> Operation:
    """The operation with its salt, and so the training's id, fixed. Begun anew once the earlier training is void."""
    wanted = asdict(terms)
    with node.db.writing() as tx:
        task = operations.find(tx, key)
        if task is None or _is_void(node, _born(node, task)):
            # A crash here leaves an id that nobody has seen: the next run takes it up.
            state = {"salt": model.digest(os.urandom(32)), "terms": wanted}
            task = operations.restart(tx, "open", key, state, at=node.clock())
    fixed = task.state["terms"]
    if differ := [name for name in wanted if wanted[name] != fixed[name]]:
        raise Conflict("this key stands for another training", clause="key", seen=_said(wanted, differ),
                       needed=f"{_said(fixed, differ)}, or another key")  # fmt: skip
    return task


def _born(node: Node, task: Operation) -> TrainingId:
    place = place_of(node)
    return TrainingId(typed.born_id(place.chain_id, place.trainings, node.me, Digest(task.state["salt"])))


def _is_void(node: Node, number: TrainingId) -> bool:
    found = node.ledger.trainings.get(number)
    return found is not None and found.phase == Phase.VOID


def _said(terms: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {terms[name]}" for name in names)


def _require_joinable(node: Node, training: rules.Training, found: rules.Dataset) -> None:
    if found.owner != node.me:
        raise Refused("a training is joined with one's own dataset", clause="owner", seen=node.me, needed=found.owner)
    if not found.current.content.uses & Use.TRAIN:
        raise Refused("the version may not be trained on", clause="use", seen="read", needed="train",
                      hint="publish a version whose offer allows training")  # fmt: skip
    if training.phase != Phase.JOINING:
        raise Refused("the training takes no more members", clause="phase", seen=training.phase.name.lower(),
                      needed="joining")  # fmt: skip


def _model_width(plan: Plan) -> int:
    first = plan.steps.layout(plan.params, plan.steps.start(plan.params))
    return first.width


def _silent(text: str) -> None:
    """Progress that nobody watches."""
