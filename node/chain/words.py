"""The contracts' refusals in words: every custom error as one of the node's errors.

The table is the only place; a test holds it complete against the interfaces and the artifacts.

    raise refusal(revert_data)            # Refused("only the dataset's owner may do this", clause="NotOwner", ...)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from node.chain import abi, decode
from node.errors import Conflict, HanseError, NotFound, Refused, Untrusted
from node.model import GrantState, MemberState, Phase


class Words(NamedTuple):
    """What an error means: `seen` and `needed` name its arguments (in snake_case); `hint` says who can change it."""

    message: str
    seen: str | None = None
    needed: str | None = None
    hint: str | None = None
    kind: type[HanseError] = Refused


_AGAIN = "read the present state and sign again"
_LATER = "wait until then and run the same command again"

WORDS: dict[str, Words] = {
    # Consortium
    "UnknownName": Words("the directory has no contract of that name", "name", kind=NotFound),
    "NoCode": Words("there is no contract at that address", "at"),
    "LengthsDiffer": Words("as many contracts as names are needed", "contracts", "names"),
    # Members
    "NotMember": Words("only an active member of the alliance may do this", "who", hint="the members can admit it"),
    "AlreadyMember": Words("that account is or was a member already", "who", kind=Conflict),
    "BadRoles": Words("no such roles", "roles", hint="1 member, 2 auditor, 4 operator, or a sum of them"),
    "NotEnough": Words("not enough members consent", "have", "need", "collect more consents"),
    "Unsorted": Words("signers must be sorted, each once", "at"),
    "BadSignature": Words("the signature is not that signer's over this text", "signer", hint=_AGAIN),
    "StaleEpoch": Words("the roster has changed since this was signed", "given", "now_", _AGAIN),
    "Expired": Words("the consents have expired", needed="until", hint=_AGAIN),
    "Paused": Words("the alliance is paused", needed="until", hint="a quorum of members can end the pause earlier"),
    "TooLong": Words("the time asked for is too long", "given", "most"),
    "BadState": Words("the member cannot go from its state to that one", "from_", hint="expelled is for ever"),
    # Datasets
    "NotOwner": Words("only the dataset's owner may do this", "who", "owner", "ask the owner"),
    "Exists": Words("that id is taken already", "id", kind=Conflict),
    "UnknownDataset": Words("no dataset is published under that id", "id", kind=NotFound),
    "DatasetRetired": Words("the dataset is retired", "id", hint="what was granted stays as granted"),
    "WrongVersion": Words("that is not the version in turn", "given", "current", kind=Conflict),
    "EmptyDigest": Words("a digest is missing"),
    "BadUses": Words("no such uses", "uses", hint="1 read, 2 train, or both"),
    "AlreadyAnchored": Words("that root is anchored already", "root", kind=Conflict),
    # Grants
    "NotParty": Words("only owner or consumer of these terms may do this", "who"),
    "TermsDiffer": Words("that party signed other terms", "signer", hint="both must sign the same terms"),
    "AlreadyDecided": Words("these terms are decided already", "state", kind=Conflict),
    "NotGranted": Words("these terms are not in force", "state", hint="ask the owner for a grant"),
    "NotYet": Words("the grant has not begun", needed="from_", hint=_LATER),
    "Over": Words("the grant is over", needed="until", hint="ask the owner to renew"),
    "Late": Words("the deadline has passed", needed="deadline"),
    "UseNotOffered": Words("the version is not offered for that use", "asked", "offered", "ask the owner"),
    "NoPeriod": Words("the period ends before it begins", "until", "from_"),
    "PurposeNotGranted": Words("the grant does not allow that purpose", "asked", "granted", "ask the owner"),
    "OtherParties": Words("the grant is between other parties, or of another dataset", "id"),
    # Trainings
    "BadTerms": Words("the training's terms do not hold together", "which"),
    "UnknownTraining": Words("no training is known under that id", "id", kind=NotFound),
    "NotJoined": Words("only a member that joined the training may do this", "who"),
    "AlreadyIn": Words("that member has posted already", "who", kind=Conflict),
    "WrongPhase": Words("the training is in another phase", "given", "needed"),
    "WrongRound": Words("the training is in another round", "given", "current"),
    "TooEarly": Words("it is too early", needed="until", hint=_LATER),
    "NotExpected": Words("nothing is expected of that member in this step", "who"),
    "NotTrainable": Words("the version may not be trained on by that member", "dataset", hint="ask the owner"),
    "BudgetSpent": Words(
        "the version's privacy budget does not suffice", "asked", "left", "only a new version has more"
    ),
    "BadKeys": Words("the round's keys are not well formed"),
    "BadVector": Words("the vector's digests or size are not well formed"),
    "BadCount": Words(
        "another number of shares is needed", "have", "need", "one for each missing member, zero for none"
    ),
    "BadPositions": Words("only members that contributed to this round can be accused", "given", "allowed"),
    "BarredFrom": Words(
        "the training goes on without that member", "who", hint="a correction or an accusation barred it"
    ),
    "Honest": Words("the sum is right, or stands already", hint="compare it with the sum your node makes"),
    "BadHistory": Words(
        "those sums do not lead to the present transcript", hint="follow the chain to its head, try again"
    ),
    "BadPosts": Words(
        "the posts do not lead to the sum, or lack those positions", "lacking", hint="take them from the chain"
    ),
    "BadLeaf": Words("a leaf does not lead to the root that was posted", "which", hint="fetch the vector again"),
    "BadSecret": Words(
        "a seed or scalar is not the one its member committed to", "which", hint="recover it from shares"
    ),
    "BadPoint": Words(
        "a shared point is not the product of its two keys", "which", hint="make it again from the scalar"
    ),
}

_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")
_STATES = {
    "AlreadyDecided": GrantState,
    "NotGranted": GrantState,
    "WrongPhase": Phase,
    "BadState": MemberState,
}


def refusal(data: bytes) -> HanseError:
    """The error behind revert data; to be raised by the caller. Refused where it is none of ours."""
    shape = abi.errors().get(data[:4])
    if shape is None:
        return _foreign(data)
    words = WORDS[shape.name]
    try:
        found = decode.values(shape.inputs, data[4:])
    except Untrusted as exc:
        return exc
    args = {p.name: _shown(shape.name, v) for p, v in zip(shape.inputs, found, strict=True)}
    seen, needed = (args[n] if n else None for n in (words.seen, words.needed))
    return words.kind(words.message, clause=shape.name, seen=seen, needed=needed, hint=words.hint)


def _shown(error: str, value: Any) -> Any:
    """States by their names; anything else as it is."""
    states = _STATES.get(error)
    return states(value).name.lower() if states and isinstance(value, int) else value


def _foreign(data: bytes) -> HanseError:
    from eth_abi.abi import decode as plain
    from eth_abi.exceptions import DecodingError

    try:
        if data[:4] == _ERROR:
            return Refused("the contract refused", clause="revert", seen=plain(["string"], data[4:])[0][:200])
        if data[:4] == _PANIC:
            return Refused("the contract failed", clause="panic", seen=hex(plain(["uint256"], data[4:])[0]))
    except DecodingError:
        pass  # then it is shown as bytes, as any error we do not know
    seen = "0x" + data[:36].hex() if data else None
    return Refused("the contract refused without words", clause="revert", seen=seen)
