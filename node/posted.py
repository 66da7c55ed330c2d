"""What members posted in a training, from our store or from gateways, and the sums made again. It believes nothing.

posted = put_vector(node, training_id, data)                          # our own, kept and served
total = total_again(node, place, training, round_, size=size)         # bytes; Untrusted names who lies
require_same(total, round_)
"""

from __future__ import annotations

from collections.abc import Callable

from federation.vectors import to_bytes
from node import ledger as rules
from node import model, sums
from node.documents import OpenedShares
from node.errors import Retry, Untrusted
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


def total_again(
    node: Node, place: Place, training: rules.Training, round_: rules.Round, *, size: int, note: Note
) -> bytes:  # fmt: skip
    """A round's sum from its contributions (`size` bytes each), the revealed seeds, and what opens the dropouts.

    `note` is told what is served by nobody. Raises Untrusted, and federation's errors as `sums.total_of` does.
    """
    members = [seat.member for seat in training.seats]
    blobs = {members[at]: vector(node, posted, members[at], size) for at, posted in round_.vectors.items()}
    return to_bytes(sums.total_of(place, training, round_, blobs, _dropouts(node, training, round_, note)))


def vector(node: Node, posted: Vector, owner: Address, size: int) -> bytes:
    """A posted vector. Untrusted, naming its owner, where it is not what was posted."""
    cid = _cid_of(posted, size)
    if not node.store.has(cid):
        node.fetch(cid, member=owner, limit=size)
    with node.store.open(cid) as file:
        data = file.read(size + 1)
    if len(data) != size or sums.vector_of(data, cid.digest) != posted:
        raise Untrusted("a vector is not what its member posted", clause="root", seen=f"from {owner}",
                        needed=posted.root)  # fmt: skip
    return data


def require_same(total: bytes, round_: rules.Round) -> None:
    """Untrusted, naming the poster, unless the sum posted is the one made again."""
    posted = round_.total
    assert posted is not None
    ours = sums.vector_of(total, model.raw(posted.blob))
    if ours != posted:
        seen = f"{posted.root} by {round_.poster} in round {round_.number}"
        raise Untrusted("a posted sum is not the sum of the contributions", clause="sum", seen=seen, needed=ours.root)


def _dropouts(node: Node, training: rules.Training, round_: rules.Round, note: Note) -> sums.Dropouts:
    gone = sums.dropped(training, round_)
    if not gone:
        return sums.NO_DROPOUTS
    bundles = {dealer: node.get_bytes(keys.shares, member=dealer) for dealer, keys in gone.items()}
    survivors = [training.seats[at].member for at in round_.vectors]
    opened = {account: _opened_by(node, account, (training.id, round_.number), note) for account in survivors}
    return sums.Dropouts({account: found for account, found in opened.items() if found}, bundles)


def _opened_by(node: Node, account: Address, of: tuple[TrainingId, int], note: Note) -> OpenedShares | None:
    """The shares that a survivor anchored for a round; None where it did not, or nobody serves them."""
    for anchored in reversed(node.ledger.anchors.values()):
        if anchored.owner != account or anchored.size != 1:
            continue
        try:
            found = node.get_document(OpenedShares, anchored.list, member=account)
        except Untrusted:
            continue  # a list of something else
        except Retry as exc:
            note(f"what {account} anchored is served by nobody: {exc}")
            return None
        if (found.training, found.round) == of and found.member == account:
            return found
    return None


def _cid_of(posted: Vector, size: int) -> Cid:
    """A vector's CID: one raw block, or a tree of them."""
    digest = model.raw(posted.blob)
    return Cid.raw(digest) if size <= MIB else Cid.dag_pb(digest)
