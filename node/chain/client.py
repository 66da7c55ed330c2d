"""One EVM endpoint as the node sees it: blocks, events, calls, transactions. Records out, the node's errors up.

Not an indexer and no outbox: it remembers nothing but the directory. Every call has a deadline and a largest answer.

    chain = Chain.connect("http://127.0.0.1:8545")
    directory = chain.directory(consortium)
    chain.call(directory, "Members", "quorum")
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from node.chain import abi, answers, decode, directories, encode, failures, headers, logs
from node.chain.failures import NonceTaken, RpcError, Translated, Underpriced
from node.chain.records import Fees, Proof, Receipt, Transaction
from node.development_keys import DEVELOPMENT_CHAINS
from node.errors import HanseError, NotFound, Refused, Retry, Untrusted
from node.model import Address, Block, BlockHash, Directory, Event, Head, TxHash, raw
from node.recursion import kept_recursion_limit
from node.signature import keccak

if TYPE_CHECKING:
    from web3 import Web3

    from node.chain.provider import Provider

Result = TypeVar("Result")

DEPTH = 12
"""Blocks that count as settled on a chain that neither finalizes nor tells."""

_ROOM = 5000

_AGAIN = 0.05
"""Seconds before an endpoint that seems to lie is asked a second time."""


def asked_twice(check: Callable[..., Result], *args: Any) -> Result:
    """`check(*args)`, and once more where it finds the answers Untrusted; for answers about the newest block.

    Anvil, while it makes the next block, gives that one's state for the number before: under steady sending in half of
    its answers. A moment later the same question has its right answer; a lie is told again."""
    try:
        return check(*args)
    except Untrusted:
        time.sleep(_AGAIN)
        return check(*args)


class Chain:
    """One endpoint; safe to share between threads."""

    def __init__(self, w3: Web3, provider: Provider) -> None:
        self._eth: Any = w3.eth  # its own types are literal unions that nothing of ours is
        self._rpc = provider
        self._directories: dict[Address, Directory] = {}
        with self._foreign():
            self.chain_id = int(self._eth.chain_id)
        self.genesis: BlockHash = self.block(0).hash

    @classmethod
    def connect(cls, rpc: str, *, timeout: float = 20) -> Chain:
        """Retry where nobody answers at `rpc` within `timeout` seconds (of each call)."""
        with kept_recursion_limit():
            from web3 import Web3
            from web3.middleware import ExtraDataToPOAMiddleware

            from node.chain.provider import Provider

        provider = Provider(rpc, timeout=timeout)
        # No others of web3.py's middlewares: names, fee and gas defaults are decided here or by the caller.
        return cls(Web3(provider, middleware=[ExtraDataToPOAMiddleware]), provider)

    @property
    def name(self) -> str:
        """The endpoint's address without credentials."""
        return self._rpc.name

    @property
    def is_development(self) -> bool:
        return self.chain_id in DEVELOPMENT_CHAINS

    # --- blocks and events ---

    def block(self, which: int | str | BlockHash) -> Block:
        """By number, hash or tag ("latest"). NotFound where the chain has none."""
        with self._foreign():
            return answers.block(self._block(which), asked=which)

    def final(self, depth: int | None = None) -> int:
        """Number of the newest block that will not change: see `ends`."""
        return self.ends(depth)[1]

    def ends(self, depth: int | None = None) -> tuple[Block, int]:
        """The head, and the number of the newest block that will not change.

        That is `depth` below the head. Without `depth`: the head where blocks are final at once (QBFT, IBFT 2) and on
        development chains; else the `finalized` block; else DEPTH below the head.
        """
        found = self._block("latest")
        with self._foreign():
            head = answers.block(found, asked="latest")
        if depth is not None:
            return head, max(head.number - depth, 0)
        if self.is_development or answers.is_bft(bytes(found.get("proofOfAuthorityData", b""))):
            return head, head.number
        try:
            finalized = self.block("finalized").number
        except (NotFound, RpcError):
            finalized = 0  # a chain without the tag
        return head, finalized or max(head.number - DEPTH, 0)

    def events(self, directory: Directory, first: int, last: int) -> list[Event]:
        """All events of the alliance's contracts in blocks `first` to `last`, both included, in the chain's order.

        Reorged where blocks change while they are read.
        """
        return logs.between(self._rpc, directory, first, last)

    def events_of(self, directory: Directory, block: Block) -> list[Event]:
        """The events of one block, asked for by its hash. Reorged where the endpoint does not have that block."""
        return logs.of_block(self._rpc, directory, block)

    def first_block(self, contracts: Sequence[Address]) -> int:
        """The block of the contracts' first event."""
        return logs.first_block(self._rpc, contracts, self.block("latest").number)

    # --- contracts ---

    def directory(self, consortium: Address, *, fresh: bool = False) -> Directory:
        """The alliance's contracts as its Consortium has them, each checked against its code hash.

        Remembered, unless `fresh`. NotFound where no contract is at that address, Untrusted where it is no Consortium
        or code is not what was entered.
        """
        consortium = abi.checksummed(consortium)
        if fresh or consortium not in self._directories:
            self._directories[consortium] = directories.read(self, consortium)
        return self._directories[consortium]

    def call(
        self, directory: Directory, contract: str, function: str, *args: Any, block: int | str | None = None
    ) -> Any:
        """What a view function returns at `block` (latest): records, hex, ints; a tuple where it returns several."""
        return self.call_at(directories.address(directory, contract), contract, function, *args, block=block)

    def call_at(self, at: Address, contract: str, function: str, *args: Any, block: int | str | None = None) -> Any:
        """`call` of a contract that is in no directory (yet)."""
        data = self.view(
            None, at, encode.calldata(contract, function, *args), block="latest" if block is None else block
        )
        return decode.outputs(abi.function_of(contract, function), data)

    def head_of(self, directory: Directory, contract: str, block: int | str | None = None) -> Head:
        """The contract's running hash and the number of events it covers."""
        return Head(*self.call(directory, contract, "head", block=block))

    def heads_of(self, directory: Directory, contracts: Sequence[str], block: int) -> list[Head]:
        """`head_of` for several contracts in one request."""
        data = "0x" + encode.calldata("Members", "head").hex()
        asked = [{"to": directories.address(directory, contract), "data": data} for contract in contracts]
        said = self._rpc.many([("eth_call", [call, hex(block)]) for call in asked])
        with self._foreign():
            return [Head(*decode.outputs(abi.function_of("Members", "head"), raw(answer))) for answer in said]

    def encode(self, contract: str, function: str, *args: Any) -> bytes:
        """Calldata; structs as model records or tuples."""
        return encode.calldata(contract, function, *args)

    def decode_input(self, contract: str, data: bytes) -> tuple[str, tuple[Any, ...]]:
        """Function and arguments behind a transaction's input."""
        return decode.calldata(contract, data)

    def view(self, sender: Address | None, to: Address, data: bytes, *, block: int | str = "latest") -> bytes:
        """A call's raw answer. The contract's refusal in words where it reverts."""
        call: Any = {"to": to, "data": data} | ({"from": sender} if sender else {})
        with self._foreign():
            return bytes(self._eth.call(call, block, ccip_read_enabled=False))

    def code(self, address: Address, block: int | str = "latest") -> bytes:
        with self._foreign():
            return bytes(self._eth.get_code(address, block))

    def proof(self, address: Address, slots: Sequence[int], block: int) -> Proof:
        """Merkle proofs of storage (EIP-1186). RpcError where the endpoint does not offer them."""
        found = self._rpc.ask("eth_getProof", address, [f"0x{slot:064x}" for slot in slots], hex(block))
        with self._foreign():
            return answers.proof(found)

    def state_root(self, block: Block) -> bytes:
        """The state root in the header whose hash is `block.hash`.

        RpcError where the header does not hash to it: on QBFT and IBFT seals are left out, which is not followed here.
        """
        header = self._rpc.ask("eth_getBlockByHash", block.hash, False)
        if header is None:
            raise NotFound("the chain has no such block", clause="block", seen=block.hash)
        if headers.header_hash(header) != block.hash:
            raise RpcError("the header does not hash to the block's hash", said=block.hash, clause="header")
        with self._foreign():
            return raw(header["stateRoot"])

    # --- accounts and transactions ---

    def nonce(self, address: Address, pending: bool = False) -> int:
        with self._foreign():
            return int(self._eth.get_transaction_count(address, "pending" if pending else "latest"))

    def balance(self, address: Address) -> int:
        """Wei."""
        with self._foreign():
            return int(self._eth.get_balance(address))

    def fees(self) -> Fees:
        """What to sign now: legacy before London, else room for two full blocks. Zero stays zero."""
        base = self._block("latest").get("baseFeePerGas")
        if base == 0 and self.is_development:
            return Fees(0, 0)  # Anvil names a price even where it takes none
        with self._foreign():
            price = int(self._eth.gas_price)
        if base is None:
            return Fees(price, None)
        tip = max(price - base, 0)
        return Fees(2 * base + tip, tip)

    def estimate(self, sender: Address, to: Address | None, data: bytes, *, fees: Fees | None = None) -> int:
        """A gas limit to sign, a fifth above the estimate; `fees` where the caller has asked for them already.

        The contract's refusal in words where it would revert; Refused(clause="funds") where `sender` cannot pay.
        """
        call: Any = {"from": sender, "data": data} | ({"to": to} if to else {})
        with self._foreign():
            gas = int(self._eth.estimate_gas(call, "pending")) * 6 // 5 + _ROOM
        cost = gas * (fees or self.fees()).most
        if cost and (balance := self.balance(sender)) < cost:
            hint = f"send {cost - balance} wei to {sender}"
            raise Refused("the account cannot pay for this", clause="funds", seen=balance, needed=cost, hint=hint)
        return gas

    def send(self, signed: bytes) -> TxHash:
        """Hand in a signed transaction; its hash. Doing it again is harmless.

        NonceTaken where another one was mined in its place, Underpriced where its fees are too low now.
        """
        tx = TxHash("0x" + keccak(signed).hex())
        try:
            with self._foreign():
                self._eth.send_raw_transaction(signed)
        except HanseError as exc:
            if isinstance(exc, Retry) and not isinstance(exc, RpcError):
                raise  # nobody heard it
            if not self._has_taken(tx, exc):
                raise _unsent(exc) from exc
        return tx

    def transaction(self, tx: TxHash) -> Transaction:
        """NotFound where the endpoint does not know it."""
        found = self._rpc.ask("eth_getTransactionByHash", tx)
        if found is None:
            raise NotFound("the chain has no such transaction", clause="transaction", seen=tx)
        return answers.transaction(found, asked=tx)

    def transactions(self, wanted: Sequence[TxHash]) -> Iterator[Transaction]:
        """Those of many transactions that the endpoint knows, a hundred in a request."""
        known = self._rpc.many([("eth_getTransactionByHash", [tx]) for tx in wanted])
        for tx, found in zip(wanted, known, strict=True):
            if found is not None:
                yield answers.transaction(found, asked=tx)

    def receipt(self, tx: TxHash) -> Receipt | None:
        """What became of a transaction; None while it waits or is unknown."""
        try:
            with self._foreign():
                receipt = answers.receipt(self._eth.get_transaction_receipt(tx), asked=tx)
        except NotFound:
            return None
        return receipt if receipt.ok else replace(receipt, refusal=self._why(receipt))

    # --- inside ---

    def _foreign(self) -> Translated:
        return Translated(self.name)

    def _block(self, which: int | str) -> Mapping[str, Any]:
        with self._foreign():
            found: Mapping[str, Any] = self._eth.get_block(which)
        return found

    def _has_taken(self, tx: TxHash, exc: HanseError) -> bool:
        """Hardhat mines a reverting transaction and still answers with an error; others say "already known"."""
        if isinstance(exc, RpcError) and exc.says(failures.KNOWN):
            return True
        try:
            return bool(self.transaction(tx))
        except NotFound:
            return False

    def _why(self, receipt: Receipt) -> HanseError:
        """Why a transaction was reverted: call it again in the state of its block, then of the one before."""
        sent = self.transaction(receipt.tx)
        if receipt.gas_used >= sent.gas:
            return Refused(
                "the transaction ran out of gas", clause="gas", seen=sent.gas, hint="estimate and sign again"
            )
        for at in (receipt.block, receipt.block - 1):
            try:
                if sent.to:
                    self.view(sent.sender, sent.to, sent.input, block=at)
            except Refused as exc:
                return exc
            except HanseError as exc:
                if not isinstance(exc, Retry):
                    return exc
        return Refused("the transaction was reverted", clause="revert", hint="the chain no longer says why")


def _unsent(exc: HanseError) -> HanseError:
    if not isinstance(exc, RpcError):
        return exc
    if exc.says(failures.NONCE_LOW):
        return NonceTaken("another transaction took this nonce", clause="nonce", seen=exc.said[:200])
    if exc.says(failures.CHEAP):
        return Underpriced("the fees are too low now", clause="fees", seen=exc.said[:200])
    return exc
