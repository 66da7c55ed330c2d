"""Access: ask for a version under terms, grant it with both signatures, fetch and verify it, end it.

A request is the consumer's signature over `model.Terms`; a grant is both signatures in one transaction, with the file
key wrapped for that consumer alone. Revocation looks forward only: it stops later fetches and later versions, and
cannot take back what was opened before.

    asked = request(bob, dataset, purposes=("research",), days=30)
    grant(alice, asked.id)
    fetched = fetch(bob, asked.id, Path("mill.csv"), purposes=("research",))
    revoke(alice, asked.id)

Every call may be repeated after a crash: it goes on from the last step that is on disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from node import canon, model, signature
from node.chain import typed
from node.db import operations
from node.db.records import Operation
from node.documents import (
    Refusal,
    RequestRecord,
    digest_of,
)
from node.encryption.wrap import wrap
from node.errors import Conflict, NotFound, Refused, Retry, Untrusted
from node.keyring import file_key_name
from node.ledger import Dataset, Request, dataset_of, grant_of, require_active, require_allowed, require_owner
from node.model import (
    ZERO,
    Address,
    DatasetId,
    DatasetState,
    Digest,
    GrantId,
    GrantState,
    Position,
    Terms,
    Time,
    TxHash,
    Use,
)
from node.policy import Clause, Offer, agreement_document, bits, clauses, parse_offer, require_offered
from node.sealed import context
from node.wiring import Node

DAY = 86_400
ANSWER_DAYS = 14


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on chain. `already` where an earlier run had made it."""

    id: GrantId
    terms: Terms
    tx: TxHash
    gas: int
    already: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for this node's answer. `breaks` is the clause of the offer it goes beyond, or None. Where
    its record cannot be read there are no terms, and `trouble` says why."""

    id: GrantId
    dataset: DatasetId
    version: int
    consumer: Address
    terms: Terms | None
    breaks: str | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A grant made or ended by one transaction."""

    id: GrantId
    tx: TxHash
    gas: int
    already: bool


@dataclass(frozen=True, slots=True)
class Allowed:
    """Why somebody may use a version: the clauses, each with who enforces it."""

    id: GrantId
    clauses: tuple[Clause, ...]


def request(
    node: Node,
    dataset: DatasetId,
    *,
    purposes: Sequence[str],
    uses: Use = Use.READ,
    days: int = 30,
    count: int = 0,
    key: str | None = None,
) -> Asked:
    """Ask the owner for the current version. Idempotent under `key`, made from the arguments where none is given.

    The same words mean a new request once the earlier one was ended, is over, or waited too long. Raises NotFound for
    an unknown dataset, Refused (naming the clause) for what the owner's offer rules out, Conflict for a key in use.
    """
    require_active(node.ledger, node.me)
    found = dataset_of(node.ledger, dataset)
    if found.state != DatasetState.ACTIVE:
        raise Refused("the dataset is retired", clause="state", seen="retired", needed="active")
    wanted = _terms(node, found, int(uses), bits(purposes), count, days)
    key = key or _key("request", dataset, found.current.number, int(uses), sorted(purposes), days, count)
    task = _begun(node, key, wanted)
    terms = Terms(**task.state["terms"])
    number = _id(node, terms)
    if task.done:
        return Asked(number, terms, TxHash(task.state["tx"]), int(task.state["gas"]), already=True)
    require_offered(_offer(node, found), terms)
    node.put_bytes(canon.encode(agreement_document(terms)))
    signed = node.keys.sign_typed(_message(node, terms))
    record = RequestRecord(node.chain.chain_id, node.directory.address("Grants"), number, terms, "0x" + signed.hex())
    at = node.put_document(record)
    receipt = node.send(f"request:{number}", "Grants", "request", number, dataset, terms.version, at,
                        purpose="request a version")  # fmt: skip
    node.finish(task.key, {"tx": receipt.tx, "gas": receipt.gas})
    return Asked(number, terms, receipt.tx, receipt.gas, already=False)


def inbox(node: Node) -> list[Waiting]:
    """Requests for our datasets that nobody has answered and whose terms can still be granted."""
    mine = [r for r in node.ledger.requests.values() if _undecided(node, r)]
    return [waiting for r in mine if (waiting := _readable(node, r)) is not None]


def grant(node: Node, number: GrantId) -> Decided:
    """Grant a request: wrap the file key for the consumer and bring both signatures to the contract.

    Raises Refused for terms beyond the offer or past their deadline, Untrusted for a record that does not hold.
    """
    standing = node.ledger.grants.get(number)
    task_key = f"grant:{number}"
    if standing is not None:
        require_owner(node.ledger, standing.terms.dataset, node.me)
        return _decided(node, task_key, number, standing.at)
    record = request_record(node, number)
    terms = record.terms
    found = _own(node, terms)
    require_offered(_offer(node, found), terms)
    if node.clock() > terms.deadline:
        raise Refused("the request waited too long", clause="deadline", seen=node.clock(), needed=terms.deadline,
                      hint="ask the consumer to request again")  # fmt: skip
    with node.db.writing() as tx:
        task = operations.begin(tx, "grant", task_key, {}, at=node.clock())
    if task.step == operations.FIRST:
        # Wrapping draws randomness: the record is fixed before the transaction names it, so every retry sends the same.
        sealed = node.put_bytes(_wrap(node, terms, number).encode())
        with node.db.writing() as tx:
            task = operations.advance(tx, task_key, "wrapped", {"wrap": sealed}, at=node.clock())
    mine = node.keys.sign_typed(_message(node, terms))
    theirs = model.raw(record.signature)
    receipt = node.send(task_key, "Grants", "grant", terms, mine, theirs, task.state["wrap"], purpose="grant a request")
    node.finish(task_key, {"tx": receipt.tx, "gas": receipt.gas})
    return Decided(number, receipt.tx, receipt.gas, already=False)


def refuse(node: Node, number: GrantId, message: str, *, clause: str = "owner") -> Refusal:
    """Answer a request with a signed no. The consumer's node asks for it; nothing goes on chain."""
    with node.db.reading() as tx:
        answered = operations.find(tx, f"refuse:{number}")
    if answered is not None:
        return node.get_document(Refusal, Digest(answered.state["digest"]))
    asked = node.ledger.requests.get(number)
    if asked is None or not _undecided(node, asked):
        raise NotFound("no such request waits for an answer", clause="request", seen=number)
    beyond = _beyond(node, asked)
    seen, needed = (str(beyond.seen), str(beyond.needed)) if beyond else ("", "")
    bare = Refusal(number, (beyond and beyond.clause) or clause, message, seen, needed, node.clock())
    signed = replace(bare, signature="0x" + node.keys.sign_digest(model.raw(digest_of(bare))).hex())
    digest = node.put_document(signed)
    with node.db.writing() as tx:
        operations.begin(tx, "refuse", f"refuse:{number}", {"digest": digest}, at=node.clock())
        operations.advance(tx, f"refuse:{number}", "refused", {}, at=node.clock(), done=True)
    return signed


def refusal(node: Node, number: GrantId) -> Refusal:
    """The owner's signed no to one of our requests, or our own to somebody's. NotFound where there is none."""
    asked = node.ledger.requests.get(number)
    if asked is None:
        raise NotFound("no such request", clause="request", seen=number)
    owner = dataset_of(node.ledger, asked.dataset).owner
    with node.db.reading() as tx:
        task = operations.find(tx, f"refuse:{number}")
    if task is not None:
        return node.get_document(Refusal, Digest(task.state["digest"]), member=owner)
    if owner == node.me:
        raise NotFound("this node has not refused the request", clause="request", seen=number)
    found = node.ask_refusal(owner, number)
    bare = replace(found, signature="")
    signer = signature.recover(model.raw(digest_of(bare)), model.raw(found.signature))
    if signer != owner or found.id != number:
        raise Untrusted("the refusal is not the owner's", clause="signature", seen=signer, needed=owner)
    return found


def revoke(node: Node, number: GrantId) -> Decided:
    """End a grant, as owner or consumer. Looks forward only: what was opened before stays with whoever opened it."""
    found = grant_of(node.ledger, number)
    owner = dataset_of(node.ledger, found.terms.dataset).owner
    if node.me not in (owner, found.terms.consumer):
        raise Refused("only a party of the grant may end it", clause="party", seen=node.me,
                      needed=f"{owner} or {found.terms.consumer}")  # fmt: skip
    if found.state == GrantState.REVOKED and found.ended is not None:
        return _decided(node, f"revoke:{number}", number, found.ended)
    if found.state != GrantState.GRANTED:
        raise Conflict("the grant has ended already", clause="state", seen=found.state.name.lower(), needed="granted")
    with node.db.writing() as tx:
        operations.begin(tx, "revoke", f"revoke:{number}", {}, at=node.clock())
    parties = (found.terms.dataset, found.terms.consumer)
    receipt = node.send(f"revoke:{number}", "Grants", "revoke", number, *parties, purpose="revoke a grant")
    node.finish(f"revoke:{number}", {"tx": receipt.tx, "gas": receipt.gas})
    return Decided(number, receipt.tx, receipt.gas, already=False)


def why(node: Node, number: GrantId, *, who: Address, purposes: Sequence[str] = (), at: Time | None = None) -> Allowed:
    """The clauses under which `who` may read, or Refused with the one that forbids it."""
    moment = at if at is not None else node.clock()
    found = require_allowed(node.ledger, number, who=who, use=Use.READ, purposes=bits(purposes), at=moment)
    return Allowed(number, clauses(found.terms))


def request_record(node: Node, number: GrantId) -> RequestRecord:
    """A request's public record: served, its terms hash to the id, and the consumer signed them."""
    asked = node.ledger.requests.get(number)
    if asked is None:
        raise NotFound("no such request", clause="request", seen=number, hint="`hanse request list` shows them")
    record = node.get_document(RequestRecord, asked.record, member=asked.consumer)
    hashed = _id(node, record.terms)
    if hashed != number or record.terms.consumer != asked.consumer:
        raise Untrusted("the request record is about other terms", clause="terms", seen=hashed, needed=number)
    signer = typed.signer_of(_message(node, record.terms), model.raw(record.signature))
    if signer != asked.consumer:
        raise Untrusted("the consumer did not sign these terms", clause="signature", seen=signer, needed=asked.consumer)
    return record


# --- asking ---


def _begun(node: Node, key: str, wanted: Terms) -> Operation:
    """The operation with its terms fixed: every retry signs the same ones. Begun anew once the earlier ones are over.

    A crash here leaves terms that nobody has seen: the next run takes them up."""
    with node.db.reading() as tx:
        task = operations.find(tx, key)
    if task is None or _is_over(node, Terms(**task.state["terms"])):
        require_offered(_offer(node, dataset_of(node.ledger, wanted.dataset)), wanted)
        with node.db.writing() as tx:
            task = operations.restart(tx, "request", key, {"terms": asdict(wanted)}, at=node.clock())
    if not _same_words(Terms(**task.state["terms"]), wanted):
        raise Conflict("this key stands for another request", clause="key", seen=key, needed="another key")
    return task


def _is_over(node: Node, terms: Terms) -> bool:
    """Whether asking again in the same words means a new request."""
    granted, number = node.ledger.grants.get(_id(node, terms)), _id(node, terms)
    if granted is not None:
        return granted.state != GrantState.GRANTED or node.clock() >= terms.until
    return number in node.ledger.withdrawn or node.clock() > terms.deadline


def _same_words(terms: Terms, wanted: Terms) -> bool:
    days = (terms.until - terms.from_, wanted.until - wanted.from_)
    words = ("dataset", "uses", "purposes", "count")
    return days[0] == days[1] and all(getattr(terms, name) == getattr(wanted, name) for name in words)


def _terms(node: Node, found: Dataset, uses: int, purposes: int, count: int, days: int) -> Terms:
    current, start = found.current, node.clock()
    card = node.card_of(node.me)
    bare = Terms(
        dataset=found.id,
        version=current.number,
        owner=found.owner,
        consumer=node.me,
        policy=current.content.policy,
        document=ZERO,
        recipient=card.key.digest,
        uses=uses,
        purposes=purposes,
        count=count,
        from_=Time(start),
        until=Time(start + days * DAY),
        deadline=Time(start + ANSWER_DAYS * DAY),
        replaces=GrantId(ZERO),
        nonce=model.digest(os.urandom(32)),
    )
    return replace(bare, document=model.digest(canon.digest(agreement_document(bare))))


def _offer(node: Node, found: Dataset) -> Offer:
    policy = found.current.content.policy
    return parse_offer(canon.parse(node.get_bytes(policy, member=found.owner), limit=1 << 20))


def _message(node: Node, terms: Terms) -> dict[str, Any]:
    return typed.terms_message(terms, node.chain.chain_id, node.directory.address("Grants"))


def _id(node: Node, terms: Terms) -> GrantId:
    return typed.grant_id(terms, node.chain.chain_id, node.directory.address("Grants"))


# --- answering ---


def _undecided(node: Node, asked: Request) -> bool:
    ledger = node.ledger
    if asked.id in ledger.grants or asked.id in ledger.withdrawn:
        return False
    found = ledger.datasets[asked.dataset]
    with node.db.reading() as tx:
        refused = operations.find(tx, f"refuse:{asked.id}") is not None
    open_ = found.state == DatasetState.ACTIVE and found.current.number == asked.version
    return found.owner == node.me and open_ and not refused


def _readable(node: Node, asked: Request) -> Waiting | None:
    """One request's bad record, or its consumer's dead node, must not hide the others."""
    try:
        return _waiting(node, asked)
    except (Retry, Untrusted) as exc:
        return Waiting(asked.id, asked.dataset, asked.version, asked.consumer, None, None, trouble=str(exc))


def _waiting(node: Node, asked: Request) -> Waiting | None:
    terms = request_record(node, asked.id).terms
    if terms.deadline < node.clock():
        return None
    beyond = _beyond(node, asked)
    return Waiting(asked.id, asked.dataset, asked.version, asked.consumer, terms, beyond.clause if beyond else None)


def _beyond(node: Node, asked: Request) -> Refused | None:
    """How a request goes beyond the offer."""
    try:
        require_offered(_offer(node, dataset_of(node.ledger, asked.dataset)), request_record(node, asked.id).terms)
    except Refused as no:
        return no
    return None


def _own(node: Node, terms: Terms) -> Dataset:
    found = require_owner(node.ledger, terms.dataset, node.me)
    if found.state != DatasetState.ACTIVE:
        raise Refused("the dataset is retired", clause="state", seen="retired", needed="active")
    if terms.owner != node.me:
        raise Refused("the request is to an earlier owner", clause="owner", seen=terms.owner, needed=node.me,
                      hint="ask the consumer to request again")  # fmt: skip
    if terms.version != found.current.number:
        raise Refused("the request is for an older version", clause="version", seen=terms.version,
                      needed=found.current.number, hint="ask the consumer to request the current one")  # fmt: skip
    return found


def _wrap(node: Node, terms: Terms, number: GrantId) -> Any:
    recipient = node.card_of(terms.consumer).key
    if recipient.digest != terms.recipient:
        raise Refused("the consumer has changed its key since it asked", clause="recipient",
                      seen=recipient.digest, needed=terms.recipient,
                      hint="ask the consumer to request again")  # fmt: skip
    file_key = node.keys.get_secret(file_key_name(terms.dataset, terms.version))
    return wrap(file_key, recipient, context(node, terms, number), sign=node.keys.sign_digest)


def _decided(node: Node, key: str, number: GrantId, at: Position) -> Decided:
    """What the chain says was done: by us, perhaps by a run that was killed before it could note it, or by another."""
    sent = node.mined(at)
    with node.db.reading() as tx:
        task = operations.find(tx, key)
    if task is not None and not task.done:
        node.finish(key, {"tx": sent.tx, "gas": sent.gas})
    return Decided(number, sent.tx, sent.gas, already=True)


def _key(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
