"""What a member keeps of one training: sealed under its keyring, the share key and the state of every round; in the
clear, what it signed about a round, and what others did.

It decides nothing. What is kept is on disk when a call returns; whoever posts a message keeps first what it came from.

    kept = Kept(node, training_id)
    kept.put(0, secrets, shares)                # before the round's message leaves
    secrets, shares = kept.required(0)
    kept.wipe(rounds=8)                         # the training is over: secrets gone, decisions kept
"""

from __future__ import annotations

import json
import os

from federation import records
from federation.securesum import MemberState, ShareKey, close
from node.db import operations
from node.errors import Conflict
from node.model import Digest, TrainingId
from node.wiring import Node


class Kept:
    """One training's secrets, and the digest of the share bundle dealt with each round's."""

    def __init__(self, node: Node, number: TrainingId) -> None:
        self._node, self._id = node, number

    def put(self, number: int, secrets: MemberState, shares: Digest) -> None:
        text = json.dumps({"shares": shares, "state": records.dump(secrets).decode()})
        sealed = self._node.keys.seal(self._name(number), text.encode())
        with self._node.db.writing() as tx:
            operations.save_training(tx, self._id, number, sealed, at=self._node.clock())

    def find(self, number: int) -> tuple[MemberState, Digest] | None:
        """None where no keys were drawn for the round."""
        with self._node.db.reading() as tx:
            sealed = operations.load_training(tx, self._id, number)
        if sealed is None:
            return None
        document = json.loads(self._node.keys.unseal(self._name(number), sealed))
        return records.load(MemberState, document["state"].encode()), Digest(document["shares"])

    def required(self, number: int) -> tuple[MemberState, Digest]:
        """Conflict where keys stand on chain in our name that this node never drew."""
        found = self.find(number)
        if found is None:
            raise Conflict("this node did not draw the keys posted in its name", clause="keys", seen=f"round {number}",
                           hint="another node uses the same account, or the database was lost")  # fmt: skip
        return found

    def wipe(self, *, rounds: int) -> bool:
        """Secrets gone, decisions kept; whether there were any."""
        if not has_share_key(self._node, self._id):
            return False
        for number in range(rounds):
            found = self.find(number)
            if found is not None:
                self.put(number, close(found[0]), found[1])
        # Last: while it is there, a run that was killed above comes back here.
        self._node.keys.wipe_secret(share_key_name(self._id))
        return True

    def once(self, name: str, text: str) -> str:
        """What was kept under a name first, and is for good: `text`, on disk when this returns, or an earlier one."""
        key = self._view(name)
        with self._node.db.writing() as tx:
            kept = operations.begin(tx, "view", key, {"first": text}, at=self._node.clock())
            if not kept.done:
                operations.advance(tx, key, "kept", {}, at=self._node.clock(), done=True)
        return str(kept.state["first"])

    def first(self, name: str) -> str | None:
        """What `once` kept, None where nothing was."""
        with self._node.db.reading() as tx:
            kept = operations.find(tx, self._view(name))
        return str(kept.state["first"]) if kept else None

    def hear(self, name: str, text: str) -> None:
        """Keep what others said about what is kept under a name."""
        with self._node.db.writing() as tx:
            operations.advance(tx, self._view(name), "heard", {"heard": text}, at=self._node.clock(), done=True)

    def heard(self, name: str) -> str:
        """What `hear` kept last, or nothing."""
        with self._node.db.reading() as tx:
            kept = operations.find(tx, self._view(name))
        return str(kept.state.get("heard", "")) if kept else ""

    def note(self, text: str) -> None:
        """Why something was gone on without, for whoever looks after the node."""
        key = f"training:{self._id}"
        with self._node.db.writing() as tx:
            operations.begin(tx, "training", key, {}, at=self._node.clock())
            operations.failed(tx, key, text, at=self._node.clock())

    def _view(self, name: str) -> str:
        return f"view:{self._id}:{name}"

    def _name(self, number: int) -> str:
        return f"round.{self._id}.{number}"


def share_key(node: Node, number: TrainingId) -> ShareKey:
    """Our key pair for the share bundles of one training: drawn once, kept before its public half is posted."""
    if not has_share_key(node, number):
        node.keys.put_secret(share_key_name(number), ShareKey.draw(os.urandom).secret)
    return drawn_share_key(node, number)


def drawn_share_key(node: Node, number: TrainingId) -> ShareKey:
    """The one whose public half was posted. NotFound where it is gone."""
    return ShareKey(node.keys.get_secret(share_key_name(number)))


def has_share_key(node: Node, number: TrainingId) -> bool:
    return share_key_name(number) in node.keys.names()


def share_key_name(number: TrainingId) -> str:
    return f"share-key.{number}"
