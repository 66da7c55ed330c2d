"""From what the chain says of a round to the terms of the secure sum, and back: shared by members and auditors.

    round = round_of(place, training, ledger_round)
    total = total_of(place, training, ledger_round, blobs)      # the sum from public bytes, bit for bit
    assert vector_of(to_bytes(total), cid) == ledger_round.total
    history_of(training).sums[-1]                               # the newest sum as the contract hashed it

Pure: bytes come in as arguments. The plan is the public document that says what the rounds compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from federation import records
from federation.algorithms import Algorithm, advance
from federation.algorithms.known import named
from federation.errors import FederationError
from federation.privacy import Noise
from federation.securesum import Bundle, Context, Keys, Reveal, Roster, Round, Secrets, Share, aggregate, recover
from federation.securesum.round import Address as Member
from federation.vectors import Lanes, from_bytes, ring
from node import canon, ledger, merkle, model
from node.errors import Misuse, Refused, Untrusted
from node.evidence import History, rolled, start_of
from node.model import Address, Digest, TrainingId

PLAN_SCHEMA = "hanse/plan/1"
PLAN_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where trainings happen: in every derivation of a mask, so that none fits another chain or contract."""

    chain_id: int
    trainings: Address


@dataclass(frozen=True)
class Plan:
    """What a training computes: public, digested on chain, the same for everybody. `params`: the algorithm's."""

    title: str
    algorithm: str
    params: Any

    @property
    def steps(self) -> Algorithm[Any, Any]:
        return named(self.algorithm)

    def encode(self) -> bytes:
        """Canonical JSON of the plan."""
        params = records.plain(self.params)
        return canon.encode({"schema": PLAN_SCHEMA, "title": self.title, "algorithm": self.algorithm, "params": params})

    @classmethod
    def decode(cls, data: bytes) -> Plan:
        """Raises Untrusted for bytes that are not exactly a plan."""
        document = canon.parse(data, limit=PLAN_LIMIT)
        if document.get("schema") != PLAN_SCHEMA:
            raise Untrusted("not a plan", clause="schema", seen=document.get("schema"), needed=PLAN_SCHEMA)
        try:
            plan = plan_of(document["title"], document["algorithm"], document["params"])
        except (KeyError, TypeError, Misuse) as exc:
            raise Untrusted(f"not a plan this node can run: {exc}", clause="plan") from exc
        if plan.encode() != data:
            raise Untrusted("the plan has fields this node does not know", clause="plan")
        return plan


def plan_of(title: str, algorithm: str, params: Mapping[str, Any]) -> Plan:
    """A plan from parsed JSON. Raises Misuse for an unknown algorithm or parameters that are not its own."""
    try:
        return Plan(title, algorithm, records.parse(named(algorithm).params, dict(params)))
    except FederationError as exc:
        raise Misuse(f"the plan does not fit: {exc}", clause=exc.clause) from exc


def noise_of(plan: Plan) -> Noise | None:
    """The noise that every member adds, None for a plan without any."""
    found: Noise | None = getattr(plan.params, "noise", None)
    return found


def check_noise(plan: Plan, terms: model.TrainingTerms) -> None:
    """Refuse terms that do not spend what the plan's noise costs, or let fewer survive than it counts on."""
    noise, fewest = noise_of(plan), max(terms.minimum, terms.threshold)
    if noise is None:
        return
    if terms.epsilon < noise.epsilon:
        raise Refused("the training spends less than the plan's noise costs", clause="epsilon", seen=terms.epsilon,
                      needed=noise.epsilon)  # fmt: skip
    if fewest < noise.survivors:
        raise Refused("the noise counts on more survivors than a sum may have", clause="survivors", seen=fewest,
                      needed=noise.survivors)  # fmt: skip


def state_after(plan: Plan, totals: list[bytes], *, width: int) -> Any:
    """The algorithm's state that follows from the sums so far; everybody derives the same one."""
    state = plan.steps.start(plan.params)
    for total in totals:
        state = advance(plan.steps, plan.params, state, from_bytes(width, total))
    return state


def context_of(place: Place, training: TrainingId, number: int) -> Context:
    return Context(
        chain=place.chain_id.to_bytes(32, "big"),
        ledger=model.raw(place.trainings),
        training=model.raw(training),
        round=number.to_bytes(32, "big"),
    )


def roster_of(training: ledger.Training) -> Roster:
    """The members who joined, with the training's threshold and its fewest survivors."""
    terms = training.terms
    return Roster.of(
        [member_of(seat.member) for seat in training.seats], threshold=terms.threshold, floor=terms.minimum
    )


def member_of(account: Address) -> Member:
    return Member(model.raw(account))


def keys_of(keys: model.Keys) -> Keys:
    """A member's published keys with the point in full. Raises Untrusted where x is on no point of secp256k1."""
    import coincurve

    try:
        point = coincurve.PublicKey(bytes([2 + keys.parity]) + model.raw(keys.x)).format(compressed=False)[1:]
    except ValueError as exc:
        raise Untrusted("the posted key is no point of secp256k1", clause="point", seen=keys.x) from exc
    return Keys(point, model.raw(keys.seed))


def posted(keys: Keys, shares: Digest) -> model.Keys:
    """The chain's form of a member's keys: x, parity of y, the seed's digest, the bundle's digest."""
    return model.Keys(model.digest(keys.point[:32]), keys.point[63] & 1, model.digest(keys.seed_digest), shares)


def keys_by_member(training: ledger.Training, round_: ledger.Round) -> dict[Member, Keys]:
    """U1: the keys of everybody who posted some for the round."""
    return {member_of(training.seats[at].member): keys_of(keys) for at, keys in round_.keys.items()}


def round_of(place: Place, training: ledger.Training, round_: ledger.Round) -> Round:
    """A round whose survivors are final."""
    survivors = sorted(member_of(training.seats[at].member) for at in round_.vectors)
    context = context_of(place, training.id, round_.number)
    return Round(context, roster_of(training), keys_by_member(training, round_), tuple(survivors))


def unrevealed(training: ledger.Training, round_: ledger.Round) -> dict[Address, model.Keys]:
    """The members whose masks are taken off by others' shares, with the keys they had posted: those that dropped out
    before contributing (their scalars), and survivors that stay silent (their seeds)."""
    gone = sorted(round_.keys.keys() - round_.seeds.keys())
    return {training.seats[at].member: round_.keys[at] for at in gone}


def total_of(
    place: Place, training: ledger.Training, round_: ledger.Round, blobs: Mapping[Address, bytes],
    bundles: Mapping[Address, bytes],
) -> Lanes:  # fmt: skip
    """The round's sum from its contributions (`blobs` by member), seeds and shares on chain, and `bundles` by dealer.

    Raises federation's Untrusted, naming the member, for a seed, a share or a vector that does not fit what was posted;
    its Refused (clause `shares` or `bundle`) where too little is known of a member that did not reveal.
    """
    sum_round = round_of(place, training, round_)
    width = training.terms.ring
    lanes = {member_of(account): from_bytes(width, data) for account, data in blobs.items()}
    return aggregate(sum_round, lanes, secrets_of(sum_round, training, round_, bundles))


def secrets_of(
    sum_round: Round, training: ledger.Training, round_: ledger.Round, bundles: Mapping[Address, bytes]
) -> Secrets:
    """Every secret that the sum needs, from what was revealed on chain. Raises as `total_of` does."""
    parsed = {
        member_of(dealer): Bundle.parse(
            raw, sum_round.context, dealer=member_of(dealer), roster=sum_round.roster_of(member_of(dealer))
        )
        for dealer, raw in bundles.items()
    }
    return recover(sum_round, _reveals_of(training, round_), parsed)


def _reveals_of(training: ledger.Training, round_: ledger.Round) -> list[Reveal]:
    def shares(holder: int, *, of_survivors: bool) -> tuple[Share, ...]:
        return tuple(
            Share(member_of(training.seats[dealer].member), model.raw(share))
            for (by, dealer), share in sorted(round_.shares.items())
            if by == holder and (dealer in round_.vectors) == of_survivors
        )

    return [
        Reveal(
            member_of(training.seats[at].member), model.raw(seed),
            scalar_shares=shares(at, of_survivors=False), seed_shares=shares(at, of_survivors=True),
        )
        for at, seed in sorted(round_.seeds.items())
    ]  # fmt: skip


def by_position(training: ledger.Training, dealers: Iterable[int], shares: Iterable[Share]) -> list[Digest]:
    """Shares as the contract takes them: one for each dealer by ascending position, zero where the holder has none."""
    held = {share.dealer: model.digest(share.share) for share in shares}
    return [held.get(member_of(training.seats[at].member), model.ZERO) for at in sorted(dealers)]


# --- what the board remembers ---


def history_of(training: ledger.Training) -> History:
    """The sums that count, oldest first, and all posts."""
    return History(start_of(training.terms), tuple(_sums(training)), training.posts)


def _sums(training: ledger.Training) -> Iterator[model.Sum]:
    digests = [model.ZERO]
    for post in training.posts:
        digests.append(rolled(digests[-1], [post]))
    for round_ in training.sums:
        assert round_.total is not None
        assert round_.poster is not None
        keyed = sum(1 << at for at in round_.keys)
        posts = digests[round_.posted]
        yield model.Sum(round_.number, posts, keyed, round_.survivors, round_.total, round_.poster)


# --- vectors ---


def vector_of(data: bytes, cid_digest: bytes) -> model.Vector:
    """A vector's chain form: RFC 6962 root over 256-byte leaves, the digest in its CID, the number of leaves."""
    return model.Vector(model.digest(merkle.vector_root(data)), model.digest(cid_digest), leaves_of(len(data)))


def leaves_of(size: int) -> int:
    """Leaves of a vector's tree."""
    return -(-size // merkle.LEAF_SIZE)


def vector_size(plan: Plan, state: Any, *, width: int) -> int:
    """Bytes of the coming round's vector."""
    blocks = plan.steps.layout(plan.params, state).blocks
    return sum(block.length for block in blocks) * ring(width).itemsize
