"""What can go wrong in `federation`, named as in the node by what the reader should do about it.

Refused      the rules say no: which clause, the value seen, the value needed
Untrusted    bytes lie: which check failed, and who made them, where that is known

raise Untrusted("the seed is not the one committed to", clause="seed", culprit=member)
"""

from __future__ import annotations

from typing import Any


class FederationError(ValueError):
    """Base of both; `clause` names the rule or the check."""

    def __init__(self, message: str, *, clause: str) -> None:
        super().__init__(message)
        self.message = message
        self.clause = clause


class Refused(FederationError):
    """The rules say no. `seen` and `needed` are what a person wants to know next."""

    def __init__(self, message: str, *, clause: str, seen: Any = None, needed: Any = None) -> None:
        super().__init__(message, clause=clause)
        self.seen = seen
        self.needed = needed

    def __str__(self) -> str:
        return f"{self.message} (seen {self.seen}; needed {self.needed})"


class Untrusted(FederationError):
    """Bytes are not what they claim to be. `culprit` is the address that made them, None where nobody can be named."""

    def __init__(self, message: str, *, clause: str, culprit: bytes | None = None) -> None:
        super().__init__(message, clause=clause)
        self.culprit = culprit

    def __str__(self) -> str:
        return self.message + (f" (by 0x{self.culprit.hex()})" if self.culprit is not None else "")
