"""A round with a board of its own and edges that an attack may break: what the adversary matrix is played on.

Members run the real steps. The board is the ledger, and honest: it fixes who posted what (digests, roots), U1 and U3.
What a member is *shown* of it, what stores serve, and what the evil member posts are edges; an attack replaces some.
Each member makes the checks that a node makes: bytes against what the board says, every vector held before it reveals.

    played = play(Attack(...), n=4, rand=rand)
    played.said       # who stopped over what: (member, clause, culprit)
    played.total      # the sum that every honest member made again, or None

It is not a ledger's rules and has no clock: that late posts are refused is for the contract's tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from federation import records
from federation.errors import FederationError, Refused, Untrusted
from federation.securesum import (
    Address,
    Bundle,
    Context,
    Keys,
    MemberState,
    Reveal,
    Roster,
    Round,
    ShareKey,
    accept,
    aggregate,
    contribute,
    deal,
    draw,
    recover,
    reveal,
    reveal_silent,
)
from federation.simulate import addresses, context_of
from federation.vectors import Lanes
from tests.federation.knowledge import Seen

LANES = 24
ROUND = context_of(1)


Breaks: TypeAlias = "Callable[[Table], None]"


@dataclass(frozen=True)
class Attack:
    """One row of the matrix: what is tampered where, what must come of it, and who must be named.

    `breaks` replaces edges of the table before the round. `outcome`: "sum" where the right sum is found all the same,
    "spoilt" where it is off by what the evil member chose to send, else the clause over which honest members stop.
    `culprit`: "evil", or "" where there is nobody to name. `noted`: a clause noted of it while the round goes on.
    `three` and `four`: the outcome among so few that nobody can be done without, where it is another one.
    """

    name: str
    breaks: Breaks
    outcome: str
    culprit: str = ""
    noted: str = ""
    three: str = ""
    four: str = ""

    def expected(self, n: int) -> str:
        return {3: self.three or self.outcome, 4: self.four or self.outcome}.get(n, self.outcome)


@dataclass
class Edges:
    """What may be broken, each as it is when nobody lies."""

    context: Callable[[Address, Context], Context] = lambda reader, context: context
    keys_posted: Callable[[Address, Keys], Keys | None] = lambda member, keys: keys
    keys_shown: Callable[[Address, Mapping[Address, Keys]], Mapping[Address, Keys]] = lambda reader, keys: keys
    bundle_posted: Callable[[Address, bytes], bytes] = lambda dealer, raw: raw
    bundle_served: Callable[[Address, Address, bytes], bytes | None] = lambda dealer, reader, raw: raw
    vector_posted: Callable[[Address, bytes], bytes | None] = lambda member, raw: raw
    vector_served: Callable[[Address, Address, bytes], bytes | None] = lambda member, reader, raw: raw
    survivors_shown: Callable[[Address, tuple[Address, ...]], tuple[Address, ...]] = lambda reader, survivors: survivors
    answer_posted: Callable[[Address, Reveal], Reveal | None] = lambda member, answer: answer
    silent_asked: Callable[[Address, tuple[Address, ...]], tuple[Address, ...]] = lambda reader, silent: silent
    total_posted: Callable[[Lanes], Lanes] = lambda total: total


@dataclass
class Table:
    """The members around the board. The last one is evil; it posts the sum, so it is the aggregator as well."""

    members: tuple[Address, ...]
    rand: Callable[[int], bytes]
    edges: Edges = field(default_factory=Edges)
    states: dict[Address, MemberState] = field(default_factory=dict)
    given: dict[Address, Lanes] = field(default_factory=dict)
    keys: dict[Address, Keys] = field(default_factory=dict)
    bundles: dict[Address, bytes] = field(default_factory=dict)
    vectors: dict[Address, bytes] = field(default_factory=dict)
    answers: list[Reveal] = field(default_factory=list)
    said: list[tuple[Address, str, bytes | None]] = field(default_factory=list)
    noted: list[tuple[Address, str, bytes | None]] = field(default_factory=list)
    total: Lanes | None = None
    fooled: int = 0  # how many were shown other final survivors: what they opened adds to what a coalition holds

    def __post_init__(self) -> None:
        self.roster = Roster.of(self.members)
        self.share_keys = {member: ShareKey.draw(self.rand) for member in self.members}
        self.seen = Seen(self.roster, self.states, self.keys)
        for member in self.members:
            self.given[member] = np.frombuffer(self.rand(LANES * 8), dtype="<u8")

    @property
    def evil(self) -> Address:
        return self.members[-1]

    @property
    def victim(self) -> Address:
        return self.members[0]

    @property
    def honest(self) -> tuple[Address, ...]:
        return self.members[:-1]

    def post_keys(self) -> None:
        public = {member: key.public for member, key in self.share_keys.items()}
        for member in self.members:
            state, keys = draw(ROUND, member, self.rand)
            self.states[member], bundle = deal(state, self.roster, public, self.rand)
            posted = self.edges.keys_posted(member, keys)
            if posted is not None:
                self.keys[member] = posted
                self.bundles[member] = self.edges.bundle_posted(member, bundle.encode())

    def take_shares(self) -> None:
        """A dealer whose bundle does not hold is gone on without, and noted."""
        for member in self.members:
            for dealer in self.keys.keys() - {member}:
                try:
                    raw = self._served(self.edges.bundle_served, dealer, member, self.bundles[dealer])
                    self.states[member] = accept(self.states[member], dealer, raw, self.share_keys[member])
                except FederationError as exc:
                    self.noted.append((member, exc.clause, getattr(exc, "culprit", None)))

    def contribute(self) -> None:
        for member in self.members:
            shown = self.edges.keys_shown(member, dict(self.keys))
            lanes = self.given[member].copy()
            made = self._step(member, lambda m=member, k=shown, x=lanes: contribute(self.states[m], k, x))
            if made is None:
                continue
            self.states[member], masked = made
            self.seen.vectors[member], self.seen.among[member] = masked, shown  # late ones left the machine as well
            raw = self.edges.vector_posted(member, masked.tobytes())
            if raw is not None:
                self.vectors[member] = raw

    def reveal(self) -> None:
        survivors = tuple(sorted(self.vectors))
        for member in self.members:
            shown = self.edges.survivors_shown(member, survivors)
            answer = self._step(member, lambda m=member, s=shown: self._reveal(m, s))
            if answer is not None and (posted := self.edges.answer_posted(member, answer)) is not None:
                self.answers.append(posted)
        silent = tuple(sorted(set(survivors) - {answer.member for answer in self.answers if answer.seed}))
        for member in self.members if len(self.answers) >= self.roster.threshold else ():
            asked = self.edges.silent_asked(member, silent)
            if asked and self.states[member].survivors:
                answer = self._step(member, lambda m=member, a=asked: self._reveal_silent(m, a))
                if answer is not None and (posted := self.edges.answer_posted(member, answer)) is not None:
                    self.answers.append(posted)
        self.seen.reveals += self.answers

    def _reveal(self, member: Address, survivors: tuple[Address, ...]) -> Reveal:
        for owner in survivors:
            if owner in self.vectors:
                self._vector(owner, member)
        context = self.edges.context(member, ROUND)
        round = Round(context, self.roster, self.edges.keys_shown(member, dict(self.keys)), survivors)
        self.states[member], answer = reveal(restarted(self.states[member]), round)
        return answer

    def _reveal_silent(self, member: Address, silent: tuple[Address, ...]) -> Reveal:
        self.states[member], answer = reveal_silent(restarted(self.states[member]), silent)
        return answer

    def add_up(self) -> None:
        """The evil member posts the sum; each honest member makes it again from public bytes before it goes on."""
        sums = [self._step(member, lambda m=member: self._sum(m)) for member in self.honest]
        found = next((one for one in sums if one is not None), None)
        if found is None or any(one is None or (one != found).any() for one in sums):
            return
        if (self.edges.total_posted(found.copy()) != found).any():
            self.said += [(member, "sum differs", self.evil) for member in self.honest]
            return
        self.total = found

    def _sum(self, reader: Address) -> Lanes:
        round = Round(ROUND, self.roster, dict(self.keys), tuple(sorted(self.vectors)))
        vectors = {owner: np.frombuffer(self._vector(owner, reader), dtype="<u8") for owner in self.vectors}
        bundles = {}
        for dealer in self.keys.keys() - {answer.member for answer in self.answers if answer.seed}:
            raw = self._served(self.edges.bundle_served, dealer, reader, self.bundles[dealer])
            bundles[dealer] = Bundle.parse(raw, ROUND, dealer=dealer, roster=self.roster)
        secrets = recover(round, self.answers, bundles)
        self.noted += [(reader, "false share", holder) for holder in secrets.false]
        return aggregate(round, vectors, secrets)

    def _vector(self, owner: Address, reader: Address) -> bytes:
        raw = self._served(self.edges.vector_served, owner, reader, self.vectors[owner])
        if len(raw) != LANES * 8:
            raise Untrusted("a vector of another length", clause="length", culprit=owner)
        return raw

    def _served(
        self, edge: Callable[[Address, Address, bytes], bytes | None], owner: Address, reader: Address, posted: bytes
    ) -> bytes:
        """What a store serves, if it is what the owner posted; the board has its digest."""
        raw = posted if owner == reader else edge(owner, reader, posted)
        if raw is None:
            raise Untrusted("served by nobody", clause="withheld", culprit=owner)
        if hashlib.sha256(raw).digest() != hashlib.sha256(posted).digest():
            raise Untrusted("bytes that differ from what was posted", clause="root", culprit=owner)
        return raw

    def _step(self, member: Address, step: Callable[[], Any]) -> Any:
        """What the step gives; None, and who stopped over what, where it is refused. The evil one does not complain."""
        try:
            return step()
        except FederationError as exc:
            if member != self.evil:
                self.said.append((member, exc.clause, culprit_of(exc)))
            return None


def culprit_of(exc: FederationError) -> bytes | None:
    """Who is named: by Untrusted in its field, by Refused for want of shares in its text."""
    if isinstance(exc, Refused) and exc.clause == "shares":
        named = [word for word in str(exc.seen).replace("'", " ").split() if word.startswith("0x")]
        return bytes.fromhex(named[0][2:]) if named else None
    return getattr(exc, "culprit", None)


def restarted(state: MemberState) -> MemberState:
    return records.load(MemberState, records.dump(state))


def play(attack: Attack, *, n: int, rand: Callable[[int], bytes]) -> Table:
    """The round under attack, to its end or to where nobody goes on."""
    table = Table(addresses(n), rand)
    attack.breaks(table)
    table.post_keys()
    table.seen.bundles = {
        dealer: Bundle.parse(raw, ROUND, dealer=dealer, roster=table.roster)
        for dealer, raw in table.bundles.items() if dealer != table.evil
    }  # fmt: skip
    table.take_shares()
    table.contribute()
    table.reveal()
    table.add_up()
    return table


# --- what an attack does ---


def flip(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def of(who: str, edge: str, change: Callable[..., Any]) -> Breaks:
    """What one member ("evil" or "victim") posts, serves or is shown is changed; `change` gets the table first."""

    def breaks(table: Table) -> None:
        plain = getattr(table.edges, edge)
        target = getattr(table, who)
        setattr(table.edges, edge,
                lambda one, *rest: change(table, *rest) if one == target else plain(one, *rest))  # fmt: skip

    return breaks


def to_all(edge: str, change: Callable[..., Any]) -> Breaks:
    """What every honest member is shown is changed."""

    def breaks(table: Table) -> None:
        plain = getattr(table.edges, edge)
        setattr(table.edges, edge,
                lambda one, *rest: plain(one, *rest) if one == table.evil else change(table, *rest))  # fmt: skip

    return breaks


def both(*attacks: Breaks) -> Breaks:
    def breaks(table: Table) -> None:
        for attack in attacks:
            attack(table)

    return breaks


def withheld(*_: Any) -> None:
    """Posted or served by nobody."""


VICTIM_DROPS = of("victim", "vector_posted", withheld)
EVIL_DROPS = of("evil", "vector_posted", withheld)
EVIL_SILENT = of("evil", "answer_posted", withheld)
VICTIM_SILENT = of("victim", "answer_posted", withheld)


def elsewhere(**changed: bytes) -> Callable[..., Context]:
    return lambda table, context: replace(context, **changed)


def spoiled_entry(**names: Callable[[bytes], bytes]) -> Breaks:
    """Every entry of the evil member's bundle changed in these fields."""

    def change(table: Table, raw: bytes) -> bytes:
        bundle = Bundle.parse(raw, ROUND, dealer=table.evil, roster=table.roster)
        entries = (replace(e, **{name: by(getattr(e, name)) for name, by in names.items()}) for e in bundle.entries)
        return replace(bundle, entries=tuple(entries)).encode()

    return of("evil", "bundle_posted", change)


def _other_sharing(table: Table, raw: bytes) -> bytes:
    """Shares that open and match their digests, of other secrets than the published ones."""
    public = {member: key.public for member, key in table.share_keys.items()}
    return deal(draw(ROUND, table.evil, table.rand)[0], table.roster, public, table.rand)[1].encode()


def _moved_bundle(**changed: bytes) -> Breaks:
    def change(table: Table, raw: bytes) -> bytes:
        bundle = Bundle.parse(raw, ROUND, dealer=table.evil, roster=table.roster)
        return replace(bundle, context=replace(ROUND, **changed)).encode()

    return of("evil", "bundle_posted", change)


OTHER_SHARING = of("evil", "bundle_posted", _other_sharing)


def _false_shares(table: Table, answer: Reveal) -> Reveal:
    scalars, seeds = (tuple(replace(one, share=flip(one.share)) for one in shares)
                      for shares in (answer.scalar_shares, answer.seed_shares))  # fmt: skip
    return replace(answer, scalar_shares=scalars, seed_shares=seeds)


def _own_share(table: Table, answer: Reveal) -> Reveal:
    """Its true share of the other secret."""
    held = {one.dealer: one for one in table.states[table.evil].held}
    scalars = tuple(replace(one, share=held[one.dealer].seed_share) for one in answer.scalar_shares)
    return replace(answer, scalar_shares=scalars)


def _without_victim_for_half(table: Table) -> None:
    fooled = set(table.honest[1::2])
    table.fooled = len(fooled)
    table.edges.survivors_shown = lambda one, survivors: (
        tuple(s for s in survivors if s != table.victim) if one in fooled else survivors)  # fmt: skip


def _swapped_at_reveal(table: Table) -> None:
    """True keys while masks are made, a made-up peer when seeds are due."""
    asked = 0

    def shown(one: Address, keys: Mapping[Address, Keys]) -> Mapping[Address, Keys]:
        nonlocal asked
        asked += one == table.victim
        return {**keys, table.members[1]: keys[table.evil]} if one == table.victim and asked > 1 else keys

    table.edges.keys_shown = shown


def _copied_seed(table: Table) -> None:
    """Its digest is the victim's; it reveals what the victim revealed. It masks its vector as it likes."""
    own: dict[str, Keys] = {}

    def posted(_: Table, keys: Keys) -> Keys:
        own["keys"] = keys
        return Keys(keys.point, table.keys[table.victim].seed_digest)

    of("evil", "keys_posted", posted)(table)
    of("evil", "keys_shown", lambda _, keys: {**keys, table.evil: own["keys"]})(table)
    real = {"seed": b""}

    def answer(one: Address, given: Reveal) -> Reveal:
        if one == table.victim:
            real["seed"] = given.seed
        return replace(given, seed=real["seed"]) if one == table.evil else given

    table.edges.answer_posted = answer


def _negative(point: bytes) -> bytes:
    prime = 2**256 - 2**32 - 977
    return point[:32] + (prime - int.from_bytes(point[32:], "big")).to_bytes(32, "big")


def copied_point(change: Callable[[bytes], bytes]) -> Breaks:
    return of("evil", "keys_posted", lambda t, keys: Keys(change(t.keys[t.victim].point), keys.seed_digest))


ROUND_2, OTHER = (2).to_bytes(32, "big"), b"\7" * 32

ATTACKS = (
    # --- whoever adds up, or shows the board ---
    Attack("a sum off by one", lambda t: setattr(t.edges, "total_posted", lambda total: total + np.uint64(1)),
           "sum differs", "evil"),
    Attack("the sum of another round", lambda t: setattr(t.edges, "total_posted", lambda total: total[::-1].copy()),
           "sum differs", "evil"),
    Attack("a cohort of one, shown to it", of("victim", "survivors_shown", lambda t, s: (t.victim,)),
           "sum", noted="survivors", three="survivors"),
    Attack("a cohort of two, shown to all", to_all("survivors_shown", lambda t, s: (t.victim, t.evil)), "survivors"),
    Attack("two survivor lists", _without_victim_for_half, "sum", three="survivors"),
    Attack("both shares asked", both(VICTIM_DROPS, to_all("silent_asked", lambda t, s: (t.victim,))),
           "sum", noted="survivors", three="survivors"),
    Attack("a member list of one", of("victim", "keys_shown", lambda t, k: {t.victim: k[t.victim]}),
           "sum", noted="survivors", three="survivors"),
    Attack("a stranger among the keys", of("victim", "keys_shown", lambda t, k: {**k, Address(b"s" * 20): k[t.evil]}),
           "sum", noted="roster", three="roster"),
    Attack("its own keys swapped", of("victim", "keys_shown", lambda t, k: {**k, t.victim: k[t.evil]}),
           "sum", noted="own keys", three="own keys"),
    Attack("keys swapped once masks are made", _swapped_at_reveal, "sum", noted="among", three="among"),
    Attack("replay in another round", to_all("context", elsewhere(round=ROUND_2)), "context"),
    Attack("replay in another training", to_all("context", elsewhere(training=OTHER)), "context"),
    Attack("replay on another chain", to_all("context", elsewhere(chain=OTHER)), "context"),
    Attack("replay on another ledger", to_all("context", elsewhere(ledger=b"\7" * 20)), "context"),
    # --- a member ---
    Attack("a false seed", of("evil", "answer_posted", lambda t, a: replace(a, seed=flip(a.seed))), "seed", "evil"),
    Attack("a seed too short", of("evil", "answer_posted", lambda t, a: replace(a, seed=a.seed[:31])), "seed", "evil"),
    Attack("a seed copied from another", _copied_seed, "spoilt"),
    Attack("noise for a vector", of("evil", "vector_posted", lambda t, raw: hashlib.shake_256(raw).digest(len(raw))),
           "spoilt"),
    Attack("a false share of a dropped member's scalar",
           both(VICTIM_DROPS, of("evil", "answer_posted", _false_shares)),
           "sum", "evil", noted="false share", three="survivors", four="shares"),
    Attack("a share of the other secret", both(VICTIM_DROPS, of("evil", "answer_posted", _own_share)),
           "sum", "evil", noted="false share", three="survivors", four="shares"),
    Attack("a false share of a silent member's seed", both(VICTIM_SILENT, of("evil", "answer_posted", _false_shares)),
           "sum", "evil", noted="false share", three="shares", four="shares"),
    Attack("no point of the curve", of("evil", "keys_posted", lambda t, k: Keys(bytes(64), k.seed_digest)),
           "point", "evil"),
    Attack("a point copied from another", copied_point(lambda point: point), "scalar", "evil", three="survivors"),
    Attack("the negative of another's point", copied_point(_negative), "scalar", "evil", three="survivors"),
    Attack("a bundle cut short", of("evil", "bundle_posted", lambda t, raw: raw[:-1]),
           "sum", "evil", noted="bundle"),
    Attack("a bundle of another round", _moved_bundle(round=ROUND_2), "sum", "evil", noted="bundle"),
    Attack("a bundle of another training", _moved_bundle(training=OTHER), "sum", "evil", noted="bundle"),
    Attack("a bundle copied from another", of("evil", "bundle_posted", lambda t, raw: t.bundles[t.victim]),
           "sum", "evil", noted="bundle"),
    Attack("boxes that do not open", spoiled_entry(box=flip), "sum", "evil", noted="box"),
    Attack("shares unlike their digests", spoiled_entry(seed_digest=flip), "sum", "evil", noted="share"),
    Attack("shares that do not fit, and it drops out", both(OTHER_SHARING, EVIL_DROPS), "scalar", "evil",
           three="survivors"),
    Attack("shares that do not fit, and it falls silent", both(OTHER_SHARING, EVIL_SILENT), "seed", "evil",
           three="shares"),
    Attack("boxes that do not open, and it drops out", both(spoiled_entry(box=flip), EVIL_DROPS), "shares", "evil",
           noted="box", three="survivors"),
    Attack("a vector of another length", of("evil", "vector_posted", lambda t, raw: raw[:-8]), "length", "evil"),
    Attack("two vectors", of("evil", "vector_served", lambda t, reader, raw: flip(raw) if reader == t.victim else raw),
           "root", "evil"),
    Attack("two bundles", of("evil", "bundle_served", lambda t, reader, raw: flip(raw) if reader == t.victim else raw),
           "sum", "evil", noted="root"),
    Attack("a vector withheld from all", of("evil", "vector_served", withheld), "withheld", "evil"),
    Attack("a vector withheld from one",
           of("evil", "vector_served", lambda t, reader, raw: None if reader == t.victim else raw), "withheld", "evil"),
    Attack("a bundle withheld", of("evil", "bundle_served", withheld), "sum", "evil", noted="withheld"),
    Attack("a bundle withheld, and it drops out", both(of("evil", "bundle_served", withheld), EVIL_DROPS),
           "withheld", "evil", three="survivors"),
    Attack("no keys", of("evil", "keys_posted", withheld), "sum", three="survivors"),
    Attack("no vector", EVIL_DROPS, "sum", three="survivors"),
    Attack("no seed", EVIL_SILENT, "sum", three="shares"),
)  # fmt: skip
