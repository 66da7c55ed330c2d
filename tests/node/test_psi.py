"""Private set intersection with the real library, in two processes: the right keys, and no message that is another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from node.encryption import psi
from node.errors import Refused, Untrusted

OURS = sorted(f"K{i}" for i in range(60))
THEIRS = sorted(f"K{i}" for i in range(40, 140))
BOTH = sorted(set(OURS) & set(THEIRS))

OWNER = """
import os, sys
from node.encryption import psi
keys, reveal = sys.argv[2:], sys.argv[1] == "1"
asked = sys.stdin.buffer.read()
setup, response = psi.answer(keys, asked, psi.drawn_key(os.urandom), reveal=reveal, order=os.urandom(32))
sys.stdout.buffer.write(len(setup).to_bytes(4, "big") + setup + response)
"""


def answered(asked: bytes, *, reveal: bool) -> tuple[bytes, bytes]:
    """By another process, which sees the asker's message and nothing else of it."""
    command = [sys.executable, "-c", OWNER, str(int(reveal)), *THEIRS]
    said = subprocess.run(command, input=asked, capture_output=True, check=True, timeout=60).stdout
    size = int.from_bytes(said[:4], "big")
    return said[4 : 4 + size], said[4 + size :]


def test_only_the_number_of_common_keys_by_default():
    key = psi.drawn_key(os.urandom)
    setup, response = answered(psi.blind(OURS, key, reveal=False), reveal=False)
    assert psi.common_count(OURS, key, setup, response) == len(BOTH)
    assert psi.owner_count(setup) == len(THEIRS)
    elements = list(psi._parsed(psi._library().Response(), response).encrypted_elements)
    assert elements == sorted(elements)  # so that none of them can be matched to a key


def test_the_common_keys_where_they_are_revealed():
    key = psi.drawn_key(os.urandom)
    setup, response = answered(psi.blind(OURS, key, reveal=True), reveal=True)
    assert psi.common_keys(OURS, key, setup, response) == BOTH
    assert not any(one.encode() in setup + response for one in THEIRS if len(one) > 2)


def test_who_agreed_to_a_number_does_not_answer_with_keys():
    asked = psi.blind(OURS, psi.drawn_key(os.urandom), reveal=True)
    with pytest.raises(Untrusted, match="reveal"):
        psi.answer(THEIRS, asked, psi.drawn_key(os.urandom), reveal=False, order=bytes(32))


def test_messages_that_are_none_are_refused():
    key = psi.drawn_key(os.urandom)
    asked = psi.blind(OURS, key, reveal=False)
    setup, response = psi.answer(THEIRS, asked, psi.drawn_key(os.urandom), reveal=False, order=bytes(32))
    off_the_curve = asked[:5] + bytes([asked[5] ^ 1]) + asked[6:]
    for bad in (b"\xff" * 9, asked[:-1], asked + b"\x00"):
        with pytest.raises(Untrusted):
            psi.answer(THEIRS, bad, key, reveal=False, order=bytes(32))
    for bad in (b"", response[:35], response[:-3], response + response[:35], setup[4:]):
        with pytest.raises(Untrusted):
            psi.common_count(OURS, key, setup, bad)
    for bad in (b"", setup[:-1], response):
        with pytest.raises(Untrusted):
            psi.common_count(OURS, key, bad, response)
    assert psi.count_of(off_the_curve) == len(OURS)


def test_keys_are_compared_as_people_write_them():
    cells = [" ab-1 ", "AB-1", "ａb-1", "ﬁx", "", None, float("nan"), *range(30)]
    keys = psi.distinct(cells)
    assert {"AB-1", "FIX", "7"} <= set(keys)
    assert len(keys) == 32
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("cells", "seen"),
    [([], 0), (["a"] * 100, 1), (range(psi.MIN_KEYS - 1), 19), (range(psi.MAX_KEYS + 1), 25_001),
     (["x" * 201, *range(30)], 201)],
)  # fmt: skip
def test_too_few_too_many_or_too_long(cells, seen):
    with pytest.raises(Refused) as caught:
        psi.distinct(cells)
    assert (caught.value.clause, caught.value.seen) == ("keys", seen)


def test_a_drawn_key_is_a_scalar_of_the_curve():
    for drawn in (bytes(48), b"\xff" * 48, os.urandom(48)):
        key = int.from_bytes(psi.drawn_key(lambda size, drawn=drawn: drawn[:size]), "big")
        assert 0 < key < psi._ORDER
