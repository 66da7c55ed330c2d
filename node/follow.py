"""Follow the chain: every event of the alliance into the local records, in order, none missing, through reorgs.

It keeps no rules (that is `ledger`) and trusts no endpoint: blocks must link by hash, each contract's events must be
numbered without a gap, and their running hash must equal what the contract itself says at the same block.

    follower = Follower(db, chain, directory)
    seen = follower.step()                # in the database up to seen.tip; act on what is not above seen.final
    follower.run(stop, every=2)           # for as long as the node runs
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from node.chain.client import Chain, asked_twice
from node.chain.encode import EMPTY, extend
from node.chain.failures import Reorged
from node.db import Database, Tx, events
from node.db.records import Kept
from node.errors import HanseError, NotFound, Retry, Untrusted
from node.model import Block, Directory, Event, Head

SPAN = 2000
"""Blocks of one range below the final block, to begin with."""

MOST = 5000
"""Events of one range that halve the next: they are in memory together, and become one transaction."""

ATTEMPTS = 5
"""Reorgs in the middle of one step before it gives up."""

PAUSE = 0.05
STEP_SECONDS = 60.0
LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Followed:
    """What one step brought.

    `final`: act on events up to this block and no further, it is settled and checked against the running hashes
    (-1: none yet). `rewound`: the chain went back, what was above this block is void and replaced.
    """

    final: int
    tip: int
    head: int
    rewound: int | None = None

    @property
    def caught_up(self) -> bool:
        return self.tip >= self.head


class Condition(StrEnum):
    """How following goes, for whoever watches the node."""

    STARTING = "starting"
    FOLLOWING = "following"
    CATCHING_UP = "catching up"
    STALLED = "stalled"  # the chain answers, but makes no blocks
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"  # the endpoint's answers contradict each other; nothing of them is kept


@dataclass(frozen=True, slots=True)
class Health:
    """`since`: when the condition began (seconds since the epoch)."""

    condition: Condition
    since: float
    head: int = -1
    error: HanseError | None = None


class _Overtaken(Reorged):
    """Another process has gone on, or back, in the same database since we looked."""


class Follower:
    """Writes blocks and events. Others may write too: every commit checks that nobody else came first."""

    def __init__(self, db: Database, chain: Chain, directory: Directory, *, depth: int | None = None) -> None:
        """`depth` as in `Chain.final`. Conflict where the database belongs to another chain, or to another alliance."""
        self._db, self._chain, self._directory, self._depth = db, chain, directory, depth
        self._before = max(directory.born - 1, 0)
        self._span = SPAN
        self._contracts = ("Consortium", *(entry.name for entry in directory.entries))
        if (chain.chain_id, chain.genesis) != (directory.chain_id, directory.genesis):
            raise Untrusted("the directory was read from another chain", clause="chain", seen=directory.chain_id)
        db.pin(chain_id=chain.chain_id, genesis=chain.genesis, consortium=directory.consortium)
        self.health = Health(Condition.STARTING, time.time())

    def step(self, *, seconds: float = STEP_SECONDS) -> Followed:
        """Index what is new; where that takes longer than `seconds`, the rest is for the next step (see `caught_up`).

        Retry when chain or database do not answer, Untrusted when events are missing or altered: then everything above
        the last verified block is forgotten, and the next step asks again.
        """
        until, rewound, attempts = time.monotonic() + seconds, None, 0
        while True:
            top, final = self._chain.ends(self._depth)
            head = top.number
            tip, back = self._ancestor(top)
            rewound = back if rewound is None else min(rewound, tip.number)
            try:
                tip = self._forward(tip, top, final, until)
            except Reorged as exc:  # go on from where the database and the chain agree
                attempts += not isinstance(exc, _Overtaken)
                if attempts == ATTEMPTS or time.monotonic() > until:
                    raise
                time.sleep(PAUSE)  # an endpoint may need a moment to know its own chain again
                continue
            except Untrusted:
                self._forget_unverified()
                raise
            with self._db.reading() as tx:
                return Followed(min(final, events.verified(tx)), tip.number, head, rewound)

    def run(
        self,
        stop: threading.Event,
        *,
        every: float = 2.0,
        stalled_after: float | None = None,
        each: Callable[[Followed], None] = lambda _: None,
    ) -> None:
        """Step until `stop` is set, `each` time something is new; outages are waited out and shown in `health`.

        `every` in seconds; `stalled_after` seconds without a block show as stalled (None where blocks come on demand).
        """
        tip, moved, pause = -1, time.time(), every
        while not stop.is_set():
            try:
                seen = self.step(seconds=10)
                if seen.tip != tip or seen.rewound is not None:
                    tip, moved = seen.tip, time.time()
                    each(seen)
                self._report(_condition(seen, moved, stalled_after), head=seen.head)
                pause = every if seen.caught_up else 0
            except (Retry, Untrusted) as exc:
                self._report(Condition.UNTRUSTED if isinstance(exc, Untrusted) else Condition.UNREACHABLE, error=exc)
                pause = min(max(pause, every) * 2, LONGEST_PAUSE)
            stop.wait(pause)

    def _report(self, condition: Condition, *, head: int | None = None, error: HanseError | None = None) -> None:
        since = self.health.since if condition is self.health.condition else time.time()
        self.health = Health(condition, since, self.health.head if head is None else head, error)

    # --- going back ---

    def _ancestor(self, top: Block) -> tuple[Kept, int | None]:
        """The highest kept block that the chain still has, and its number where anything above it had to go.

        Halving works because a block on the chain has all its ancestors there. A chain now shorter than our tip is a
        reorg as well.
        """
        tip, head = self._kept(None), top.number
        if tip is None:
            return self._floor(), None
        if tip.hash == top.hash or (tip.number <= head and self._is_on_chain(tip)):
            return tip, None
        low, high = self._before, min(tip.number - 1, head)
        while low < high:
            middle = (low + high + 1) // 2
            candidate = self._kept(middle)
            if candidate is None or candidate.number <= low or self._is_on_chain(candidate):
                low = middle
            else:
                high = candidate.number - 1
        kept = self._kept(low) or self._floor()
        # A crash here leaves blocks that the chain no longer has: the next step finds the same and does this again.
        with self._db.writing() as tx:
            events.rewind(tx, kept.number)
        return kept, kept.number

    def _floor(self) -> Kept:
        """What comes before the first block of interest, where nothing is kept."""
        block = self._block(self._before)
        return Kept(block.number, block.hash, block.time)

    def _kept(self, up_to: int | None) -> Kept | None:
        with self._db.reading() as tx:
            return events.tip(tx, up_to=up_to)

    def _is_on_chain(self, kept: Kept) -> bool:
        try:
            return self._chain.block(kept.number).hash == kept.hash
        except NotFound:
            return False

    # --- going on ---

    def _forward(self, tip: Kept, top: Block, final: int, until: float) -> Kept:
        """As far as the time allows; at the head all of it is verified."""
        while tip.number < top.number and time.monotonic() < until:
            tip = self._range(tip, top, final) if tip.number < final else self._next(tip)
        if tip.number == top.number:
            self._verify(tip, final)
        return tip

    def _range(self, tip: Kept, top: Block, final: int) -> Kept:
        """Blocks that no longer change: many at once, one header for their end."""
        to = min(tip.number + self._span, final)
        found = self._chain.events(self._directory, tip.number + 1, to)
        self._span = max(self._span // 2, 1) if len(found) > MOST else min(self._span * 2, SPAN)
        end = top if to == top.number else self._block(to)
        if any(event.at.block == to and event.at.block_hash != end.hash for event in found):
            raise Reorged("a final block was replaced while it was read", clause="block", seen=to)
        return self._keep(tip, end, found)

    def _next(self, tip: Kept) -> Kept:
        """One block near the head, whose parent we have and whose logs are asked for by its hash."""
        block = self._block(tip.number + 1)
        if block.parent != tip.hash:
            raise Reorged("the chain changed while it was read", clause="parent", seen=block.parent, needed=tip.hash)
        return self._keep(tip, block, self._chain.events_of(self._directory, block))

    def _block(self, number: int) -> Block:
        """A block that was there a moment ago."""
        try:
            return self._chain.block(number)
        except NotFound as exc:
            raise Reorged("the chain is shorter than it was", clause="block", needed=number) from exc

    def _keep(self, tip: Kept, block: Block, found: Sequence[Event]) -> Kept:
        """Blocks and events become one fact. A crash before it leaves the picture as of `tip`, which is a true one."""
        said, end = self._extended(tip, found), Kept(block.number, block.hash, block.time)
        with self._db.writing() as tx:
            self._require_tip(tx, tip)
            events.add(tx, [end], said)
        return end

    def _require_tip(self, tx: Tx, tip: Kept) -> None:
        """Nobody else has gone on or back since we looked."""
        now = events.tip(tx)
        if now != tip and not (now is None and tip.number == self._before):
            raise _Overtaken("another process follows into the same database", clause="tip", seen=now and now.number)

    def _extended(self, tip: Kept, found: Sequence[Event]) -> list[tuple[Event, str]]:
        """Each event with its contract's running hash; Untrusted at a gap."""
        with self._db.reading() as tx:
            self._require_tip(tx, tip)
            heads = {name: events.head(tx, name) or EMPTY for name in self._contracts}
        said = []
        for event in found:
            heads[event.contract] = extend(heads[event.contract], event)
            said.append((event, heads[event.contract].hash))
        return said

    def _verify(self, tip: Kept, final: int) -> None:
        """Compare every running hash with the contract's own at our tip: this is what catches a last event left out."""
        with self._db.reading() as tx:
            self._require_tip(tx, tip)
            ours = {name: events.head(tx, name) or EMPTY for name in self._contracts}
            if events.verified(tx) == tip.number:
                return
        asked_twice(self._compare, tip, ours)
        with self._db.writing() as tx:
            self._require_tip(tx, tip)
            events.set_verified(tx, tip.number)
            events.thin(tx, below=final)

    def _compare(self, tip: Kept, ours: Mapping[str, Head]) -> None:
        said = self._chain.heads_of(self._directory, self._contracts, block=tip.number)
        for name, theirs in zip(self._contracts, said, strict=True):
            if theirs != ours[name] and self._is_on_chain(tip):
                raise _omitted(name, theirs, ours[name])
            if theirs != ours[name]:
                raise Reorged("the chain changed while it was checked", clause="block", seen=tip.number)

    def _forget_unverified(self) -> None:
        """What was shown above the last verified block may be forged. A crash before leaves it, still unverified."""
        with self._db.writing() as tx:
            events.rewind(tx, events.verified(tx))


def _omitted(contract: str, theirs: Head, ours: Head) -> Untrusted:
    return Untrusted(
        f"the endpoint does not show all that {contract} said",
        clause="running hash",
        seen=f"{ours.seq} events, {ours.hash}",
        needed=f"{theirs.seq} events, {theirs.hash}",
        hint="use another RPC endpoint",
    )


def _condition(seen: Followed, moved: float, stalled_after: float | None) -> Condition:
    if not seen.caught_up:
        return Condition.CATCHING_UP
    if stalled_after is not None and time.time() - moved > stalled_after:
        return Condition.STALLED
    return Condition.FOLLOWING
