"""One alliance's first day, unchanged, on every development chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from node.chain.client import Chain
from tests.chain import peers
from tests.chain.flow import share_and_train


@pytest.mark.parametrize(
    ("start", "chain_id"),
    [
        pytest.param(lambda: peers.anvil(*peers.ZERO_FEES), 31337, id="anvil-zero-fee"),
        pytest.param(peers.anvil, 31337, id="anvil"),
        pytest.param(peers.hardhat, 31337, id="hardhat", marks=pytest.mark.outside),
        pytest.param(peers.ganache, 1337, id="ganache", marks=pytest.mark.outside),
    ],
)
def test_share_and_train(start: Callable[[], Any], chain_id: int) -> None:
    with start() as rpc:
        chain = Chain.connect(rpc)
        assert chain.chain_id == chain_id
        assert chain.is_development
        share_and_train(chain, advance=lambda seconds: peers.advance(rpc, seconds))
