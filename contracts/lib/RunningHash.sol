// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IRunningHash} from "../interfaces/IRunningHash.sol";

/// @title RunningHash: every event goes out through `_log`, which rolls it into the contract's one hash
/// @notice One slot: the hash in the upper 28 bytes, the number in the lower 4. What is hashed and what is logged are the same
/// bytes in memory, so that they cannot differ, and are encoded once.
abstract contract RunningHash is IRunningHash {
    uint256 private constant NUMBER = 0xffffffff;
    uint256 internal constant SEQ = 0;

    uint256 private _head;

    function head() external view returns (bytes28 hash, uint32 seq) {
        return (bytes28(bytes32(_head)), uint32(_head));
    }

    /// `record` is abi.encode(topic0, all arguments, SEQ), the `indexed_` (0 to 3) indexed arguments first; SEQ keeps the number's place.
    function _log(uint256 indexed_, bytes memory record) internal {
        assembly ("memory-safe") {
            let next := add(sload(_head.slot), 1) // old hash and new number, packed as the definition wants them
            let start := add(record, 32)
            let end := add(start, sub(mload(record), 32))
            mstore(0, next)
            mstore(32, keccak256(start, sub(end, start)))
            let seq := and(next, NUMBER)
            sstore(_head.slot, or(and(keccak256(0, 64), not(NUMBER)), seq))
            mstore(end, seq)
            let topics := mul(32, add(indexed_, 1))
            let from := add(start, topics)
            let length := sub(add(end, 32), from)
            let topic0 := mload(start)
            let topic1 := mload(add(start, 32))
            let topic2 := mload(add(start, 64))
            switch indexed_
            case 0 { log1(from, length, topic0) }
            case 1 { log2(from, length, topic0, topic1) }
            case 2 { log3(from, length, topic0, topic1, topic2) }
            default { log4(from, length, topic0, topic1, topic2, mload(add(start, 96))) }
        }
    }
}
