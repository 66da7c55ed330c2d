"""What a version's seal and its wrapped keys are bound to, and the envelope they speak of.

The associated bytes tie a sealed file to its dataset and version, the context ties a wrapped key to one grant: the same
bytes under any other name do not open.

    floe.seal(key, associated(chain_id, dataset, version), plain, random=os.urandom)
    wrap(key, recipient, context(node, terms, grant_id), sign=node.keys.sign_digest)
"""

from __future__ import annotations

from node import canon
from node.documents import Envelope
from node.encryption.wrap import WrapContext
from node.errors import Untrusted
from node.ledger import dataset_of
from node.model import DatasetId, GrantId, Terms
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
        recipient=terms.recipient.removeprefix("0x"),
    )
