import io
import os
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.encryption import floe
from node.errors import Misuse, Untrusted

KEY, AAD = bytes(range(32)), b"hanse test"
SMALL = floe.Parameters(48, 2)  # 16 bytes of plaintext a segment, 4 segments to a key


def official_folder():
    for folder in Path(__file__).resolve().parents:
        for candidate in (folder.parent / "shared" / "vectors" / "floe", folder / "shared" / "vectors" / "floe"):
            if candidate.is_dir():
                return candidate
    return None


OFFICIAL = official_folder()
NAMES = sorted(path.name.removesuffix("_ct.txt") for path in OFFICIAL.glob("*_ct.txt")) if OFFICIAL else ["absent"]
official = pytest.mark.skipif(
    OFFICIAL is None, reason="FLOE's official answers left out: no ../shared/vectors/floe beside the checkout"
)


def known_answer(name):
    plain, sealed = (bytes.fromhex((OFFICIAL / f"{name}_{kind}.txt").read_text()) for kind in ("pt", "ct"))
    (segment,) = struct.unpack_from(">I", sealed, 2)
    return plain, sealed, floe.Parameters(segment, 2 if "rotation" in name else 20)


@official
def test_all_seventeen_official_answers_are_here():
    assert len(NAMES) == 17


@official
@pytest.mark.parametrize("name", NAMES)
def test_official_answers_open(name):
    plain, sealed, parameters = known_answer(name)
    opened = io.BytesIO()
    floe.open_to(bytes(32), b"This is AAD", io.BytesIO(sealed), opened, parameters=parameters)
    assert opened.getvalue() == plain
    assert floe.Opener(bytes(32), b"This is AAD", io.BytesIO(sealed), parameters=parameters).read() == plain


@official
@pytest.mark.parametrize("name", [name for name in NAMES if name != "java_lastSegEmpty"])
def test_official_answers_are_sealed_to_the_same_bytes(name):
    """With their IV and nonces. (An empty last segment after full ones is opened, but never made.)"""
    plain, sealed, parameters = known_answer(name)
    nonces = [sealed[start + 4 : start + 16] for start in range(floe.HEADER_SIZE, len(sealed), parameters.segment)]
    supply = io.BytesIO(sealed[10:42] + b"".join(nonces))
    pieces = floe.seal(bytes(32), b"This is AAD", io.BytesIO(plain), random=supply.read, parameters=parameters)
    assert b"".join(pieces) == sealed


def seal(plain, parameters=SMALL):
    return b"".join(floe.seal(KEY, AAD, io.BytesIO(plain), random=os.urandom, parameters=parameters))


def open_all(sealed, parameters=SMALL):
    plain = io.BytesIO()
    floe.open_to(KEY, AAD, io.BytesIO(sealed), plain, parameters=parameters)
    return plain.getvalue()


BOUNDARY = [
    size + extra
    for size in (0, floe.DEFAULT.plain, floe.DEFAULT.plain * floe.BATCH, floe.DEFAULT.plain * floe.BATCH * 2)
    for extra in (-1, 0, 1)
    if size + extra >= 0
]


@pytest.mark.parametrize("size", BOUNDARY)
def test_round_trip_at_the_boundaries_of_segments_and_batches(size):
    plain = os.urandom(size)
    sealed = seal(plain, floe.DEFAULT)
    assert len(sealed) == floe.sealed_size(size)
    assert open_all(sealed, floe.DEFAULT) == plain
    assert floe.Opener(KEY, AAD, io.BytesIO(sealed)).read() == plain


@given(st.binary(max_size=1200))
def test_round_trip(plain):
    assert open_all(seal(plain)) == plain


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_pieces_of_any_size_are_one_stream(pieces):
    sealed = b"".join(floe.seal(KEY, AAD, iter(pieces), random=os.urandom, parameters=SMALL))
    assert open_all(sealed) == b"".join(pieces)


class Trickle(io.RawIOBase):
    """A reader that gives at most seven bytes at a time, as a socket may."""

    def __init__(self, data):
        self._inner = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._inner.readinto(memoryview(buffer)[:7])


@given(st.binary(max_size=1200))
def test_short_reads_are_no_end(plain):
    sealed = b"".join(floe.seal(KEY, AAD, Trickle(plain), random=os.urandom, parameters=SMALL))
    opened = io.BytesIO()
    floe.open_to(KEY, AAD, Trickle(sealed), opened, parameters=SMALL)
    assert opened.getvalue() == plain


@given(st.binary(max_size=400), st.lists(st.tuples(st.integers(0, 420), st.integers(0, 420)), max_size=8))
def test_any_range_is_the_slice_of_the_whole(plain, ranges):
    opener = floe.Opener(KEY, AAD, io.BytesIO(seal(plain)), parameters=SMALL)
    assert opener.size == len(plain)
    for start, length in ranges:
        assert opener.seek(start) == start
        assert opener.read(length) == plain[start : start + length]
        assert opener.tell() == max(start, min(start + length, len(plain)))
    assert opener.seek(0, os.SEEK_END) == len(plain)
    with pytest.raises(ValueError, match="before the start"):
        opener.seek(-1)


@given(st.binary(min_size=1, max_size=120), st.data())
def test_any_flipped_bit_is_refused(plain, data):
    sealed = bytearray(seal(plain))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Untrusted):
        open_all(bytes(sealed))
    with pytest.raises(Untrusted):
        floe.Opener(KEY, AAD, io.BytesIO(sealed), parameters=SMALL).read()


@given(st.binary(max_size=120), st.data())
def test_any_cut_is_refused_as_one(plain, data):
    sealed = seal(plain)
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    with pytest.raises(Untrusted) as refused:
        open_all(cut)
    assert refused.value.clause == "end"
    with pytest.raises(Untrusted) as refused:
        floe.Opener(KEY, AAD, io.BytesIO(cut), parameters=SMALL)
    assert refused.value.clause == "end"


@pytest.mark.parametrize("more", [b"\0", bytes(48)])
def test_bytes_after_a_last_segment_that_fills_the_buffer_are_refused(more):
    sealed = seal(bytes(SMALL.plain * floe.BATCH)) + more
    for act in (lambda: open_all(sealed), lambda: floe.Opener(KEY, AAD, io.BytesIO(sealed), parameters=SMALL)):
        with pytest.raises(Untrusted) as refused:
            act()
        assert refused.value.clause == "end"


def test_a_refused_segment_stays_refused_and_leaves_the_others_readable():
    plain = os.urandom(64)
    sealed = bytearray(seal(plain))
    sealed[floe.HEADER_SIZE + 48 + 20] ^= 1  # in the second segment
    opener = floe.Opener(KEY, AAD, io.BytesIO(sealed), parameters=SMALL)
    for _ in range(2):
        opener.seek(20)
        with pytest.raises(Untrusted):
            opener.read(4)
        opener.seek(0)
        assert opener.read(10) == plain[:10]


def test_two_seals_of_one_file_share_nothing():
    first, second = seal(b"x" * 100), seal(b"x" * 100)
    assert first[10:] != second[10:]


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_misuse(key):
    with pytest.raises(Misuse):
        next(floe.seal(key, AAD, [b""], random=os.urandom))


@pytest.mark.parametrize("segment", [0, 32, 2**24 + 1])
def test_a_segment_without_room_is_misuse(segment):
    with pytest.raises(Misuse):
        floe.Parameters(segment)


class Sealed(io.RawIOBase):
    """256 MiB that are sealed while they are read, so that neither side holds them."""

    def __init__(self):
        block = os.urandom(1 << 20)
        self._pieces = floe.seal(KEY, AAD, (block for _ in range(256)), random=os.urandom)
        self._rest = memoryview(b"")

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


class Count:
    def __init__(self):
        self.bytes = 0

    def write(self, data):
        self.bytes += len(data)


@pytest.mark.timeout(60)
def test_memory_is_constant_over_256_mebibytes():
    sink = Count()
    tracemalloc.start()
    try:
        floe.open_to(KEY, AAD, Sealed(), sink)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.bytes == 256 << 20
    assert peak < 12 << 20
