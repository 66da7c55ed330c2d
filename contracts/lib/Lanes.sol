// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ChaCha20} from "./ChaCha20.sol";

/// @title Lanes: 64 bytes of a vector, as numbers of Z_2^32 or Z_2^64 to add and subtract
/// @notice A block is two words read little-endian: lane i of width w is bits w i to w i + w - 1 of `low`, then of `high`. Lanes stay packed:
/// they are added without their top bits, so that no carry leaves a lane, and the top bits are put right by xor. Nothing grows, so there
/// is no limit to how many blocks are added.
library Lanes {
    /// `tops`: the top bit of each lane of a word.
    struct Block {
        uint256 low;
        uint256 high;
        uint256 tops;
    }

    /// A block of zeros; `ring`: 32, else 64.
    function zero(uint8 ring) internal pure returns (Block memory fresh) {
        fresh.tops = ring == 32
            ? 0x8000000080000000800000008000000080000000800000008000000080000000
            : 0x8000000000000000800000000000000080000000000000008000000000000000;
    }

    function add(Block memory to, uint256 low, uint256 high) internal pure {
        (to.low, to.high) = (_sum(to.low, low, to.tops), _sum(to.high, high, to.tops));
    }

    function take(Block memory from, uint256 low, uint256 high) internal pure {
        (from.low, from.high) = (_difference(from.low, low, from.tops), _difference(from.high, high, from.tops));
    }

    /// The 64 bytes of `leaf` from byte `start` on; behind the end of the leaf they are of no meaning.
    function read(bytes calldata leaf, uint256 start) internal pure returns (uint256 low, uint256 high) {
        assembly ("memory-safe") {
            low := calldataload(add(leaf.offset, start))
            high := calldataload(add(leaf.offset, add(start, 32)))
        }
        return (ChaCha20.reversed(low), ChaCha20.reversed(high));
    }

    /// Whether the first `length` bytes are the same as those of the block `low`, `high`; more than 64 count as 64.
    function equals(Block memory one, uint256 low, uint256 high, uint256 length) internal pure returns (bool) {
        return (one.low ^ low) & _first(length) == 0 && (length <= 32 || (one.high ^ high) & _first(length - 32) == 0);
    }

    function _sum(uint256 a, uint256 b, uint256 tops) private pure returns (uint256) {
        unchecked {
            return ((a & ~tops) + (b & ~tops)) ^ ((a ^ b) & tops);
        }
    }

    function _difference(uint256 a, uint256 b, uint256 tops) private pure returns (uint256) {
        unchecked {
            return ((a | tops) - (b & ~tops)) ^ ((a ^ ~b) & tops);
        }
    }

    /// The first bytes of a little-endian word are its lowest.
    function _first(uint256 length) private pure returns (uint256) {
        return length >= 32 ? type(uint256).max : (uint256(1) << (8 * length)) - 1;
    }
}
