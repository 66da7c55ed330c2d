"""FLOE (c2sp.org/FLOE, ePrint 2025/2275): a file sealed in segments under one 32-byte key, AES-256-GCM.

Seekable, truncation-safe, committing to key and associated data. It knows no recipients: the same sealed bytes, and so
the same CID, serve every member that holds the key. Ciphertext = header (74 bytes) + segments (32 bytes longer than
their plaintext); the last segment carries its own length, so that a cut is always seen.

    for piece in seal(key, aad, open("mill.csv", "rb"), random=os.urandom): sink.write(piece)
    open_to(key, aad, sealed, plain)                      # sequential; until it returns, `plain` may be cut short
    with Opener(key, aad, open("sealed", "rb")) as file: file.seek(10**9); file.read(100)
"""

from __future__ import annotations

import hmac
import io
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from node.errors import Misuse, Untrusted

KEY_SIZE = 32
HEADER_SIZE = 74  # 10 of parameters, 32 of IV, 32 of tag
OVERHEAD = 32  # a segment: 4 of length, 12 of nonce, 16 of tag
BATCH = 16  # segments worked on at a time: about 1 MiB of buffer each way
MAX_SEGMENTS = 2**40  # the specification's limit for AES-256-GCM
_IV_SIZE, _NONCE_SIZE = 32, 12
_MORE = b"\xff\xff\xff\xff"  # stands where the last segment has its length

Random = Callable[[int], bytes]


class Sink(Protocol):
    """What opened bytes are written to."""

    def write(self, data: memoryview, /) -> Any:
        """Take the bytes before returning: the buffer is used again."""


@dataclass(frozen=True)
class Parameters:
    """Segment length in bytes (with overhead), and 2**rotation segments to a derived AES key."""

    segment: int = 65536
    rotation: int = 20

    def __post_init__(self) -> None:
        if not OVERHEAD < self.segment <= 1 << 24:
            raise Misuse("no usable segment length", clause="segment", seen=self.segment, needed="33 to 2**24")

    @property
    def plain(self) -> int:
        """Plaintext bytes in a full segment."""
        return self.segment - OVERHEAD

    def encoded(self) -> bytes:
        """The ten bytes at the start of the header: AES-256-GCM, HKDF-SHA-384, segment length, IV length."""
        return struct.pack(">BBII", 0, 0, self.segment, _IV_SIZE)


DEFAULT = Parameters()


def sealed_size(plain_size: int, parameters: Parameters = DEFAULT) -> int:
    """Bytes of ciphertext that `seal` makes of `plain_size` bytes."""
    segments = max(1, -(-plain_size // parameters.plain))
    return HEADER_SIZE + plain_size + segments * OVERHEAD


def seal(
    key: bytes, aad: bytes, source: BinaryIO | Iterable[bytes], *, random: Random, parameters: Parameters = DEFAULT
) -> Iterator[bytes]:
    """Sealed bytes, header first, then about 1 MiB at a time; memory is constant.

    `random(n)` gives n fresh secret-quality bytes (`os.urandom`); the nonces come from it, so bytes given twice under
    one key reveal the key. An `Untrusted` or `OSError` of the source passes through.
    """
    iv = random(_IV_SIZE)
    keys = _Keys(key, aad, iv, parameters)
    yield keys.header
    position = 0
    room = memoryview(bytearray(BATCH * parameters.segment))
    for plain, last in _batches(source, parameters.plain):
        count = max(1, -(-len(plain) // parameters.plain))
        batch = _Batch(position, plain, room[: len(plain) + count * OVERHEAD], last)
        _seal_batch(keys, batch, random(_NONCE_SIZE * count))
        yield bytes(batch.sealed)
        position += count


def open_to(key: bytes, aad: bytes, source: BinaryIO, sink: Sink, *, parameters: Parameters = DEFAULT) -> int:
    """Open a stream from start to end into `sink`; returns the number of plaintext bytes.

    Every byte written is authenticated, but only the return says that nothing is missing: write to a temporary file and
    rename it. Raises Untrusted with clause `header`, `key`, `segment` or `end`.
    """
    keys = _Keys.from_header(key, aad, _read(source, HEADER_SIZE), parameters)
    sealed = memoryview(bytearray(BATCH * parameters.segment))
    plain = memoryview(bytearray(BATCH * parameters.plain))
    position = total = 0
    while True:
        filled = _fill(source, sealed)
        last = filled < len(sealed) or sealed[-parameters.segment :][:4] != _MORE
        segments = max(1, -(-filled // parameters.segment))
        _open_batch(keys, _Batch(position, plain, sealed[:filled], last))
        written = filled - segments * OVERHEAD
        sink.write(plain[:written])
        total += written
        position += segments
        if last:
            break
    if source.read(1):
        raise Untrusted("bytes follow the last segment", clause="end")
    return total


class Opener(io.RawIOBase):
    """A seekable reader over a sealed seekable file; opens only the segments that are read.

    The last segment is authenticated first, so that the size can be trusted. `close` leaves the sealed file open.
    Raises Untrusted with clause `header`, `key`, `segment` or `end`, at once or when a damaged segment is read.
    """

    def __init__(self, key: bytes, aad: bytes, sealed: BinaryIO, *, parameters: Parameters = DEFAULT) -> None:
        super().__init__()
        self._sealed, self._parameters = sealed, parameters
        sealed.seek(0)
        self._keys = _Keys.from_header(key, aad, _read(sealed, HEADER_SIZE), parameters)
        body = sealed.seek(0, os.SEEK_END) - HEADER_SIZE
        self._segments = max(1, -(-body // parameters.segment))
        self.size = body - self._segments * OVERHEAD
        self._position = 0
        self._room = memoryview(bytearray(parameters.segment))
        self._held, self._plain = -1, memoryview(bytearray(parameters.plain))  # the segment opened last
        self._open(self._segments - 1, self._plain)
        self._held = self._segments - 1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self.size - self._position)]
        done = 0
        while done < len(view):
            number, offset = divmod(self._position, self._parameters.plain)
            count = self._take(number, offset, view[done:])
            done, self._position = done + count, self._position + count
        return done

    def _take(self, number: int, offset: int, target: memoryview) -> int:
        length = min(self._parameters.plain, self.size - number * self._parameters.plain)
        if offset == 0 and len(target) >= length and number != self._held:
            self._open(number, target)  # a whole segment: straight to where it is wanted
            return length
        if number != self._held:
            self._held = -1  # what is held is overwritten, and stays so when the segment is refused
            self._open(number, self._plain)
            self._held = number
        count = min(length - offset, len(target))
        target[:count] = self._plain[offset : offset + count]
        return count

    def _open(self, number: int, target: memoryview) -> None:
        self._sealed.seek(HEADER_SIZE + number * self._parameters.segment)
        sealed = self._room[: _fill(self._sealed, self._room)]
        _open_batch(self._keys, _Batch(number, target, sealed, number == self._segments - 1))


class _Keys:
    """The keys of one ciphertext: header tag (commits to key and aad), message key, a segment key each rotation."""

    def __init__(self, key: bytes, aad: bytes, iv: bytes, parameters: Parameters) -> None:
        if len(key) != KEY_SIZE:
            raise Misuse("a file key has 32 bytes", clause="key", seen=len(key), needed=KEY_SIZE)
        self.parameters = parameters
        self._info = (parameters.encoded() + iv, aad)
        self.header = parameters.encoded() + iv + self._derive(key, b"HEADER_TAG:", 32)
        self._message_key = self._derive(key, b"MESSAGE_KEY:", 48)
        self._current: tuple[int, AESGCM] | None = None

    @classmethod
    def from_header(cls, key: bytes, aad: bytes, header: bytes, parameters: Parameters) -> _Keys:
        if len(header) < HEADER_SIZE:
            raise Untrusted("the header is cut short", clause="end", seen=len(header), needed=HEADER_SIZE)
        if header[:10] != parameters.encoded():
            raise Untrusted(
                "sealed with other parameters",
                clause="header",
                seen=header[:10].hex(),
                needed=parameters.encoded().hex(),
            )
        keys = cls(key, aad, header[10:42], parameters)
        if not hmac.compare_digest(keys.header, header):
            raise Untrusted("not sealed under this key for this purpose (associated data)", clause="key")
        return keys

    def segment_key(self, position: int) -> AESGCM:
        first = position >> self.parameters.rotation << self.parameters.rotation
        if self._current is None or self._current[0] != first:
            derived = self._derive(self._message_key, b"DEK:" + struct.pack(">Q", first), 32)
            self._current = (first, AESGCM(derived))
        return self._current[1]

    def _derive(self, key: bytes, purpose: bytes, length: int) -> bytes:
        before, after = self._info
        return HKDFExpand(hashes.SHA384(), length, before + purpose + after).derive(key)


def _associated(position: int, last: bool) -> bytes:
    return struct.pack(">QB", position, last)


@dataclass(frozen=True)
class _Batch:
    """Consecutive segments from number `first`, all full but perhaps the last; `ends` if that one ends the file.

    `plain` is where the plaintext stands or goes, as long as needed or longer.
    """

    first: int
    plain: memoryview
    sealed: memoryview
    ends: bool

    def segments(self, parameters: Parameters) -> Iterator[tuple[int, bool, memoryview, memoryview]]:
        """(number, is the last of the file, plaintext, sealed) of each."""
        room, step = parameters.segment, parameters.plain
        count = max(1, -(-len(self.sealed) // room))
        if self.first + count > MAX_SEGMENTS:
            raise Misuse(
                "the file is too long for one key", clause="segment", needed=f"at most {MAX_SEGMENTS} segments"
            )
        for i in range(count):
            sealed = self.sealed[i * room : (i + 1) * room]
            plain = self.plain[i * step : i * step + max(0, len(sealed) - OVERHEAD)]
            yield self.first + i, self.ends and i == count - 1, plain, sealed


def _seal_batch(keys: _Keys, batch: _Batch, nonces: bytes) -> None:
    for number, last, plain, sealed in batch.segments(keys.parameters):
        start = (number - batch.first) * _NONCE_SIZE
        nonce = nonces[start : start + _NONCE_SIZE]
        sealed[:4] = struct.pack(">I", len(sealed)) if last else _MORE
        sealed[4:16] = nonce
        keys.segment_key(number).encrypt_into(nonce, plain, _associated(number, last), sealed[16:])


def _open_batch(keys: _Keys, batch: _Batch) -> None:
    for number, last, plain, sealed in batch.segments(keys.parameters):
        _check_length(sealed, last=last)
        try:
            keys.segment_key(number).decrypt_into(sealed[4:16], sealed[16:], _associated(number, last), plain)
        except InvalidTag as error:
            raise Untrusted("a segment was altered or moved", clause="segment", seen=number) from error


def _check_length(segment: memoryview, *, last: bool) -> None:
    mark = bytes(segment[:4])
    if not last and mark != _MORE:
        raise Untrusted("bytes follow the last segment", clause="end")
    if last and mark == _MORE:
        raise Untrusted("the file is cut short", clause="end")
    if len(segment) < OVERHEAD or (last and mark != struct.pack(">I", len(segment))):
        raise Untrusted("the last segment has another length", clause="end", seen=len(segment), needed=mark.hex())


def _batches(source: BinaryIO | Iterable[bytes], step: int) -> Iterator[tuple[memoryview, bool]]:
    """(plaintext, whether it is the last) in full batches, the last one shorter; a view is valid until the next."""
    size = BATCH * step
    buffer = memoryview(bytearray(size + 1))  # one byte more than a batch: whether there is more decides what is last
    reader = source if hasattr(source, "read") else _Joined(source)
    held = 0
    while True:
        held += _fill(reader, buffer[held:])
        if held <= size:
            yield buffer[:held], True
            return
        yield buffer[:size], False
        buffer[0], held = buffer[size], 1


class _Joined:
    """Pieces of any size, read as one stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._rest = iter(pieces), memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _fill(source: Any, buffer: memoryview) -> int:
    """Read until the buffer is full or the source ends; a short read is not an end."""
    done = 0
    while done < len(buffer) and (count := source.readinto(buffer[done:])):
        done += count
    return done


def _read(source: BinaryIO, size: int) -> bytes:
    buffer = bytearray(size)
    return bytes(memoryview(buffer)[: _fill(source, memoryview(buffer))])
