// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// The few cheatcodes used here, declared so that no external library is needed.
interface Vm {
    function prank(address who) external;
    function warp(uint256 time) external;
}

abstract contract Harness {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    // forge knows a test contract by this
    bool public IS_TEST = true;
    address[] private _targets;

    error AssertionFailed(string what);

    function check(bool holds, string memory what) internal pure {
        if (!holds) revert AssertionFailed(what);
    }

    function target(address at) internal {
        _targets.push(at);
    }

    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }
}
