"""Check 5: every decision's consents; and, for check 10 too, whether a party signed a text.

check_consents(sheet, history)
check_signed(history, message, signer, signature, block)
"""

from __future__ import annotations

from typing import Any, cast

from node import model
from node.audit.history import DECISIONS, Decision, History, named
from node.audit.report import Sheet
from node.chain import typed
from node.chain.typed import Message
from node.errors import Refused, Untrusted
from node.model import Address

_FUNCTIONS: dict[type, str] = dict(zip(DECISIONS, ("admit", "setState", "rotate", "pause", "enter"), strict=True))
_IS_VALID = bytes.fromhex("1626ba7e")  # isValidSignature(bytes32,bytes), and the answer that means yes


def check_consents(sheet: Sheet, history: History) -> None:
    """5. Every decision after the founding carries consents of enough members that were active at that moment."""
    for decision in history.decisions:
        with sheet.check(5, named(decision.event)):
            _check_decision(history, decision)
    if "Members" in history.unsound:
        sheet.leave(5, "decisions", history.unsound["Members"])


def _check_decision(history: History, decision: Decision) -> None:
    consents, message = _message(history, decision)
    at = decision.event.at
    if consents.epoch != decision.epoch:
        raise Untrusted("consents of another epoch", clause="epoch", seen=consents.epoch, needed=decision.epoch)
    if at.time > consents.until:
        raise Untrusted("consents that had expired", clause="deadline", seen=at.time, needed=consents.until)
    need = _need(decision)
    if len(consents.signers) < need:
        raise Untrusted("too few members consented", clause="quorum", seen=len(consents.signers), needed=need)
    if sorted({int(s, 16) for s in consents.signers}) != [int(s, 16) for s in consents.signers]:
        raise Untrusted("a signer counted twice", clause="signers", seen=consents.signers, needed="ascending")
    for signer, signature in zip(consents.signers, consents.signatures, strict=True):
        _check_consent(history, decision, message, (signer, signature))


def _check_consent(history: History, decision: Decision, message: Message, consent: tuple[Address, bytes]) -> None:
    signer, signature = consent
    if signer not in decision.voters:
        raise Untrusted("consent of somebody who was no active member", clause="signer", seen=signer,
                        needed=", ".join(sorted(decision.voters)))  # fmt: skip
    if signature:
        return check_signed(history, message, signer, signature, decision.event.at.block)
    if (signer, model.digest(typed.digest(message))) not in decision.approved:
        raise Untrusted("neither signed nor approved on chain", clause="consent", seen=signer,
                        needed="a signature, or approve() of this text before")  # fmt: skip


def check_signed(history: History, message: Message, signer: Address, signature: bytes, block: int) -> None:
    """Raise Untrusted unless `signer` signed: by its key, or as a wallet that says so at that block (EIP-1271)."""
    try:
        seen = typed.signer_of(message, signature)
    except Untrusted:
        seen = Address("nobody")
    if seen == signer or _wallet_accepts(history, message, signer, signature, block):
        return
    raise Untrusted("the signature is not that party's over this text", clause="signature", seen=seen, needed=signer)


def _wallet_accepts(history: History, message: Message, wallet: Address, signature: bytes, block: int) -> bool:
    """What a contract account says of a signature in its name (EIP-1271), in the state after `block`."""
    if not history.chain.code(wallet, block):
        return False
    from eth_abi.abi import encode as packed

    asked = _IS_VALID + packed(["bytes32", "bytes"], [typed.digest(message), signature])
    try:
        return history.chain.view(None, wallet, asked, block=block) == _IS_VALID.ljust(32, b"\0")
    except Refused:
        return False


def _message(history: History, decision: Decision) -> tuple[typed.Consents, Message]:
    """The consents brought with a decision, and the text they must be over: made from the event, not from the call."""
    said, event = decision.event.said, decision.event
    function = _FUNCTIONS[type(said)]
    consents = typed.Consents(*cast(Any, history.call(event, function)[-1]))
    place = typed.Place(history.chain.chain_id, history.directory.address("Members"), consents.epoch, consents.until)
    match said:
        case model.Admitted():
            return consents, typed.admit(place, said.account, said.roles, said.card)
        case model.StateChanged():
            return consents, typed.set_state(place, said.account, said.state)
        case model.AccountRotated():
            return consents, typed.rotate(place, said.from_, said.to)
        case model.PauseSet():
            return consents, typed.pause(place, said.until)
        case model.Entered():
            at = history.directory.consortium
            return consents, typed.enter(place, at, said.name, said.at, said.code_hash, said.change)
    raise AssertionError(function)


def _need(decision: Decision) -> int:
    said, count = decision.event.said, len(decision.voters)
    lengthens = (
        isinstance(said, model.PauseSet) and said.until > decision.event.at.time and said.until >= decision.paused_until
    )
    return count // 3 + 1 if lengthens else count * 2 // 3 + 1
