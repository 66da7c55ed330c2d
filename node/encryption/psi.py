"""Private set intersection of two members' record keys: which, or only how many, they have in common.

The protocol is openmined-psi's (ECDH over P-256; https://github.com/OpenMined/PSI, Apache-2.0): the asker sends
H(x)^c for each of its keys; the owner sends H(y)^s for its own, and raises the asker's to s: H(x)^(cs). The asker takes
its c off and compares. To learn only the size, the owner sorts its answer, so that nothing is matched to a key.
The library claims, for parties that follow the protocol: the asker learns the intersection, or its size, and the number
of the owner's keys; the owner learns the number of the asker's keys. It does *not* stop an asker from putting guesses
into its set: whoever answers decides how often (`overlap`). No I/O, no randomness of its own: keys are arguments.

    asked = blind(mine, key := drawn_key(os.urandom), reveal=False)
    setup, response = answer(theirs, asked, drawn_key(os.urandom), reveal=False, order=os.urandom(32))
    assert common_count(mine, key, setup, response) == 3
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from node.errors import Refused, Untrusted

MAX_KEYS = 25_000
"""Keys of one side: 35 bytes each, so that a message stays under the 1 MiB of an answer between members."""

MIN_KEYS = 20
"""With fewer, the size alone would speak of single records."""

MAX_KEY = 200
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256 (SEC 2, 2.4.2)


def normalised(cell: Any) -> str:
    """A record key as both sides compare it: NFKC, no blanks around, upper case; empty for what is missing."""
    text = "" if cell is None or cell != cell else str(cell)
    return unicodedata.normalize("NFKC", text).strip().upper()


def distinct(cells: Iterable[Any]) -> list[str]:
    """The keys of a column, each once, sorted. Refused for too few, too many, or one that is too long."""
    keys = sorted({normalised(cell) for cell in cells} - {""})
    if not MIN_KEYS <= len(keys) <= MAX_KEYS:
        raise Refused("not a number of keys that can be intersected", clause="keys", seen=len(keys),
                      needed=f"{MIN_KEYS} to {MAX_KEYS} different ones")  # fmt: skip
    if max(map(len, keys)) > MAX_KEY:
        raise Refused("a key is too long", clause="keys", seen=max(map(len, keys)), needed=f"{MAX_KEY} characters")
    return keys


def drawn_key(rand: Callable[[int], bytes]) -> bytes:
    """A secret exponent, 32 bytes. The 16 bytes drawn in excess leave no bias worth the name."""
    return (1 + int.from_bytes(rand(48), "big") % (_ORDER - 1)).to_bytes(32, "big")


def blind(keys: Sequence[str], key: bytes, *, reveal: bool) -> bytes:
    """The asker's message."""
    with _judged("own keys"):
        client = _library().client.CreateFromKey(key, reveal)
        return bytes(client.CreateRequest(list(keys)).SerializeToString())


def answer(keys: Sequence[str], asked: bytes, key: bytes, *, reveal: bool, order: bytes) -> tuple[bytes, bytes]:
    """The owner's two messages, setup and response. `order` (32 random bytes) hides the order of its keys.

    Raises Untrusted for a message that is none, or asks for more than was agreed."""
    psi = _library()
    shuffled = sorted(keys, key=lambda one: hmac.digest(order, one.encode(), "sha256"))
    with _judged("the asker's message"):
        server = psi.server.CreateFromKey(key, reveal)
        request = _parsed(psi.Request(), asked)
        response = server.ProcessRequest(request)
        setup = server.CreateSetupMessage(1e-9, len(request.encrypted_elements), shuffled, psi.DataStructure.RAW)
        return bytes(setup.SerializeToString()), bytes(response.SerializeToString())


def count_of(asked: bytes) -> int:
    """How many keys a message asks about."""
    with _judged("the asker's message"):
        return len(_parsed(_library().Request(), asked).encrypted_elements)


def common_count(keys: Sequence[str], key: bytes, setup: bytes, response: bytes) -> int:
    """How many keys both have. Raises Untrusted where the answer is not one to as many keys."""
    psi = _library()
    with _judged("the owner's answer"):
        client = psi.client.CreateFromKey(key, False)
        return int(client.GetIntersectionSize(*_answered(psi, len(keys), setup, response)))


def common_keys(keys: Sequence[str], key: bytes, setup: bytes, response: bytes) -> list[str]:
    """Which of the asker's keys, in the order of its message, the owner has too."""
    psi = _library()
    with _judged("the owner's answer"):
        client = psi.client.CreateFromKey(key, True)
        return [keys[place] for place in sorted(client.GetIntersection(*_answered(psi, len(keys), setup, response)))]


def owner_count(setup: bytes) -> int:
    """How many keys the owner has put in."""
    with _judged("the owner's answer"):
        return len(_parsed(_library().ServerSetup(), setup).raw.encrypted_elements)


def _answered(psi: Any, keys: int, setup: bytes, response: bytes) -> tuple[Any, Any]:
    answered = _parsed(psi.Response(), response)
    if len(answered.encrypted_elements) != keys:
        raise ValueError(f"it answers {len(answered.encrypted_elements)} keys instead of {keys}")
    return _parsed(psi.ServerSetup(), setup), answered


def _parsed(message: Any, data: bytes) -> Any:
    message.ParseFromString(data)
    if message.SerializeToString(deterministic=True) != data:
        raise ValueError("other bytes than its own")
    return message


@contextmanager
def _judged(what: str) -> Iterator[None]:
    """The library's own errors: all of them speak of bytes that do not fit."""
    from google.protobuf.message import DecodeError

    try:
        yield
    except (DecodeError, ValueError, RuntimeError, IndexError) as exc:
        raise Untrusted(f"{what} cannot be intersected: {exc}", clause="intersection") from exc


def _library() -> Any:
    try:
        import private_set_intersection.python as psi
    except ImportError as exc:
        raise Refused("private set intersection is not installed", clause="psi", needed="openmined-psi",
                      hint="pip install 'hanse[psi]'") from exc  # fmt: skip
    return psi
