"""Check 20: nothing readable on chain. Digests are, names and sentences are not.

check_readable(sheet, history, blobs)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from node.audit.blobs import Blobs
from node.audit.history import History
from node.audit.report import Sheet
from node.chain import encode
from node.chain.directories import address
from node.errors import HanseError, Untrusted
from node.model import Card

RUN = 20
"""Letters, digits and plain punctuation in a row: random bytes show so many once in 10^11 positions."""

SHORTEST = 5
"""Bytes of a member's name that are looked for; a shorter one would be found in random bytes."""

_TEXT = re.compile(rb"[A-Za-z0-9 .,:/_-]{%d,}" % RUN)


def check_readable(sheet: Sheet, history: History, blobs: Blobs) -> None:
    """20. No call to the alliance's contracts, and none of their events, holds a member's name or readable text."""
    names = _names(history, blobs)
    ours = {address(history.directory, name) for name in ("Consortium", "Members", "Datasets", "Grants", "Trainings")}
    for event in {event.at.tx: event for event in history.events}.values():
        with sheet.check(20, f"tx {event.at.tx}"):
            sent = history.transaction(event)
            if sent.to in ours:  # what else a transaction does is not the alliance's
                _check_bytes(sent.input, names)
    for event in history.events:
        if event.contract != "Consortium":  # whose events name the contracts
            with sheet.check(20, f"{event.contract} event {event.seq}"):
                _check_bytes(encode.event_bytes(event), names)


def _names(history: History, blobs: Blobs) -> tuple[bytes, ...]:
    return tuple(name for name in _served_names(history, blobs) if len(name) >= SHORTEST)


def _served_names(history: History, blobs: Blobs) -> Iterator[bytes]:
    for member in history.ledger.members.values():
        try:
            yield blobs.document(Card, member.card).name.encode()
        except HanseError:
            continue  # check 6 says so


def _check_bytes(data: bytes, names: tuple[bytes, ...]) -> None:
    found = next((name for name in names if name in data), None) or next(iter(_TEXT.findall(data)), None)
    if found:
        raise Untrusted("readable text on chain", clause="text", seen=found.decode(errors="replace"))
