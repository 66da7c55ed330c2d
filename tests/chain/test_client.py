"""The endpoint fails or lies: the error says what and where, in time and without secrets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import rlp

from node.chain import provider
from node.chain.client import DEPTH, Chain
from node.chain.deploy import Founder, created_at, deploy, settled
from node.chain.failures import RpcError
from node.errors import HanseError, Misuse, NotFinal, NotFound, Refused, Retry, Untrusted
from node.model import Address, BlockHash, DatasetId, Directory, Version
from tests.chain.lying import Call, Edge, proxy
from tests.chain.peers import ask, free_port
from tests.chain.people import Person, founders, named, stranger


@pytest.fixture
def edge(anvil_rpc: str) -> Iterator[Edge]:
    with proxy(anvil_rpc) as edge:
        yield edge


def test_nobody_there() -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/key"
    with pytest.raises(Retry) as dead:
        Chain.connect(url)
    assert url.split("@")[1].removesuffix("/key") in str(dead.value)
    assert "secret" not in str(dead.value.record())
    assert "key" not in str(dead.value.record())


@pytest.mark.parametrize("url", ["127.0.0.1:8545", "ws://127.0.0.1:8545", "file:///etc/passwd"])
def test_only_http(url: str) -> None:
    with pytest.raises(Misuse):
        Chain.connect(url)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"<html>not a chain</html>", 200),
        (b"[]", 200),
        (b"[" * 200_000, 200),
        (b'"text"', 200),
        (b'{"jsonrpc":"2.0"}', 200),
        (b"gone", 502),
        (b"", 301),
        (b'{"jsonrpc":"2.0","id":1,"result":"0xzz"}', 200),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', 200),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}', 401),
    ],
)
def test_no_chain_there(edge: Edge, raw: bytes, status: int) -> None:
    edge.raw, edge.status = raw, status
    with pytest.raises(HanseError) as broken:
        Chain.connect(edge.url)
    assert isinstance(broken.value, Retry | Untrusted)


def test_an_endless_answer_is_cut(edge: Edge) -> None:
    edge.endless = True
    begun = time.monotonic()
    with pytest.raises(RpcError, match="too much"):
        Chain.connect(edge.url)
    assert time.monotonic() - begun < 10


def test_a_dripping_answer_is_cut(edge: Edge) -> None:
    edge.drips = True
    begun = time.monotonic()
    with pytest.raises(RpcError, match="in time"):
        Chain.connect(edge.url, timeout=0.5)
    assert time.monotonic() - begun < 3


def test_a_stalling_endpoint_is_left(edge: Edge) -> None:
    edge.delay = 2
    with pytest.raises(RpcError, match="in time"):
        Chain.connect(edge.url, timeout=0.3)


def test_an_answer_within_the_limit_is_read(edge: Edge) -> None:
    edge.change = lambda call, result: (
        result | {"padding": "x" * (provider.MAX_ANSWER - 10_000)}
        if (call["method"] == "eth_getBlockByNumber")
        else result
    )
    assert Chain.connect(edge.url).genesis


def test_extra_data_of_other_consensus(edge: Edge) -> None:
    edge.change = lambda call, result: (
        result | {"extraData": "0x" + "ab" * 400} if (call["method"] == "eth_getBlockByNumber") else result
    )
    assert Chain.connect(edge.url).block("latest").number >= 0


def test_another_block_than_was_asked_for(edge: Edge, anvil_rpc: str) -> None:
    ask(anvil_rpc, "anvil_mine", "0x5")
    chain = Chain.connect(edge.url)
    second, third = (ask(anvil_rpc, "eth_getBlockByNumber", n, False) for n in ("0x2", "0x3"))
    edge.change = lambda call, result: second
    assert chain.block(2).hash == chain.block(BlockHash(second["hash"])).hash == second["hash"]
    for asked in (3, BlockHash(third["hash"])):
        with pytest.raises(Untrusted) as lie:
            chain.block(asked)
        assert lie.value.clause == "block"


def test_another_transaction_than_was_asked_for(edge: Edge, chain: Chain, alliance: Directory, alice: Person) -> None:
    receipts = [alice.sends(chain, alliance, "Members", "setCard", named(card)) for card in ("one", "two")]
    forged = {
        method: ask(edge.chain, method, receipts[0].tx)
        for method in ("eth_getTransactionReceipt", "eth_getTransactionByHash")
    }
    lying = Chain.connect(edge.url)
    edge.change = lambda call, result: forged.get(call["method"], result)
    assert lying.receipt(receipts[0].tx) == receipts[0]
    for question in (lying.receipt, lying.transaction, lambda tx: list(lying.transactions([tx]))):
        with pytest.raises(Untrusted) as lie:
            question(receipts[1].tx)
        assert (lie.value.clause, lie.value.seen) == ("hash", receipts[0].tx)


# --- which block is final ---


def as_chain(edge: Edge, **answers: object) -> Chain:
    """The chain under another id, with other answers by method or tag."""

    def change(call: Call, result: object) -> object:
        tag = str(call["params"][0]) if call["method"] == "eth_getBlockByNumber" else call["method"]
        return answers.get(tag, result)

    edge.change = change
    answers.setdefault("eth_chainId", "0x2a")
    return Chain.connect(edge.url)


def header(anvil_rpc: str, **changed: str) -> dict[str, str]:
    ask(anvil_rpc, "anvil_mine", hex(40))
    found: dict[str, str] = ask(anvil_rpc, "eth_getBlockByNumber", "latest", False)
    return found | changed


def test_final_is_the_head_on_a_development_chain(chain: Chain, anvil_rpc: str) -> None:
    head = int(header(anvil_rpc)["number"], 16)
    assert (chain.final(), chain.final(0), chain.final(3), chain.final(10**6)) == (head, head, head - 3, 0)


def test_final_is_what_the_chain_finalized(edge: Edge, anvil_rpc: str) -> None:
    latest = header(anvil_rpc)
    finalized = ask(anvil_rpc, "eth_getBlockByNumber", hex(17), False)
    assert as_chain(edge, finalized=finalized).final() == 17
    assert as_chain(edge, finalized=finalized).final(depth=2) == int(latest["number"], 16) - 2


@pytest.mark.parametrize("without", [None, 0])
def test_final_is_a_depth_where_nothing_is_finalized(edge: Edge, anvil_rpc: str, without: int | None) -> None:
    head = int(header(anvil_rpc)["number"], 16)
    finalized = without if without is None else ask(anvil_rpc, "eth_getBlockByNumber", hex(without), False)
    assert as_chain(edge, finalized=finalized).final() == head - DEPTH


def test_final_is_the_head_under_qbft(edge: Edge, anvil_rpc: str) -> None:
    seals = rlp.encode([bytes(32), [bytes(20)] * 4, b"", b"", [bytes(65)] * 3])
    latest = header(anvil_rpc, extraData="0x" + seals.hex())
    assert as_chain(edge, latest=latest, finalized=None).final() == int(latest["number"], 16)


@pytest.mark.parametrize("extra", [b"\xc0" * 5, rlp.encode([]), b"\xf9\xff", b"\0" * 100_000], ids=len)
def test_other_extra_data_is_not_final(edge: Edge, anvil_rpc: str, extra: bytes) -> None:
    latest = header(anvil_rpc, extraData="0x" + extra.hex())
    assert as_chain(edge, latest=latest, finalized=None).final() == int(latest["number"], 16) - DEPTH


def test_a_clique_header_is_not_final(edge: Edge, anvil_rpc: str) -> None:
    latest = header(anvil_rpc, extraData="0x" + "00" * 97)
    assert as_chain(edge, latest=latest, finalized=None).final() == int(latest["number"], 16) - DEPTH


# --- the directory ---


def test_no_contract_at_that_address(chain: Chain, alliance: Directory) -> None:
    with pytest.raises(NotFound) as nobody:
        chain.directory(stranger("nobody").address)
    assert (nobody.value.clause, nobody.value.seen) == ("consortium", stranger("nobody").address)


def test_another_contract_at_that_address(chain: Chain, alliance: Directory) -> None:
    with pytest.raises(Untrusted, match="no Consortium") as other:
        chain.directory(alliance.address("Datasets"))
    assert other.value.seen == alliance.address("Datasets")


def test_no_address(chain: Chain) -> None:
    with pytest.raises(Misuse):
        chain.directory(Address("0x12"))


def test_code_that_is_not_what_was_entered(anvil_rpc: str, chain: Chain, alliance: Directory) -> None:
    ask(anvil_rpc, "anvil_setCode", alliance.address("Grants"), "0x6001")
    assert chain.directory(alliance.consortium) is chain.directory(alliance.consortium)
    with pytest.raises(Untrusted, match="Grants") as altered:
        chain.directory(alliance.consortium, fresh=True)
    assert altered.value.needed == alliance.entries[2].code_hash


def test_the_directory_starts_at_the_first_event(chain: Chain, alliance: Directory) -> None:
    events = chain.events(alliance, 0, chain.final())
    assert events[0].at.block == alliance.born
    assert chain.events(alliance, alliance.born, chain.final()) == events


# --- deploying ---


def test_deploying_takes_up_what_a_first_run_left(chain: Chain, alice: Person) -> None:
    done: dict[str, Address] = {}
    first = deploy(chain, alice, founders(), delay=0, done=done)
    nonce = chain.nonce(alice.address)
    assert deploy(chain, alice, founders(), delay=0, done=done) == first
    assert chain.nonce(alice.address) == nonce
    done["Trainings"] = created_at(alice.address, nonce)  # remembered, and killed before sending
    del done["Consortium"]
    second = deploy(chain, alice, founders(), delay=0, done=done)
    assert second.address("Members") == first.address("Members")
    assert second.address("Trainings") == created_at(alice.address, nonce)
    assert second.consortium != first.consortium


def test_an_alliance_without_founders(chain: Chain, alice: Person) -> None:
    with pytest.raises(Misuse):
        deploy(chain, alice, [], delay=0)


def test_founders_the_contract_refuses(chain: Chain, alice: Person) -> None:
    with pytest.raises(Refused) as refused:
        deploy(chain, alice, [Founder(alice.address, 9, named("card"))], delay=0)
    assert (refused.value.clause, refused.value.seen) == ("BadRoles", 9)


def test_waiting_has_a_deadline(anvil_rpc: str, chain: Chain, alliance: Directory, alice: Person) -> None:
    ask(anvil_rpc, "evm_setAutomine", False)
    try:
        tx = chain.send(alice.signs(chain, alliance.address("Members"), chain.encode("Members", "setCard", named("c"))))
        assert chain.transaction(tx).block is None
        assert chain.nonce(alice.address, pending=True) == chain.nonce(alice.address) + 1
        with pytest.raises(NotFinal):
            settled(chain, tx, seconds=0.2)
    finally:
        ask(anvil_rpc, "evm_setAutomine", True)
        ask(anvil_rpc, "evm_mine")


# --- calls ---


def test_arguments_that_do_not_fit(chain: Chain) -> None:
    with pytest.raises(Misuse, match="takes 1 arguments"):
        chain.encode("Datasets", "retire")
    with pytest.raises(Misuse, match="does not fit"):
        chain.encode("Datasets", "retire", "0x12" * 40)
    with pytest.raises(Misuse):
        chain.encode("Datasets", "publish", named("salt"), Version(named("m"), named("e"), named("p"), 256, 0))
    with pytest.raises(Misuse, match="no function"):
        chain.encode("Datasets", "steal")
    with pytest.raises(Misuse, match="no contract"):
        chain.encode("Ponzi", "retire")
    with pytest.raises(Misuse, match="5 fields"):
        chain.encode("Datasets", "publish", named("salt"), (1, 2))


def test_calldata_of_no_function(chain: Chain) -> None:
    with pytest.raises(Untrusted) as unknown:
        chain.decode_input("Grants", bytes(40))
    assert unknown.value.seen == "0x00000000"


def test_calls_at_an_older_block(chain: Chain, alliance: Directory, dataset: DatasetId, alice: Person) -> None:
    before = chain.final()
    alice.sends(chain, alliance, "Datasets", "retire", dataset)
    assert chain.head_of(alliance, "Datasets", block=before).seq + 1 == chain.head_of(alliance, "Datasets").seq


def test_storage_is_proven(chain: Chain, alliance: Directory) -> None:
    proof = chain.proof(alliance.address("Members"), [0], chain.final())
    assert proof.account
    assert proof.slots[0][0] == 0


# --- transactions ---


def test_no_receipt_yet(chain: Chain) -> None:
    assert chain.receipt(named("nothing")) is None  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        chain.transaction(named("nothing"))  # type: ignore[arg-type]
