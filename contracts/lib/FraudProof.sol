// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ITrainings, TrainingId} from "../interfaces/ITrainings.sol";

/// @title FraudProof: whether one 64-byte block of a posted sum is wrong
library FraudProof {
    function requireWrong(ITrainings.Evidence calldata evidence, bytes32 transcript, uint8 ring, TrainingId id)
        internal
        view
    {
        revert ITrainings.Honest();
    }
}
