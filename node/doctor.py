"""Doctor: is this node fit to run? Every check is made, whatever the others say; each trouble has its remedy.

    for found in examine(home): print(found.check, found.state, found.seen, found.remedy)

It changes nothing and needs no passphrase.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node.chain.client import Chain
from node.errors import HanseError, Misuse, Refused, Retry
from node.model import Address
from node.settings import Settings

LEAST_FREE = 1 << 30
MOST_SKEW = 60
BROKEN_SQLITE = ((3, 7, 0), (3, 51, 2))
"""Versions, both included, whose write-ahead log can lose a commit on reset."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One check; `state` is good or bad. `seen`: what was found; `remedy`: what to do about it."""

    check: str
    state: str
    seen: str
    remedy: str


def examine(home: Path) -> list[Examined]:
    """All checks of a home. Raises NotFound where there is no node in it."""
    settings = Settings.load(home)
    checks: dict[str, Callable[[Settings], str]] = {
        "keys": _keys,
        "disk": _disk,
        "sqlite": _sqlite,
        "chain": _chain,
        "clock": _clock,
        "contracts": _contracts,
        "endpoints": _endpoints,
    }
    return [_examined(name, check, settings) for name, check in checks.items()]


def _examined(name: str, check: Callable[[Settings], str], settings: Settings) -> Examined:
    try:
        return Examined(name, "good", check(settings), "")
    except HanseError as exc:
        return Examined(name, "bad", str(exc), exc.hint or "")


def _keys(settings: Settings) -> str:
    """Readable by their owner only."""
    open_to_others = [path.name for path in (settings.home / "keys").rglob("*") if path.stat().st_mode & 0o077]
    if open_to_others:
        raise Refused("others may read the keys", seen=", ".join(open_to_others[:5]),
                      hint=f"chmod -R go-rwx {settings.home / 'keys'}")  # fmt: skip
    return "readable by their owner only"


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free
    if free < LEAST_FREE:
        raise Retry("the disk is nearly full", seen=free, needed=LEAST_FREE, hint="`hanse store collect`, or make room")
    return f"{free >> 20} MiB free"


def _sqlite(settings: Settings) -> str:
    if settings.database:
        return "another database is used"
    from pysqlite3 import dbapi2

    version = tuple(int(part) for part in dbapi2.sqlite_version.split("."))
    if BROKEN_SQLITE[0] <= version <= BROKEN_SQLITE[1]:
        raise Refused("this SQLite can lose commits", seen=dbapi2.sqlite_version, hint="pip install -U pysqlite3")
    return str(dbapi2.sqlite_version)


def _chain(settings: Settings) -> str:
    chain = Chain.connect(settings.rpc)
    return f"chain {chain.chain_id}, block {chain.block('latest').number}"


def _clock(settings: Settings) -> str:
    """A clock that is behind refuses terms that hold, and signs requests that others refuse."""
    ahead = Chain.connect(settings.rpc).block("latest").time - int(time.time())
    if ahead > MOST_SKEW:
        raise Refused("the chain's time is ahead of this machine's", seen=f"{ahead} s", needed=f"under {MOST_SKEW} s",
                      hint="set the clock (NTP), or ask who runs the chain")  # fmt: skip
    return "not behind the chain"


def _contracts(settings: Settings) -> str:
    if not settings.consortium:
        raise Misuse("this node does not know its alliance yet", hint="`hanse node join --consortium 0x...`")
    found = Chain.connect(settings.rpc).directory(Address(settings.consortium))
    return f"{len(found.entries)} contracts with the code that was entered"


def _endpoints(settings: Settings) -> str:
    """Somebody answers at each, as a node does."""
    from node.web import get, locate

    if not settings.endpoints:
        raise Refused("others cannot reach this node", hint="set endpoints in hanse.toml, then `hanse node card`")
    for url in settings.endpoints:
        place = locate(url, allow_loopback=settings.development)
        answer = get(place, "/health", headers={}, limit=1 << 16, seconds=10)
        if answer.status != 200:
            raise Retry("no node answers at the endpoint", seen=f"{answer.status} from {url}", hint="`hanse node run`")
    return ", ".join(settings.endpoints)
