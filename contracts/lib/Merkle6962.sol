// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Merkle6962: inclusion in a Merkle tree of RFC 6962 / RFC 9162 (SHA-256, leaves 0x00, nodes 0x01, any size)
/// @notice A path does not prove the tree's size: keep the size beside the root. Hashing uses the memory behind the free pointer and
/// leaves the pointer where it is, so that hundreds of paths in one transaction cost no more than each alone.
library Merkle6962 {
    /// RFC 9162, 2.1.3.2.
    function included(bytes32 root, uint256 size, bytes calldata leaf, uint256 index, bytes32[] calldata path)
        internal
        view
        returns (bool)
    {
        if (index >= size) return false;
        uint256 last = size - 1;
        bytes32 hash = _leaf(leaf);
        for (uint256 i; i < path.length; ++i) {
            if (last == 0) return false;
            if (index & 1 == 1 || index == last) {
                hash = _node(path[i], hash);
                // a node without right sibling moves up unhashed to where it has a left one
                for (; index & 1 == 0 && index != 0; last >>= 1) index >>= 1;
            } else {
                hash = _node(hash, path[i]);
            }
            index >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }

    function _leaf(bytes calldata leaf) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore8(at, 0x00)
            calldatacopy(add(at, 1), leaf.offset, leaf.length)
            if iszero(staticcall(gas(), 2, at, add(leaf.length, 1), 0x00, 32)) { revert(0, 0) }
            hash := mload(0x00)
        }
    }

    function _node(bytes32 left, bytes32 right) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore8(at, 0x01)
            mstore(add(at, 1), left)
            mstore(add(at, 33), right)
            if iszero(staticcall(gas(), 2, at, 65, 0x00, 32)) { revert(0, 0) }
            hash := mload(0x00)
        }
    }
}
