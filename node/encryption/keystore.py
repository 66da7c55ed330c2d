"""An account key and the ring's own keys under one passphrase: a Web3 Secret Storage (keystore V3) document.

One scrypt serves both. It derives 64 bytes: the first 32 are exactly those of the V3 standard, so Geth and every wallet
open the account with the same passphrase; the second 32 (another block of scrypt's final PBKDF2, independent of the
first) seal the ring's keys in the extra field `x-hanse`, which other readers ignore. So an account key that is exported
to a wallet opens no dataset. Written out here because importing eth-keyfile costs 0.7 s; the tests read each other's.

    document = seal_keys(Keys(account, ring), passphrase, random=os.urandom)
    keys = open_keys(document, passphrase)
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coincurve import PublicKey
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from node.errors import Misuse, Refused, Untrusted
from node.signature import address_of, keccak

SCRYPT_N = 2**17  # OWASP's first choice, with r = 8 and p = 1
_R, _P = 8, 1
_MAX_SCRYPT_MEMORY = 1 << 30
_PURPOSE = b"hanse/keyring/1"


@dataclass(frozen=True)
class Keys:
    """What the passphrase opens: the account's private key (32 bytes) and the ring's own bytes."""

    account: bytes = field(repr=False)
    ring: bytes = field(repr=False)

    @property
    def address(self) -> str:
        """The account's checksummed address. Raises Misuse (clause `account_key`) when that is no private key."""
        if len(self.account) != 32:
            raise Misuse("a private key has 32 bytes", clause="account_key", seen=len(self.account), needed=32)
        try:
            return address_of(PublicKey.from_secret(self.account).format(compressed=False))
        except ValueError as error:
            raise Misuse("no secp256k1 private key", clause="account_key") from error


def seal_keys(keys: Keys, passphrase: bytes, *, random: Callable[[int], bytes], n: int = SCRYPT_N) -> dict[str, Any]:
    """The V3 document with `x-hanse`; `random(k)` gives k secret-quality bytes, `n` is scrypt's cost."""
    salt, iv, nonce, identity = random(32), random(16), random(12), random(16)
    parameters = {"dklen": 32, "n": n, "r": _R, "p": _P, "salt": salt.hex()}
    derived = _derive(parameters, passphrase)
    ciphertext = _aes_ctr(derived[:16], iv, keys.account)
    address = keys.address
    return {
        "address": address[2:].lower(),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": "scrypt",
            "kdfparams": parameters,
            "mac": keccak(derived[16:32] + ciphertext).hex(),
        },
        "id": str(uuid.UUID(bytes=identity, version=4)),
        "version": 3,
        "x-hanse": {
            "version": 1,
            "sealed": (nonce + AESGCM(derived[32:]).encrypt(nonce, keys.ring, _bound(address))).hex(),
        },
    }


def open_keys(document: Mapping[str, Any], passphrase: bytes) -> Keys:
    """Raises Refused (clause `passphrase`) for the wrong one, Untrusted (clause `keystore`) for another document."""
    try:
        return _open(document, passphrase)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Untrusted("not a keystore of this ring", clause="keystore", seen=repr(error)) from error
    except InvalidTag as error:
        raise Untrusted("the ring's keys were altered", clause="keystore") from error


def _open(document: Mapping[str, Any], passphrase: bytes) -> Keys:
    crypto, own = document["crypto"], document["x-hanse"]
    if (document["version"], crypto["kdf"], crypto["cipher"], own["version"]) != (3, "scrypt", "aes-128-ctr", 1):
        raise ValueError("another version or cipher")
    derived = _derive(crypto["kdfparams"], passphrase)
    ciphertext = bytes.fromhex(crypto["ciphertext"])
    if not hmac.compare_digest(keccak(derived[16:32] + ciphertext), bytes.fromhex(crypto["mac"])):
        raise Refused(
            "the passphrase does not open this keyring",
            clause="passphrase",
            hint="give the passphrase it was made with; nobody can recover it",
        )
    account = _aes_ctr(derived[:16], bytes.fromhex(crypto["cipherparams"]["iv"]), ciphertext)
    sealed = bytes.fromhex(own["sealed"])
    address = Keys(account, b"").address
    return Keys(account, AESGCM(derived[32:]).decrypt(sealed[:12], sealed[12:], _bound(address)))


def _derive(parameters: Mapping[str, Any], passphrase: bytes) -> bytes:
    n, r, p, salt = parameters["n"], parameters["r"], parameters["p"], bytes.fromhex(parameters["salt"])
    memory = 128 * r * (n + p + 2)
    if not 0 < memory <= _MAX_SCRYPT_MEMORY or not 0 < p <= 16:
        raise ValueError("scrypt parameters out of bounds")
    return hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, maxmem=memory + (1 << 20), dklen=64)


def _aes_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    cipher = Cipher(AES(key), CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _bound(address: str) -> bytes:
    return _PURPOSE + bytes.fromhex(address[2:])
