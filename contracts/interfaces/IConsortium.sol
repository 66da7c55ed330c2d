// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IMembers} from "./IMembers.sol";
import {IRunningHash} from "./IRunningHash.sol";

/// @title Consortium: the one address to trust
/// @notice A directory of the alliance's contracts: name to address and code hash. The first entries are made by the
/// constructor; later ones by a quorum of the members, in force only after a delay. Nothing is ever rewritten: a new version
/// of a contract is a new address under the same name, the old one stays readable where it is.
interface IConsortium is IRunningHash {
    struct Entry {
        address at;
        bytes32 codeHash;
        uint48 from;
    }

    event Entered(bytes32 indexed name, address indexed at, bytes32 codeHash, uint48 from, uint64 change, uint32 seq);

    error UnknownName(bytes32 name);
    error NoCode(address at);
    error LengthsDiffer(uint256 names, uint256 contracts);

    /// Enter a contract under `name`, in force after DELAY; what was announced under that name and is not yet in force is overruled.
    /// Consents are checked by Members, under its domain; the struct is
    /// Enter(address consortium,bytes32 name,address at,bytes32 codeHash,uint64 change,uint64 epoch,uint48 until)
    function enter(bytes32 name, address at, IMembers.Consents calldata consents) external;

    /// The entry in force now. Reverts UnknownName.
    function entry(bytes32 name) external view returns (Entry memory);

    /// The entry announced but not yet in force; zero where there is none.
    function announced(bytes32 name) external view returns (Entry memory);

    function members() external view returns (IMembers);

    /// Seconds between an announcement and its force.
    function DELAY() external view returns (uint48);

    /// Directory changes so far; part of the struct that the next consents sign.
    function changes() external view returns (uint64);
}
