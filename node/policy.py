"""Terms of use: what an owner offers, what a consumer asks, and where each clause is enforced.

An offer and an agreement are ODRL 2.2 documents in JSON-LD (https://www.w3.org/TR/odrl-model/); the clauses that a
contract can judge are also numbers in `model.Terms`, which both parties sign. A clause is either enforced, and a test
shows the refusal, or shown as "declared only". Pure: no I/O, no clock.

    offer = Offer(uses=Use.READ | Use.TRAIN, purposes=("research",), days=90, count=0)
    require_offered(offer, terms)            # Refused, naming the clause
    for clause in clauses(terms): print(clause.name, clause.value, clause.enforced_by)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from node.errors import Misuse, Refused, Untrusted
from node.model import Terms, Use
from node.purposes import PURPOSES

ODRL = "http://www.w3.org/ns/odrl.jsonld"
_ACTIONS = {Use.READ: "read", Use.TRAIN: "https://w3id.org/hanse/train"}
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Offer:
    """What an owner offers for one version. `days`: longest period; `count`: most openings, 0 without limit."""

    uses: Use = Use.READ | Use.TRAIN
    purposes: tuple[str, ...] = PURPOSES
    days: int = 365
    count: int = 0


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause in words. `enforced_by` is "declared only" where nothing but the consumer's word stands behind it."""

    name: str
    value: str
    enforced_by: str


def bits(purposes: Iterable[str]) -> int:
    """The bit set of purposes named. Raises Misuse for a word outside the vocabulary."""
    total = 0
    for purpose in purposes:
        if purpose not in PURPOSES:
            raise Misuse("unknown purpose", clause="purpose", seen=purpose, needed=", ".join(PURPOSES))
        total |= 1 << PURPOSES.index(purpose)
    return total


def names(purposes: int) -> tuple[str, ...]:
    """The purposes in a bit set, in the order of the vocabulary."""
    return tuple(name for i, name in enumerate(PURPOSES) if purposes >> i & 1)


def require_offered(offer: Offer, terms: Terms) -> None:
    """Refuse terms that go beyond the offer, naming the clause, what was asked and what is offered."""
    _within(not terms.uses & ~int(offer.uses), "use", use_words(terms.uses), use_words(int(offer.uses)))
    beyond = terms.purposes & ~bits(offer.purposes)
    _within(not beyond, "purpose", ", ".join(names(terms.purposes)), ", ".join(offer.purposes))
    _within(terms.purposes != 0, "purpose", "none", ", ".join(offer.purposes))
    days = -(-(terms.until - terms.from_) // _DAY)
    _within(0 < days <= offer.days, "period", f"{days} days", f"1 to {offer.days} days")
    _within(
        offer.count == 0 or 0 < terms.count <= offer.count, "count", terms.count or "no limit", f"at most {offer.count}"
    )


def clauses(terms: Terms) -> tuple[Clause, ...]:
    """Every clause of signed terms, and who refuses what breaks it."""
    both = "contract and both nodes"
    return (
        Clause("consumer", terms.consumer, "contract; the file key is wrapped for this member alone"),
        Clause("version", str(terms.version), "contract; every version has its own key"),
        Clause("use", use_words(terms.uses), both),
        Clause("period", f"{_iso(terms.from_)} to {_iso(terms.until)}", both),
        Clause("count", str(terms.count or "no limit"), "the consumer's node; declared only beyond it"),
        Clause("purpose", ", ".join(names(terms.purposes)), "declared only, beyond the purpose named at each opening"),
    )


def use_words(uses: int) -> str:
    """`read and train` for the bit set 3."""
    return " and ".join(use.name.lower() for use in Use if uses & use and use.name) or "nothing"


def offer_document(offer: Offer) -> dict[str, Any]:
    """The offer as an ODRL Offer. Canonical JSON of it is what `Version.policy` digests."""
    constraints = [
        _constraint("purpose", "isAnyOf", list(offer.purposes)),
        _constraint("elapsedTime", "lteq", f"P{offer.days}D"),
    ]
    if offer.count:
        constraints.append(_constraint("count", "lteq", offer.count))
    permissions = [{"action": _ACTIONS[use], "constraint": constraints} for use in Use if offer.uses & use]
    return _odrl("Offer") | {"permission": permissions}


def parse_offer(document: dict[str, Any]) -> Offer:
    """The Offer behind `offer_document`. Raises Untrusted where it is not one."""
    try:
        uses, found = Use(0), Offer()
        for permission in document["permission"]:
            uses |= next(use for use, action in _ACTIONS.items() if action == permission["action"])
            limits = {c["leftOperand"]: c["rightOperand"] for c in permission["constraint"]}
            period = str(limits["elapsedTime"])
            found = Offer(uses, tuple(limits["purpose"]), int(period[1:-1]), int(limits.get("count", 0)))
        bits(found.purposes)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration, Misuse) as exc:
        raise Untrusted("not an offer of this alliance", clause="policy", seen=str(document)[:200]) from exc
    if offer_document(found) != document:
        raise Untrusted("an offer with clauses this node cannot read", clause="policy", seen=str(document)[:200])
    return found


def agreement_document(terms: Terms) -> dict[str, Any]:
    """Signed terms as an ODRL Agreement: the readable side of `model.Terms`, digested in `Terms.document`."""
    constraints = [
        _constraint("purpose", "isAnyOf", list(names(terms.purposes))),
        _constraint("dateTime", "gteq", _iso(terms.from_)),
        _constraint("dateTime", "lt", _iso(terms.until)),
    ]
    if terms.count:
        constraints.append(_constraint("count", "lteq", terms.count))
    target = f"urn:hanse:{terms.dataset}:{terms.version}"
    permissions = [
        {"target": target, "action": _ACTIONS[use], "constraint": constraints} for use in Use if terms.uses & use
    ]
    parties = {"assigner": f"did:pkh:{terms.owner}", "assignee": f"did:pkh:{terms.consumer}"}
    return _odrl("Agreement") | parties | {"permission": permissions}


def _odrl(kind: str) -> dict[str, Any]:
    return {"@context": ODRL, "@type": kind, "profile": "https://w3id.org/hanse"}


def _constraint(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _within(holds: bool, clause: str, seen: Any, offered: Any) -> None:
    if not holds:
        raise Refused(
            "the terms asked for go beyond what the owner offers",
            clause=clause,
            seen=seen,
            needed=offered,
            hint="ask for less, or ask the owner to publish a version with another policy",
        )
