// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title IRunningHash: one hash over every event of a contract, in order
/// @notice For each event: digest = keccak256(abi.encode(topic0, all arguments but the last, in order of declaration, indexed
/// ones included)), seq = seq + 1, hash = bytes28(keccak256(abi.encodePacked(hash, seq, digest))), from zero. The event's last
/// argument is that seq. Whoever folds the logs gets `head()`, or was shown other logs.
interface IRunningHash {
    function head() external view returns (bytes28 hash, uint32 seq);
}
