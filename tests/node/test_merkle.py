import hashlib
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import merkle
from node.errors import Misuse, Untrusted

# The reference tree of Certificate Transparency's implementations (merkletree tests, RFC 6962).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    0: (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    5: (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): INCLUSION[0],
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}


def root_by_definition(leaves):
    """RFC 6962 section 2.1, as written there."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


def test_roots_of_the_reference_tree():
    stream = merkle.RootStream()
    for size, root in enumerate(ROOTS):
        assert stream.root().hex() == root
        assert merkle.root_of(LEAVES[:size]).hex() == root
        if size < len(LEAVES):
            stream.append(LEAVES[size])


def test_proofs_of_the_reference_tree():
    for index, proof in INCLUSION.items():
        assert tuple(item.hex() for item in merkle.inclusion_proof(LEAVES, index)) == proof
    for (first, size), proof in CONSISTENCY.items():
        assert tuple(item.hex() for item in merkle.consistency_proof(LEAVES[:size], first)) == proof


leaves = st.lists(st.binary(max_size=40), min_size=1, max_size=70)


@given(leaves)
def test_all_ways_to_the_root_agree_with_the_definition(items):
    stream = merkle.RootStream()
    for item in items:
        stream.append(item)
    assert stream.root() == merkle.root_of(items) == root_by_definition(items)


@given(leaves, st.data())
def test_every_leaf_is_provable_and_no_other_in_its_place(items, data):
    index = data.draw(st.integers(0, len(items) - 1))
    proof, root = merkle.inclusion_proof(items, index), merkle.root_of(items)
    merkle.verify_inclusion(items[index], index, len(items), proof, root)
    with pytest.raises(Untrusted):
        merkle.verify_inclusion(items[index] + b"\0", index, len(items), proof, root)
    other = data.draw(st.integers(0, len(items) - 1))
    if items[other] != items[index]:
        with pytest.raises(Untrusted):
            merkle.verify_inclusion(items[other], index, len(items), proof, root)


@given(leaves, st.data())
def test_a_longer_log_proves_that_it_kept_the_shorter(items, data):
    first = data.draw(st.integers(1, len(items)))
    proof = merkle.consistency_proof(items, first)
    roots = merkle.root_of(items[:first]), merkle.root_of(items)
    merkle.verify_consistency((first, len(items)), proof, *roots)
    rewritten = merkle.root_of([items[0] + b"\0", *items[1:first]])
    for change in ((rewritten, roots[1]), (roots[0], rewritten)):
        with pytest.raises(Untrusted):
            merkle.verify_consistency((first, len(items)), proof, *change)
    with pytest.raises(Untrusted):
        merkle.verify_consistency((first, len(items)), [*proof, bytes(32)], *roots)
    if proof:
        with pytest.raises(Untrusted):
            merkle.verify_consistency((first, len(items)), proof[:-1], *roots)


def test_a_shrunk_log_is_refused():
    with pytest.raises(Untrusted) as refused:
        merkle.verify_consistency((3, 2), [], bytes(32), bytes(32))
    assert refused.value.clause == "index"


@given(st.binary(max_size=3000), st.integers(1, 300))
def test_a_vector_is_the_tree_of_its_slices(vector, size):
    slices = [vector[i : i + size] for i in range(0, len(vector), size)]
    root = merkle.vector_root(vector, size)
    assert root == merkle.root_of(slices)
    for index, piece in enumerate(slices):
        merkle.verify_inclusion(piece, index, len(slices), merkle.vector_proof(vector, index, size), root)


@pytest.mark.parametrize("index", [-1, 8])
def test_no_proof_for_a_leaf_outside(index):
    with pytest.raises(Misuse):
        merkle.inclusion_proof(LEAVES, index)


def test_a_million_values_hash_in_well_under_a_second():
    vector = np.arange(10**6, dtype=np.uint32)
    start = time.process_time()
    root = merkle.vector_root(vector.data)
    assert time.process_time() - start < 0.5
    assert root == merkle.vector_root(vector.tobytes())
