// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title ChaCha20: one block of the keystream of RFC 8439
/// @notice Blocks are pairs of words, read little-endian: byte i of the stream is bits 8 i to 8 i + 7 of `low`, from byte 32 on of `high`.
/// The four words of a row of the state lie in one EVM word, in slots of 64 bits, so that each step works on four columns at once.
library ChaCha20 {
    /// `key` as the RFC writes it; `start`: counter and nonce (4 and 12 bytes) as one little-endian number, so for nonce 0 the counter.
    function keystream(bytes32 key, uint256 start) internal pure returns (uint256 low, uint256 high) {
        uint256 words = reversed(uint256(key));
        return _block(_spread(words), _spread(words >> 128), _spread(start));
    }

    /// The same 32 bytes in the other order.
    function reversed(uint256 x) internal pure returns (uint256) {
        uint256 mask = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
        x = ((x >> 8) & mask) | ((x & mask) << 8);
        mask = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
        x = ((x >> 16) & mask) | ((x & mask) << 16);
        mask = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        x = ((x >> 32) & mask) | ((x & mask) << 32);
        mask = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        x = ((x >> 64) & mask) | ((x & mask) << 64);
        return (x >> 128) | (x << 128);
    }

    /// `b`, `c`, `d`: rows 1 to 3 of the state; row 0 is the RFC's constant.
    function _block(uint256 b, uint256 c, uint256 d) private pure returns (uint256 low, uint256 high) {
        uint256 a;
        (low, high, a) = (b, c, d); // kept for the end
        assembly ("memory-safe") {
            let m := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
            // Modulo 2^256 - 1 a multiplication by 2^64 turns a row by one column, and one by 2^32 + 1 writes each word twice into its
            // slot: the rotation by n bits is then bits 32 - n to 63 - n. `turn` does both at once.
            let around := not(0)
            let twice := 0x100000001
            let x := 0x000000006b2065740000000079622d32000000003320646e0000000061707865
            for { let i := 10 } i { i := sub(i, 1) } {
                // columns
                x := and(add(x, b), m)
                d := and(shr(16, mul(xor(d, x), twice)), m)
                c := and(add(c, d), m)
                b := and(shr(20, mul(xor(b, c), twice)), m)
                x := and(add(x, b), m)
                d := and(shr(24, mul(xor(d, x), twice)), m)
                c := and(add(c, d), m)
                b := and(shr(25, mulmod(xor(b, c), 0x100000001000000000000000000000000000000000000000000000000, around)), m)
                c := mulmod(c, 0x100000000000000000000000000000000, around)
                d := mulmod(d, 0x10000000000000000, around)
                // diagonals
                x := and(add(x, b), m)
                d := and(shr(16, mul(xor(d, x), twice)), m)
                c := and(add(c, d), m)
                b := and(shr(20, mul(xor(b, c), twice)), m)
                x := and(add(x, b), m)
                d := and(shr(24, mul(xor(d, x), twice)), m)
                c := and(add(c, d), m)
                b := and(shr(25, mulmod(xor(b, c), 0x1000000010000000000000000, around)), m)
                c := mulmod(c, 0x100000000000000000000000000000000, around)
                d := mulmod(d, 0x1000000000000000000000000000000000000000000000000, around)
            }
            x := and(add(x, 0x000000006b2065740000000079622d32000000003320646e0000000061707865), m)
            b := and(add(b, low), m)
            c := and(add(c, high), m)
            d := and(add(d, a), m)
            a := x
        }
        return (_packed(a) | (_packed(b) << 128), _packed(c) | (_packed(d) << 128));
    }

    /// The low four 32-bit words, each in a slot of 64 bits.
    function _spread(uint256 x) private pure returns (uint256) {
        x &= type(uint128).max;
        x = (x | (x << 64)) & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        return (x | (x << 32)) & 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    }

    function _packed(uint256 x) private pure returns (uint256) {
        x = (x | (x >> 32)) & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        return (x | (x >> 64)) & type(uint128).max;
    }
}
