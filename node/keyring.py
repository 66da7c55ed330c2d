"""The member's keys on disk: account, recipient key, file keys, keys of trainings, sealed under one passphrase.

`account.json` is a keystore V3 (see encryption/keystore.py) that also holds the ring's key and the recipient key's
seed; each file in `secrets/` is one secret under the ring's key, AES-256-GCM, bound to its name. A copy of the folder
is a full backup. It decides nothing about who may have a key, and it cannot undo a loss: write a file key here *before*
the transaction that publishes its dataset.

    ring = Keyring.create(folder, passphrase_from(file="pass"))       # later: Keyring.open(folder, ...)
    ring.put_secret(file_key_name(dataset, 1), key)                   # durable when it returns
    signature = ring.sign_digest(digest)
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.development_keys import refuse_development_key
from node.encryption.keystore import SCRYPT_N, Keys, open_keys, seal_keys
from node.encryption.wrap import RecipientKey
from node.errors import Conflict, Misuse, NotFound, Retry, Untrusted
from node.model import Address, DatasetId, TxHash
from node.recursion import kept_recursion_limit
from node.signature import checksummed, sign

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["Keyring", "SignedTransaction", "file_key_name", "passphrase_from", "refuse_development_key"]

ENVIRONMENT = "HANSE_PASSPHRASE_FILE"
PASSPHRASE_LIMIT = 1024
SECRET_LIMIT = 1 << 16
_ACCOUNT_LIMIT = 1 << 16
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,159}")


@dataclass(frozen=True)
class SignedTransaction:
    """Bytes to send, and the hash under which the chain will know them."""

    raw: bytes
    hash: TxHash


class Keyring:
    """An open ring. Threads and processes may share a folder: a secret is written once, whole, and never changed."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self._folder, self._private = folder, keys.account
        self._sealer = AESGCM(keys.ring[:32])
        self.hpke = RecipientKey(keys.ring[32:])
        self.address = Address(keys.address)

    @classmethod
    def create(
        cls,
        folder: Path,
        passphrase: bytes,
        *,
        account_key: bytes | None = None,
        random: Callable[[int], bytes] = os.urandom,
        scrypt_n: int = SCRYPT_N,
    ) -> Keyring:
        """A new ring; `account_key` (32 bytes) takes an existing account. Raises Conflict when one is there."""
        if not passphrase:
            raise Misuse("an empty passphrase protects nothing", clause="passphrase")
        keys = Keys(account_key or random(32), random(64))
        document = seal_keys(keys, passphrase, random=random, n=scrypt_n)
        with _disk(folder):
            _make_folder(folder / "secrets")
            # A crash before this line leaves empty folders; after it, a whole ring. There is nothing between.
            if not _write_once(folder / "account.json", json.dumps(document, indent=2).encode()):
                raise Conflict("a keyring is there already", clause="keyring", seen=folder)
        return cls(folder, keys)

    @classmethod
    def open(cls, folder: Path, passphrase: bytes) -> Keyring:
        """Raises NotFound without a ring, Refused (clause `passphrase`) for the wrong one, Untrusted for bad bytes."""
        with _disk(folder):
            data = _read(folder / "account.json", _ACCOUNT_LIMIT)
        if data is None:
            raise NotFound("there is no keyring", clause="keyring", seen=folder)
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Untrusted("account.json is not JSON", clause="keystore") from error
        keys = open_keys(document, passphrase)
        if len(keys.ring) != 64:
            raise Untrusted("not the keys of a ring", clause="keystore", seen=len(keys.ring), needed=64)
        return cls(folder, keys)

    @staticmethod
    def address_in(folder: Path) -> Address:
        """Whose ring it is, without opening it. Raises NotFound without one, Untrusted where the file is another."""
        with _disk(folder):
            data = _read(folder / "account.json", _ACCOUNT_LIMIT)
        if data is None:
            raise NotFound("there is no keyring", clause="keyring", seen=folder)
        try:
            return checksummed(json.loads(data)["address"])
        except (ValueError, KeyError, TypeError) as error:
            raise Untrusted("account.json names no account", clause="keystore") from error

    def __repr__(self) -> str:
        return f"Keyring({self.address})"

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r, s, v over a 32-byte digest, EIP-191; `node.signature.recover` is the other half."""
        return sign(digest, self._private)

    def sign_typed(self, message: Mapping[str, Any]) -> bytes:
        """65 bytes r, s, v over a full EIP-712 message (`types`, `primaryType`, `domain`, `message`)."""
        with kept_recursion_limit():
            from eth_account.messages import encode_typed_data

        with _misuse("typed message"):
            signable = encode_typed_data(full_message=dict(message))
            return bytes(self._account.sign_message(signable).signature)

    def sign_transaction(self, transaction: Mapping[str, Any]) -> SignedTransaction:
        """Sign a complete transaction. Raises Misuse when a field is missing, `chainId` above all (EIP-155)."""
        if not transaction.get("chainId"):
            raise Misuse("without a chain id the transaction could be replayed elsewhere", clause="chainId")
        with _misuse("transaction"):
            signed = self._account.sign_transaction(dict(transaction))
            return SignedTransaction(bytes(signed.raw_transaction), TxHash("0x" + bytes(signed.hash).hex()))

    def seal(self, name: str, secret: bytes) -> bytes:
        """`secret` sealed under this ring and bound to `name`, for a place of the caller's own."""
        nonce = os.urandom(12)
        return nonce + self._sealer.encrypt(nonce, secret, _bound(name))

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """What `seal` sealed under the same name. Raises Untrusted for altered bytes, another ring or name."""
        try:
            return self._sealer.decrypt(sealed[:12], sealed[12:], _bound(name))
        except (InvalidTag, ValueError) as error:
            raise Untrusted(
                "the secret was altered, or is of another ring or name", clause="secret", seen=name
            ) from error

    def put_secret(self, name: str, secret: bytes) -> None:
        """Keep `secret` durably: on disk and synchronised when this returns. The same again is harmless.

        Raises Conflict when another secret has the name (a file key is never overwritten), Retry when the disk fails.
        """
        path = self._path(name)
        if len(secret) > SECRET_LIMIT:
            raise Misuse(
                "too long for a secret", clause="secret", seen=len(secret), needed=f"at most {SECRET_LIMIT} bytes"
            )
        sealed = self.seal(name, secret)
        with _disk(path):
            written = _write_once(path, sealed)
        if not written and self.get_secret(name) != secret:
            raise Conflict("another secret has this name", clause="secret", seen=name)

    def get_secret(self, name: str) -> bytes:
        """Raises NotFound for an unknown name, Untrusted for altered bytes or a file moved from another name."""
        path = self._path(name)
        with _disk(path):
            sealed = _read(path, SECRET_LIMIT + 28)
        if sealed is None:
            raise NotFound("the keyring has no such secret", clause="secret", seen=name)
        return self.unseal(name, sealed)

    def wipe_secret(self, name: str) -> None:
        """Overwrite and remove; an unknown name is harmless. Flash storage, snapshots and backups may keep a sealed
        copy, which opens with the passphrase: a key that must be gone for certain needs those gone too.
        """
        path = self._path(name)
        with _disk(path):
            if not path.exists():
                return
            with path.open("r+b") as file:
                file.write(os.urandom(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink(missing_ok=True)
            _sync_folder(path.parent)

    def names(self) -> list[str]:
        """Names of all secrets, sorted."""
        with _disk(self._folder):
            return sorted(path.name for path in (self._folder / "secrets").iterdir() if _NAME.fullmatch(path.name))

    @cached_property
    def _account(self) -> LocalAccount:
        with kept_recursion_limit():
            from eth_account import Account  # a second to import: only who sends or signs typed data pays

        account: LocalAccount = Account.from_key(self._private)
        return account

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise Misuse("no name for a secret", clause="name", seen=name[:80], needed="a-z 0-9 . _ -, at most 160")
        return self._folder / "secrets" / name


def file_key_name(dataset: DatasetId, version: int) -> str:
    """The name under which the file key of a dataset version is kept."""
    return f"file-key.{dataset}.{version}"


def passphrase_from(
    *, file: Path | None = None, fd: int | None = None, environ: Mapping[str, str] = os.environ
) -> bytes:
    """The passphrase: first line of `file`, else of the open descriptor `fd`, else of the file that
    HANSE_PASSPHRASE_FILE names. Never from an argument or a variable's value: those show in process lists.
    """
    if file is None and fd is None and ENVIRONMENT in environ:
        file = Path(environ[ENVIRONMENT])
    source = file if file is not None else fd
    if source is None:
        raise Misuse("no passphrase was given", clause="passphrase", hint=f"name a file, or set {ENVIRONMENT}")
    try:
        with open(source, "rb", closefd=file is not None) as stream:
            line = stream.readline(PASSPHRASE_LIMIT + 1).rstrip(b"\r\n")
    except OSError as error:
        raise Misuse(f"the passphrase cannot be read: {error.strerror}", clause="passphrase", seen=source) from error
    if not 0 < len(line) <= PASSPHRASE_LIMIT:
        raise Misuse(
            "the passphrase is empty or too long", clause="passphrase", needed=f"1 to {PASSPHRASE_LIMIT} bytes"
        )
    return line


def _bound(name: str) -> bytes:
    return b"hanse/secret/1/" + name.encode("ascii")


def _read(path: Path, limit: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        return None
    if len(data) > limit:
        raise Untrusted("the file is too large", clause="size", seen=path, needed=f"at most {limit} bytes")
    return data


def _write_once(path: Path, data: bytes) -> bool:
    """Create `path` whole and durable, or return False when it exists. A crash leaves the file or nothing (and perhaps
    a hidden temporary one, sealed like the other and never read).
    """
    temporary = path.with_name(f".{path.name[:80]}.{os.urandom(8).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename it never replaces
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
        _sync_folder(path.parent)
    return True


def _make_folder(folder: Path) -> None:
    """Each new folder for its owner only, and durable in its parent before anything is put into it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Retry(f"the keyring's disk failed: {error.strerror}", clause="disk", seen=path) from error


@contextmanager
def _misuse(what: str) -> Iterator[None]:
    from eth_utils.exceptions import ValidationError

    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, ValidationError) as error:
        raise Misuse(f"the {what} cannot be signed: {error}", clause=what) from error
