"""Flower's SecAgg+, its own functions from its own wheel, timed: runs in the environment that `flower` makes.

Reads one question a line (`mask 1000000 10`), answers with one line of JSON: seconds on the clock, or bytes a value.
What is called and in which order is what flwr's client mod and server workflow do; transport is left out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import cache
from typing import Any

import numpy as np
from flwr.client.mod.secure_aggregation.secaggplus_mod import (
    SecAggPlusState,
    _collect_masked_vectors,
    _setup,
    _share_keys,
)
from flwr.common import bytes_to_ndarray, ndarray_to_bytes, ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_extract,
    get_parameters_shape,
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import dequantize
from flwr.common.secure_aggregation.secaggplus_constants import Key
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen, share_keys_plaintext_concat
from flwr.supercore.primitives.asymmetric import bytes_to_private_key, bytes_to_public_key

CLIP, TARGET, MODULUS = 8.0, 1 << 22, 1 << 32  # flwr's defaults


def threshold_of(members: int) -> int:
    """The same as ours: floor(2n/3) + 1."""
    return members * 2 // 3 + 1


@cache
def member_of(members: int) -> tuple[SecAggPlusState, list[SecAggPlusState]]:
    """One client after flwr's first two stages, and the others after the first."""
    everybody, keys = [], {}
    for number in range(1, members + 1):
        state = SecAggPlusState()
        state.nid = number
        config = {
            Key.SAMPLE_NUMBER: members, Key.SHARE_NUMBER: members, Key.THRESHOLD: threshold_of(members),
            Key.CLIPPING_RANGE: CLIP, Key.TARGET_RANGE: TARGET, Key.MOD_RANGE: MODULUS, Key.MAX_WEIGHT: 1000.0,
        }  # fmt: skip
        posted = _setup(state, config)
        keys[str(number)] = (posted[Key.PUBLIC_KEY_1], posted[Key.PUBLIC_KEY_2])
        everybody.append(state)
    _share_keys(everybody[0], keys)
    return everybody[0], everybody[1:]


def deal(members: int) -> float:
    """Both secrets of one client shared and sealed."""
    me, _ = member_of(members)
    keys = {str(number): pair for number, pair in me.public_keys_dict.items()}
    return timed(lambda: _share_keys(me, keys))


def combine(members: int) -> float:
    """A seed and a private key, each rebuilt from as many shares as it takes."""
    me, _ = member_of(members)
    enough = threshold_of(members)
    lists = [create_shares(secret, enough, members)[:enough] for secret in (me.rd_seed, me.sk1)]
    return timed(lambda: [combine_shares(shares) for shares in lists])


@cache
def _stage(count: int, neighbours: int) -> tuple[SecAggPlusState, dict[str, Any], Any]:
    me, others = member_of(neighbours + 1)
    enough = threshold_of(neighbours + 1)
    seed, key = (create_shares(secret, enough, neighbours + 1)[0] for secret in (me.rd_seed, me.sk1))
    sealed = [encrypt(me.ss2_dict[one.nid], share_keys_plaintext_concat(one.nid, me.nid, seed, key)) for one in others]
    values = np.random.default_rng(0).standard_normal(count, dtype=np.float32)
    config = {Key.CIPHERTEXT_LIST: sealed, Key.SOURCE_LIST: [one.nid for one in others]}
    return me, config, ndarrays_to_parameters([values])


def mask(count: int, neighbours: int) -> float:
    """The client's third stage: shares opened, values quantised, all masks added, serialised."""
    me, config, parameters = _stage(count, neighbours)
    return timed(lambda: _collect_masked_vectors(me, config, 100, parameters))


def upload(count: int, neighbours: int) -> float:
    """Bytes a value of what the client's third stage sends."""
    me, config, parameters = _stage(count, neighbours)
    masked = _collect_masked_vectors(me, config, 100, parameters)[Key.MASKED_PARAMETERS]
    return sum(map(len, masked)) / count


def unmask(count: int, members: int, gone: int) -> float:
    """The server's part: contributions read and added, every secret rebuilt from all survivors' shares, masks off."""
    me, others = member_of(members)
    everybody, enough, stay = [me, *others], threshold_of(members), members - gone
    seeds = [create_shares(os.urandom(32), enough, members)[:stay] for _ in range(stay)]
    keys = [create_shares(state.sk1, enough, members)[:stay] for state in everybody[:gone]]
    one = [ndarray_to_bytes(np.array([1])), ndarray_to_bytes(np.zeros(count, dtype=np.int64))]

    def stage() -> None:
        total = [bytes_to_ndarray(raw) for raw in one]
        for _ in range(stay - 1):
            total = parameters_addition(total, [bytes_to_ndarray(raw) for raw in one])
        total = parameters_mod(total, MODULUS)
        for shares in seeds:
            private = pseudo_rand_gen(combine_shares(shares), MODULUS, get_parameters_shape(total))
            total = parameters_subtraction(total, private)
        for at, shares in enumerate(keys):
            secret = combine_shares(shares)
            for number in range(members):
                if number != at:
                    public = bytes_to_public_key(everybody[number].pk1)
                    shared = generate_shared_key(bytes_to_private_key(secret), public)
                    pair = pseudo_rand_gen(shared, MODULUS, get_parameters_shape(total))
                    total = (parameters_addition if at > number else parameters_subtraction)(total, pair)
        dequantize(factor_extract(parameters_mod(total, MODULUS))[1], CLIP, TARGET)

    return timed(stage)


def timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    known = {step.__name__: step for step in (deal, combine, mask, upload, unmask)}
    for line in sys.stdin:
        name, *numbers = line.split()
        print(json.dumps(known[name](*map(int, numbers))), flush=True)
