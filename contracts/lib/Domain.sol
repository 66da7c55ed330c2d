// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Domain: the EIP-712 domain of a contract
/// @notice Name, version 1, chain id, address. Cached; computed anew on a chain that forked off under another id, so that a
/// signature counts on one chain only. (OpenZeppelin's EIP712 needs Cancun.)
abstract contract Domain {
    bytes32 private constant TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    bytes32 private immutable NAME;
    uint256 private immutable CHAIN;
    bytes32 private immutable SEPARATOR;

    constructor(string memory name) {
        NAME = keccak256(bytes(name));
        CHAIN = block.chainid;
        SEPARATOR = _separator(NAME);
    }

    function domainSeparator() public view returns (bytes32) {
        return block.chainid == CHAIN ? SEPARATOR : _separator(NAME);
    }

    function _typed(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), structHash));
    }

    function _separator(bytes32 name) private view returns (bytes32) {
        return keccak256(abi.encode(TYPE, name, keccak256("1"), block.chainid, address(this)));
    }
}
