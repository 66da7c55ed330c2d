"""What several folders of tests share: a real Anvil a session, as new for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.recursion import kept_recursion_limit

with (
    kept_recursion_limit()
):  # as the node imports them: whichever test comes first must not lift the limit for the rest
    import eth_account  # noqa: F401
    import web3  # noqa: F401

from tests.chain.peers import ZERO_FEES, anvil, ask


@pytest.fixture(scope="session")
def anvil_session() -> Iterator[str]:
    """The RPC URL of one Anvil without fees. Tests take `anvil_rpc`."""
    with anvil(*ZERO_FEES) as rpc:
        yield rpc


@pytest.fixture
def anvil_rpc(anvil_session: str) -> Iterator[str]:
    """The RPC URL of that Anvil, put back afterwards to what it was before the test."""
    snapshot = ask(anvil_session, "evm_snapshot")
    yield anvil_session
    assert ask(anvil_session, "evm_revert", snapshot) is True
