// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ITrainings, TrainingId} from "../interfaces/ITrainings.sol";
import {ChaCha20} from "./ChaCha20.sol";
import {Lanes} from "./Lanes.sol";
import {Merkle6962} from "./Merkle6962.sol";

/// @title FraudProof: whether one 64-byte block of a posted sum is wrong
/// @notice S = sum of y - sum of G(b) - sum over dropped d and survivors u of sign(u, d) G(k_ud), modulo 2^ring: docs/secure-sum.md. Nothing
/// of what the challenger brings is trusted: the history rolls to the transcript, the posts to the sum's digest, the leaves climb to posted
/// roots, the seeds hash to posted digests, and ecrecover, which multiplies points, ties scalars and shared points to posted keys.
/// @dev Calldata is hashed as it lies: these structs are static, so that the raw words are abi.encode's, and words that are not clean
/// lead to other digests. Memory does not grow with members or paths.
library FraudProof {
    using Lanes for Lanes.Block;

    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    /// x of secp256k1's generator; its y is even.
    bytes32 private constant GENERATOR = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
    uint256 private constant LEAF = 256;
    uint256 private constant BLOCK = 64;
    uint256 private constant SUM_SIZE = 256;
    uint256 private constant POST_SIZE = 320;

    /// The posts of a round as indices into the evidence's, by ascending position: keys and vectors of the survivors, keys of the dropped.
    struct Cast {
        uint256[] keys;
        uint256[] vectors;
        uint256[] dropped;
    }

    /// By position: the index, plus one, of the post with the keys for the round and of the one with its vector.
    struct Table {
        uint256[64] keys;
        uint256[64] vectors;
    }

    /// Refuse with what is wrong with the evidence, or Honest where the block is right; return where the sum is wrong.
    function requireWrong(ITrainings.Evidence calldata evidence, bytes32 transcript, uint8 ring, TrainingId id) internal view {
        _requireHistory(evidence, transcript);
        _requirePosts(evidence);
        Cast memory cast = _cast(evidence);
        if (_hasOtherTree(evidence, cast)) return;
        _requireCounts(evidence, cast);
        if (_hasOtherLength(evidence, cast, ring)) return;
        Lanes.Block memory total = Lanes.zero(ring);
        _addVectors(total, evidence);
        _takeSeeds(total, evidence, cast);
        _takePairs(total, evidence, cast, abi.encodePacked("hanse/pair/1", block.chainid, address(this), id));
        _requireOther(total, evidence);
    }

    function _requireHistory(ITrainings.Evidence calldata evidence, bytes32 transcript) private pure {
        ITrainings.Sum[] calldata sums = evidence.sums;
        uint256 at;
        assembly ("memory-safe") {
            at := sums.offset
        }
        if (sums.length == 0 || _rolled(evidence.before, at, sums.length, SUM_SIZE) != transcript) revert ITrainings.BadHistory();
    }

    function _requirePosts(ITrainings.Evidence calldata evidence) private pure {
        ITrainings.Post[] calldata posts = evidence.posts;
        uint256 at;
        assembly ("memory-safe") {
            at := posts.offset
        }
        bytes32 digest = _rolled(evidence.postsBefore, at, posts.length, POST_SIZE);
        if (digest != evidence.sums[0].posts) revert ITrainings.BadPosts(0);
    }

    /// digest = keccak256(abi.encode(digest, record)) for each of `count` static records of `size` bytes from `at` in calldata on.
    function _rolled(bytes32 digest, uint256 at, uint256 count, uint256 size) private pure returns (bytes32) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            for { let end := add(at, mul(count, size)) } lt(at, end) { at := add(at, size) } {
                mstore(free, digest)
                calldatacopy(add(free, 32), at, size)
                digest := keccak256(free, add(size, 32))
            }
        }
        return digest;
    }

    /// Who posted what for the round. Posts are the newest ones up to the sum: were a member's to come twice, the later one would count,
    /// however many earlier ones the challenger left out.
    function _cast(ITrainings.Evidence calldata evidence) private pure returns (Cast memory cast) {
        Table memory table = _table(evidence);
        (uint256 keyed, uint256 survivors) = (evidence.sums[0].keyed, evidence.sums[0].survivors);
        uint256 count = _count(survivors);
        cast = Cast(new uint256[](count), new uint256[](count), new uint256[](_count(keyed & ~survivors)));
        uint256 lacking;
        uint256 alive;
        uint256 gone;
        for (uint256 position; position < 64; ++position) {
            uint256 bit = 1 << position;
            if ((keyed | survivors) & bit == 0) continue;
            bool survives = survivors & bit != 0;
            (uint256 keys, uint256 vector) = (table.keys[position], table.vectors[position]);
            if (keys == 0 || (survives && vector == 0)) {
                lacking |= bit;
            } else if (survives) {
                (cast.keys[alive], cast.vectors[alive]) = (keys - 1, vector - 1);
                ++alive;
            } else {
                cast.dropped[gone++] = keys - 1;
            }
        }
        if (lacking != 0) revert ITrainings.BadPosts(uint64(lacking));
    }

    function _table(ITrainings.Evidence calldata evidence) private pure returns (Table memory table) {
        uint256 round = evidence.sums[0].round;
        uint256 count = evidence.posts.length;
        for (uint256 i; i < count;) {
            ITrainings.Post calldata post = _post(evidence, i++);
            (uint256 posted, uint256 position) = (post.round, post.position);
            if (post.vector.root == 0) {
                if (posted == round) table.keys[position] = i;
            } else if (posted == round) {
                table.vectors[position] = i;
            } else if (posted + 1 == round && post.keys.seed != 0) {
                table.keys[position] = i;
            }
        }
    }

    /// A sum of another number of leaves than all its parts is wrong without a look into it.
    function _hasOtherTree(ITrainings.Evidence calldata evidence, Cast memory cast) private pure returns (bool) {
        uint32 size = _post(evidence, cast.vectors[0]).vector.leaves;
        for (uint256 i = 1; i < cast.vectors.length; ++i) {
            if (_post(evidence, cast.vectors[i]).vector.leaves != size) revert ITrainings.BadLeaf(i);
        }
        return evidence.sums[0].vector.leaves != size;
    }

    function _requireCounts(ITrainings.Evidence calldata evidence, Cast memory cast) private pure {
        (uint256 survivors, uint256 dropped) = (cast.keys.length, cast.dropped.length);
        _requireCount(evidence.leaves.length, survivors + 1);
        _requireCount(evidence.paths.length, survivors + 1);
        _requireCount(evidence.seeds.length, survivors);
        _requireCount(evidence.scalars.length, dropped);
        _requireCount(evidence.points.length, dropped * survivors);
    }

    function _requireCount(uint256 have, uint256 need) private pure {
        if (have != need) revert ITrainings.BadCount(have, need);
    }

    /// Every leaf stands where it must; the survivors' are of one length, and a sum's of another length is wrong.
    function _hasOtherLength(ITrainings.Evidence calldata evidence, Cast memory cast, uint8 ring) private view returns (bool) {
        uint256 survivors = cast.vectors.length;
        uint256 length = _leaf(evidence, 0).length;
        for (uint256 i; i < survivors; ++i) {
            bool fits = _leaf(evidence, i).length == length && length <= LEAF && length % (ring / 8) == 0;
            if (!fits) revert ITrainings.BadLeaf(i);
            _requireLeaf(evidence, _post(evidence, cast.vectors[i]).vector, i);
        }
        _requireLeaf(evidence, evidence.sums[0].vector, survivors);
        return _leaf(evidence, survivors).length != length;
    }

    function _requireLeaf(ITrainings.Evidence calldata evidence, ITrainings.Vector calldata vector, uint256 i) private view {
        uint256 index = evidence.block / (LEAF / BLOCK);
        bool stands = Merkle6962.included(vector.root, vector.leaves, _leaf(evidence, i), index, evidence.paths[i]);
        if (!stands) revert ITrainings.BadLeaf(i);
    }

    function _addVectors(Lanes.Block memory total, ITrainings.Evidence calldata evidence) private pure {
        uint256 start = evidence.block % (LEAF / BLOCK) * BLOCK;
        uint256 survivors = evidence.leaves.length - 1;
        for (uint256 i; i < survivors; ++i) {
            (uint256 low, uint256 high) = Lanes.read(_leaf(evidence, i), start);
            total.add(low, high);
        }
    }

    function _takeSeeds(Lanes.Block memory total, ITrainings.Evidence calldata evidence, Cast memory cast) private pure {
        for (uint256 i; i < cast.keys.length; ++i) {
            bytes32 seed = evidence.seeds[i];
            if (sha256(abi.encodePacked(seed)) != _post(evidence, cast.keys[i]).keys.seed) revert ITrainings.BadSecret(i);
            (uint256 low, uint256 high) = ChaCha20.keystream(seed, evidence.block);
            total.take(low, high);
        }
    }

    /// `place`: what the keys of all pairs begin with, up to the training.
    function _takePairs(
        Lanes.Block memory total,
        ITrainings.Evidence calldata evidence,
        Cast memory cast,
        bytes memory place
    ) private pure {
        bytes memory head = abi.encodePacked(place, uint256(evidence.sums[0].round));
        uint256 survivors = cast.keys.length;
        for (uint256 i; i < cast.dropped.length; ++i) {
            ITrainings.Keys calldata keys = _post(evidence, cast.dropped[i]).keys;
            bool fits = _times(uint256(evidence.scalars[i]), GENERATOR, 0) == _times(1, keys.x, keys.parity);
            if (!fits) revert ITrainings.BadSecret(survivors + i);
            for (uint256 j; j < survivors; ++j) _takePair(total, evidence, cast, head, i * survivors + j);
        }
    }

    function _takePair(
        Lanes.Block memory total,
        ITrainings.Evidence calldata evidence,
        Cast memory cast,
        bytes memory head,
        uint256 which
    ) private pure {
        uint256 free = _free();
        (bytes32 key, bool lower) = _pairKey(evidence, cast, head, which);
        (uint256 low, uint256 high) = ChaCha20.keystream(key, evidence.block);
        if (lower) total.take(low, high);
        else total.add(low, high);
        _release(free);
    }

    /// The key of pair `which`, counted over the points, and whether its survivor's is the lower address.
    function _pairKey(ITrainings.Evidence calldata evidence, Cast memory cast, bytes memory head, uint256 which)
        private
        pure
        returns (bytes32 key, bool lower)
    {
        bytes32[2] calldata point = evidence.points[which];
        uint256 gone = which / cast.keys.length;
        ITrainings.Post calldata other = _post(evidence, cast.keys[which % cast.keys.length]);
        address product = _times(uint256(evidence.scalars[gone]), other.keys.x, other.keys.parity);
        if (product != _account(point)) revert ITrainings.BadPoint(which);
        bytes memory members;
        (members, lower) = _ordered(other.member, _post(evidence, cast.dropped[gone]).member);
        key = sha256(abi.encodePacked(head, members, point[0], point[1]));
    }

    function _ordered(address survivor, address gone) private pure returns (bytes memory members, bool lower) {
        lower = survivor < gone;
        members = lower ? abi.encodePacked(survivor, gone) : abi.encodePacked(gone, survivor);
    }

    function _account(bytes32[2] calldata point) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(point[0], point[1])))));
    }

    function _requireOther(Lanes.Block memory total, ITrainings.Evidence calldata evidence) private pure {
        bytes calldata leaf = _leaf(evidence, evidence.leaves.length - 1);
        uint256 start = evidence.block % (LEAF / BLOCK) * BLOCK;
        (uint256 low, uint256 high) = Lanes.read(leaf, start);
        uint256 length = leaf.length > start ? leaf.length - start : 0;
        if (total.equals(low, high, length)) revert ITrainings.Honest();
    }

    /// The address of `scalar` times the point, zero where there is none: ecrecover of hash 0 and s = scalar x is (s / x) P.
    function _times(uint256 scalar, bytes32 x, uint8 parity) private pure returns (address) {
        return ecrecover(0, 27 + parity, x, bytes32(mulmod(scalar, uint256(x), ORDER)));
    }

    function _post(ITrainings.Evidence calldata evidence, uint256 i) private pure returns (ITrainings.Post calldata) {
        return evidence.posts[i];
    }

    function _leaf(ITrainings.Evidence calldata evidence, uint256 i) private pure returns (bytes calldata) {
        return evidence.leaves[i];
    }

    function _count(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) ++count;
    }

    function _free() private pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
        }
    }

    /// Give back what was allocated since `_free`: nothing of it is used any more.
    function _release(uint256 pointer) private pure {
        assembly ("memory-safe") {
            mstore(0x40, pointer)
        }
    }
}
