// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IRunningHash} from "../interfaces/IRunningHash.sol";

/// @title RunningHash: rolls every event of the contract into one slot (224 bits, so that hash and number share it)
abstract contract RunningHash is IRunningHash {
    bytes28 private _hash;
    uint32 private _seq;

    function head() external view returns (bytes28 hash, uint32 seq) {
        return (_hash, _seq);
    }

    /// Take in an event by its digest; the number it must carry.
    function _roll(bytes32 digest) internal returns (uint32 seq) {
        seq = _seq + 1;
        (_hash, _seq) = (bytes28(keccak256(abi.encodePacked(_hash, seq, digest))), seq);
    }
}
