"""Checks 13 to 19: plans, contributions, reveals, sums, transcripts, models, privacy budgets.

Every sum is made again from the masked vectors, the revealed seeds and the opened shares, bit for bit, and the model
again from the sums. Rounds that were lost gave no sum: of theirs there are only rules and transcripts to judge.

    check_trainings(sheet, history, blobs)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from federation.algorithms import advance
from federation.errors import FederationError
from federation.errors import Refused as Unopened
from federation.vectors import from_bytes, to_bytes
from node import evidence, merkle, model, models, sums
from node.audit.blobs import RAW_LEAVES, Blobs, vector_cid
from node.audit.history import History
from node.audit.report import Sheet
from node.documents import PublicKey
from node.errors import HanseError, Refused, Retry, Untrusted
from node.ledger import Round, Seat, Training
from node.model import Address, Digest, Event, Phase, Reason, Vector
from node.store import Cid, dag

_OPEN = "the training is not finished"


def check_trainings(sheet: Sheet, history: History, blobs: Blobs) -> None:
    """Checks 13 to 19 for every training."""
    trainings = history.ledger.trainings
    blobs.bring(cid for training in trainings.values() for cid in _small(training))
    for training in trainings.values():
        _check_training(sheet, history, blobs, training)
    for (dataset, number), spent in history.ledger.spent.items():
        with sheet.check(19, f"dataset {dataset} version {number}"):
            _check_budget(history, dataset, number, spent)
    if "Trainings" in history.unsound:
        for check in range(13, 20):
            sheet.leave(check, "Trainings", history.unsound["Trainings"])


def _small(training: Training) -> Iterator[Cid]:
    yield Cid.raw(model.raw(training.terms.plan))
    for seat in training.seats:
        yield Cid.raw(model.raw(seat.hpke))
    for round_ in _judged(training):
        for vector in (*round_.vectors.values(), *([round_.total] if round_.total else [])):
            if vector.leaves <= RAW_LEAVES:
                yield vector_cid(vector)


def _check_training(sheet: Sheet, history: History, blobs: Blobs, training: Training) -> None:
    name = f"training {training.id}"
    with sheet.check(13, name) as planned:
        _check_plan(blobs, training)
    for seat in training.seats:
        with sheet.check(13, f"{name} key of {seat.member}"):
            _check_key(blobs, seat)
    totals = _check_rounds(sheet, history, blobs, training)
    with sheet.check(17, name):
        _check_transcript(history, training)
    if training.phase == Phase.VOID:
        return
    if training.phase != Phase.FINAL:
        sheet.leave(18, name, f"{_OPEN}: {training.phase.name.lower()}")
    elif planned.failed or None in totals:
        sheet.leave(18, name, "cannot be derived: see checks 13 to 16", clause="checks 13 to 16")
    else:
        with sheet.check(18, name):
            _check_model(blobs, training, [total for total in totals if total])
            _check_attested(history, training)


# --- 13 ---


def _check_plan(blobs: Blobs, training: Training) -> None:
    """13. The plan is served, can be run, and has the ring and the seats that the chain says."""
    plan, terms = sums.Plan.decode(blobs.block(training.terms.plan)), training.terms
    layout = plan.steps.layout(plan.params, plan.steps.start(plan.params))
    if layout.width != terms.ring:
        raise Untrusted("the plan is for another ring", clause="ring", seen=layout.width, needed=terms.ring)
    try:
        sums.check_noise(plan, terms)
    except Refused as exc:
        raise Untrusted(exc.message, clause=exc.clause, seen=exc.seen, needed=exc.needed) from exc
    if layout.members < len(training.seats):
        raise Untrusted("more members than the plan allows", clause="seats", seen=len(training.seats),
                        needed=f"at most {layout.members}")  # fmt: skip


def _check_key(blobs: Blobs, seat: Seat) -> None:
    """13. The key to which the others seal shares is served, and names its member."""
    key = blobs.document(PublicKey, seat.hpke)
    if key.member != seat.member:
        raise Untrusted("another member's key", clause="member", seen=key.member, needed=seat.member)


# --- 14, 15, 16 ---


def _judged(training: Training) -> list[Round]:
    """Rounds that gave a sum, or may still; not those that were lost, nor the one that made the training void."""
    begun = [round_ for round_ in training.rounds if round_.vectors and round_.lost == Reason.NONE]
    return [round_ for round_ in begun if round_.total is not None or training.phase != Phase.VOID]


def _check_rounds(sheet: Sheet, history: History, blobs: Blobs, training: Training) -> list[bytes | None]:
    """The sum of each round where it is certain. What the plan says of a vector's size bounds what is read of it."""
    totals: list[bytes | None] = []
    for round_ in _judged(training):
        size = _size(blobs, training, totals)
        totals.append(_check_round(sheet, history, blobs, (training, round_, size)))
    return totals


def _size(blobs: Blobs, training: Training, totals: Sequence[bytes | None]) -> int | None:
    """Bytes of the next round's vector; None where the plan, or a sum before, is not certain."""
    try:
        plan = sums.Plan.decode(blobs.block(training.terms.plan))
        state = _state_after(plan, [total for total in totals if total])
        return None if None in totals else sums.vector_size(plan, state, width=training.terms.ring)
    except (HanseError, FederationError):
        return None  # checks 13 and 18 say so


def _check_round(
    sheet: Sheet, history: History, blobs: Blobs, at: tuple[Training, Round, int | None]
) -> bytes | None:  # fmt: skip
    """Judge one round; the sum's bytes where they are certain, None where they are not."""
    training, round_, size = at
    name, failed = f"training {training.id} round {round_.number}", set[int]()
    for position, vector in round_.vectors.items():
        with sheet.check(14, f"{name} of {training.seats[position].member}") as judged:
            _check_vector(blobs, vector, size)
        failed |= {14} if judged.failed else set()
    for position, seed in round_.seeds.items():
        with sheet.check(15, f"{name} of {training.seats[position].member}") as judged:
            _check_seed(seed, round_.keys[position].seed)
        failed |= {15} if judged.failed else set()
    if round_.total is None or failed:
        because = f"check {min(failed)}" if failed else "no sum is posted"
        sheet.leave(16, name, f"cannot be made again: {because}", clause=because)
        return None
    total = None
    with sheet.check(16, name):
        total = _check_sum(history, blobs, training, round_)
    return total


def _check_vector(blobs: Blobs, vector: Vector, size: int | None) -> None:
    """14. The vector is served under its digest, is as long as the plan says, and its tree is the one posted."""
    if size is not None and vector.leaves != -(-size // merkle.LEAF_SIZE):
        raise Untrusted("not as long as the plan says", clause="leaves", seen=vector.leaves, needed=f"{size} bytes")
    _check_tree(blobs.vector(vector), vector)


def _check_tree(data: bytes, posted: Vector) -> None:
    leaves = -(-len(data) // merkle.LEAF_SIZE)
    if leaves != posted.leaves:
        raise Untrusted("the vector is not as long as posted", clause="leaves", seen=leaves, needed=posted.leaves)
    root = model.digest(merkle.vector_root(data))
    if root != posted.root:
        raise Untrusted("the vector is not the one posted", clause="root", seen=root, needed=posted.root)


def _check_seed(seed: Digest, committed: Digest) -> None:
    """15. The seed revealed is the one whose SHA-256 digest was posted before the round."""
    seen = model.digest(hashlib.sha256(model.raw(seed)).digest())
    if seen != committed:
        raise Untrusted("a seed that is not the one committed to", clause="seed", seen=seen, needed=committed)


def _check_sum(history: History, blobs: Blobs, training: Training, round_: Round) -> bytes:
    """16. The sum over contributions less all masks, made again from public bytes, is the one posted."""
    assert round_.total is not None
    place = sums.Place(history.chain.chain_id, history.directory.address("Trainings"))
    contributions = {training.seats[p].member: blobs.vector(vector) for p, vector in round_.vectors.items()}
    try:
        total = to_bytes(sums.total_of(place, training, round_, contributions, _bundles(blobs, training, round_)))
    except Unopened as exc:
        who = ", ".join(sums.unrevealed(training, round_))
        raise Retry(f"a member did not reveal, and what opens its masks is not public: {exc}", clause="shares",
                    seen=who) from exc  # fmt: skip
    except FederationError as exc:
        raise Untrusted(f"the round does not add up: {exc}", clause=exc.clause) from exc
    posted = round_.total
    made = sums.vector_of(total, model.raw(blob_of(total)))
    if made != posted:
        what = f"the sum posted by {round_.poster} is not that of the contributions"
        raise Untrusted(what, clause="sum", seen=_shown(posted), needed=_shown(made))
    blobs.vector(posted)
    return total


def _bundles(blobs: Blobs, training: Training, round_: Round) -> dict[Address, bytes]:
    """The share bundles of those who did not reveal, as far as they are served: they tell good shares from false."""
    found = {}
    for dealer, keys in sums.unrevealed(training, round_).items():
        try:
            found[dealer] = blobs.block(keys.shares)
        except (Retry, Untrusted):
            continue  # a dealer that left may have taken its bundle along: its shares are checked by what they open
    return found


def _shown(vector: Vector) -> str:
    return f"root {vector.root}, blob {vector.blob}, {vector.leaves} leaves"


def blob_of(data: bytes) -> Digest:
    """The digest inside the CID of a vector or a model in the store: a raw block up to 1 MiB, else dag-pb."""
    *_, (root, _) = dag.blocks(dag.pieces([data], dag.UNIXFS_V1_2025.chunk))
    return model.digest(root.digest)


# --- 17 ---


def _check_transcript(history: History, training: Training) -> None:
    """17. Each sum's transcript rolls over the terms, every key and vector posted before it, and the earlier sums."""
    transcript, posts = evidence.start_of(training.terms), model.ZERO
    keyed = 0
    posted: dict[int, tuple[Digest, model.Sum]] = {}
    for event in history.events:
        said = event.said
        if getattr(said, "id", None) != training.id:
            continue
        if isinstance(said, (model.Keyed, model.Contributed)):
            posts = evidence.rolled(posts, [_post(said)])
        elif isinstance(said, model.PhaseChanged) and said.phase == Phase.CONTRIBUTING:
            keyed = said.members
        elif isinstance(said, model.Aggregated):
            made = model.Sum(said.round, posts, keyed, said.survivors, said.vector, said.poster)
            posted[said.round] = (transcript, made)
            transcript = evidence.rolled(transcript, [made])
            _check_said(event, said.transcript, transcript)
        elif isinstance(said, model.Corrected):
            before, wrong = posted[said.round]
            made = replace(wrong, vector=said.vector, poster=said.by)
            posted[said.round] = (before, made)
            transcript = evidence.rolled(before, [made])
            _check_said(event, said.transcript, transcript)


def _post(said: model.Keyed | model.Contributed) -> model.Post:
    vector, keys = (model.NO_VECTOR, said.keys) if isinstance(said, model.Keyed) else (said.vector, said.next)
    return model.Post(said.member, said.position, said.round, vector, keys)


def _check_said(event: Event, seen: Digest, needed: Digest) -> None:
    if seen != needed:
        what = f"event {event.seq}: the transcript does not cover what was posted"
        raise Untrusted(what, clause="transcript", seen=seen, needed=needed)


# --- 18, 19 ---


def _check_model(blobs: Blobs, training: Training, totals: Sequence[bytes]) -> None:
    """18. The model follows from plan and sums, is served, and its digest is the one made final and attested."""
    plan = sums.Plan.decode(blobs.block(training.terms.plan))
    state = _state_after(plan, totals)
    if not plan.steps.done(plan.params, state) and len(totals) < training.terms.rounds:
        raise Untrusted("ended before the plan was done", clause="done", seen=len(totals), needed=training.terms.rounds)
    derived = model.digest(hashlib.sha256(models.encode_model(plan, state, training.id)).digest())
    if derived != training.model:
        raise Untrusted("the model does not follow from plan and sums", clause="model", seen=training.model,
                        needed=derived)  # fmt: skip
    blobs.block(training.model)


def _check_attested(history: History, training: Training) -> None:
    """18. Whoever attested a model attested the final one."""
    for _, said in history.said(model.Attested):
        if said.id == training.id and said.model != training.model:
            raise Untrusted(f"{said.member} attested another model", clause="attested", seen=said.model,
                            needed=training.model)  # fmt: skip


def _state_after(plan: sums.Plan, totals: Sequence[bytes]) -> Any:
    """The algorithm's state after the sums. Untrusted where one is none of this plan's, or came after its end."""
    state = plan.steps.start(plan.params)
    for number, total in enumerate(totals):
        if plan.steps.done(plan.params, state):
            raise Untrusted("rounds after the plan was done", clause="done", seen=len(totals), needed=number)
        try:
            lanes = from_bytes(plan.steps.layout(plan.params, state).width, total)
            state = advance(plan.steps, plan.params, state, lanes)
        except FederationError as exc:
            raise Untrusted(f"the sum is none of this plan's: {exc}", clause=exc.clause) from exc
    return state


def _check_budget(history: History, dataset: model.DatasetId, number: int, spent: int) -> None:
    """19. What trainings spent of a version's epsilon is within its budget, and is what the contract counts."""
    budget = history.ledger.datasets[dataset].versions[number - 1].content.budget
    if spent > budget:
        raise Untrusted("more epsilon spent than the budget has", clause="budget", seen=spent, needed=budget)
    counted = history.chain.call(
        history.directory, "Trainings", "spent", dataset, number, block=history.block.number
    )  # fmt: skip
    if counted != spent:
        raise Untrusted("the contract counts another spending", clause="spent", seen=counted, needed=spent)
