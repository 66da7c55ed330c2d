"""What others spend on the same chain: an EAS attestation, an Ocean publish and order, from their own npm artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eth_abi.packed import encode_packed
from eth_account.messages import encode_defunct
from eth_utils import keccak
from local_chain import ROOT, person
from web3 import Web3
from web3.contract import Contract
from web3.logs import DISCARD
from web3.types import TxReceipt

EAS = ROOT / "node_modules" / "@ethereum-attestation-service" / "eas-contracts" / "artifacts" / "contracts"
OCEAN = ROOT / "node_modules" / "@oceanprotocol" / "contracts" / "artifacts" / "contracts"
NOBODY = "0x" + "00" * 20
ELSEWHERE = "0x" + "01" * 20


def measure(w3: Web3) -> dict[str, int]:
    """Gas by operation: `EAS attest`, `Ocean publish`, `Ocean order`."""
    return {"EAS attest": _eas_attest(w3), **_ocean(w3)}


def _eas_attest(w3: Web3) -> int:
    registry = _deploy(w3, EAS / "SchemaRegistry.sol" / "SchemaRegistry.json")
    eas = _deploy(w3, EAS / "EAS.sol" / "EAS.json", registry.address)
    registered = _send(w3, registry.functions.register("bytes32 root,bytes32 cid,bytes32 meta", NOBODY, True))
    schema = bytes(registered["logs"][0]["topics"][1])
    content = b"".join(keccak(text=t) for t in ("root", "cid", "meta"))
    attest = eas.functions.attest((schema, (person(1).address, 0, True, bytes(32), content, 0)))
    _send(w3, attest)
    return _send(w3, attest)["gasUsed"]  # the second: no slot of the recipient's is new


def _ocean(w3: Web3) -> dict[str, int]:
    owner = person(0).address
    fees = _deploy(w3, _ocean_code("communityFee", "OPFCommunityFeeCollector"), owner, owner)
    router = _deploy(w3, _ocean_code("pools", "FactoryRouter"), owner, ELSEWHERE, ELSEWHERE, fees.address, [])
    nft_template = _deploy(w3, _ocean_code("templates", "ERC721Template"))
    token_template = _deploy(w3, _ocean_code("templates", "ERC20Template"))
    factory = _deploy(
        w3, _ocean_code("", "ERC721Factory"), nft_template.address, token_template.address, router.address
    )
    _send(w3, router.functions.addFactory(factory.address))
    made = _send(w3, factory.functions.deployERC721Contract("data", "D", 1, owner, owner, "", True, owner))
    nft = w3.eth.contract(address=_created(factory, made, "NFTCreated"), abi=nft_template.abi)
    record = (0, "https://provider", "0x0", b"\0", bytes(range(200)), keccak(text="d"), [])
    described = _send(w3, nft.functions.setMetaData(*record))
    sold = _send(w3, nft.functions.createERC20(1, ["token", "T"], [owner, NOBODY, owner, NOBODY], [10**24, 0], []))
    token = w3.eth.contract(address=_created(nft, sold, "TokenCreated"), abi=token_template.abi)
    return {
        "Ocean publish": made["gasUsed"] + described["gasUsed"] + sold["gasUsed"],
        "Ocean order": _ocean_order(w3, token),
    }


def _ocean_code(folder: str, name: str) -> Path:
    return OCEAN / folder / f"{name}.sol" / f"{name}.json"


def _ocean_order(w3: Web3, token: Contract) -> int:
    _send(w3, token.functions.mint(person(0).address, 10 * 10**18))
    until = w3.eth.get_block("latest")["timestamp"] + 3600
    fee = (b"", person(1).address, NOBODY, 0, until)
    digest = keccak(encode_packed(["bytes", "address", "address", "uint256", "uint256"], list(fee)))
    signed = person(1).sign_message(encode_defunct(digest))
    r, s = (number.to_bytes(32, "big") for number in (signed.r, signed.s))
    provider = (person(1).address, NOBODY, 0, signed.v, r, s, until, b"")
    order = token.functions.startOrder(person(0).address, 0, provider, (NOBODY, NOBODY, 0))
    return _send(w3, order)["gasUsed"]


def _deploy(w3: Web3, path: Path, *arguments: Any) -> Contract:
    built = json.loads(path.read_text())
    factory = w3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
    address = _send(w3, factory.constructor(*arguments))["contractAddress"]
    return w3.eth.contract(address=address, abi=built["abi"])


def _send(w3: Web3, call: Any) -> TxReceipt:
    sent = call.transact({"from": person(0).address, "gas": 12_000_000, "gasPrice": 0})
    receipt = w3.eth.wait_for_transaction_receipt(sent, timeout=10, poll_latency=0.005)
    assert receipt["status"] == 1, call
    return receipt


def _created(emitter: Contract, receipt: TxReceipt, event: str) -> str:
    """The new contract's address in `event`."""
    (found,) = emitter.events[event]().process_receipt(receipt, errors=DISCARD)
    return str(found["args"]["newTokenAddress"])
