"""A real Anvil with the alliance's contracts on it, and the people who use them.

with anvil() as w3:
    alliance = found(w3)
    alliance.send(alliance.datasets.functions.publish(salt, content), by=alice)
"""

from __future__ import annotations

import itertools
import platform
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractCustomError
from web3.types import TxReceipt

from node.chain.artifacts import NAMES, artifact

ROOT = Path(__file__).resolve().parent.parent.parent
MNEMONIC = "test test test test test test test test test test test junk"
GAS = 8_000_000
CHAIN_ID = 31337
MEMBER, AUDITOR, OPERATOR = 1, 2, 4
DELAY = 3600
ZERO = bytes(32)


def digest(text: str) -> bytes:
    """A 32-byte digest that says what it stands for."""
    return keccak(text=text)


@cache
def person(index: int) -> LocalAccount:
    """The `index`th account that Anvil unlocks."""
    Account.enable_unaudited_hdwallet_features()
    return Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")


@contextmanager
def anvil(*options: str) -> Iterator[Web3]:
    """Anvil on a free port of the loopback, from npm's platform package."""
    system = {"Linux": "linux", "Darwin": "darwin"}[platform.system()]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    binary = ROOT / "node_modules" / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / "anvil"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [binary, "--port", port, "--chain-id", CHAIN_ID, "--accounts", 70, "--base-fee", 0, "--gas-price", 0]
    command += ["--no-cors", "--silent", "--prune-history", 64, *options]
    process = subprocess.Popen([str(part) for part in command])
    try:
        w3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}", exception_retry_configuration=None))
        _wait_until_up(w3, process)
        yield w3
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_until_up(w3: Web3, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if w3.is_connected():
            return
        assert process.poll() is None, "anvil ended before it answered"
        time.sleep(0.025)
    raise TimeoutError("anvil did not answer within 10 s")


def contract(w3: Web3, name: str, *arguments: Any) -> Contract:
    """Deploy the shipped artifact called `name`."""
    shipped = artifact(name)
    return deployed(w3, list(shipped.abi), shipped.bytecode, *arguments)


def deployed(w3: Web3, abi: list[Any], bytecode: str, *arguments: Any) -> Contract:
    """A contract of this code, by person 0."""
    sent = w3.eth.contract(abi=abi, bytecode=bytecode).constructor(*arguments)
    sent = sent.transact({"from": person(0).address, "gas": GAS, "gasPrice": 0})
    address = w3.eth.wait_for_transaction_receipt(sent, timeout=10, poll_latency=0.005)["contractAddress"]
    return w3.eth.contract(address=address, abi=abi)


@dataclass(frozen=True)
class Alliance:
    w3: Web3
    consortium: Contract
    members: Contract
    datasets: Contract
    grants: Contract
    trainings: Contract

    def send(self, call: ContractFunction, *, by: LocalAccount) -> TxReceipt:
        """Send and require success."""
        sent = call.transact({"from": by.address, "gas": GAS, "gasPrice": 0})
        receipt = self.w3.eth.wait_for_transaction_receipt(sent, timeout=10, poll_latency=0.005)
        assert receipt["status"] == 1, refusal(call, by=by)
        return receipt

    def now(self) -> int:
        return self.w3.eth.get_block("latest")["timestamp"]

    def sleep(self, seconds: int) -> None:
        """Let chain time pass."""
        self.w3.provider.make_request("anvil_setNextBlockTimestamp", [self.now() + seconds])
        self.w3.provider.make_request("anvil_mine", [])

    def contracts(self) -> dict[str, Contract]:
        return {name: getattr(self, name.lower()) for name in NAMES}


def found(w3: Web3, founders: Sequence[tuple[str, int, bytes]] | None = None) -> Alliance:
    """Deploy all five. Founders by default: people 0-3 as members, person 4 as auditor."""
    if founders is None:
        founders = [(person(i).address, AUDITOR if i == 4 else MEMBER, digest(f"card {i}")) for i in range(5)]
    members = contract(w3, "Members", founders)
    datasets = contract(w3, "Datasets", members.address)
    grants = contract(w3, "Grants", members.address, datasets.address)
    trainings = contract(w3, "Trainings", members.address, datasets.address, grants.address)
    parts = {"Members": members, "Datasets": datasets, "Grants": grants, "Trainings": trainings}
    names = [name.encode().ljust(32, b"\0") for name in parts]
    consortium = contract(w3, "Consortium", members.address, names, [p.address for p in parts.values()], DELAY)
    return Alliance(w3, consortium, members, datasets, grants, trainings)


# --- refusals and events, decoded with tables of our own ---


@cache
def _errors() -> dict[bytes, tuple[str, list[str]]]:
    entries = [entry for name in NAMES for entry in artifact(name).abi if entry["type"] == "error"]
    return {function_abi_to_4byte_selector(e): (e["name"], [i["type"] for i in e["inputs"]]) for e in entries}


def refusal(call: ContractFunction, *, by: LocalAccount) -> tuple[Any, ...]:
    """(error name, *arguments) with which `call` is refused; addresses checksummed. Fails where it is not."""
    try:
        call.call({"from": by.address, "gas": GAS})
    except ContractCustomError as error:
        return _named(error)
    raise AssertionError("was not refused")


def deployment_refusal(w3: Web3, name: str, *arguments: Any) -> tuple[Any, ...]:
    """(error name, *arguments) with which a constructor refuses."""
    shipped = artifact(name)
    deployment = w3.eth.contract(abi=list(shipped.abi), bytecode=shipped.bytecode).constructor(*arguments)
    try:
        w3.eth.call({"from": person(0).address, "gas": GAS, "data": deployment.data_in_transaction})
    except ContractCustomError as error:
        return _named(error)
    raise AssertionError("was not refused")


def _named(error: ContractCustomError) -> tuple[Any, ...]:
    return named(bytes.fromhex(str(error.data)[2:]))


def named(raw: bytes) -> tuple[Any, ...]:
    """(error name, *arguments) of the bytes that a contract reverted with."""
    name, types = _errors()[raw[:4]]
    values = decode(types, raw[4:])
    return name, *(Web3.to_checksum_address(v) if t == "address" else v for t, v in zip(types, values, strict=True))


def topic_types(entry: dict[str, Any]) -> list[str]:
    return [_type(i) for i in entry["inputs"]]


def _type(value: dict[str, Any]) -> str:
    if value["type"] != "tuple":
        return str(value["type"])
    return "(" + ",".join(_type(part) for part in value["components"]) + ")"


def fold_head(contract_: Contract, w3: Web3, logs: Sequence[Any] | None = None) -> tuple[bytes, int]:
    """The running hash recomputed from the logs, as an auditor would; from `logs` where given."""
    table = {event_abi_to_log_topic(e): e for e in contract_.abi if e["type"] == "event"}
    head, count = bytes(28), 0
    for log in logs if logs is not None else w3.eth.get_logs({"fromBlock": 0, "address": contract_.address}):
        entry = table[bytes(log["topics"][0])]
        types, values = topic_types(entry), _values(entry, log)
        count += 1
        rolled = keccak(bytes(log["topics"][0]) + encode(types[:-1], values[:-1]))
        head = keccak(head + int(values[-1]).to_bytes(4, "big") + rolled)[:28]
    return head, count


def _values(entry: dict[str, Any], log: Any) -> list[Any]:
    topics = iter(log["topics"][1:])
    data = iter(decode([_type(i) for i in entry["inputs"] if not i["indexed"]], bytes(log["data"])))
    return [decode([_type(i)], bytes(next(topics)))[0] if i["indexed"] else next(data) for i in entry["inputs"]]


def events(contract_: Contract, receipt: TxReceipt, name: str) -> list[dict[str, Any]]:
    """Arguments of the events called `name` in a receipt."""
    entry = next(e for e in contract_.abi if e["type"] == "event" and e["name"] == name)
    logs = [log for log in receipt["logs"] if bytes(log["topics"][0]) == event_abi_to_log_topic(entry)]
    return [dict(zip((i["name"] for i in entry["inputs"]), _values(entry, log), strict=True)) for log in logs]


# --- EIP-712 ---

STRUCTS = {
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


def sign(signer: LocalAccount, struct: str, message: dict[str, Any], domain: dict[str, Any]) -> tuple[bytes, bytes]:
    """(signature, digest) of `message` by eth-account's own EIP-712."""
    fields = [dict(zip(("type", "name"), field.split(" "), strict=True)) for field in STRUCTS[struct].split(",")]
    signed = Account.sign_typed_data(
        signer.key, domain_data=domain, message_types={struct: fields}, message_data=message
    )
    return bytes(signed.signature), bytes(signed.message_hash)


def domain(contract_: Contract, name: str, chain_id: int = CHAIN_ID) -> dict[str, Any]:
    return {"name": name, "version": "1", "chainId": chain_id, "verifyingContract": contract_.address}


def consents(
    alliance: Alliance, signers: Sequence[LocalAccount], struct: str, message: dict[str, Any], **changes: Any
) -> dict[str, Any]:
    """Consents of `signers`, ascending, to a decision; `changes` overwrites epoch, until, signers or signatures."""
    bound = {"epoch": alliance.members.functions.epoch().call(), "until": alliance.now() + 3600}
    bound |= {key: changes.pop(key) for key in ("epoch", "until") if key in changes}
    ordered = sorted(signers, key=lambda s: int(s.address, 16))
    where = domain(alliance.members, "Hanse Members")
    signatures = [sign(s, struct, message | bound, where)[0] for s in ordered]
    return {**bound, "signers": [s.address for s in ordered], "signatures": signatures} | changes


# --- records ---

_nonces = itertools.count(1)


def version(**changes: Any) -> dict[str, Any]:
    content = {"commitment": digest("manifest"), "envelope": digest("envelope"), "policy": digest("policy")}
    return content | {"uses": 3, "budget": 3000} | changes


def terms(
    alliance: Alliance, dataset: bytes, owner: LocalAccount, consumer: LocalAccount, /, **changes: Any
) -> dict[str, Any]:
    now = alliance.now()
    return {
        "dataset": dataset,
        "version": 1,
        "owner": owner.address,
        "consumer": consumer.address,
        "policy": digest("policy"),
        "document": digest("document"),
        "recipient": digest("recipient"),
        "uses": 1,
        "purposes": 5,
        "count": 0,
        "from": now,
        "until": now + 86_400,
        "deadline": now + 3600,
        "replaces": ZERO,
        "nonce": digest(f"nonce {next(_nonces)}"),
    } | changes


@cache
def keys(label: str) -> tuple[bytes, int, bytes, bytes]:
    """Round keys with a real point on secp256k1."""
    point = PrivateKey(digest(label)).public_key.format()
    return point[1:], point[0] - 2, digest(f"seed {label}"), digest(f"shares {label}")


NO_KEYS = (ZERO, 0, ZERO, ZERO)
NO_VECTOR = (ZERO, ZERO, 0)


def vector(label: str, leaves: int = 4096) -> tuple[bytes, bytes, int]:
    return digest(f"root {label}"), digest(f"blob {label}"), leaves


def plan(**changes: Any) -> dict[str, Any]:
    """Terms of a training."""
    return {
        "plan": digest("plan"),
        "ring": 64,
        "seats": 3,
        "minimum": 3,
        "threshold": 3,
        "rounds": 2,
        "spares": 0,
        "joinSeconds": 600,
        "phaseSeconds": 300,
        "challengeSeconds": 900,
        "epsilon": 1000,
    } | changes
