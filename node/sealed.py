"""What a version's seal and its wrapped keys are bound to, and the envelope they speak of.

The associated bytes tie a sealed file to its dataset and version, the context ties a wrapped key to one grant: the same
bytes under any other name do not open.

    floe.seal(key, associated(chain_id, dataset, version), plain, random=os.urandom)
    wrap(key, recipient, context(node, terms, grant_id), sign=node.keys.sign_digest)
"""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from node import canon
from node.db import documents as private
from node.documents import Envelope
from node.encryption import floe
from node.encryption.wrap import WrapContext
from node.errors import NotFound, Untrusted
from node.keyring import file_key_name
from node.ledger import dataset_of
from node.model import DatasetId, GrantId, Terms
from node.store import Cid
from node.wiring import Node


def associated(chain_id: int, dataset: DatasetId, version: int) -> bytes:
    """FLOE's associated data for a version."""
    return canon.encode({"label": "hanse/file/1", "chain_id": chain_id, "dataset": dataset, "version": version})


def envelope_of(node: Node, dataset: DatasetId, version: int) -> Envelope:
    """The public record of a version's sealed bytes, checked against the digest on chain and for what it names."""
    found = dataset_of(node.ledger, dataset)
    digest = found.versions[version - 1].content.envelope
    envelope = node.get_document(Envelope, digest, member=found.owner)
    if (envelope.dataset, envelope.version) != (dataset, version):
        raise Untrusted(
            "the envelope record is about another version", clause="envelope", seen=envelope.dataset, needed=dataset
        )
    return envelope


def context(node: Node, terms: Terms, grant: GrantId) -> WrapContext:
    """All that a wrapped key is bound to."""
    return WrapContext(
        chain_id=node.chain.chain_id,
        grants=node.directory.address("Grants"),
        dataset=terms.dataset,
        version=terms.version,
        envelope=envelope_of(node, terms.dataset, terms.version).cid,
        grant=grant,
        recipient=terms.recipient,
    )


def open_own(node: Node, dataset: DatasetId, version: int) -> BinaryIO:
    """A seekable reader over one of our own versions. Raises NotFound where it, or its key, is not here."""
    with node.db.reading() as tx:
        holding = private.holding(tx, dataset, version)
    if holding is None:
        raise NotFound("not one of this node's own versions", clause="version", seen=f"{dataset} {version}")
    key = node.keys.get_secret(file_key_name(dataset, version))
    sealed = node.store.open(Cid.parse(holding.cid))
    opened = floe.Opener(key, associated(node.chain.chain_id, dataset, version), sealed)
    return cast(BinaryIO, io.BufferedReader(opened, 1 << 20))
