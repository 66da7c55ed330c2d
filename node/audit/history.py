"""Checks 1 to 4: the right chain, the published contracts, every event, every rule.

history = read(sheet, chain, directory, block)
check_still(sheet, history)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from node import ledger as rules
from node import model, patricia
from node.audit.report import Sheet
from node.chain import encode
from node.chain.artifacts import artifact, same_code
from node.chain.client import Chain, asked_twice
from node.chain.directories import address, name_of
from node.chain.records import Transaction
from node.errors import HanseError, Retry, Untrusted
from node.ledger import Ledger
from node.model import Address, Block, Digest, Directory, Entry, Event, Head, MemberState, Role, TxHash
from node.signature import keccak

Said = TypeVar("Said")

LEFT: dict[str, tuple[str, ...]] = {
    "Consortium": (),
    "Members": (),
    "Datasets": ("Members",),
    "Grants": ("Members", "Datasets"),
    "Trainings": ("Members", "Datasets"),
}
"""Whose events must be whole before a contract's own can be judged."""

DECISIONS = (model.Admitted, model.StateChanged, model.AccountRotated, model.PauseSet, model.Entered)
"""What is decided by consents, once the alliance is founded."""

HEAD_SLOT = 0
"""Where every contract keeps its running hash: 28 bytes, then the number in 4."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An event that needed consents, and the moment before it: who could consent, epoch, pause, approvals on chain."""

    event: Event
    voters: frozenset[Address]
    epoch: int
    paused_until: int
    approved: frozenset[tuple[Address, Digest]]


@dataclass(slots=True)
class History:
    """What the chain says as of `block`, as far as it can be trusted: contracts in `unsound` are left out, with why."""

    chain: Chain
    directory: Directory
    block: Block
    events: list[Event] = field(default_factory=list)
    unsound: dict[str, str] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    decisions: list[Decision] = field(default_factory=list)
    sent: Mapping[TxHash, Transaction] = field(default_factory=dict)

    def said(self, kind: type[Said]) -> list[tuple[Event, Said]]:
        """The trusted events of one kind, each with what it says, in the chain's order."""
        return [(event, event.said) for event in self.events if isinstance(event.said, kind)]

    def transaction(self, event: Event) -> Transaction:
        """The transaction an event came from. Raises Retry where the endpoint does not give it."""
        if event.at.tx not in self.sent:
            raise Retry("the endpoint does not give the transaction", clause="transaction", seen=event.at.tx)
        return self.sent[event.at.tx]

    def call(self, event: Event, function: str) -> tuple[object, ...]:
        """Arguments of the outer call behind an event. Raises Retry where it was made inside another contract."""
        found = self.transaction(event)
        if found.to != address(self.directory, event.contract):
            raise Retry(
                "the call came from inside another contract: its signatures are not in the transaction's own calldata",
                clause="nested call", seen=found.to, needed=event.contract,
            )  # fmt: skip
        name, args = self.chain.decode_input(event.contract, found.input)
        if name != function:
            raise Untrusted("another function than says this", clause="function", seen=name, needed=function)
        return args


def read(sheet: Sheet, chain: Chain, directory: Directory, block: Block) -> History:
    """Checks 2 to 4, and every transaction behind an event."""
    history = History(chain, directory, block)
    _check_directory(sheet, history)
    events = _all_events(sheet, history)
    _check_complete(sheet, history, events)
    _fold(sheet, history, events)
    try:
        history.sent = _transactions(chain, history.events)
    except HanseError as exc:
        sheet.note(5, "transactions", exc)
    return history


def named(event: Event) -> str:
    """An event as findings name it."""
    return f"{event.contract} event {event.seq} {type(event.said).__name__} (tx {event.at.tx})"


# --- 1 ---


def check_chain(chain: Chain, pinned: Directory | Address) -> None:
    """1. Chain id and genesis block are those pinned; an address pins neither."""
    if not isinstance(pinned, Directory):
        return
    if chain.chain_id != pinned.chain_id:
        raise Untrusted("another chain", clause="chain id", seen=chain.chain_id, needed=pinned.chain_id)
    if chain.genesis != pinned.genesis:
        raise Untrusted("another chain of the same id", clause="genesis", seen=chain.genesis, needed=pinned.genesis)


def check_still(sheet: Sheet, history: History) -> None:
    """1. The audited block is still on the chain: what was read belongs together."""
    with sheet.check(1, f"block {history.block.number}"):
        now = history.chain.block(history.block.number).hash
        if now != history.block.hash:
            raise Retry("the chain changed during the audit: run it again", clause="block", seen=now)


# --- 2 ---


def directory_at(sheet: Sheet, chain: Chain, consortium: Directory | Address, block: Block) -> Directory | None:
    """2. The Consortium's entries in force at the audited block; None where there is no Consortium."""
    at = consortium.consortium if isinstance(consortium, Directory) else consortium
    with sheet.check(2, "directory"):
        found = [(n, chain.call_at(at, "Consortium", "entry", name_of(n), block=block.number)) for n in model.CONTRACTS]
        entries = tuple(Entry(name, entry.at, entry.code_hash, entry.from_) for name, entry in found)
        return Directory(chain.chain_id, chain.genesis, at, chain.first_block([at, *(e.at for e in entries)]), entries)
    return None


def _check_directory(sheet: Sheet, history: History) -> None:
    for name in LEFT:
        with sheet.check(2, name) as judged:
            _check_code(history, name)
            for known in _KNOWS[name]:
                _check_knows(history, name, known)
        if judged.failed:
            history.unsound[name] = "its code is not the published contract's (check 2)"


_KNOWS: dict[str, tuple[str, ...]] = {
    "Consortium": ("Members",),
    "Members": (),
    "Datasets": ("Members",),
    "Grants": ("Members", "Datasets"),
    "Trainings": ("Members", "Datasets", "Grants"),
}
"""What each contract's constructor was told: immutables, which the comparison of code leaves out."""


def _check_code(history: History, name: str) -> None:
    directory = history.directory
    code = history.chain.code(address(directory, name), history.block.number)
    if not code:
        raise Untrusted("there is no contract at that address", clause="code", seen=address(directory, name))
    entry = next((e for e in directory.entries if e.name == name), None)
    seen = model.digest(keccak(code))
    if entry and entry.code_hash != seen:
        raise Untrusted("the code is not the one entered", clause="code hash", seen=seen, needed=entry.code_hash)
    if not same_code(artifact(name), code):
        needed = model.digest(keccak(artifact(name).runtime))
        raise Untrusted("the code is not the published contract's", clause="code", seen=seen, needed=needed)


def _check_knows(history: History, name: str, other: str) -> None:
    seen = history.chain.call(history.directory, name, other.lower(), block=history.block.number)
    needed = history.directory.address(other)
    if seen != needed:
        raise Untrusted(f"asks another {other} than the directory's", clause="immutable", seen=seen, needed=needed)


# --- 3 ---


def _all_events(sheet: Sheet, history: History) -> dict[str, list[Event]]:
    """Every contract's events up to the audited block. Where bytes are no events at all, nobody's are sound."""
    events: dict[str, list[Event]] = {name: [] for name in LEFT}
    with sheet.check(3, "all contracts"):
        for event in history.chain.events(history.directory, history.directory.born, history.block.number):
            events[event.contract].append(event)
        return events
    for name in LEFT:
        history.unsound.setdefault(name, "the endpoint's logs cannot be read (check 3)")
    return events


def _check_complete(sheet: Sheet, history: History, events: Mapping[str, Sequence[Event]]) -> None:
    for name in LEFT:
        if name in history.unsound:
            continue
        with sheet.check(3, f"{name}, {len(events[name])} events") as judged:
            asked_twice(_check_head, history, name, events[name])
        if judged.failed:
            history.unsound[name] = "its events are not those the contract counted (check 3)"
    _check_state(sheet, history)


def _check_head(history: History, name: str, events: Sequence[Event]) -> None:
    """The running hash, folded over the events, is the contract's own."""
    head, after = encode.EMPTY, list[tuple[Event, Head]]()
    for event in events:
        head = encode.extend(head, event)
        after.append((event, head))
    needed = history.chain.head_of(history.directory, name, block=history.block.number)
    if head.seq != needed.seq:
        raise Untrusted("events are missing at the end", clause="running hash", seen=head.seq, needed=needed.seq)
    if head != needed:
        where = _first_false(history, name, after)
        raise Untrusted(f"an event was altered{where}", clause="running hash", seen=head.hash, needed=needed.hash)


def _check_state(sheet: Sheet, history: History) -> None:
    """Code and running hash of each contract are what the audited block's state root holds (EIP-1186)."""
    root = b""
    with sheet.check(3, f"state root of block {history.block.number}") as judged:
        root = history.chain.state_root(history.block)
    for name in LEFT:
        if judged.unseen:
            return  # an endpoint without headers that hash, or without proofs: said once
        if name in history.unsound:
            continue
        with sheet.check(3, f"{name} in the state") as judged:
            asked_twice(_check_proven, history, name, root)
        if judged.failed and not judged.unseen:
            history.unsound[name] = "it is not what the audited block's state holds (check 3)"


def _check_proven(history: History, name: str, root: bytes) -> None:
    at, number = address(history.directory, name), history.block.number
    proof = history.chain.proof(at, [HEAD_SLOT], number)
    account = patricia.account_in(root, at, proof.account)
    if account.code_hash != keccak(history.chain.code(at, number)):
        raise Untrusted("the state holds other code", clause="proof", seen=account.code_hash.hex())
    word = patricia.word_in(account.storage, HEAD_SLOT, proof.slots[0][2]).hex()
    head = history.chain.head_of(history.directory, name, block=number)
    if word != head.hash[2:] + f"{head.seq:08x}":
        raise Untrusted("the state holds another running hash", clause="proof", seen=word, needed=head)


def _first_false(history: History, name: str, after: Sequence[tuple[Event, Head]]) -> str:
    """The event at which the contract's own hash first differs, by bisection, where the endpoint keeps old state."""
    last_of = {event.at.block: (event, head) for event, head in after}
    rows, low, high = list(last_of.values()), 0, len(last_of) - 1
    try:
        while low < high:
            middle = (low + high) // 2
            event, head = rows[middle]
            same = history.chain.head_of(history.directory, name, block=event.at.block) == head
            low, high = (middle + 1, high) if same else (low, middle)
    except HanseError:
        return ": which one cannot be told, the endpoint keeps no old state"
    return f": {named(rows[low][0])}"


# --- 4 ---


def _fold(sheet: Sheet, history: History, events: Mapping[str, Sequence[Event]]) -> None:
    """Fold what is sound, in the chain's order. Where a contract breaks a rule, it and those right of it end."""
    approved: set[tuple[Address, Digest]] = set()
    for event in sorted(_of_all(events), key=lambda e: (e.at.block, e.at.index)):
        because = _unsound(history, event.contract)
        if because:
            continue
        before = _before(history.ledger, event, approved)
        with sheet.check(4, named(event)) as judged:
            rules.apply(history.ledger, event)
        if judged.failed:
            history.unsound[event.contract] = f"it broke a rule (check 4, {named(event)})"
            continue
        history.events.append(event)
        if before:
            history.decisions.append(before)
        if isinstance(event.said, model.Approved):
            approved.add((event.said.account, event.said.digest))
    for name in LEFT:
        if because := _unsound(history, name):
            sheet.leave(4, name, f"not judged any further: {because}")
            history.unsound.setdefault(name, because)


def _of_all(events: Mapping[str, Sequence[Event]]) -> Iterable[Event]:
    return (event for found in events.values() for event in found)


def _unsound(history: History, name: str) -> str:
    """Why a contract's events cannot be judged; empty where they can."""
    if name in history.unsound:
        return history.unsound[name]
    return next((f"{left}: {history.unsound[left]}" for left in LEFT[name] if left in history.unsound), "")


def _before(ledger: Ledger, event: Event, approved: set[tuple[Address, Digest]]) -> Decision | None:
    """The moment before a decision; None for other events and for what the founders laid down."""
    if not isinstance(event.said, DECISIONS) or _is_founding(ledger, event):
        return None
    voters = frozenset(
        m.account for m in ledger.members.values() if m.state == MemberState.ACTIVE and m.roles & Role.MEMBER
    )
    return Decision(event, voters, ledger.epoch, ledger.paused_until, frozenset(approved))


def _is_founding(ledger: Ledger, event: Event) -> bool:
    """Whether a constructor said it: founders share epoch 0, the first entries are in force from their own moment on.
    Both are under the running hash, unlike the transaction that an endpoint names."""
    if isinstance(event.said, model.Entered):
        first = next((entered[0] for entered in ledger.directory.values() if entered), event.said)
        return event.said.from_ == first.from_
    return isinstance(event.said, model.Admitted) and event.said.epoch == 0


def _transactions(chain: Chain, events: Sequence[Event]) -> dict[TxHash, Transaction]:
    wanted = list(dict.fromkeys(event.at.tx for event in events))
    return {found.hash: found for found in chain.transactions(wanted)}
