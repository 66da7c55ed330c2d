"""Writes canon, merkle, floe and wrap.json: bytes to be taken, and bytes to be refused by the check they name.

Deterministic but for HPKE, which draws its own randomness: wrapped bytes already in the file are kept as long as they
open, so an unchanged format leaves unchanged files.

    python tests/vectors/make_sealing.py
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from node import canon, merkle
from node.encryption import floe, wrap
from node.errors import Untrusted
from node.model import Address, DatasetId, GrantId
from node.signature import address_of, recover, sign

HERE = Path(__file__).parent


def files() -> dict[Path, str]:
    """Path and text of every file."""
    made = {"canon": canon_vectors(), "merkle": merkle_vectors(), "floe": floe_vectors(), "wrap": wrap_vectors()}
    return {HERE / f"{name}.json": json.dumps(document, indent=1) + "\n" for name, document in made.items()}


def stream(label: str, size: int) -> bytes:
    """`size` fixed bytes that look random."""
    return hashlib.shake_256(b"hanse vectors " + label.encode()).digest(size)


def canon_vectors() -> dict[str, Any]:
    good: list[dict[str, Any]] = [
        {},
        {"b": 1, "a": [True, None, "é", {"z": "", "y": []}]},
        {"numbers": [0, -1, 2**53 - 1, -(2**53) + 1, 0.5, 333333333.3333333, 4.5, 2e-3, 1e-27]},
        {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7},
        {"string": '\u20ac$\u000f\nA\'B"\\\\"/'},
    ]
    bad = {
        "whitespace": (b'{"a": 1}', "canonical"),
        "keys out of order": (b'{"b":1,"a":2}', "canonical"),
        "keys ordered by code point, not by UTF-16": ('{"\ufb33":1,"\U0001f600":2}'.encode(), "canonical"),
        "an escape that is not needed": (b'{"a":"\\u0041"}', "canonical"),
        "an integer written as a float": (b'{"a":1.0}', "canonical"),
        "minus zero": (b'{"a":-0}', "canonical"),
        "upper-case exponent": (b'{"a":1E-7}', "canonical"),
        "byte order mark": (b'\xef\xbb\xbf{"a":1}', "json"),
        "a key twice": (b'{"a":1,"a":1}', "json"),
        "a key twice, deep inside": (b'{"a":[{"b":1,"b":2}]}', "json"),
        "not an object": (b"[1]", "json"),
        "cut short": (b'{"a":1', "json"),
        "something follows": (b'{"a":1}{}', "json"),
        "not UTF-8": (b'{"a":"\xff"}', "json"),
        "lone surrogate": (b'{"a":"\\ud800"}', "json"),
        "infinite": (b'{"a":1e400}', "json"),
        "NaN": (b'{"a":NaN}', "number"),
        "2**53": (b'{"a":9007199254740992}', "number"),
        "2**64": (b'{"a":18446744073709551616}', "number"),
        "a float of integer value beyond 2**53": (b'{"a":1e+21}', "number"),
        "33 deep": (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "depth"),
        "100 kB of brackets": (b'{"a":' + b"[" * 5000, "depth"),
        "too long": (b'{"a":"' + b"x" * 8192 + b'"}', "size"),
    }
    return {
        "about": "RFC 8785; integers within 2**53 - 1, 32 levels, limit in bytes. `bytes` is hex.",
        "limit": 8192,
        "good": [{"text": canon.encode(item).decode(), "sha256": canon.digest(item).hex()} for item in good],
        "bad": [{"name": name, "bytes": data.hex(), "clause": clause} for name, (data, clause) in bad.items()],
    }


def merkle_vectors() -> dict[str, Any]:
    leaves = [stream(f"leaf {i}", i) for i in range(7)]
    root, index = merkle.root_of(leaves), 4
    path = [item.hex() for item in merkle.inclusion_proof(leaves, index)]
    below = merkle.leaf_hash(leaves[4]).hex() + path[0]
    right = {"leaf": leaves[index].hex(), "index": index, "size": 7, "proof": path, "root": root.hex()}
    bad: dict[str, tuple[dict[str, Any], str]] = {
        "another leaf": ({"leaf": leaves[3].hex()}, "root"),
        "two hashes given as a leaf": ({"leaf": below, "index": 2, "size": 4, "proof": path[1:]}, "root"),
        "another root": ({"root": "00" * 32}, "root"),
        "another index": ({"index": 5}, "root"),
        "index outside": ({"index": 7}, "index"),
        "negative index": ({"index": -1}, "index"),
        "a smaller tree": ({"size": 5}, "length"),
        "a larger tree": ({"size": 9}, "length"),
        "proof too short": ({"proof": path[:-1]}, "length"),
        "proof too long": ({"proof": [*path, "00" * 32]}, "length"),
        "proof of 65 hashes": ({"proof": ["00" * 32] * 65}, "length"),
        "a hash of 31 bytes": ({"proof": [path[0][:-2], *path[1:]]}, "length"),
        "proof in another order": ({"proof": path[::-1]}, "root"),
    }
    vector = stream("vector", 256 * 5 + 13)
    return {
        "about": "RFC 9162 inclusion proofs, and the root of a byte vector in leaves of 256 bytes. All bytes in hex.",
        "good": [
            {
                "leaf": leaves[i].hex(),
                "index": i,
                "size": size,
                "proof": [item.hex() for item in merkle.inclusion_proof(leaves[:size], i)],
                "root": merkle.root_of(leaves[:size]).hex(),
            }
            for size in range(1, 8)
            for i in range(size)
        ],
        "bad": [{"name": name, **right, **change, "clause": clause} for name, (change, clause) in bad.items()],
        "vector": {"bytes": vector.hex(), "root": merkle.vector_root(vector).hex()},
    }


def floe_vectors() -> dict[str, Any]:
    key, aad = stream("floe key", 32), b"hanse vectors"
    parameters = floe.Parameters(64, 1)

    def sealed(size: int) -> bytes:
        supply = iter(range(1000))
        pieces = floe.seal(
            key,
            aad,
            [stream("plain", size)],
            random=lambda n: stream(f"random {size} {next(supply)}", n),
            parameters=parameters,
        )
        return b"".join(pieces)

    whole = sealed(100)  # 32 + 32 + 32 + 4 bytes: segments of 64, 64, 64 and 36
    header, segments = whole[:74], [whole[74 + i * 64 : 74 + (i + 1) * 64] for i in range(4)]
    bad: dict[str, tuple[bytes, str]] = {
        "nothing": (b"", "end"),
        "cut in the header": (whole[:73], "end"),
        "header only": (header, "end"),
        "cut after a whole segment": (whole[: 74 + 128], "end"),
        "cut inside a segment": (whole[: 74 + 70], "end"),
        "cut inside the last segment": (whole[:-1], "end"),
        "the last segment missing its tag": (whole[: 74 + 192 + 20], "end"),
        "a byte follows": (whole + b"\0", "end"),
        "a segment follows": (whole + segments[1], "end"),
        "two segments swapped": (header + segments[1] + segments[0] + segments[2] + segments[3], "segment"),
        "a segment left out": (header + segments[0] + segments[2] + segments[3], "segment"),
        "a segment twice": (header + segments[0] + segments[0] + b"".join(segments[1:]), "segment"),
        "a segment of another file": (header + sealed(99)[74:138] + b"".join(segments[1:]), "segment"),
        "wrong final length": (whole[: 74 + 192] + b"\0\0\0\x25" + whole[74 + 196 :], "end"),
        "the last segment marked as a middle one": (whole[: 74 + 192] + b"\xff" * 4 + whole[74 + 196 :], "end"),
        "a middle segment marked as the last": (header + b"\0\0\0\x40" + whole[78:], "end"),
        "other algorithm": (b"\1" + whole[1:], "header"),
        "other segment length": (whole[:2] + b"\0\0\0\x80" + whole[6:], "header"),
        "other IV": (whole[:10] + bytes([whole[10] ^ 1]) + whole[11:], "key"),
        "other header tag": (whole[:73] + bytes([whole[73] ^ 1]) + whole[74:], "key"),
        "nonce altered": (whole[:80] + bytes([whole[80] ^ 1]) + whole[81:], "segment"),
        "ciphertext altered": (whole[:95] + bytes([whole[95] ^ 1]) + whole[96:], "segment"),
        "last tag altered": (whole[:-1] + bytes([whole[-1] ^ 1]), "segment"),
    }
    named = [{"name": name, "sealed": data.hex(), "clause": clause} for name, (data, clause) in bad.items()]
    named += [
        {"name": "wrong key", "sealed": whole.hex(), "key": "00" * 32, "clause": "key"},
        {"name": "wrong aad", "sealed": whole.hex(), "aad": b"hanse vector".hex(), "clause": "key"},
    ]
    return {
        "about": "FLOE with segments of 64 bytes, the AES key rotated every 2 segments. All bytes in hex.",
        "segment": 64,
        "rotation": 1,
        "key": key.hex(),
        "aad": aad.hex(),
        "good": [
            {"plain": stream("plain", size).hex(), "sealed": sealed(size).hex()}
            for size in (0, 1, 31, 32, 33, 63, 64, 65, 100, 128, 600)
        ],
        "bad": named,
    }


class _Wraps:
    """The KEM draws its own randomness, so wrapped bytes that still open are taken over from the file as it is."""

    def __init__(self) -> None:
        path = HERE / "wrap.json"
        self._known: dict[str, str] = json.loads(path.read_text())["wrapped"] if path.exists() else {}
        self.used: dict[str, str] = {}
        self.key = wrap.RecipientKey(stream("recipient", 32))
        self.owner = Address(address_of(_public(stream("owner", 32))))
        self.file_key = stream("file key", 32)

    def record(self, name: str, context: wrap.WrapContext, owner: str = "owner") -> wrap.WrapRecord:
        """A wrap for `context`, signed by `owner`."""
        fresh = wrap.wrap(self.file_key, self.key.public, context, sign=lambda digest: _sign(digest, owner))
        if name in self._known:
            kept = _signed(context, base64.b64decode(self._known[name]), owner)
            try:
                wrap.open_wrap(kept.encode(), self.key, wrap.Expected(context, _owner(owner), recover))
                fresh = kept
            except Untrusted:
                pass  # made for other inputs: the fresh one takes its place
        self.used[name] = base64.b64encode(fresh.wrapped).decode()
        return fresh


def wrap_vectors() -> dict[str, Any]:
    wraps = _Wraps()
    context = wrap.WrapContext(
        chain_id=31337,
        grants=Address("0x5FbDB2315678afecb367f032d93F642f64180aa3"),
        dataset=DatasetId("0x" + stream("dataset", 32).hex()),
        version=1,
        envelope="bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        grant=GrantId("0x" + stream("grant", 32).hex()),
        recipient=wraps.key.public.digest,
    )
    good = wraps.record("good", context)
    text = good.encode().decode()
    others: dict[str, Any] = {
        "chain_id": 1,
        "grants": "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
        "dataset": "0x" + "11" * 32,
        "version": 2,
        "envelope": "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        "grant": "0x" + "22" * 32,
    }
    bad: list[dict[str, Any]] = []

    def refuse(name: str, record: str, clause: str, **expected: Any) -> None:
        bad.append({"name": name, "record": record, "clause": clause} | expected)

    for field, value in (others | {"recipient": "0x" + "33" * 32}).items():
        refuse(f"another {field} expected", text, field, context=asdict(context) | {field: value})
    for field, value in others.items():
        elsewhere = wraps.record(field, replace(context, **{field: value}))
        moved = _signed(context, elsewhere.wrapped, "owner")
        refuse(f"wrapped for another {field}, the record rewritten", moved.encode().decode(), "wrapped")
    document = json.loads(text)
    altered = bytearray(good.wrapped)
    altered[600] ^= 1
    refuse("enc altered, signed again", _signed(context, bytes(altered), "owner").encode().decode(), "wrapped")
    refuse("enc altered", _again(document, enc_ct=base64.b64encode(altered).decode()), "signature")
    refuse("signed by another", wraps.record("stranger", context, "stranger").encode().decode(), "signature")
    refuse("another owner expected", text, "signature", owner=_owner("stranger"))
    refuse(
        "signature's twin", _again(document, signature=base64.b64encode(_twin(good.signature)).decode()), "signature"
    )
    refuse(
        "signature of zeros", _again(document, signature=base64.b64encode(bytes(64) + b"\x1b").decode()), "signature"
    )
    refuse("opened with another key", text, "wrapped", seed=stream("other recipient", 32).hex())
    refuse("unknown suite", _again(document, suite="HPKE-X25519-HKDFSHA256-AES128GCM"), "suite")
    refuse("unknown schema", _again(document, schema="hanse/wrap/2"), "schema")
    refuse("a field more", _again(document, note=""), "schema")
    refuse("a context field more", _again(document, context=document["context"] | {"note": ""}), "context")
    refuse("a context field less", _again(document, context={"version": 1}), "context")
    refuse("version as text", _again(document, context=document["context"] | {"version": "1"}), "version")
    refuse("version as true", _again(document, context=document["context"] | {"version": True}), "version")
    refuse("wrapped bytes cut", _again(document, enc_ct=base64.b64encode(good.wrapped[:-1]).decode()), "enc_ct")
    refuse("base64 with a line break", _again(document, enc_ct=document["enc_ct"] + "\n"), "enc_ct")
    refuse("base64 with unused bits set", _again(document, signature=_unused_bits(document["signature"])), "signature")
    refuse("not canonical", json.dumps(document), "canonical")
    return {
        "about": "A wrapped file key. Entries of `bad` give what differs from the expectation of `good`.",
        "seed": stream("recipient", 32).hex(),
        "owner": wraps.owner,
        "context": asdict(context),
        "info": context.info().decode(),
        "good": {"record": text, "digest": good.digest.hex(), "file_key": wraps.file_key.hex()},
        "bad": bad,
        "wrapped": wraps.used,
    }


def _signed(context: wrap.WrapContext, wrapped: bytes, owner: str) -> wrap.WrapRecord:
    bare = wrap.WrapRecord(context, wrapped, b"")
    return replace(bare, signature=_sign(bare.digest, owner))


def _sign(digest: bytes, owner: str) -> bytes:
    return sign(digest, stream(owner, 32))


def _owner(label: str) -> Address:
    return address_of(_public(stream(label, 32)))


def _public(private: bytes) -> bytes:
    from coincurve import PublicKey

    return PublicKey.from_secret(private).format(compressed=False)


def _twin(signature: bytes) -> bytes:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = order - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def _unused_bits(text: str) -> str:
    """The same bytes as another base64 text: 65 bytes leave two bits over in the last letter."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:-2] + alphabet[alphabet.index(text[-2]) + 1] + "="


def _again(document: dict[str, Any], **changes: Any) -> str:
    return canon.encode(document | changes).decode()


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
