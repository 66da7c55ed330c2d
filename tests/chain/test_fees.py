"""Fees on chains without any, on ordinary ones, and on those from before London; and what a low fee is called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.chain.client import Chain
from node.chain.deploy import deploy, settled
from node.chain.failures import Underpriced
from node.chain.records import Fees
from node.errors import Refused, Retry
from tests.chain.lying import proxy
from tests.chain.peers import ZERO_FEES, anvil, ask
from tests.chain.people import Person, founders, person, stranger


@pytest.fixture(scope="module")
def ordinary() -> Iterator[str]:
    with anvil() as rpc:
        yield rpc


def test_zero_stays_zero(chain: Chain) -> None:
    assert chain.fees() == Fees(0, 0)
    assert chain.fees().fields() == {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0}


def test_an_account_without_coin_works_where_nothing_costs(chain: Chain) -> None:
    newcomer = stranger("newcomer")
    assert chain.balance(newcomer.address) == 0
    directory = deploy(chain, newcomer, founders(), delay=0)
    assert chain.call(directory, "Members", "count") == 4


def test_room_for_two_full_blocks(ordinary: str) -> None:
    chain = Chain.connect(ordinary)
    base = int(ask(ordinary, "eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    fees = chain.fees()
    assert fees.tip is not None
    assert fees.most - fees.tip == 2 * base > (base * 9 // 8) * 9 // 8


@pytest.mark.parametrize(("options", "price"), [((), 1), (("--gas-price", "0"), 0)])
def test_before_london(options: tuple[str, ...], price: int, alice: Person) -> None:
    with anvil("--hardfork", "berlin", *options) as rpc:
        chain = Chain.connect(rpc)
        fees = chain.fees()
        assert fees.tip is None
        assert min(fees.most, 1) == price
        assert set(fees.fields()) == {"gasPrice"}


def test_a_chain_from_before_london_carries_transactions(alice: Person) -> None:
    """Its EVM lacks what the contracts need (Shanghai), so the transaction is a plain one."""
    with anvil("--hardfork", "berlin") as rpc:
        chain = Chain.connect(rpc)
        receipt = settled(chain, chain.send(alice.signs(chain, person(1).address, b"")), seconds=10)
        assert receipt.ok
        assert chain.transaction(receipt.tx).to == person(1).address


def test_contracts_on_a_chain_without_base_fee(alice: Person) -> None:
    """A consortium's genesis may have Shanghai's EVM and no base fee: headers are all that tells."""
    with anvil(*ZERO_FEES) as rpc, proxy(rpc) as edge:
        edge.change = lambda call, result: (
            {k: v for k, v in result.items() if k != "baseFeePerGas"}
            if call["method"] == "eth_getBlockByNumber"
            else "0x0"
            if call["method"] == "eth_gasPrice"
            else result
        )
        chain = Chain.connect(edge.url)
        assert chain.fees() == Fees(0, None)
        directory = deploy(chain, stranger("newcomer"), founders(), delay=0)
        assert chain.call(directory, "Members", "count") == 4


@pytest.mark.parametrize(
    ("signed", "now", "raised"),
    [
        (Fees(800, 80), Fees(0, 0), Fees(901, 91)),
        (Fees(800, 80), Fees(2000, 80), Fees(2000, 91)),
        (Fees(800, None), Fees(10, None), Fees(901, None)),
        (Fees(1, 1), Fees(0, 0), Fees(2, 2)),
        (Fees(0, 0), Fees(7, 1), Fees(7, 1)),
        (Fees(0, 0), Fees(0, 0), None),
        (Fees(0, None), Fees(0, None), None),
    ],
)
def test_repricing(signed: Fees, now: Fees, raised: Fees | None) -> None:
    assert signed.raised(now) == raised


def test_a_waiting_transaction_is_repriced(alice: Person) -> None:
    """Cheap when it was signed, too cheap when it is handed in, mined once raised."""
    with anvil() as rpc:
        chain = Chain.connect(rpc)
        fields = {"gas": 21_000, "nonce": chain.nonce(alice.address)}
        fees = Fees(2, 1)
        with pytest.raises(Underpriced) as cheap:
            chain.send(alice.signs(chain, person(1).address, b"", **fields, **fees.fields()))
        assert isinstance(cheap.value, Retry)
        raised = fees.raised(chain.fees())
        assert raised is not None
        raw = alice.signs(chain, person(1).address, b"", **fields, **raised.fields())
        assert settled(chain, chain.send(raw), seconds=10).ok


def test_an_account_that_cannot_pay(ordinary: str) -> None:
    chain = Chain.connect(ordinary)
    pauper = stranger("pauper")
    with pytest.raises(Refused) as before:
        chain.estimate(pauper.address, person(0).address, b"")
    assert (before.value.clause, before.value.seen) == ("funds", 0)
    assert before.value.needed > 21_000
    raw = pauper.signs(chain, person(0).address, b"", gas=21_000)
    with pytest.raises(Refused) as sending:
        chain.send(raw)
    assert sending.value.clause == "funds"
