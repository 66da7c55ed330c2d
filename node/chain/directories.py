"""The alliance's directory, read from its Consortium and checked: code is there, and is the code that was entered.

Not a judgement whether that code is Hanse's: `artifacts.same_code` is for the auditor.

    directory = read(chain, consortium)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.errors import HanseError, NotFound, Retry, Untrusted
from node.model import CONTRACTS, Address, Digest, Directory, Entry
from node.signature import keccak

if TYPE_CHECKING:
    from node.chain.client import Chain


def read(chain: Chain, consortium: Address) -> Directory:
    """The entries in force for model.CONTRACTS. NotFound, Untrusted as Chain.directory says."""
    if not chain.code(consortium):
        hint = "check the address, and that the RPC endpoint is the alliance's chain"
        raise NotFound(f"chain {chain.chain_id} has no contract there", clause="consortium", seen=consortium, hint=hint)
    entries = tuple(_entry(chain, consortium, name) for name in CONTRACTS)
    # Members names its founders while it is made, before there is a Consortium; the others are silent until then.
    born = chain.first_block([consortium, entries[0].at])
    return Directory(chain.chain_id, chain.genesis, consortium, born, entries)


def address(directory: Directory, contract: str) -> Address:
    """Where a contract of the alliance is, the Consortium itself included."""
    return directory.consortium if contract == "Consortium" else directory.address(contract)


def name_of(contract: str) -> Digest:
    """A name as the directory keys it: ASCII, padded to 32 bytes on the right."""
    return Digest("0x" + contract.encode("ascii").ljust(32, b"\0").hex())


def _entry(chain: Chain, consortium: Address, name: str) -> Entry:
    try:
        found = chain.call_at(consortium, "Consortium", "entry", name_of(name))
    except Retry:
        raise
    except HanseError as exc:
        what = f"the contract there is no Consortium, or knows no {name}"
        raise Untrusted(what, clause="consortium", seen=consortium, hint="check the address") from exc
    code_hash = "0x" + keccak(chain.code(found.at)).hex()
    if code_hash != found.code_hash:
        what = f"the code of {name} is not what the members entered"
        raise Untrusted(what, clause="code", seen=code_hash, needed=found.code_hash)
    return Entry(name, found.at, found.code_hash, found.from_)
