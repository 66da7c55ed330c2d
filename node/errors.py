"""What can go wrong, named by what the reader should do about it.

    Retry      the world failed (chain, store, disk, network): repair it and run the same command again
      NotFinal     accepted, but not final within the time allowed
    Refused    the rules say no: which clause, the value seen, the value needed, who can change it
      Conflict     the thing exists already, differently, or somebody else was first
    Untrusted  bytes lie: a hash, a signature or a proof does not hold
    Misuse     a bad argument
      NotFound     nothing is known under that name

Edges translate foreign exceptions into these, `from exc`. The library never prints; faces show `record()`.

    raise Refused("the grant is over", clause="until", seen=at, needed=f"before {until}", hint="ask the owner to renew")
"""

from __future__ import annotations

from typing import Any, ClassVar


class HanseError(Exception):
    """Base of all four families; `code` is the JSON error code, `exit_code` the command's."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(
        self, message: str, *, clause: str | None = None, seen: Any = None, needed: Any = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.clause = clause
        self.seen = seen
        self.needed = needed
        self.hint = hint

    def record(self) -> dict[str, str]:
        """The error as API and CLI show it: `{code, message, clause?, seen?, needed?, hint?}`."""
        fields = {"clause": self.clause, "seen": self.seen, "needed": self.needed, "hint": self.hint}
        return {"code": self.code, "message": self.message} | {k: str(v) for k, v in fields.items() if v is not None}

    def __str__(self) -> str:
        extra = [
            f"{name} {value}" for name, value in (("seen", self.seen), ("needed", self.needed)) if value is not None
        ]
        return self.message + (f" ({'; '.join(extra)})" if extra else "")


class Retry(HanseError):
    """The world failed; the same call may go through later."""

    code, exit_code, http_status = "unavailable", 6, 503


class NotFinal(Retry):
    """Accepted, but not final within the deadline; running the same command again goes on waiting."""

    code, exit_code, http_status = "not_final", 8, 504


class Refused(HanseError):
    """The rules say no; `clause` names the rule."""

    code, exit_code, http_status = "refused", 4, 403


class Conflict(Refused):
    """What is asked for contradicts what exists."""

    code, exit_code, http_status = "conflict", 5, 409


class Untrusted(HanseError):
    """Bytes do not match what they claim to be; `clause` names the check."""

    code, exit_code, http_status = "untrusted", 7, 502


class Misuse(HanseError):
    """A bad argument; `clause` names it."""

    code, exit_code, http_status = "usage", 2, 422


class NotFound(Misuse):
    """Nothing is known under that name."""

    code, exit_code, http_status = "not_found", 3, 404
