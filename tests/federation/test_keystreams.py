"""Masks are RFC 8439 keystreams: nonce 0, counter from 0, little-endian lanes."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from federation.securesum import Mask, add_keystreams
from federation.securesum.masks import CHUNK, STRETCH
from federation.vectors import ring, to_bytes

# RFC 8439, A.1: key, number of the 64-byte block, the block. (Vector 5 has another nonce: not ours.)
RFC_8439 = [
    ("00" * 32, 0, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                   "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"),
    ("00" * 32, 1, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
                   "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"),
    ("00" * 31 + "01", 1, "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
                          "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"),
    ("00ff" + "00" * 30, 2, "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
                            "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"),
]  # fmt: skip


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize(("key", "block", "expected"), RFC_8439)
def test_a_mask_is_the_keystream_of_the_rfc(key, block, expected, width):
    lanes = np.zeros(64 * 8 // width * 3, dtype=ring(width))
    add_keystreams(lanes, [Mask(bytes.fromhex(key), 1)])
    assert to_bytes(lanes)[64 * block : 64 * block + 64].hex() == expected


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_chunks_join_without_a_seam(width, extra):
    """However a vector is cut into chunks, lane i is masked by bytes i*w/8 of one stream."""
    count = 2 * CHUNK * 8 // width + extra
    whole = np.zeros(count, dtype=ring(width))
    add_keystreams(whole, [Mask(bytes(32), 1)])
    tail = np.zeros(count + 5, dtype=ring(width))
    add_keystreams(tail, [Mask(bytes(32), 1)])
    assert (whole == tail[:count]).all()
    assert len(np.unique(whole)) > count * 0.99  # no chunk repeats another


@pytest.mark.parametrize("width", [32, 64])
def test_what_is_added_is_taken_away_again(width, rand):
    lanes = np.frombuffer(rand(999 * width // 8), dtype=ring(width)).copy()
    before, keys = lanes.copy(), [rand(32), rand(32)]
    add_keystreams(lanes, [Mask(keys[0], 1), Mask(keys[1], -1)])
    assert (lanes != before).any()
    add_keystreams(lanes, [Mask(keys[1], 1), Mask(keys[0], -1)])
    assert (lanes == before).all()


@pytest.mark.parametrize("cores", [1, 2, 8])
@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("extra", [-16, 0, 5])
def test_threads_make_the_one_stream_of_the_cipher(width, extra, cores, rand, monkeypatch):
    """Over several stretches, each begun in the middle of the keystream: the bytes OpenSSL gives in one go."""
    monkeypatch.setattr("federation.vectors.threads", lambda: cores)
    key, lanes = rand(32), np.zeros(3 * STRETCH * 8 // width + extra, dtype=ring(width))
    seen = add_keystreams(lanes, [Mask(key, 1)], digest=bytes)
    whole = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(lanes.nbytes))
    assert to_bytes(lanes) == whole
    assert b"".join(seen) == whole  # in order, each byte once


@pytest.mark.parametrize("width", [32, 64])
def test_vectors_are_added_on_the_way(width, rand):
    count = STRETCH * 8 // width + 3
    given = [np.frombuffer(rand(count * width // 8), dtype=ring(width)) for _ in range(3)]
    lanes, masks = given[0].copy(), [Mask(rand(32), -1)]
    add_keystreams(lanes, masks, vectors=given[1:])
    apart = given[0] + given[1] + given[2]
    add_keystreams(apart, masks)
    assert (lanes == apart).all()
