"""Checks 6 to 12: cards, versions, sealed files, requests, grants, wrapped keys, anchored lists.

check_catalog(sheet, history, blobs)
"""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

from node import canon, documents, merkle, model, signature
from node.audit.blobs import Blobs
from node.audit.consents import check_signed
from node.audit.history import History, named
from node.audit.report import Sheet
from node.chain import typed
from node.documents import Envelope, Receipt, ReceiptList, RequestRecord
from node.encryption import floe
from node.encryption.wrap import Expected, PublicKey, WrapContext, WrapRecord, verify
from node.errors import Misuse, Untrusted
from node.ledger import Dataset, PublishedVersion
from node.model import Card, Event, Terms
from node.policy import agreement_document, parse_offer
from node.store import Cid

SUITES = (documents.SUITE,)
PROFILES = ("unixfs-v1-2025", "kubo-256k")


def check_catalog(sheet: Sheet, history: History, blobs: Blobs, *, sample: int | None = None) -> None:
    """Checks 6 to 12. `sample`: how many sealed files to fetch, all where it is None."""
    blobs.bring(_small(history))
    for member in history.ledger.members.values():
        with sheet.check(6, f"member {member.account}"):
            _check_card(blobs, member.card)
    for dataset, version in _versions(history):
        with sheet.check(7, _subject(dataset, version)):
            _check_version(blobs, dataset, version)
    _check_files(sheet, history, blobs, sample)
    for event, asked in history.said(model.Requested):
        with sheet.check(9, f"request {asked.id} ({named(event)})"):
            _check_request(history, blobs, event, asked)
    for event, granted in history.said(model.Granted):
        with sheet.check(10, f"grant {granted.id} ({named(event)})"):
            _check_grant(history, event, granted)
        with sheet.check(11, f"grant {granted.id}"):
            _check_wrap(history, blobs, granted)
    for _, received in history.said(model.Received):
        with sheet.check(12, f"receipts {received.root} of {received.consumer}"):
            _check_receipts(history, blobs, received)
    for _, anchored in history.said(model.Anchored):
        with sheet.check(12, f"anchor {anchored.root} of {anchored.owner}"):
            blobs.block(anchored.list)
    _note_unsound(sheet, history)


def _small(history: History) -> Iterator[Cid]:
    """Everything these checks read that is one block."""
    digests = [m.card for m in history.ledger.members.values()]
    for _, version in _versions(history):
        digests += [version.content.envelope, version.content.policy]
    digests += [said.request for _, said in history.said(model.Requested)]
    digests += [said.wrap for _, said in history.said(model.Granted)]
    digests += [received.list for _, received in history.said(model.Received)]
    digests += [anchored.list for _, anchored in history.said(model.Anchored)]
    return (Cid.raw(model.raw(digest)) for digest in digests)


def _note_unsound(sheet: Sheet, history: History) -> None:
    """Say what was not looked at because the events behind it cannot be trusted."""
    for contract, numbers in (("Members", (6,)), ("Datasets", (7, 8)), ("Grants", (9, 10, 11, 12))):
        for number in numbers:
            if contract in history.unsound:
                sheet.leave(number, contract, history.unsound[contract])


def _versions(history: History) -> Iterator[tuple[Dataset, PublishedVersion]]:
    return ((d, v) for d in history.ledger.datasets.values() for v in d.versions)


def _subject(dataset: Dataset, version: PublishedVersion) -> str:
    return f"dataset {dataset.id} version {version.number}"


# --- 6 ---


def _check_card(blobs: Blobs, digest: model.Digest) -> None:
    """6. The block behind a member's card is served, hashes to the digest on chain, and is a card with a usable key."""
    card = blobs.document(Card, digest)
    try:
        PublicKey(base64.b64decode(card.hpke, validate=True))
    except binascii.Error as exc:
        raise Untrusted("the card's key is not base64", clause="hpke", seen=card.hpke) from exc


# --- 7, 8 ---


def _check_version(blobs: Blobs, dataset: Dataset, version: PublishedVersion) -> None:
    """7. The envelope record is served and about this version; the offer is served and offers the uses on chain."""
    envelope = blobs.document(Envelope, version.content.envelope)
    if (envelope.dataset, envelope.version) != (dataset.id, version.number):
        seen = f"{envelope.dataset} version {envelope.version}"
        raise Untrusted("the envelope record is about another version", clause="envelope", seen=seen)
    if envelope.suite not in SUITES or envelope.profile not in PROFILES:
        raise Untrusted("no known way to seal or store", clause="suite", seen=(envelope.suite, envelope.profile))
    offer = parse_offer(canon.parse(blobs.block(version.content.policy), limit=documents.LIMIT))
    if int(offer.uses) != version.content.uses:
        raise Untrusted("other uses than offered", clause="uses", seen=version.content.uses, needed=int(offer.uses))


def _check_files(sheet: Sheet, history: History, blobs: Blobs, sample: int | None) -> None:
    every = list(_versions(history))
    chosen = every if sample is None or sample >= len(every) else random.SystemRandom().sample(every, sample)
    for dataset, version in every:
        if (dataset, version) not in chosen:
            sheet.leave(8, _subject(dataset, version), "not in the sample", clause="sample")
            continue
        with sheet.check(8, _subject(dataset, version)):
            _check_file(blobs, version)


def _check_file(blobs: Blobs, version: PublishedVersion) -> None:
    """8. Every block of the sealed file is served and hashes to its CID; size and header are as the record says."""
    envelope = blobs.document(Envelope, version.content.envelope)
    cid = _cid(envelope)
    stored = blobs.file(cid, envelope.size)
    if stored.size != envelope.size:
        raise Untrusted(f"{cid} is not as long as the record says", clause="size", seen=stored.size,
                        needed=envelope.size)  # fmt: skip
    with blobs.open(cid) as file:
        head = file.read(floe.HEADER_SIZE)
    needed = floe.DEFAULT.encoded()
    if not head.startswith(needed) or stored.size < floe.sealed_size(0):
        raise Untrusted(
            f"{cid} is no sealed file", clause="header", seen=head[: len(needed)].hex(), needed=needed.hex()
        )


def _cid(envelope: Envelope) -> Cid:
    try:
        return Cid.parse(envelope.cid)
    except Misuse as exc:
        raise Untrusted("the envelope record names no CID", clause="cid", seen=envelope.cid) from exc


# --- 9, 10, 11 ---


def _check_request(history: History, blobs: Blobs, event: Event, said: model.Requested) -> None:
    """9. The request record is served, its terms hash to the id, and the consumer signed them."""
    chain_id, grants = history.chain.chain_id, history.directory.address("Grants")
    record = blobs.document(RequestRecord, said.request)
    terms = record.terms
    if (record.chain_id, record.grants, record.id) != (chain_id, grants, said.id):
        raise Untrusted("the record is about another request", clause="record", seen=record.id, needed=said.id)
    _check_id(history, terms, said.id)
    if (terms.dataset, terms.version, terms.consumer) != (said.dataset, said.version, said.consumer):
        raise Untrusted("the record's terms are not those on chain", clause="terms", seen=terms.dataset)
    message = typed.terms_message(terms, chain_id, grants)
    check_signed(history, message, said.consumer, _hex(record.signature), event.at.block)


def _check_grant(history: History, event: Event, said: model.Granted) -> None:
    """10. The terms hash to the grant's id, both parties signed them, the readable agreement says the same."""
    terms = said.terms
    _check_id(history, terms, said.id)
    needed = model.digest(canon.digest(agreement_document(terms)))
    if terms.document != needed:
        raise Untrusted(
            "the readable agreement says other terms", clause="document", seen=terms.document, needed=needed
        )
    policy = history.ledger.datasets[terms.dataset].versions[terms.version - 1].content.policy
    if terms.policy != policy:
        raise Untrusted("agreed on another offer than the version's", clause="policy", seen=terms.policy, needed=policy)
    message = typed.terms_message(terms, history.chain.chain_id, history.directory.address("Grants"))
    _, of_owner, of_consumer, _ = history.call(event, "grant")
    check_signed(history, message, terms.owner, cast(bytes, of_owner), event.at.block)
    check_signed(history, message, terms.consumer, cast(bytes, of_consumer), event.at.block)


def _check_id(history: History, terms: Terms, needed: model.GrantId) -> None:
    seen = typed.grant_id(terms, history.chain.chain_id, history.directory.address("Grants"))
    if seen != needed:
        raise Untrusted("the terms do not hash to the id", clause="id", seen=seen, needed=needed)


def _check_wrap(history: History, blobs: Blobs, said: model.Granted) -> None:
    """11. The wrap record is served, is for this grant, version, file and recipient, and the owner signed it."""
    terms = said.terms
    record = WrapRecord.parse(blobs.block(said.wrap))
    version = history.ledger.datasets[terms.dataset].versions[terms.version - 1]
    envelope = blobs.document(Envelope, version.content.envelope)
    context = WrapContext(
        history.chain.chain_id, history.directory.address("Grants"), terms.dataset, terms.version,
        envelope.cid, said.id, terms.recipient,
    )  # fmt: skip
    verify(record, Expected(context, terms.owner, signature.recover))


# --- 12 ---


def _check_receipts(history: History, blobs: Blobs, said: model.Received) -> None:
    """12. The list is served, its receipts are the tree's leaves, the consumer signed each for a grant of its own."""
    listed = blobs.document(ReceiptList, said.list).receipts
    if len(listed) != said.size:
        raise Untrusted("the list is not as long as anchored", clause="size", seen=len(listed), needed=said.size)
    blobs.bring(Cid.raw(model.raw(digest)) for digest in listed)
    leaves = [blobs.block(digest) for digest in listed]
    root = model.digest(merkle.root_of(leaves))
    if root != said.root:
        raise Untrusted("the receipts are not those anchored", clause="root", seen=root, needed=said.root)
    _check_each(history, said.consumer, [documents.decode(Receipt, leaf) for leaf in leaves])


def _check_each(history: History, consumer: model.Address, receipts: Sequence[Receipt]) -> None:
    for receipt in receipts:
        bare = model.raw(documents.digest_of(replace(receipt, signature="")))
        signer = signature.recover(bare, _hex(receipt.signature))
        if signer != consumer:
            raise Untrusted("not the consumer's receipt", clause="signature", seen=signer, needed=consumer)
        grant = history.ledger.grants.get(receipt.grant)
        if grant is None or grant.terms.consumer != consumer or grant.terms.dataset != receipt.dataset:
            raise Untrusted("a receipt for a grant the consumer never had", clause="grant", seen=receipt.grant)
        if not grant.terms.from_ <= receipt.at < grant.terms.until:
            raise Untrusted("a receipt from outside the grant's period", clause="period", seen=receipt.at,
                            needed=f"{grant.terms.from_} to {grant.terms.until}")  # fmt: skip


def _hex(text: str) -> bytes:
    try:
        return model.raw(text)
    except ValueError as exc:
        raise Untrusted("a signature that is not hexadecimal", clause="signature", seen=text) from exc
