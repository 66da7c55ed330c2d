// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Signatures: of plain accounts (ECDSA, low s) and of contract wallets (EIP-1271)
/// @notice ECDSA first: it is the cheaper question, and an account with delegated code (EIP-7702) still has its key.
library Signatures {
    function isValid(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        // slither-disable-next-line unused-return (the third value only says more about the problem)
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return signer.code.length != 0 && _walletAccepts(signer, digest, signature);
    }

    function _walletAccepts(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool) {
        (bool done, bytes memory answer) =
            wallet.staticcall(abi.encodeCall(IERC1271.isValidSignature, (digest, signature)));
        return done && answer.length == 32 && bytes32(answer) == bytes32(IERC1271.isValidSignature.selector);
    }
}
