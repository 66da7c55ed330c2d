"""A file read while it arrives: all of it, in order, in bounded memory, and nobody waits for ever."""

import threading
import time

from node.arriving import AHEAD, Arriving


def test_what_is_put_in_comes_out_in_order():
    arriving = Arriving()
    pieces = [bytes([n]) * (n * 1000 + 1) for n in range(40)]

    def bring():
        for piece in pieces:
            arriving.put(piece)
        arriving.end()

    thread = threading.Thread(target=bring)
    thread.start()
    assert arriving.read() == b"".join(pieces)
    thread.join(5)
    assert not thread.is_alive()


def test_a_slow_reader_holds_back_whoever_brings():
    arriving, brought = Arriving(), []

    def bring():
        for n in range(3 * AHEAD):
            arriving.put(b"x" * 1000)
            brought.append(n)
        arriving.end()

    thread = threading.Thread(target=bring, daemon=True)
    thread.start()
    time.sleep(0.3)
    assert len(brought) == AHEAD
    assert len(arriving.read()) == 3 * AHEAD * 1000
    thread.join(5)
    assert not thread.is_alive()


def test_nobody_waits_for_a_reader_that_has_gone():
    arriving = Arriving()
    threading.Timer(0.2, arriving.abandon).start()
    began = time.monotonic()
    for _ in range(3 * AHEAD):
        arriving.put(b"x")
    assert time.monotonic() - began < 5


def test_the_end_is_the_end_even_with_nothing_before_it():
    arriving = Arriving()
    arriving.end()
    assert arriving.read() == b""
