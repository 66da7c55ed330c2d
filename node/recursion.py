"""Imports that may not lift Python's recursion limit.

py_ecc, which web3.py and eth_account import, sets the limit to 100,000 for the whole process. With that, JSON nested
deep enough overflows the C stack: any peer that makes the node parse something could kill it.

    with kept_recursion_limit():
        from eth_account import Account
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_recursion_limit() -> Iterator[None]:
    """Whatever is imported inside, the limit afterwards is the one before."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
