// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Merkle6962: inclusion in a Merkle tree of RFC 6962 / RFC 9162 (SHA-256, leaves 0x00, nodes 0x01, any size)
/// @notice A path does not prove the tree's size: keep the size beside the root.
library Merkle6962 {
    /// RFC 9162, 2.1.3.2.
    function included(bytes32 root, uint256 size, bytes calldata leaf, uint256 index, bytes32[] calldata path)
        internal
        pure
        returns (bool)
    {
        if (index >= size) return false;
        uint256 last = size - 1;
        bytes32 hash = sha256(abi.encodePacked(bytes1(0x00), leaf));
        for (uint256 i; i < path.length; ++i) {
            if (last == 0) return false;
            if (index & 1 == 1 || index == last) {
                hash = sha256(abi.encodePacked(bytes1(0x01), path[i], hash));
                // a node without right sibling moves up unhashed to where it has a left one
                for (; index & 1 == 0 && index != 0; last >>= 1) index >>= 1;
            } else {
                hash = sha256(abi.encodePacked(bytes1(0x01), hash, path[i]));
            }
            index >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }
}
