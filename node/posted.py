"""What members posted in a training, from our store or from gateways, and the sums made again. It believes nothing.

posted = put_vector(node, training_id, data)                          # our own, kept and served
lacking = not_held(node, training, round_, size)                      # {position: why}: empty before a seed is revealed
total = total_again(node, place, training, round_, size=size)         # bytes; Untrusted names who lies
"""

from __future__ import annotations

from collections.abc import Callable

from federation.vectors import to_bytes
from node import ledger as rules
from node import model, sums
from node.errors import HanseError, NotFound, Retry, Untrusted
from node.model import Address, TrainingId, Vector
from node.store import Cid
from node.sums import Place
from node.wiring import Node

MIB = 1 << 20
Note = Callable[[str], None]


def put_vector(node: Node, number: TrainingId, data: bytes) -> Vector:
    """Keep a vector of our own, and what the chain says of it."""
    with node.store.importing():
        stored = node.store.put_file([data])
        node.store.pin(stored.cid, f"training {number}")
    return sums.vector_of(data, stored.cid.digest)


def not_held(node: Node, training: rules.Training, round_: rules.Round, size: int) -> dict[int, str]:
    """The survivors whose vector cannot be had as it was posted, by position, and why; all others' are kept here."""
    lacking = {}
    for at, posted in round_.vectors.items():
        try:
            vector(node, posted, training.seats[at].member, size)
        except (Retry, Untrusted, NotFound) as exc:
            lacking[at] = str(exc)
    return lacking


def total_again(
    node: Node, place: Place, training: rules.Training, round_: rules.Round, *, size: int, note: Note
) -> bytes:  # fmt: skip
    """A round's sum from its contributions (`size` bytes each), the revealed seeds, and the shares of others' secrets.

    `note` is told what is served by nobody. Raises Untrusted, and federation's errors as `sums.total_of` does.
    """
    members = [seat.member for seat in training.seats]
    blobs = {members[at]: vector(node, posted, members[at], size) for at, posted in round_.vectors.items()}
    return to_bytes(sums.total_of(place, training, round_, blobs, bundles(node, training, round_, note)))


def bundles(node: Node, training: rules.Training, round_: rules.Round, note: Note) -> dict[Address, bytes]:
    """The share bundles of those who did not reveal, as far as they are served: they tell good shares from false."""
    found = {}
    for dealer, keys in sums.unrevealed(training, round_).items():
        try:
            found[dealer] = node.get_bytes(keys.shares, member=dealer)
        except HanseError as exc:
            note(f"the bundle of {dealer} cannot be had: {exc}")
    return found


def vector(node: Node, posted: Vector, owner: Address, size: int) -> bytes:
    """A posted vector. Untrusted, naming its owner, where it is not what was posted."""
    cid = cid_of(posted, size)
    if posted.leaves != sums.leaves_of(size):
        raise Untrusted("a vector is not as long as the plan says", clause="leaves", seen=f"{posted.leaves} by {owner}",
                        needed=sums.leaves_of(size))  # fmt: skip
    if not node.store.has(cid):
        node.fetch(cid, member=owner, limit=size)
    with node.store.open(cid) as file:
        data = file.read(size + 1)
    if len(data) != size or sums.vector_of(data, cid.digest) != posted:
        raise Untrusted("a vector is not what its member posted", clause="root", seen=f"from {owner}",
                        needed=posted.root)  # fmt: skip
    return data


def cid_of(posted: Vector, size: int) -> Cid:
    """A vector's CID: one raw block, or a tree of them."""
    digest = model.raw(posted.blob)
    return Cid.raw(digest) if size <= MIB else Cid.dag_pb(digest)
