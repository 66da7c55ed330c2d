"""What every development chain must do alike: one alliance's first day, and the ways in which a chain says no."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from node.chain.client import Chain
from node.chain.failures import NonceTaken, Reorged
from node.chain.records import Receipt
from node.errors import Conflict, NotFound, Refused
from node.model import ZERO, Block, BlockHash, Directory
from tests.chain import peers
from tests.chain.flow import publish, share_and_train, terms_between
from tests.chain.people import named, person, stranger

KINDS = [
    pytest.param((lambda: peers.anvil(*peers.ZERO_FEES), 31337), id="anvil-zero-fee"),
    pytest.param((peers.anvil, 31337), id="anvil"),
    pytest.param((peers.hardhat, 31337), id="hardhat", marks=pytest.mark.outside),
    pytest.param((peers.ganache, 1337), id="ganache", marks=pytest.mark.outside),
]


@pytest.fixture(scope="module", params=KINDS)
def everywhere(request: pytest.FixtureRequest) -> Iterator[tuple[Chain, Directory]]:
    """Each chain in turn, with the alliance that `share_and_train` left behind."""
    start, chain_id = request.param
    with start() as rpc:
        chain = Chain.connect(rpc)
        assert (chain.chain_id, chain.is_development) == (chain_id, True)
        yield chain, share_and_train(chain, advance=lambda seconds: peers.advance(rpc, seconds))


def test_a_refusal_is_in_words_before_sending(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    dataset = chain.call(directory, "Datasets", "idOf", person(0).address, named("salt"))
    data = chain.encode("Datasets", "retire", dataset)
    with pytest.raises(Refused, match="only the dataset's owner") as refused:
        chain.estimate(person(1).address, directory.address("Datasets"), data)
    assert refused.value.clause == "NotOwner"
    assert (refused.value.seen, refused.value.needed) == (person(1).address, person(0).address)


def test_a_view_refuses_in_words(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    with pytest.raises(NotFound) as unknown:
        chain.call(directory, "Datasets", "dataset", named("nothing"))
    assert (unknown.value.clause, unknown.value.seen) == ("UnknownDataset", named("nothing"))
    terms = terms_between(chain, person(0), person(2), named("nothing"))
    with pytest.raises(Refused) as ungranted:
        chain.call(directory, "Grants", "requireAllowed", terms, person(2).address, 1, 1, terms.from_)
    assert (ungranted.value.clause, ungranted.value.seen) == ("NotGranted", "unknown")


def test_a_reverted_transaction_says_why(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    data = chain.encode("Datasets", "publishVersion", named("nothing"), 2, ("0x" + "11" * 32,) * 3 + (1, 0))
    tx = chain.send(person(0).signs(chain, directory.address("Datasets"), data, gas=300_000))
    receipt = mined(chain, tx)
    assert not receipt.ok
    assert isinstance(receipt.refusal, NotFound)
    assert receipt.refusal.clause == "UnknownDataset"
    sent = chain.transaction(tx)
    assert (sent.sender, sent.to, sent.block) == (person(0).address, directory.address("Datasets"), receipt.block)
    name, (dataset, version, content) = chain.decode_input("Datasets", sent.input)
    assert (name, dataset, version, content.uses) == ("publishVersion", named("nothing"), 2, 1)


def test_a_transaction_out_of_gas_says_so(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    data = chain.encode("Members", "setCard", named("dear card"))
    tx = chain.send(person(0).signs(chain, directory.address("Members"), data, gas=30_000))
    receipt = mined(chain, tx)
    assert not receipt.ok
    assert receipt.refusal is not None
    assert (receipt.refusal.clause, receipt.refusal.seen) == ("gas", 30_000)


def test_sending_again_is_harmless(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    raw = person(0).signs(chain, directory.address("Members"), chain.encode("Members", "setCard", named("new card")))
    tx = chain.send(raw)
    assert mined(chain, tx).ok
    assert chain.send(raw) == tx


def test_a_nonce_used_by_another_transaction_is_told(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    data = chain.encode("Members", "setCard", named("late card"))
    nonce = chain.nonce(person(0).address) - 1
    raw = person(0).signs(chain, directory.address("Members"), data, nonce=nonce)
    with pytest.raises(NonceTaken):
        chain.send(raw)


def test_an_id_taken_is_a_conflict(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    with pytest.raises(Conflict) as taken:
        publish(chain, directory, person(0), named("salt"))
    assert taken.value.clause == "Exists"


def test_a_block_the_chain_does_not_have(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    with pytest.raises(Reorged):
        chain.events_of(directory, Block(3, BlockHash(named("orphan")), BlockHash(ZERO), chain.block(3).time))
    with pytest.raises(NotFound):
        chain.block(BlockHash(named("orphan")))
    with pytest.raises(NotFound):
        chain.block(1_000_000)


def test_an_unfunded_account_hears_what_it_lacks(everywhere: tuple[Chain, Directory]) -> None:
    chain, directory = everywhere
    poor = stranger("pauper")
    ask: Callable[[], Any] = lambda: chain.estimate(  # noqa: E731
        poor.address, directory.address("Members"), chain.encode("Members", "quorum")
    )
    if not chain.fees().most:
        assert ask() > 21_000
        return
    with pytest.raises(Refused) as lacking:
        ask()
    assert (lacking.value.clause, lacking.value.seen) == ("funds", 0)
    assert lacking.value.needed > 0
    assert poor.address in str(lacking.value.hint)


def mined(chain: Chain, tx: Any) -> Receipt:
    until = time.monotonic() + 20
    while (receipt := chain.receipt(tx)) is None:
        assert time.monotonic() < until, "not mined in 20 s"
        time.sleep(0.02)
    return receipt
