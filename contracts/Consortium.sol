// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IConsortium} from "./interfaces/IConsortium.sol";
import {IMembers} from "./interfaces/IMembers.sol";
import {RunningHash} from "./lib/RunningHash.sol";

contract Consortium is IConsortium, RunningHash {
    bytes32 private constant ENTER = keccak256(
        "Enter(address consortium,bytes32 name,address at,bytes32 codeHash,uint64 change,uint64 epoch,uint48 until)"
    );

    IMembers public immutable members;
    uint48 public immutable DELAY;

    uint64 public changes;
    mapping(bytes32 name => Entry) private _current;
    mapping(bytes32 name => Entry) private _announced;

    constructor(IMembers members_, bytes32[] memory names, address[] memory contracts, uint48 delay) {
        if (names.length != contracts.length) revert LengthsDiffer(names.length, contracts.length);
        members = members_;
        DELAY = delay;
        for (uint256 i; i < names.length; ++i) {
            _announce(names[i], contracts[i], uint48(block.timestamp));
        }
    }

    function enter(bytes32 name, address at, IMembers.Consents calldata consents) external {
        bytes32 structHash = keccak256(
            abi.encode(ENTER, address(this), name, at, at.codehash, changes, consents.epoch, consents.until)
        );
        members.requireQuorum(structHash, consents);
        _announce(name, at, uint48(block.timestamp) + DELAY);
    }

    function entry(bytes32 name) external view returns (Entry memory) {
        Entry storage found = _inForce(_announced[name]) ? _announced[name] : _current[name];
        if (found.at == address(0)) revert UnknownName(name);
        return found;
    }

    function announced(bytes32 name) external view returns (Entry memory next) {
        if (!_inForce(_announced[name])) next = _announced[name];
    }

    function _announce(bytes32 name, address at, uint48 from) private {
        if (at.code.length == 0) revert NoCode(at);
        if (_inForce(_announced[name])) _current[name] = _announced[name];
        uint64 change = changes++;
        _announced[name] = Entry(at, at.codehash, from);
        _log(2, abi.encode(Entered.selector, name, at, at.codehash, from, change, SEQ));
    }

    function _inForce(Entry storage candidate) private view returns (bool) {
        return candidate.at != address(0) && candidate.from <= block.timestamp;
    }
}
