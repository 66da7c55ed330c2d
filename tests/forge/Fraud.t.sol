// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ITrainings, TrainingId} from "../../contracts/interfaces/ITrainings.sol";
import {ChaCha20} from "../../contracts/lib/ChaCha20.sol";
import {FraudProof} from "../../contracts/lib/FraudProof.sol";
import {Lanes} from "../../contracts/lib/Lanes.sol";
import {Harness} from "./Harness.sol";

/// What the libraries do, word by word and lane by lane as the papers write it.
library Naive {
    /// The block function of RFC 8439, 2.3.1; nonce 0.
    function keystream(bytes32 key, uint32 counter) internal pure returns (bytes memory stream) {
        uint32[16] memory start;
        (start[0], start[1], start[2], start[3]) = (0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);
        for (uint256 i; i < 8; ++i) start[4 + i] = uint32(lane(abi.encodePacked(key), i, 4));
        start[12] = counter;
        uint32[16] memory s = abi.decode(abi.encode(start), (uint32[16]));
        for (uint256 i; i < 10; ++i) {
            for (uint256 j; j < 4; ++j) quarter(s, j, 4 + j, 8 + j, 12 + j);
            for (uint256 j; j < 4; ++j) quarter(s, j, 4 + (j + 1) % 4, 8 + (j + 2) % 4, 12 + (j + 3) % 4);
        }
        stream = new bytes(64);
        unchecked {
            for (uint256 i; i < 16; ++i) put(stream, i, 4, s[i] + start[i]);
        }
    }

    function quarter(uint32[16] memory s, uint256 a, uint256 b, uint256 c, uint256 d) internal pure {
        step(s, a, b, d, 16);
        step(s, c, d, b, 12);
        step(s, a, b, d, 8);
        step(s, c, d, b, 7);
    }

    function step(uint32[16] memory s, uint256 to, uint256 from, uint256 turned, uint8 by) internal pure {
        unchecked {
            s[to] += s[from];
        }
        uint32 x = s[turned] ^ s[to];
        s[turned] = (x << by) | (x >> (32 - by));
    }

    /// Lane `i` of little-endian lanes of `width` bytes.
    function lane(bytes memory vector, uint256 i, uint256 width) internal pure returns (uint256 value) {
        for (uint256 j = width; j > 0; --j) value = (value << 8) | uint8(vector[i * width + j - 1]);
    }

    function put(bytes memory vector, uint256 i, uint256 width, uint256 value) internal pure {
        for (uint256 j; j < width; ++j) vector[i * width + j] = bytes1(uint8(value >> (8 * j)));
    }

    /// vector += sign * block, from byte `start` on, as far as the vector goes.
    function accumulate(bytes memory vector, uint256 start, bytes memory block_, uint256 width, bool negative) internal pure {
        unchecked {
            for (uint256 i; i < 64 / width && start + (i + 1) * width <= vector.length; ++i) {
                uint256 one = lane(block_, i, width);
                uint256 at = start / width + i;
                put(vector, at, width, lane(vector, at, width) + (negative ? 0 - one : one));
            }
        }
    }
}

contract LanesTest is Harness {
    using Lanes for Lanes.Block;

    /// forge-config: default.fuzz.runs = 128
    function testFuzz_a_block_of_chacha20_is_the_rfcs(bytes32 key, uint32 counter) external pure {
        (uint256 low, uint256 high) = ChaCha20.keystream(key, counter);
        bytes memory stream = abi.encodePacked(ChaCha20.reversed(low), ChaCha20.reversed(high));
        check(keccak256(stream) == keccak256(Naive.keystream(key, counter)), "another block");
    }

    function read(bytes calldata leaf, uint256 start) external pure returns (uint256, uint256) {
        return Lanes.read(leaf, start);
    }

    function testFuzz_lanes_add_and_subtract_modulo_the_ring(bytes32[2] calldata a, bytes32[2] calldata b, bool wide) external view {
        uint256 width = wide ? 8 : 4;
        Lanes.Block memory up = _block(a, wide);
        Lanes.Block memory down = _block(a, wide);
        (uint256 low, uint256 high) = this.read(abi.encodePacked(b), 0);
        up.add(low, high);
        down.take(low, high);
        bytes memory sum = abi.encodePacked(a);
        bytes memory difference = abi.encodePacked(a);
        Naive.accumulate(sum, 0, abi.encodePacked(b), width, false);
        Naive.accumulate(difference, 0, abi.encodePacked(b), width, true);
        check(_holds(up, sum) && _holds(down, difference), "another sum");
    }

    /// Of a short block only what is there counts.
    function testFuzz_equal_as_far_as_the_vector_goes(bytes32[2] calldata a, uint8 length, uint8 at) external view {
        bytes memory other = abi.encodePacked(a);
        (length, at) = (length % 80, at % 64);
        other[at] ^= 0x01;
        (uint256 low, uint256 high) = this.read(other, 0);
        check(_block(a, true).equals(low, high, length) == (at >= length), "compared too much or too little");
    }

    function _block(bytes32[2] calldata a, bool wide) private view returns (Lanes.Block memory made) {
        made = Lanes.zero(wide ? 64 : 32);
        (uint256 low, uint256 high) = this.read(abi.encodePacked(a), 0);
        made.add(low, high);
    }

    function _holds(Lanes.Block memory made, bytes memory bytes_) private view returns (bool) {
        (uint256 low, uint256 high) = this.read(bytes_, 0);
        return made.equals(low, high, 64);
    }
}

/// Rounds of three to five survivors and up to two dropped, vectors of a whole leaf and a short one.
contract FraudTest is Harness {
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 private constant LENGTH = 256 + 96;
    uint16 private constant ROUND = 7;
    TrainingId private constant ID = TrainingId.wrap("a training");

    struct Round {
        bytes32 salt;
        uint8 ring;
        uint32 at;
        uint256 size;
        uint256 keyed;
        uint256 survivors;
        bytes sum;
        bytes[] vectors;
    }

    function judge(ITrainings.Evidence calldata evidence, bytes32 transcript, uint8 ring) external view {
        FraudProof.requireWrong(evidence, transcript, ring, ID);
    }

    /// forge-config: default.fuzz.runs = 40
    function testFuzz_a_block_is_wrong_where_a_lane_is(bytes32 salt, uint8 shape, uint8 at, uint16 lane, uint64 by) external {
        Round memory round = _round(salt, shape, at % 6);
        uint256 width = round.ring / 8;
        lane = uint16(lane % (LENGTH / width));
        if (width == 4) by = uint32(by);
        unchecked {
            Naive.put(round.sum, lane, width, Naive.lane(round.sum, lane, width) + by);
        }
        bool wrong = by != 0 && uint256(lane) * width / 64 == round.at;
        (ITrainings.Evidence memory evidence, bytes32 transcript) = _evidence(round);
        check(_shown(evidence, transcript, round.ring) == wrong, wrong ? "a wrong sum stood" : "a right sum fell");
    }

    /// A right sum stands, whichever bit of the evidence is turned; the refusal need not be Honest.
    /// forge-config: default.fuzz.runs = 40
    function testFuzz_no_bit_of_the_evidence_voids_a_right_sum(bytes32 salt, uint8 shape, uint8 at, uint16 place) external {
        Round memory round = _round(salt, shape, at % 6);
        (ITrainings.Evidence memory evidence, bytes32 transcript) = _evidence(round);
        bytes memory call = abi.encodeCall(this.judge, (evidence, transcript, round.ring));
        uint256 i = 100 + uint256(place) * 7 % (call.length - 100); // behind the transcript and the ring
        call[i] ^= bytes1(uint8(1 << (place % 8)));
        (bool shown,) = address(this).staticcall(call);
        check(!shown, "a right sum fell");
    }

    function _shown(ITrainings.Evidence memory evidence, bytes32 transcript, uint8 ring) private view returns (bool) {
        try this.judge(evidence, transcript, ring) {
            return true;
        } catch (bytes memory reason) {
            check(bytes4(reason) == ITrainings.Honest.selector, "refused");
            return false;
        }
    }

    /// Masked vectors and their right sum in block `at`; elsewhere the vectors are noise and the sum theirs.
    function _round(bytes32 salt, uint8 shape, uint32 at) private returns (Round memory round) {
        (round.salt, round.at, round.ring) = (salt, at, shape & 1 == 0 ? 32 : 64);
        uint256 gone = (shape >> 1) % 3;
        round.size = 3 + (shape >> 4) % 3 + gone;
        round.keyed = (1 << round.size) - 1;
        round.survivors = round.keyed & ~(((1 << gone) - 1) << (uint256(salt) % (round.size - gone + 1)));
        round.sum = new bytes(LENGTH);
        round.vectors = new bytes[](round.size);
        for (uint256 u; u < round.size; ++u) {
            if (round.survivors >> u & 1 == 0) continue;
            round.vectors[u] = _noise(salt, u);
            for (uint256 start; start < LENGTH; start += 64) {
                Naive.accumulate(round.sum, start, _slice(round.vectors[u], start), round.ring / 8, false);
            }
            _mask(round, u);
        }
    }

    function _mask(Round memory round, uint256 u) private {
        uint256 width = round.ring / 8;
        Naive.accumulate(round.vectors[u], round.at * 64, Naive.keystream(_seed(round, u), round.at), width, false);
        for (uint256 d; d < round.size; ++d) {
            if (round.survivors >> d & 1 == 1) continue; // masks among survivors cancel
            bool lower = _member(round, u) < _member(round, d);
            Naive.accumulate(round.vectors[u], round.at * 64, Naive.keystream(_pair(round, u, d), round.at), width, !lower);
        }
    }

    function _pair(Round memory round, uint256 u, uint256 d) private returns (bytes32) {
        (address low, address high) = (_member(round, u), _member(round, d));
        if (low > high) (low, high) = (high, low);
        bytes32[2] memory q = _shared(round, u, d);
        return sha256(
            abi.encodePacked(
                "hanse/pair/1", block.chainid, address(this), ID, uint256(ROUND), abi.encodePacked(low, high), q[0], q[1]
            )
        );
    }

    function _evidence(Round memory round) private returns (ITrainings.Evidence memory evidence, bytes32 transcript) {
        _posts(round, evidence);
        _leaves(round, evidence);
        _secrets(round, evidence);
        evidence.before = keccak256("before");
        transcript = keccak256(abi.encode(evidence.before, evidence.sums[0]));
    }

    function _posts(Round memory round, ITrainings.Evidence memory evidence) private {
        evidence.posts = new ITrainings.Post[](round.size + _count(round.survivors));
        uint256 at;
        for (uint16 p; p < round.size; ++p) {
            (bytes32 x, bytes32 y) = _point(_scalar(round, p));
            ITrainings.Keys memory keys = ITrainings.Keys(x, uint8(uint256(y) & 1), sha256(abi.encodePacked(_seed(round, p))), "s");
            evidence.posts[at++] = ITrainings.Post(_member(round, p), p, ROUND, ITrainings.Vector(0, 0, 0), keys);
        }
        for (uint16 p; p < round.size; ++p) {
            if (round.survivors >> p & 1 == 0) continue;
            ITrainings.Keys memory none;
            evidence.posts[at++] = ITrainings.Post(_member(round, p), p, ROUND, _vector(round.vectors[p]), none);
        }
        bytes32 digest;
        for (uint256 i; i < evidence.posts.length; ++i) digest = keccak256(abi.encode(digest, evidence.posts[i]));
        evidence.sums = new ITrainings.Sum[](1);
        evidence.sums[0] = ITrainings.Sum(
            ROUND, digest, uint64(round.keyed), uint64(round.survivors), _vector(round.sum), address(this)
        );
    }

    function _leaves(Round memory round, ITrainings.Evidence memory evidence) private pure {
        uint256 count = _count(round.survivors) + 1;
        (evidence.leaves, evidence.paths, evidence.block) = (new bytes[](count), new bytes32[][](count), round.at);
        uint256 at;
        for (uint256 p; p <= round.size; ++p) {
            if (p < round.size && round.survivors >> p & 1 == 0) continue;
            bytes[2] memory leaves = _cut(p < round.size ? round.vectors[p] : round.sum);
            evidence.leaves[at] = leaves[round.at / 4];
            evidence.paths[at] = new bytes32[](1);
            evidence.paths[at++][0] = sha256(abi.encodePacked(bytes1(0), leaves[1 - round.at / 4]));
        }
    }

    function _secrets(Round memory round, ITrainings.Evidence memory evidence) private {
        uint256 alive = _count(round.survivors);
        evidence.seeds = new bytes32[](alive);
        evidence.scalars = new bytes32[](round.size - alive);
        evidence.points = new bytes32[2][](alive * (round.size - alive));
        (uint256 a, uint256 d, uint256 q) = (0, 0, 0);
        for (uint256 p; p < round.size; ++p) {
            if (round.survivors >> p & 1 == 1) {
                evidence.seeds[a++] = _seed(round, p);
                continue;
            }
            evidence.scalars[d++] = bytes32(_scalar(round, p));
            for (uint256 u; u < round.size; ++u) {
                if (round.survivors >> u & 1 == 1) evidence.points[q++] = _shared(round, u, p);
            }
        }
    }

    function _vector(bytes memory whole) private pure returns (ITrainings.Vector memory) {
        bytes[2] memory leaves = _cut(whole);
        bytes32 left = sha256(abi.encodePacked(bytes1(0), leaves[0]));
        bytes32 right = sha256(abi.encodePacked(bytes1(0), leaves[1]));
        return ITrainings.Vector(sha256(abi.encodePacked(bytes1(0x01), left, right)), "blob", 2);
    }

    function _cut(bytes memory whole) private pure returns (bytes[2] memory leaves) {
        (leaves[0], leaves[1]) = (new bytes(256), new bytes(LENGTH - 256));
        for (uint256 i; i < LENGTH; ++i) leaves[i / 256][i % 256] = whole[i];
    }

    function _slice(bytes memory whole, uint256 start) private pure returns (bytes memory part) {
        part = new bytes(64);
        for (uint256 i; i < 64 && start + i < whole.length; ++i) part[i] = whole[start + i];
    }

    function _noise(bytes32 salt, uint256 u) private pure returns (bytes memory noise) {
        noise = new bytes(LENGTH);
        for (uint256 i; i < LENGTH; ++i) noise[i] = keccak256(abi.encode(salt, u, i / 32))[i % 32];
    }

    /// Both scalars are known here: Q is the point of their product.
    function _shared(Round memory round, uint256 u, uint256 d) private returns (bytes32[2] memory q) {
        (q[0], q[1]) = _point(mulmod(_scalar(round, u), _scalar(round, d), ORDER));
    }

    function _point(uint256 scalar) private returns (bytes32, bytes32) {
        Keyring.Wallet memory wallet = Keyring(address(vm)).createWallet(scalar);
        return (bytes32(wallet.publicKeyX), bytes32(wallet.publicKeyY));
    }

    function _member(Round memory round, uint256 p) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode(round.salt, "member", p)))));
    }

    function _scalar(Round memory round, uint256 p) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(round.salt, "scalar", p))) % (ORDER - 1) + 1;
    }

    function _seed(Round memory round, uint256 p) private pure returns (bytes32) {
        return keccak256(abi.encode(round.salt, "seed", p));
    }

    function _count(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) ++count;
    }
}

/// The cheatcode that gives the public key of a scalar.
interface Keyring {
    struct Wallet {
        address addr;
        uint256 publicKeyX;
        uint256 publicKeyY;
        uint256 privateKey;
    }

    function createWallet(uint256 scalar) external returns (Wallet memory);
}
