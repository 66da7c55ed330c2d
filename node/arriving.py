"""A file that is read while it still arrives: one thread puts pieces in, another reads them in order.

    arriving = Arriving()
    arriving.put(b"...")            # in one thread, as often as there is something; `end` after the last
    arriving.readinto(buffer)       # in another: waits for bytes, 0 at the end

Memory is bounded: `put` waits while eight pieces are unread, and drops what comes once the reader has gone.
"""

from __future__ import annotations

import io
from queue import Empty, Full, Queue
from threading import Event

AHEAD = 8
WAIT = 0.1


class Arriving(io.RawIOBase):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: Queue[bytes] = Queue(AHEAD)
        self._rest = memoryview(b"")
        self._ended, self._abandoned = Event(), Event()

    def readable(self) -> bool:
        return True

    def put(self, piece: bytes) -> None:
        """The next piece; nothing happens where nobody reads any more."""
        while not self._abandoned.is_set():
            try:
                return self._pieces.put(piece, timeout=WAIT)
            except Full:
                continue  # the reader is slower, or has gone meanwhile

    def end(self) -> None:
        """There is no more."""
        self._ended.set()

    def abandon(self) -> None:
        """The reader has gone."""
        self._abandoned.set()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            ended = self._ended.is_set()
            try:
                self._rest = memoryview(self._pieces.get(timeout=WAIT))
            except Empty:
                if ended:
                    return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
