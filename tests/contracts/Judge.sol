// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ITrainings, TrainingId} from "../../contracts/interfaces/ITrainings.sol";
import {ChaCha20} from "../../contracts/lib/ChaCha20.sol";
import {FraudProof} from "../../contracts/lib/FraudProof.sol";

/// The libraries behind a challenge, each to be called alone.
contract Judge {
    function requireWrong(ITrainings.Evidence calldata evidence, bytes32 transcript, uint8 ring, TrainingId id) external view {
        FraudProof.requireWrong(evidence, transcript, ring, id);
    }

    function keystreams(bytes32[] calldata keys, uint256[] calldata starts) external pure returns (uint256[2][] memory blocks) {
        blocks = new uint256[2][](keys.length);
        for (uint256 i; i < keys.length; ++i) (blocks[i][0], blocks[i][1]) = ChaCha20.keystream(keys[i], starts[i]);
    }

    /// Gas of one block, calls and memory apart.
    function cost(bytes32 key) external view returns (uint256 gas_) {
        gas_ = gasleft();
        ChaCha20.keystream(key, 7);
        return gas_ - gasleft();
    }
}
