"""The salted commitment of a dataset version: what goes on chain in place of its manifest.

The commitment is SHA-256 of the canonical manifest, which contains 32 random bytes as `salt`; without the salt a reader
of the chain could try likely manifests. It does not judge the manifest's other fields.

    manifest = salted({"title": "mill-7", ...}, os.urandom(32))      # canonical bytes, for the store
    on_chain = commit(manifest)
    verify(manifest, on_chain)
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from node import canon
from node.errors import Misuse, Untrusted

SALT_SIZE = 32
MANIFEST_LIMIT = 1 << 20


def salted(manifest: Mapping[str, Any], salt: bytes) -> bytes:
    """Canonical bytes of the manifest with its `salt` (hex). Raises Misuse for a short salt, a second one, or 1 MiB."""
    if len(salt) != SALT_SIZE:
        raise Misuse(
            "the salt has another length", clause="salt", seen=f"{len(salt)} bytes", needed=f"{SALT_SIZE} bytes"
        )
    if "salt" in manifest:
        raise Misuse("the manifest has a salt already", clause="salt")
    data = canon.encode({**manifest, "salt": salt.hex()})
    if len(data) > MANIFEST_LIMIT:
        raise Misuse(
            "the manifest is too large", clause="size", seen=len(data), needed=f"at most {MANIFEST_LIMIT} bytes"
        )
    return data


def commit(manifest: bytes) -> bytes:
    """The 32-byte commitment of canonical manifest bytes.

    Raises Untrusted with clause `salt` when it is missing or short, or as `canon.parse` does.
    """
    _check_salt(canon.parse(manifest, limit=MANIFEST_LIMIT))
    return hashlib.sha256(manifest).digest()


def verify(manifest: bytes, commitment: bytes) -> None:
    """Raise Untrusted unless `commitment` is that of the manifest (clause `commitment`, or as in `commit`)."""
    seen = commit(manifest)
    if not hmac.compare_digest(seen, commitment):
        raise Untrusted(
            "the manifest is not the one committed", clause="commitment", seen=seen.hex(), needed=commitment.hex()
        )


def _check_salt(document: Mapping[str, Any]) -> None:
    salt = document.get("salt")
    if salt is None:
        raise Untrusted("the manifest has no salt", clause="salt", needed=f"{SALT_SIZE} random bytes in hex")
    if not isinstance(salt, str) or len(salt) != 2 * SALT_SIZE or set(salt) - set("0123456789abcdef"):
        raise Untrusted("the manifest's salt is not 32 bytes in lower-case hex", clause="salt", seen=str(salt)[:80])
