"""The EIP-712 texts that members sign, and their digests. No I/O, no keys.

Each function returns the full message (types, primaryType, domain, message), as keyring and wallets sign it.

    message = terms_message(terms, chain_id, grants)
    signature = keyring.sign_typed(message)
    signer_of(message, signature)                    # the address
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from node.model import Address, Digest, GrantId, Terms, Time
from node.signature import keccak, recover_plain

Message = dict[str, Any]

_DOMAIN = "string name,string version,uint256 chainId,address verifyingContract"
_STRUCTS = {
    "Admit": "address account,uint8 roles,bytes32 card,uint64 epoch,uint48 until",
    "SetState": "address account,uint8 state,uint64 epoch,uint48 until",
    "Rotate": "address from,address to,uint64 epoch,uint48 until",
    "Pause": "uint48 pausedUntil,uint64 epoch,uint48 until",
    "Enter": "address consortium,bytes32 name,address at,bytes32 codeHash,uint64 change,uint64 epoch,uint48 until",
    "Terms": (
        "bytes32 dataset,uint32 version,address owner,address consumer,bytes32 policy,bytes32 document,"
        "bytes32 recipient,uint8 uses,uint32 purposes,uint32 count,uint48 from,uint48 until,uint48 deadline,"
        "bytes32 replaces,bytes32 nonce"
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where consents count: one Members contract on one chain, in one epoch, until a moment (inclusive)."""

    chain_id: int
    members: Address
    epoch: int
    until: Time


@dataclass(frozen=True, slots=True)
class Consents:
    """The struct IMembers.Consents: signers ascending, a signature each (empty where approved on chain)."""

    epoch: int
    until: Time
    signers: tuple[Address, ...]
    signatures: tuple[bytes, ...]


def consents(place: Place, signatures: Mapping[Address, bytes]) -> Consents:
    """Collected signatures, as the contract wants them sorted."""
    signers = tuple(sorted(signatures, key=lambda a: int(a, 16)))
    return Consents(place.epoch, place.until, signers, tuple(signatures[s] for s in signers))


def admit(place: Place, account: Address, roles: int, card: Digest) -> Message:
    return _decision(place, "Admit", account, roles, card)


def set_state(place: Place, account: Address, state: int) -> Message:
    return _decision(place, "SetState", account, state)


def rotate(place: Place, from_: Address, to: Address) -> Message:
    return _decision(place, "Rotate", from_, to)


def pause(place: Place, paused_until: Time) -> Message:
    return _decision(place, "Pause", paused_until)


def enter(place: Place, consortium: Address, name: Digest, at: Address, code_hash: Digest, change: int) -> Message:
    """`change` is Consortium.changes() when signing."""
    return _decision(place, "Enter", consortium, name, at, code_hash, change)


def terms_message(terms: Terms, chain_id: int, grants: Address) -> Message:
    """What owner and consumer both sign."""
    return _message("Hanse Grants", chain_id, grants, "Terms", [getattr(terms, f.name) for f in fields(terms)])


def grant_id(terms: Terms, chain_id: int, grants: Address) -> GrantId:
    """The digest of the terms under that contract's domain; equals Grants.idOf(terms)."""
    return GrantId("0x" + digest(terms_message(terms, chain_id, grants)).hex())


def born_id(chain_id: int, contract: Address, owner: Address, salt: Digest) -> Digest:
    """The id that Datasets and Trainings give to what `owner` makes with `salt`: known before sending."""
    from eth_abi.abi import encode

    kinds = ["uint256", "address", "address", "bytes32"]
    return Digest("0x" + keccak(encode(kinds, [chain_id, contract, owner, bytes.fromhex(salt[2:])])).hex())


def digest(message: Message) -> bytes:
    """The 32 bytes that are signed: keccak256(0x1901, domain separator, hash of the struct)."""
    domain = dict(message["domain"])
    domain |= {k: keccak(domain[k].encode()) for k in ("name", "version")}
    separator = _hash("EIP712Domain", _DOMAIN, domain)
    name = message["primaryType"]
    return keccak(b"\x19\x01" + separator + _hash(name, _STRUCTS[name], message["message"]))


def signer_of(message: Message, signature: bytes) -> Address:
    """Who signed. Untrusted where the bytes are no signature; contract accounts (EIP-1271) are asked on chain."""
    return recover_plain(digest(message), signature)


def _decision(place: Place, name: str, *values: Any) -> Message:
    return _message("Hanse Members", place.chain_id, place.members, name, [*values, place.epoch, place.until])


def _message(domain: str, chain_id: int, at: Address, name: str, values: list[Any]) -> Message:
    return {
        "types": {"EIP712Domain": _declared(_DOMAIN), name: _declared(_STRUCTS[name])},
        "primaryType": name,
        "domain": {"name": domain, "version": "1", "chainId": chain_id, "verifyingContract": at},
        "message": {f["name"]: v for f, v in zip(_declared(_STRUCTS[name]), values, strict=True)},
    }


def _declared(struct: str) -> list[dict[str, str]]:
    return [dict(zip(("type", "name"), field.split(" "), strict=True)) for field in struct.split(",")]


def _hash(name: str, struct: str, values: Mapping[str, Any]) -> bytes:
    """hashStruct of EIP-712 for structs of value types: strings come hashed already."""
    from eth_abi.abi import encode

    declared = _declared(struct)
    kinds = ["bytes32" if f["type"] == "string" else f["type"] for f in declared]
    plain = [_bytes(kind, values[f["name"]]) for kind, f in zip(kinds, declared, strict=True)]
    return keccak(keccak(f"{name}({struct})".encode()) + encode(kinds, plain))


def _bytes(kind: str, value: Any) -> Any:
    return bytes.fromhex(value.removeprefix("0x")) if kind == "bytes32" and isinstance(value, str) else value
