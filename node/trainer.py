"""One member's part in one training: takes each step of the secure sum when the chain says that it is due.

Every rule is elsewhere: the contract fixes roster, keys, survivors and deadlines, `federation` makes the pure steps,
`sums` translates, `views` confirms what the chain shows, `objections` says what is done about a wrong sum. What is
decided is on disk, sealed, before its message leaves, so a member killed anywhere takes the same step again: the same
keys, the identical contribution, the same answer.

    trainer = Trainer(node, training_id)
    while not trainer.finished(): trainer.step() or wait()
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from federation.algorithms import advance, vector
from federation.errors import FederationError
from federation.errors import Refused as RefusedStep
from federation.errors import Untrusted as UntrustedStep
from federation.privacy import stream
from federation.securesum import MemberState, accept, contribute, deal, draw, reveal, reveal_silent
from federation.securesum.keys import publish
from federation.securesum.round import Address as Member
from federation.tables import Table
from federation.vectors import from_bytes, to_bytes
from node import ledger as rules
from node import mapped, model, models, objections, posted, sums, tables
from node.documents import Mapping, PublicKey
from node.errors import HanseError, NotFinal, Refused, Retry, Untrusted
from node.kept import Kept, drawn_share_key, has_share_key
from node.ledger import training_of
from node.model import NO_KEYS, DatasetId, Digest, Keys, Phase, TrainingId, Vector
from node.sealed import open_own
from node.sums import Place, Plan
from node.views import Views, require_dealt
from node.wiring import Node

TURN_SECONDS = 5
"""How long a member waits for the one before it, before it takes over what any member may post."""

LAPSE_SECONDS = 5
"""How long past a deadline a phase is left alone: what was sent in time may still be on its way."""

OVERTAKEN = ("WrongPhase", "WrongRound", "Late", "TooEarly", "AlreadyIn", "BadHistory", "Honest")
"""Refusals of the contract by which another member, or the clock, was a moment faster."""

_SETTLED = (Phase.CONTRIBUTING, Phase.REVEALING, Phase.RECOVERING)
_ROUND = (Phase.CONTRIBUTING, Phase.REVEALING, Phase.RECOVERING, Phase.AGGREGATING)
_OPEN = (Phase.KEYING, *_ROUND, Phase.CHALLENGING)


class Trainer:
    """This member's part in one training. Keeps what is costly to read: the plan, the table, the sums so far."""

    def __init__(self, node: Node, number: TrainingId) -> None:
        self.node, self.id = node, number
        self.kept = Kept(node, number)
        self.place = place_of(node)
        self.plan = plan_of(node, self.training)
        self._table: Table | None = None
        self._state: Any = self.plan.steps.start(self.plan.params)
        self._known: list[Vector] = []

    @property
    def training(self) -> rules.Training:
        return training_of(self.node.ledger, self.id)

    def phase(self) -> str:
        """In words, with the round."""
        return f"{self.training.phase.name.lower()} {self.training.round}"

    def finished(self) -> bool:
        return is_over(self.node, self.training)

    def step(self) -> bool:
        """Do what is due now; whether anything was. Raises Untrusted where another member's bytes do not hold."""
        training = self.training
        position = training.position(self.node.me)
        if position is None or (training.phase in _OPEN and training.barred >> position & 1):
            return False
        try:
            objection = self.objection() if training.phase in _OPEN and training.sums else None
            return self._object(training, position, objection) if objection else self._take(training, position)
        except FederationError as exc:
            raise translated(exc) from exc

    def _take(self, training: rules.Training, position: int) -> bool:
        if training.phase <= Phase.AGGREGATING and self.node.clock() > training.deadline:
            return self._lapse(training, position)
        if training.phase in _SETTLED and not self.node.is_settled(training.block):
            return False  # a reorg could still bring other keys, or other survivors
        if self._missed(training, position) and self._post_keys(training, position, training.round + 1):
            return True
        steps: dict[Phase, Callable[[rules.Training, int], bool]] = {
            Phase.KEYING: self._key,
            Phase.CONTRIBUTING: self._contribute,
            Phase.REVEALING: self._reveal,
            Phase.RECOVERING: self._recover,
            Phase.AGGREGATING: self._aggregate,
            Phase.CHALLENGING: self._finalize,
            Phase.FINAL: self._attest,
            Phase.VOID: self._wipe,
        }
        take = steps.get(training.phase)
        return take(training, position) if take else False

    def state(self) -> Any:
        """The algorithm's state after all posted sums, each recomputed from its contributions before it counts.

        Raises Untrusted, naming the poster, where a posted sum is another one."""
        wrong = self.wrong_sum()
        if wrong is not None:
            raise objections.untrusted(wrong)
        return self._state

    def wrong_sum(self) -> objections.Wrong | None:
        """The first posted sum that is not that of its contributions, and what it should have been."""
        found = self.training.sums
        if [round_.total for round_ in found[: len(self._known)]] != self._known:
            self._forget()  # a sum that we counted was replaced
        for round_ in found[len(self._known) :]:
            total = self._recomputed(self.training, round_)
            ours = posted.put_vector(self.node, self.id, total)
            if ours != round_.total:
                last = self.plan.steps.done(self.plan.params, self._after(self.training, total))
                return objections.Wrong(round_, ours, last, len(total))
            self._state = self._after(self.training, total)
            self._known.append(ours)
        return None

    def _forget(self) -> None:
        self._state, self._known = self.plan.steps.start(self.plan.params), []

    def _after(self, training: rules.Training, total: bytes) -> Any:
        return advance(self.plan.steps, self.plan.params, self._state, from_bytes(training.terms.ring, total))

    # --- objections ---

    def _object(self, training: rules.Training, position: int, objection: objections.Objection) -> bool:
        """Instead of building on a wrong sum. One proof is enough, so it goes by turns; votes need many."""
        if objection.function == "challenge" and not self._my_turn(training, position):
            return False
        return self._send(objection.function, *objection.args, key=objection.key(self.id))

    def objection(self) -> objections.Objection | None:
        """What is to be said against the sums as they stand; None where they are right. Wrong leaves that can be
        shown are challenged; what cannot be shown is voted on."""
        wrong = self.wrong_sum()
        if wrong is None:
            done = self.plan.steps.done(self.plan.params, self._state)
            return objections.about_the_end(self.training, done=done)
        return objections.against(self.node, self.place, self.training, wrong, note=self.kept.note)

    # --- the steps ---

    def _key(self, training: rules.Training, position: int) -> bool:
        return self._post_keys(training, position, training.round)

    def _missed(self, training: rules.Training, position: int) -> bool:
        """Whether the round goes on without our keys: we are back with the next one."""
        return training.phase in _ROUND and position not in training.of(training.round).keys

    def _post_keys(self, training: rules.Training, position: int, number: int) -> bool:
        if position in training.of(number).keys:
            return False
        return self._send("postKeys", number, self._fresh_keys(training, number))

    def _contribute(self, training: rules.Training, position: int) -> bool:
        number = training.round
        round_ = training.of(number)
        if position in round_.vectors or position not in round_.keys:
            return False
        if not self._confirmed(training):
            return False
        secrets, shares = self.kept.required(number)
        secrets = self._accepted(training, round_, secrets)
        algorithm_state = self.state()
        noise = stream(secrets.scalar)  # the same when we come back: only a member that is not in the sum has it opened
        lanes = vector(self.plan.steps, self.plan.params, algorithm_state, self.own_table(), noise)
        secrets, masked = contribute(secrets, sums.keys_by_member(training, round_), lanes)
        # The decision is on disk before a byte of the masked vector leaves: a resumed member makes the identical one.
        self.kept.put(number, secrets, shares)
        made = posted.put_vector(self.node, self.id, to_bytes(masked))
        more = len(training.sums) + 1 < training.terms.rounds and position not in training.of(number + 1).keys
        following = self._fresh_keys(training, number + 1) if more else NO_KEYS
        return self._send("contribute", number, made, following)

    def _reveal(self, training: rules.Training, position: int) -> bool:
        number = training.round
        round_ = training.of(number)
        if position not in round_.vectors or position in round_.seeds:
            return False
        if not self._holds_all(training, round_) or not self._confirmed(training):
            return False
        secrets, shares = self.kept.required(number)
        secrets, answer = reveal(secrets, sums.round_of(self.place, training, round_))
        # On disk before the seed is out: this member never answers for another survivor set.
        self.kept.put(number, secrets, shares)
        dropped = round_.keys.keys() - round_.vectors.keys()
        opened = sums.by_position(training, dropped, answer.scalar_shares)
        return self._send("reveal", number, model.digest(answer.seed), opened)

    def _confirmed(self, training: rules.Training) -> bool:
        """Whether enough members have signed that they see this round as we do: only then is there a step on it."""
        try:
            Views(self.node, self.place, self.id, training.round, training.phase).confirm(training)
        except NotFinal as exc:
            self.kept.note(str(exc))
            return False
        return True

    def _holds_all(self, training: rules.Training, round_: rules.Round) -> bool:
        """Whether every survivor's vector is here as posted: only then may our seed leave, so that a withheld vector
        means that nobody's mask comes off. Whose vector we lack half-way to the deadline, we accuse."""
        size = sums.vector_size(self.plan, self.state(), width=training.terms.ring)
        lacking = posted.not_held(self.node, training, round_, size)
        for position, why in lacking.items():
            self.kept.note(f"the vector of {training.seats[position].member}: {why}")
        if lacking and self.node.clock() >= training.deadline - training.terms.phase_seconds // 2:
            bits = sum(1 << position for position in lacking)
            self._send("accuse", round_.number, bits, of=f"{round_.number}:{bits}")
        return not lacking

    def _recover(self, training: rules.Training, position: int) -> bool:
        """Open our shares of the seeds of survivors that stayed silent."""
        number = training.round
        round_ = training.of(number)
        if position not in round_.seeds or position in round_.recovered:
            return False
        silent = round_.vectors.keys() - round_.seeds.keys()
        secrets, shares = self.kept.required(number)
        secrets, answer = reveal_silent(secrets, [sums.member_of(training.seats[at].member) for at in silent])
        self.kept.put(number, secrets, shares)
        return self._send("recover", number, sums.by_position(training, silent, answer.seed_shares))

    def _aggregate(self, training: rules.Training, position: int) -> bool:
        if not self._my_turn(training, position):
            return False
        round_ = training.of(training.round)
        self.state()
        try:
            total = self._recomputed(training, round_)
        except RefusedStep as no:  # too few shares of who did not reveal: without them there is no sum
            self.kept.note(str(no))
            return False
        made = posted.put_vector(self.node, self.id, total)
        last = self.plan.steps.done(self.plan.params, self._after(training, total))
        return self._send("aggregate", round_.number, made, last)

    def _finalize(self, training: rules.Training, position: int) -> bool:
        if self.node.clock() <= training.deadline or not self._my_turn(training, position, since=training.deadline):
            return False
        return self._send("finalize", self._put_model())

    def _attest(self, training: rules.Training, position: int) -> bool:
        wiped = self._wipe(training, position)
        if training.answered(self.node.me):
            return wiped
        mine = self._put_model()
        self._send("attest", mine)
        if mine != training.model:
            raise Untrusted(
                "the posted model is not what the sums say", clause="model", seen=training.model, needed=mine
            )
        return True

    def _wipe(self, training: rules.Training, position: int) -> bool:
        """The training is over: our secrets go, with those of the keys for a round that never came."""
        return self.kept.wipe(rounds=training.round + 2)

    def _lapse(self, training: rules.Training, position: int) -> bool:
        """End a phase that somebody let pass: on to the next, or void."""
        if not self._my_turn(training, position, since=training.deadline + LAPSE_SECONDS):
            return False
        return self._send("lapse", of=f"{training.round}:{training.phase.name}")

    # --- keys and shares ---

    def _fresh_keys(self, training: rules.Training, number: int) -> Keys:
        """Keys for a round: those already drawn, or new ones, dealt to all holders and kept before they are posted."""
        kept = self.kept.find(number)
        if kept is None:
            require_dealt(self.kept, training, number)
            context = sums.context_of(self.place, self.id, number)
            secrets, _ = draw(context, sums.member_of(self.node.me), os.urandom)
            secrets, bundle = deal(secrets, sums.roster_of(training), self._share_keys(training), os.urandom)
            shares = self.node.put_bytes(bundle.encode())
            self.kept.put(number, secrets, shares)
            kept = (secrets, shares)
        return sums.posted(publish(kept[0].scalar, kept[0].seed), kept[1])

    def _share_keys(self, training: rules.Training) -> dict[Member, bytes]:
        found = {}
        for seat in training.seats:
            document = self.node.get_document(PublicKey, seat.hpke, member=seat.member)
            if document.member != seat.member:
                raise Untrusted("another member's share key", clause="hpke", seen=document.member, needed=seat.member)
            found[sums.member_of(seat.member)] = bytes.fromhex(document.key)
        return found

    def _accepted(self, training: rules.Training, round_: rules.Round, secrets: MemberState) -> MemberState:
        """The shares that the others dealt us; a dealer whose bundle does not hold is gone on without."""
        mine = drawn_share_key(self.node, self.id)
        held = {one.dealer for one in secrets.held}
        for position, keys in round_.keys.items():
            dealer = training.seats[position].member
            if dealer == self.node.me or sums.member_of(dealer) in held:
                continue
            try:
                raw = self.node.get_bytes(keys.shares, member=dealer)
                secrets = accept(secrets, sums.member_of(dealer), raw, mine)
            except (Untrusted, FederationError) as exc:
                self.kept.note(f"the shares dealt by {dealer} do not hold: {exc}")
            except Retry:
                if self.node.clock() < training.deadline - training.terms.phase_seconds // 2:
                    raise
                self.kept.note(f"the shares dealt by {dealer} are served by nobody")
        return secrets

    # --- sums ---

    def _put_model(self) -> Digest:
        return self.node.put_bytes(models.encode_model(self.plan, self.state(), self.id))

    def _recomputed(self, training: rules.Training, round_: rules.Round) -> bytes:
        """The sum of the first round not yet known, from its contributions and the revealed seeds."""
        size = sums.vector_size(self.plan, self._state, width=training.terms.ring)
        return posted.total_again(self.node, self.place, training, round_, size=size, note=self.kept.note)

    def own_table(self) -> Table:
        """The records that we joined with, as the plan wants them. Raises NotFound where they are no longer here."""
        if self._table is None:
            seat = next(s for s in self.training.seats if s.member == self.node.me)
            key = self.node.get_document(PublicKey, seat.hpke)
            # The mapping we joined with, whatever was set since: the digest on chain fixes it.
            mapping = mapped.required(self.node, key.mapping) if key.mapping else None
            self._table = table_of(self.node, self.plan, seat.dataset, seat.version, mapping)
        return self._table

    # --- sending ---

    def _my_turn(self, training: rules.Training, position: int, *, since: int | None = None) -> bool:
        """What any member may post falls to one after the other: first to the round's own, then to the next in line."""
        terms = training.terms
        lasts = terms.challenge_seconds if training.phase == Phase.CHALLENGING else terms.phase_seconds
        start = since if since is not None else training.deadline - lasts
        place_in_line = (position - training.round) % len(training.seats)
        return self.node.clock() >= start + place_in_line * TURN_SECONDS

    def _send(self, function: str, *args: Any, of: str = "", key: str = "") -> bool:
        """Post it, once for each round (or `of` something else). False where others, or the clock, were faster."""
        which = of or next((str(arg) for arg in args if isinstance(arg, int)), "")
        try:
            self.node.send(key or f"{function}:{self.id}:{which}", "Trainings", function, self.id, *args,
                           purpose=f"{function} in a training")  # fmt: skip
        except Refused as no:
            if no.clause not in OVERTAKEN:
                raise
            self.node.follow()
            return False
        return True


def is_over(node: Node, training: rules.Training) -> bool:
    """Whether nothing is left to do for us: void, or final and answered; and our secrets are wiped."""
    if training.phase not in (Phase.FINAL, Phase.VOID):
        return False
    if training.position(node.me) is None:
        return True
    answered = training.phase == Phase.VOID or training.answered(node.me)
    return answered and not has_share_key(node, training.id)


def place_of(node: Node) -> Place:
    return Place(node.chain.chain_id, node.directory.address("Trainings"))


def plan_of(node: Node, training: rules.Training) -> Plan:
    """The public plan of a training."""
    return Plan.decode(node.get_bytes(training.terms.plan, member=training.opener))


def table_of(
    node: Node, plan: Plan, dataset: DatasetId, version: int, mapping: Mapping | None = None
) -> Table:  # fmt: skip
    """Our records as the plan wants them, through our mapping where there is one. Raises Refused naming the column and
    the value that does not fit."""
    with open_own(node, dataset, version) as file:
        own = tables.columns(file)
    try:
        columns = mapped.columns(plan, mapping, own) if mapping else own
        return plan.steps.prepare(plan.params, columns)
    except KeyError as exc:
        raise Refused("the plan asks for a column that this version lacks", clause="column", seen=", ".join(own),
                      needed=str(exc).strip("'")) from exc  # fmt: skip
    except FederationError as exc:
        raise translated(exc) from exc


def translated(exc: FederationError) -> HanseError:
    """A refusal of the library in the node's words."""
    if isinstance(exc, UntrustedStep):
        culprit = f"0x{exc.culprit.hex()}" if exc.culprit else None
        return Untrusted(exc.message, clause=exc.clause, seen=culprit)
    return Refused(exc.message, clause=exc.clause, seen=getattr(exc, "seen", None), needed=getattr(exc, "needed", None))
