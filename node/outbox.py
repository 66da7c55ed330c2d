"""The outbox: everything this account sends, written down before it leaves, so that a crash can only send it again.

It knows nothing of what it carries: stories give it an idempotency key, an address and bytes. One database is one queue
for an account, also when the node and a command share it.

    outbox = Outbox(db, chain, keyring)
    ticket = outbox.submit("publish:0x12…:1", datasets, calldata, purpose="publish")   # on disk, with its nonce
    receipt = outbox.wait(ticket, deadline_seconds=60)                                # sent, mined, settled
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.chain.failures import NonceTaken, Underpriced
from node.chain.records import Fees, Receipt
from node.db import Database, Tx, submissions
from node.db.records import Attempt, Progress, Submission
from node.errors import Conflict, HanseError, NotFinal, NotFound, Refused, Retry
from node.model import Address, BlockHash, Time, TxHash

if TYPE_CHECKING:
    from node.chain.client import Chain
    from node.keyring import Keyring

WINDOW = 500
"""Most unsettled submissions looked at in one pass, lowest nonces first."""

RESEND_SECONDS = 15.0
"""After this long unmined a transaction is sent again: pools forget, and nobody tells."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What should happen once. `gas` spares the estimate where the caller knows that the call goes through."""

    key: str
    to: Address
    data: bytes
    purpose: str
    gas: int | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A place in the outbox; keep the key and `submit` gives the same ticket again."""

    id: int
    key: str


def _nowhere(point: str) -> None:
    """Nothing happens at the named points of the code, unless a drill says so."""


class Outbox:
    """One account's queue. Threads may share it."""

    def __init__(
        self,
        db: Database,
        chain: Chain,
        keyring: Keyring,
        *,
        depth: int | None = None,
        resend_seconds: float = RESEND_SECONDS,
        at: Callable[[str], None] = _nowhere,
    ) -> None:
        """`depth` as in `Chain.final`; `at` is told each point at which a crash is interesting."""
        self._db, self._chain, self._keyring = db, chain, keyring
        self._depth, self._resend, self._at = depth, resend_seconds, at
        self.trouble: HanseError | None = None
        self._pumping = threading.Lock()
        self._sent: dict[TxHash, float] = {}  # when we last sent it; lost with the process, which then sends once more

    # --- writing down ---

    def submit(self, key: str, to: Address, data: bytes, *, purpose: str, gas: int | None = None) -> Ticket:
        """Write an intent down, signed and with its nonce; the ticket it has already where the key is known.

        Refused in the contract's words, or for want of funds, before anything is written; Conflict where the key stands
        for other bytes. A submission that failed for good is tried afresh.
        """
        return self.submit_all([Intent(key, to, data, purpose, gas)])[0]

    def submit_all(self, intents: Sequence[Intent]) -> list[Ticket]:
        """`submit` for many, with consecutive nonces: all of them are written, or none."""
        with self._db.reading() as tx:
            known = submissions.find(tx, [intent.key for intent in intents])
        if fresh := [intent for intent in intents if _is_fresh(intent, known)]:
            me, fees = self._keyring.address, self._chain.fees()
            gas = {i.key: i.gas or self._chain.estimate(me, i.to, i.data, fees=fees) for i in fresh}
            floor = self._chain.nonce(me)
            with self._db.writing() as tx:
                for intent in fresh:
                    self._write(tx, replace(intent, gas=gas[intent.key]), fees, floor)
                # A crash here leaves nothing: the nonces were given to nobody, and the caller was told nothing.
                self._at("signed")
            # A crash from here on leaves signed bytes that no pool has: the next pump, of any process, sends them.
            self._at("written")
        with self._db.reading() as tx:
            written = submissions.find(tx, [intent.key for intent in intents])
        return [Ticket(written[intent.key].id, intent.key) for intent in intents]

    def status(self, ticket: Ticket) -> Submission:
        """Where it stands, as `pump` last saw it; NotFound where it is of another database."""
        with self._db.reading() as tx:
            return submissions.get(tx, ticket.id)

    def _write(self, tx: Tx, intent: Intent, fees: Fees, floor: int) -> None:
        """Give it a nonce and sign it, unless another process was first."""
        known = submissions.find(tx, [intent.key])
        if not _is_fresh(intent, known):
            return
        signed, attempt = self._sign(tx, _pending(self._keyring.address, intent, fees), floor)
        if failed := known.get(intent.key):
            signed = replace(signed, id=failed.id)
            submissions.save(tx, signed, signed_as=failed.hash)
            submissions.add_attempt(tx, signed, attempt)
        else:
            submissions.add(tx, signed, attempt)

    def _sign(self, tx: Tx, wanted: Submission, floor: int | None) -> tuple[Submission, Attempt]:
        """Signed at its nonce, or where `floor` is given at the next free one.

        `floor` is the chain's count: it is the higher one where the account has a past outside this database.
        """
        if floor is not None:
            wanted = replace(wanted, nonce=max(floor, submissions.next_nonce(tx, wanted.sender)))
        fields = {"chainId": self._chain.chain_id, "nonce": wanted.nonce, "to": wanted.to, "value": 0}
        signed = self._keyring.sign_transaction(fields | {"data": wanted.data, "gas": wanted.gas, **wanted.fees})
        return replace(wanted, hash=signed.hash), Attempt(signed.hash, wanted.nonce, signed.raw)

    # --- sending and settling ---

    def pump(self) -> None:
        """Note what the chain now says, then send what is due, lowest nonce first.

        Retry when the chain does not answer, Refused (clause `funds`) when the account ran dry; both can be run again.
        """
        with self._pumping:
            view = _View(self._chain, self._keyring.address, self._depth)
            self._note([(row, self._seen(row, view)) for row in self._due(view)])
            for row in self._due(view):
                if row.state is Progress.PENDING and row.nonce >= view.taken:
                    self._send_if_due(row)

    def run(self, stop: threading.Event, *, every: float = 2.0) -> None:
        """Pump until `stop` is set: what a crash left in the outbox goes out without being asked for again.

        Whatever is in the way stands in `trouble` until it is gone.
        """
        while not stop.is_set():
            try:
                self.pump()
                self.trouble = None
            except (Retry, Refused) as exc:
                self.trouble = exc
            stop.wait(every)

    def wait(self, ticket: Ticket, *, deadline_seconds: float, settled: bool = True) -> Receipt:
        """Pump until the transaction is mined, or with `settled` until its block stays.

        NotFinal after the deadline: the intent stays in the outbox, and waiting again goes on. The contract's refusal
        where it was reverted.
        """
        until, pause = time.monotonic() + deadline_seconds, 0.01
        while True:
            trouble = self._pumped()
            row = self.status(ticket)
            if receipt := self._outcome(row, settled):
                return receipt
            if time.monotonic() + pause > until:
                hint = "it stays in the outbox: run the same command again to go on waiting"
                text = f"{row.purpose} is not {'final' if settled else 'mined'} after {deadline_seconds:g} s"
                raise NotFinal(text, clause="deadline", seen=trouble or row.state, hint=hint) from trouble
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    def _pumped(self) -> Retry | None:
        """One pass; what is in the way, where the world is."""
        try:
            self.pump()
        except Retry as exc:
            return exc
        return None

    def _outcome(self, row: Submission, settled: bool) -> Receipt | None:
        if row.state is Progress.FAILED or (row.state is Progress.REVERTED and not settled):
            receipt = self._chain.receipt(row.hash)
            raise (receipt and receipt.refusal) or Refused(row.error or "the transaction was reverted", clause="revert")
        if row.state is Progress.FINAL or (row.state is Progress.MINED and not settled):
            return self._chain.receipt(row.hash)
        return None

    def _due(self, view: _View) -> list[Submission]:
        with self._db.reading() as tx:
            return submissions.due(tx, self._keyring.address, taken=view.taken, final=view.final, limit=WINDOW)

    def _seen(self, row: Submission, view: _View) -> Submission:
        """The submission as the chain now has it."""
        waiting = replace(row, state=Progress.PENDING, block=None, block_hash=None)
        if row.nonce >= view.taken:
            if row.state is not Progress.PENDING:  # a reorg dropped it: send again at once
                self._sent.pop(row.hash, None)
            return replace(waiting, missed_at=None)
        if row.block is not None and view.hash_of(row.block) == row.block_hash:
            return _final(row)
        if receipt := self._mined(row):
            mined = _mined_as(row, receipt)
            at_once = receipt.block <= view.final and view.hash_of(receipt.block) == receipt.block_hash
            return _final(mined) if at_once else mined
        if row.missed_at is None:
            return replace(waiting, missed_at=view.head)
        # Only when that has lasted until final: an endpoint may know the nonce before it knows the receipt.
        return self._renonced(waiting) if row.missed_at < view.final else waiting

    def _mined(self, row: Submission) -> Receipt | None:
        """Its receipt under any form we ever signed: the one mined need not be the newest."""
        with self._db.reading() as tx:
            attempts = submissions.attempts_of(tx, row)
        found = (self._chain.receipt(attempt.hash) for attempt in attempts)
        return next((receipt for receipt in found if receipt), None)

    def _note(self, changes: Sequence[tuple[Submission, Submission]]) -> None:
        """Write down what was seen. A crash before it leaves the old picture; the next pass sees the same again."""
        self._at("seen")
        if changed := [(was, now) for was, now in changes if was != now]:
            with self._db.writing() as tx:
                for was, now in changed:
                    submissions.save(tx, now, signed_as=was.hash)

    def _renonced(self, row: Submission) -> Submission:
        """Its nonce went for good to another transaction: the key is used elsewhere, or the database is an old copy."""
        try:
            gas = self._chain.estimate(row.sender, row.to, row.data)
        except Refused as exc:  # as it would be where bytes that an old copy has not seen did it already
            return replace(row, state=Progress.FAILED, error=_words(exc))
        again = replace(row, gas=gas, fees=self._chain.fees().fields(), missed_at=None)
        return self._signed_again(again, floor=self._chain.nonce(row.sender))

    def _signed_again(self, row: Submission, *, floor: int | None = None) -> Submission:
        """Sign anew. On disk before anybody sees it, and the earlier bytes stay known."""
        with self._db.writing() as tx:
            signed, attempt = self._sign(tx, row, floor)
            if not submissions.save(tx, signed, signed_as=row.hash):
                return submissions.get(tx, row.id)
            submissions.add_attempt(tx, signed, attempt)
            # A crash here leaves the earlier bytes in force, which are as good; after the commit both are known.
            self._at("signed again")
        return signed

    def _send_if_due(self, row: Submission) -> None:
        sent = self._sent.get(row.hash)
        if sent is not None and time.monotonic() - sent < self._resend:
            return
        try:
            self._send(row if sent is None else self._repriced(row))
        except Underpriced:
            higher = self._repriced(row)
            if higher.hash == row.hash:  # nothing to raise: the operator has to know
                raise
            self._send(higher)

    def _repriced(self, row: Submission) -> Submission:
        """The same nonce at higher fees where today's are higher; the same bytes where there is nothing to raise."""
        now = self._chain.fees()
        signed = Fees(row.fees.get("gasPrice", row.fees.get("maxFeePerGas", 0)), row.fees.get("maxPriorityFeePerGas"))
        higher = signed.raised(now) if now.most > signed.most else None
        return self._signed_again(replace(row, fees=higher.fields())) if higher else row

    def _send(self, row: Submission) -> None:
        with self._db.reading() as tx:
            raw = submissions.signed(tx, [row.hash])[row.hash]
        with suppress(NonceTaken):  # by one of ours or by a stranger: the next pass asks for receipts and tells
            self._chain.send(raw)
        # A crash here leaves a transaction sent that nothing says was sent: it is sent again, and the pool knows it.
        self._at("sent")
        self._sent[row.hash] = time.monotonic()


class _View:
    """The chain as one pass sees it: the head, the newest final block, and how many nonces of the account are taken."""

    def __init__(self, chain: Chain, account: Address, depth: int | None) -> None:
        self._chain = chain
        head, self.final = chain.ends(depth)
        self.head, self.taken = head.number, chain.nonce(account)
        self._hashes: dict[int, BlockHash | None] = {head.number: head.hash}

    def hash_of(self, number: int) -> BlockHash | None:
        """Of a final block; None where the chain went back below it."""
        if number not in self._hashes:
            try:
                self._hashes[number] = self._chain.block(number).hash
            except NotFound:
                self._hashes[number] = None
        return self._hashes[number]


def _is_fresh(intent: Intent, known: Mapping[str, Submission]) -> bool:
    """Whether it is yet to be written, or has failed for good. Conflict where its key was used for something else."""
    found = known.get(intent.key)
    if found is None or found.state is Progress.FAILED:
        return True
    if (found.to, found.data) != (intent.to, intent.data):
        raise Conflict("this key stands for another transaction", clause="key", seen=intent.key, needed="another key")
    return False


def _pending(sender: Address, intent: Intent, fees: Fees) -> Submission:
    return Submission(
        id=0,
        key=intent.key,
        purpose=intent.purpose,
        sender=sender,
        nonce=0,
        to=intent.to,
        data=intent.data,
        gas=intent.gas or 0,
        fees=fees.fields(),
        hash=TxHash(""),
        state=Progress.PENDING,
        block=None,
        block_hash=None,
        missed_at=None,
        error=None,
        created=Time(int(time.time())),
    )


def _mined_as(row: Submission, receipt: Receipt) -> Submission:
    state = Progress.MINED if receipt.ok else Progress.REVERTED
    found = replace(row, state=state, hash=receipt.tx, block=receipt.block, block_hash=receipt.block_hash)
    return replace(found, missed_at=None, error=_words(receipt.refusal))


def _final(row: Submission) -> Submission:
    """Its block stays."""
    return replace(row, state=Progress.FINAL if row.state is Progress.MINED else Progress.FAILED)


def _words(error: HanseError | None) -> str | None:
    return str(error) if error else None
