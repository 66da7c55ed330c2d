"""Events arrive whole and in order, whatever the endpoint's limits; and never from another chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import pytest

from node.chain.client import Chain
from node.chain.encode import EMPTY, extend
from node.chain.failures import Reorged, RpcError
from node.errors import Retry, Untrusted
from node.model import Directory, Event
from tests.chain.lying import Call, Edge, proxy
from tests.chain.peers import ask
from tests.chain.people import Person, named


@pytest.fixture
def events(chain: Chain, alliance: Directory, alice: Person) -> list[Event]:
    """Forty more blocks, some empty, as read without a proxy."""
    for number in range(20):
        alice.sends(chain, alliance, "Members", "setCard", named(f"card {number}"))
        ask(chain.name, "evm_mine")
    return chain.events(alliance, 0, chain.final())


@pytest.fixture
def edge(anvil_rpc: str) -> Iterator[Edge]:
    with proxy(anvil_rpc) as edge:
        yield edge


@pytest.fixture
def through(edge: Edge, events: list[Event]) -> Chain:
    return Chain.connect(edge.url, timeout=5)


@pytest.mark.parametrize(
    "wording",
    [
        "query returned more than {most} results",
        "exceed maximum block range: {most}",
        "Requested range exceeds maximum RPC range limit",
        "eth_getLogs is limited to a {most} blocks range",
        "block range is too wide",
        "Log response size exceeded",
        "query timeout exceeded",
    ],
)
def test_ranges_are_halved_in_every_wording(
    edge: Edge, through: Chain, alliance: Directory, events: list[Event], wording: str
) -> None:
    edge.most_blocks, edge.wording = 3, wording
    assert through.events(alliance, 0, through.final()) == events


def test_ranges_are_halved_by_the_number_of_logs(
    edge: Edge, through: Chain, alliance: Directory, events: list[Event]
) -> None:
    edge.most_logs = 5
    assert through.events(alliance, 0, through.final()) == events


def test_one_block_too_large_is_said_and_not_stepped_over(
    edge: Edge, through: Chain, alliance: Directory, events: list[Event]
) -> None:
    edge.most_logs = 4  # the founders are five, in one block
    with pytest.raises(RpcError, match="more than 4 results"):
        through.events(alliance, 0, through.final())


def test_other_errors_are_not_halved(edge: Edge, through: Chain, alliance: Directory, events: list[Event]) -> None:
    edge.most_blocks, edge.wording = 0, "method not allowed"
    before = len(edge.asked)
    with pytest.raises(RpcError, match="method not allowed"):
        through.events(alliance, 0, through.final())
    assert len([call for call in edge.asked[before:] if call["method"] == "eth_getLogs"]) == 1


def test_an_endpoint_without_batches(edge: Edge, through: Chain, alliance: Directory, events: list[Event]) -> None:
    edge.batches = False
    assert through.events(alliance, 0, through.final()) == events


def test_a_slow_range_is_halved(through: Chain, edge: Edge, alliance: Directory, events: list[Event]) -> None:
    slow = Chain.connect(edge.url, timeout=0.5)
    edge.delay = 0.8
    with pytest.raises(RpcError, match="did not answer in time"):
        slow.events(alliance, 3, 4)
    assert [int(c["params"][0]["toBlock"], 16) for c in edge.asked if c["method"] == "eth_getLogs"][-2:] == [4, 3]


def test_a_directory_where_ranges_are_limited(edge: Edge, through: Chain, alliance: Directory) -> None:
    edge.most_blocks = 2
    assert through.directory(alliance.consortium) == alliance


def test_order_does_not_depend_on_the_endpoint(
    edge: Edge, through: Chain, alliance: Directory, events: list[Event]
) -> None:
    edge.change = lambda call, result: result[::-1] if call["method"] == "eth_getLogs" else result
    assert through.events(alliance, 0, through.final()) == events


def test_an_omitted_event_shows_in_the_running_hash(
    edge: Edge, through: Chain, alliance: Directory, events: list[Event]
) -> None:
    edge.change = lambda call, result: result[:2] + result[3:] if call["method"] == "eth_getLogs" else result
    told = [event for event in through.events(alliance, 0, through.final()) if event.contract == "Members"]
    with pytest.raises(Untrusted) as omitted:
        reduce(extend, told, EMPTY)
    assert omitted.value.clause == "sequence"


def change_log(**changed: Any) -> Callable[[Call, Any], Any]:
    def change(call: Call, result: Any) -> Any:
        return [log | changed for log in result] if call["method"] == "eth_getLogs" else result

    return change


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        (change_log(address="0x" + "11" * 20), "address"),
        (change_log(blockNumber="0x9999"), "range"),
        (change_log(topics=["0x" + "22" * 32]), "event"),
        (change_log(topics=[]), "event"),
        (change_log(data="0x"), "abi"),
        (change_log(data=None), "rpc"),
        (change_log(blockNumber="nonsense"), "rpc"),
        (lambda call, result: [{}] if call["method"] == "eth_getLogs" else result, "rpc"),
        (change_log(data="0x" + "ff" * 160), "abi"),
    ],
)
def test_logs_that_cannot_be_are_untrusted(
    edge: Edge, through: Chain, alliance: Directory, change: Callable[[Call, Any], Any], clause: str
) -> None:
    edge.change = change
    with pytest.raises(Untrusted) as lie:
        through.events(alliance, 0, 3)
    assert lie.value.clause == clause


def test_a_log_of_a_block_that_has_gone(edge: Edge, through: Chain, alliance: Directory) -> None:
    edge.change = change_log(blockHash=named("orphan"))
    with pytest.raises(Reorged):
        through.events(alliance, 0, 3)
    with pytest.raises(Untrusted):
        through.events_of(alliance, through.block(1))


def test_a_lagging_endpoint_has_no_empty_blocks(edge: Edge, through: Chain, alliance: Directory) -> None:
    block = through.block(1)
    edge.change = lambda call, _: [] if call["method"] == "eth_getLogs" else None
    with pytest.raises(Reorged):
        through.events_of(alliance, block)


def test_a_reorg_is_noticed_by_block_hash(
    chain: Chain, alliance: Directory, events: list[Event], anvil_rpc: str
) -> None:
    last = chain.block(events[-1].at.block)
    assert chain.events_of(alliance, last) == [events[-1]]
    ask(anvil_rpc, "anvil_reorg", chain.final() - last.number + 1, [])
    with pytest.raises(Reorged) as gone:
        chain.events_of(alliance, last)
    assert isinstance(gone.value, Retry)
    assert chain.block(last.number).hash != last.hash
