"""Content identifiers: a codec and the hash of a block, so that whoever gets the bytes can check them.

A `Cid` is its bytes; two texts of one CID (base32, base58) are one value. It does not know where a block is.

    cid = Cid.parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
    cid.check(b"hello world")            # raises Untrusted for any other bytes
    assert Cid.raw(cid.digest) == cid    # 32 bytes on chain are enough to name a small public document

Format: multiformats CIDv0 and CIDv1. Blocks are at most 2 MiB, what Bitswap and HTTP clients take from each other.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from node.errors import Misuse, Refused, Untrusted

RAW, DAG_PB = 0x55, 0x70
SHA2_256, IDENTITY = 0x12, 0x00
MAX_BLOCK = 2 << 20
MAX_CID = 160  # bytes; identity CIDs carry up to 128 bytes of content

_SHA2_256_MARK = bytes((SHA2_256, 32))
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """A CID by its bytes (v0: a bare sha2-256 multihash; v1: version, codec, multihash). Raises Misuse."""

    binary: bytes

    def __post_init__(self) -> None:
        if len(self.binary) != 36 or self.binary[:1] != b"\1" or self.binary[2:4] != _SHA2_256_MARK:
            self._parts()

    @classmethod
    def raw(cls, digest: bytes) -> Cid:
        """The raw block with this sha2-256 digest (32 bytes)."""
        return cls._v1(RAW, digest)

    @classmethod
    def dag_pb(cls, digest: bytes) -> Cid:
        """The dag-pb node with this sha2-256 digest (32 bytes)."""
        return cls._v1(DAG_PB, digest)

    @classmethod
    def _v1(cls, codec: int, digest: bytes) -> Cid:
        if len(digest) != 32:
            raise Misuse("a sha2-256 digest has 32 bytes", clause="digest", seen=len(digest))
        return cls(bytes((1, codec)) + _SHA2_256_MARK + digest)

    @classmethod
    def parse(cls, text: str) -> Cid:
        """Read base32 (`b…`), base58btc (`z…`) or v0 (`Qm…`) text. Raises Misuse."""
        try:
            if len(text) > 2 * MAX_CID:
                raise ValueError("too long")
            return cls(_decode_text(text))
        except (ValueError, Misuse) as exc:
            raise Misuse(
                "this is not a CID", clause="cid", seen=text[:80], needed="a CID such as bafy… or Qm…"
            ) from exc

    @property
    def version(self) -> int:
        return 0 if self.binary[0] == SHA2_256 else 1

    @property
    def codec(self) -> int:
        return self._parts()[0]

    @property
    def hash_code(self) -> int:
        return self._parts()[1]

    @property
    def digest(self) -> bytes:
        """The bare digest, without its multihash prefix."""
        return self._parts()[2]

    def check(self, block: bytes) -> None:
        """Raise Untrusted unless `block` is the content this CID names; Refused for a hash we do not take."""
        if self.hash_code not in (SHA2_256, IDENTITY):
            raise Refused("this hash function is not taken", clause="hash", seen=hex(self.hash_code), needed="sha2-256")
        if (block if self.hash_code == IDENTITY else sha256(block).digest()) != self.digest:
            raise Untrusted(f"the bytes are not those of {self}", clause="block hash")

    def __str__(self) -> str:
        if self.version == 0:
            return base58(self.binary)
        return "b" + base64.b32encode(self.binary).decode().lower().rstrip("=")

    def _parts(self) -> tuple[int, int, bytes]:
        """(codec, hash function, digest)."""
        data = self.binary
        if len(data) == 34 and data[:2] == _SHA2_256_MARK:
            return DAG_PB, SHA2_256, data[2:]
        if len(data) == 36 and data[2:4] == _SHA2_256_MARK and data[0] == 1 and data[1] < 0x80:
            return data[1], SHA2_256, data[4:]
        return _split(data)


def of(codec: int, block: bytes) -> Cid:
    """The sha2-256 CIDv1 of a block."""
    return Cid(bytes((1, codec)) + _SHA2_256_MARK + sha256(block).digest())


def uvarint(number: int) -> bytes:
    """Unsigned LEB128, as multiformats and protobuf write it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_uvarint(data: bytes, at: int = 0) -> tuple[int, int]:
    """(value, next position); ValueError when cut short, longer than nine bytes or not minimal."""
    value = 0
    for count, byte in enumerate(data[at : at + 9]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if byte == 0 and count:
                raise ValueError("varint is not minimal")
            return value, at + count + 1
    raise ValueError("varint is cut short or too long")


def cid_length(data: bytes) -> int:
    """How many bytes at the start of `data` are a CID; ValueError when none is."""
    if data[:2] == _SHA2_256_MARK:
        return 34
    at = 0
    for _ in range(3):
        _, at = read_uvarint(data, at)
    size, at = read_uvarint(data, at)
    return at + size


def _split(data: bytes) -> tuple[int, int, bytes]:
    try:
        version, at = read_uvarint(data)
        codec, at = read_uvarint(data, at)
        hash_code, at = read_uvarint(data, at)
        size, at = read_uvarint(data, at)
    except ValueError as exc:
        raise Misuse("these bytes are not a CID", clause="cid", seen=data[:40].hex()) from exc
    if version != 1 or len(data) - at != size or len(data) > MAX_CID or (hash_code == SHA2_256 and size != 32):
        raise Misuse("these bytes are not a CID", clause="cid", seen=data[:40].hex())
    return codec, hash_code, data[at:]


def _decode_text(text: str) -> bytes:
    if text.startswith("b"):
        body = text[1:]
        try:
            data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
        except binascii.Error as exc:
            raise ValueError("not base32") from exc
        if base64.b32encode(data).decode().lower().rstrip("=") != body:
            raise ValueError("not canonical base32")
        return data
    if text.startswith("Qm") and len(text) == 46:
        return _from_base58(text)
    if text.startswith("z"):
        return _from_base58(text[1:])
    raise ValueError("unknown multibase")


def base58(data: bytes) -> str:
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        out = _ALPHABET[digit] + out
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + out


def _from_base58(text: str) -> bytes:
    number = 0
    for char in text:
        number = number * 58 + _ALPHABET.index(char)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
