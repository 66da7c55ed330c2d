"""Checks 13 to 19: plans, contributions, reveals, sums, transcripts, models, privacy budgets.

Every sum is made again from the masked vectors and the revealed seeds, bit for bit, and the model again from the sums.

    check_trainings(sheet, history, blobs)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import coincurve

from federation.errors import FederationError
from federation.securesum import Address as Account
from federation.securesum import Context, Keys, Reveal, Roster, aggregate, recover
from federation.securesum import Round as Summed
from federation.vectors import Lanes, from_bytes, to_bytes
from node import merkle, model, plan
from node.audit.blobs import RAW_LEAVES, Blobs, vector_cid
from node.audit.history import History
from node.audit.report import Sheet
from node.documents import PublicKey
from node.errors import Retry, Untrusted
from node.ledger import Round, Training
from node.model import Digest, Event, Phase, Vector
from node.signature import keccak
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
    for round_ in training.rounds:
        for vector in (*round_.vectors.values(), *([round_.total] if round_.total else [])):
            if vector.leaves <= RAW_LEAVES:
                yield vector_cid(vector)


def _check_training(sheet: Sheet, history: History, blobs: Blobs, training: Training) -> None:
    name = f"training {training.id}"
    with sheet.check(13, name):
        _check_plan(blobs, training)
    for seat in training.seats:
        with sheet.check(13, f"{name} key of {seat.member}"):
            key = blobs.document(PublicKey, seat.hpke)
            if key.member != seat.member:
                raise Untrusted("another member's key", clause="member", seen=key.member, needed=seat.member)
    sums = [_check_round(sheet, history, blobs, (training, round_)) for round_ in training.rounds]
    with sheet.check(17, name):
        _check_transcript(history, training)
    _check_model(sheet, blobs, training, sums)


# --- 13 ---


def _check_plan(blobs: Blobs, training: Training) -> None:
    """13. The plan is served, can be run, and has the ring and the seats that the chain says."""
    run = plan.Run(plan.Plan.parse(blobs.block(training.terms.plan)))
    layout, terms = run.layout, training.terms
    if layout.width != terms.ring:
        raise Untrusted("the plan is for another ring", clause="ring", seen=layout.width, needed=terms.ring)
    if layout.members < len(training.seats):
        raise Untrusted("more members than the plan allows", clause="seats", seen=len(training.seats),
                        needed=f"at most {layout.members}")  # fmt: skip


# --- 14, 15, 16 ---


def _check_round(sheet: Sheet, history: History, blobs: Blobs, at: tuple[Training, Round]) -> bytes | None:
    """Judge one round; the sum's bytes where they are certain, None where they are not."""
    training, round_ = at
    name = f"training {training.id} round {round_.number}"
    for position, vector in round_.vectors.items():
        with sheet.check(14, f"{name} of {training.seats[position].member}"):
            _check_vector(blobs, vector)
    for position, seed in round_.seeds.items():
        with sheet.check(15, f"{name} of {training.seats[position].member}"):
            _check_seed(seed, round_.keys[position].seed)
    if round_.total is None:
        if round_.vectors:
            sheet.leave(16, name, f"{_OPEN}: no sum is posted" if training.phase != Phase.VOID else "the round is void")
        return None
    for check in (14, 15):
        if sheet.failed(check, f"{name} "):
            sheet.leave(16, name, f"cannot be made again: see check {check}", clause=f"check {check}")
            return None
    total = b""
    with sheet.check(16, name):
        total = _check_sum(history, blobs, training, round_)
    return total or None


def _check_vector(blobs: Blobs, vector: Vector) -> None:
    """14. The vector is served under its digest, and its tree has the root and the leaves posted."""
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
    dropped = round_.keys.keys() - round_.vectors.keys()
    if dropped:
        who = ", ".join(training.seats[position].member for position in sorted(dropped))
        raise Retry(
            "a member dropped out: the shares that open its masks pass between members and are on no public record",
            clause="dropped", seen=who,
        )  # fmt: skip
    summed = _round(history, training, round_)
    reveals = [Reveal(_account(training, p), seed=model.raw(seed)) for p, seed in sorted(round_.seeds.items())]
    lanes = _Contributions(blobs, training, round_)
    try:
        total = to_bytes(aggregate(summed, lanes, recover(summed, reveals, {})))
    except FederationError as exc:
        raise Untrusted(f"the round does not add up: {exc}", clause=exc.clause) from exc
    posted = round_.total
    made = Vector(model.digest(merkle.vector_root(total)), blob_of(total), -(-len(total) // merkle.LEAF_SIZE))
    if made != posted:
        raise Untrusted(f"the sum posted by {round_.poster} is not the sum of the contributions", clause="sum",
                        seen=(posted.root, posted.blob, posted.leaves), needed=(made.root, made.blob, made.leaves))  # fmt: skip
    blobs.vector(posted)
    return total


class _Contributions(Mapping[Account, Lanes]):
    """The round's vectors, read one at a time: memory is one vector and the sum, whatever the number of members."""

    def __init__(self, blobs: Blobs, training: Training, round_: Round) -> None:
        self._blobs, self._ring = blobs, training.terms.ring
        self._vectors = {_account(training, p): vector for p, vector in round_.vectors.items()}

    def __getitem__(self, member: Account) -> Lanes:
        return from_bytes(self._ring, self._blobs.vector(self._vectors[member]))

    def __iter__(self) -> Iterator[Account]:
        return iter(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)


def _round(history: History, training: Training, round_: Round) -> Summed:
    trainings = history.directory.address("Trainings")
    context = Context(
        _word(history.chain.chain_id), model.raw(trainings), model.raw(training.id), _word(round_.number)
    )  # fmt: skip
    members = [_account(training, p) for p in range(len(training.seats))]
    roster = Roster.of(members, threshold=training.terms.threshold, floor=training.terms.minimum)
    keys = {_account(training, p): Keys(_point(k), model.raw(k.seed)) for p, k in round_.keys.items()}
    return Summed(context, roster, keys, tuple(sorted(_account(training, p) for p in round_.vectors)))


def _point(keys: model.Keys) -> bytes:
    try:
        return coincurve.PublicKey(bytes([2 + keys.parity]) + model.raw(keys.x)).format(compressed=False)[1:]
    except ValueError as exc:
        raise Untrusted("a round key is no point of secp256k1", clause="point", seen=keys.x) from exc


def _account(training: Training, position: int) -> Account:
    return Account(model.raw(training.seats[position].member))


def blob_of(data: bytes) -> Digest:
    """The digest inside the CID of a vector or a model in the store: a raw block up to 1 MiB, else dag-pb."""
    *_, (root, _) = dag.blocks(dag.pieces([data], dag.UNIXFS_V1_2025.chunk))
    return model.digest(root.digest)


# --- 17 ---


def _check_transcript(history: History, training: Training) -> None:
    """17. Each sum's transcript rolls over the terms, every key and vector posted before it, and the earlier sums."""
    transcript, posts = keccak(_words(*_values(training.terms))), bytes(32)
    for event in history.events:
        said = event.said
        if getattr(said, "id", None) != training.id:
            continue
        if isinstance(said, model.Keyed):
            posts = keccak(_words(posts, said.member, said.position, said.round, *_values(said.keys)))
        elif isinstance(said, model.Contributed):
            head = (posts, said.member, said.position, said.round)
            posts = keccak(_words(*head, *_values(said.vector), *_values(said.next)))
        elif isinstance(said, model.Aggregated):
            head = (transcript, said.round, posts, said.survivors)
            transcript = keccak(_words(*head, *_values(said.vector), said.poster))
            _check_said(event, said.transcript, model.digest(transcript))


def _check_said(event: Event, seen: Digest, needed: Digest) -> None:
    if seen != needed:
        what = f"event {event.seq}: the transcript does not cover what was posted"
        raise Untrusted(what, clause="transcript", seen=seen, needed=needed)


def _values(record: model.TrainingTerms | model.Keys | Vector) -> Sequence[str | int]:
    return [getattr(record, name) for name in record.__slots__]


def _words(*values: str | int | bytes) -> bytes:
    """abi.encode of value types: one word of 32 bytes each."""
    return b"".join(_word(value) for value in values)


def _word(value: str | int | bytes) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(32, "big")
    return (model.raw(value) if isinstance(value, str) else value).rjust(32, b"\0")


# --- 18, 19 ---


def _check_model(sheet: Sheet, blobs: Blobs, training: Training, sums: Sequence[bytes | None]) -> None:
    name = f"training {training.id}"
    if training.phase == Phase.VOID:
        return
    if training.phase != Phase.FINAL:
        return sheet.leave(18, name, f"{_OPEN}: {training.phase.name.lower()}")
    if sheet.failed(13, name) or None in sums:
        return sheet.leave(18, name, "cannot be derived: see checks 13 to 16", clause="checks 13 to 16")
    with sheet.check(18, name):
        _check_derived(blobs, training, [total for total in sums if total])


def _check_derived(blobs: Blobs, training: Training, sums: Sequence[bytes]) -> None:
    """18. The model follows from plan and sums, is served, and its digest is the one made final and attested."""
    run = plan.Run(plan.Plan.parse(blobs.block(training.terms.plan)))
    for number, total in enumerate(sums):
        if run.done:
            raise Untrusted("rounds after the plan was done", clause="done", seen=len(sums), needed=number)
        run.advance(total)
    if not run.done and len(sums) < training.terms.rounds:
        raise Untrusted("ended before the plan was done", clause="done", seen=len(sums), needed=training.terms.rounds)
    derived = run.model()
    if blob_of(derived) == training.model:
        blobs.file(_model_cid(training, len(derived)), len(derived))
    elif run.plan.tolerance > 0:
        plan.same_model(_served(blobs, training, len(derived)), derived, run.plan.tolerance)
    else:
        raise Untrusted("the model does not follow from plan and sums", clause="model", seen=training.model,
                        needed=blob_of(derived))  # fmt: skip


def _served(blobs: Blobs, training: Training, size: int) -> bytes:
    cid = _model_cid(training, size)
    blobs.file(cid, 2 * size)
    with blobs.open(cid) as file:
        return file.read()


def _model_cid(training: Training, size: int) -> Cid:
    digest = model.raw(training.model)
    return Cid.raw(digest) if size <= 1 << 20 else Cid.dag_pb(digest)


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


