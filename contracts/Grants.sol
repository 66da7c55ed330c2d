// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DatasetId, IDatasets} from "./interfaces/IDatasets.sol";
import {GrantId, IGrants} from "./interfaces/IGrants.sol";
import {IMembers} from "./interfaces/IMembers.sol";
import {Domain} from "./lib/Domain.sol";
import {RunningHash} from "./lib/RunningHash.sol";
import {Signatures} from "./lib/Signatures.sol";

contract Grants is IGrants, Domain("Hanse Grants"), RunningHash {
    uint8 private constant MEMBER = 1;

    bytes32 private constant TERMS = keccak256(
        "Terms(bytes32 dataset,uint32 version,address owner,address consumer,bytes32 policy,bytes32 document,"
        "bytes32 recipient,uint8 uses,uint32 purposes,uint32 count,uint48 from,uint48 until,uint48 deadline,"
        "bytes32 replaces,bytes32 nonce)"
    );

    IMembers public immutable members;
    IDatasets public immutable datasets;

    /// One word each: 25 bytes of keccak256(dataset, consumer), which bind later acts without the terms, 6 of time, 1 of state.
    mapping(GrantId id => uint256) private _decisions;

    constructor(IMembers members_, IDatasets datasets_) {
        members = members_;
        datasets = datasets_;
    }

    function request(GrantId id, DatasetId dataset, uint32 version, bytes32 request_) external {
        members.requireActive(msg.sender);
        _requireCurrent(dataset, version);
        _requireUndecided(id);
        _log(3, abi.encode(Requested.selector, id, dataset, msg.sender, version, request_, SEQ));
    }

    function grant(Terms calldata terms, bytes calldata ownerSignature, bytes calldata consumerSignature, bytes32 wrap)
        external
    {
        GrantId id = idOf(terms);
        _requireOffer(terms);
        _requireUndecided(id);
        _requireSigned(terms.owner, id, ownerSignature);
        _requireSigned(terms.consumer, id, consumerSignature);
        bytes25 parties = _parties(terms.dataset, terms.consumer);
        if (GrantId.unwrap(terms.replaces) != 0) _end(terms.replaces, State.Replaced, parties);
        _decisions[id] = _decision(State.Granted, parties);
        _log(3, abi.encode(Granted.selector, id, terms.dataset, terms.consumer, terms, wrap, SEQ));
    }

    function revoke(GrantId id, DatasetId dataset, address consumer) external {
        if (msg.sender != consumer && msg.sender != datasets.ownerOf(dataset)) revert NotParty(msg.sender);
        _end(id, State.Revoked, _parties(dataset, consumer));
        _log(3, abi.encode(Revoked.selector, id, dataset, msg.sender, SEQ));
    }

    function withdraw(Terms calldata terms) external {
        if (msg.sender != terms.consumer) revert NotParty(msg.sender);
        if (members.member(msg.sender).state == IMembers.State.Unknown) revert IMembers.NotMember(msg.sender);
        GrantId id = idOf(terms);
        _requireUndecided(id);
        _decisions[id] = _decision(State.Withdrawn, _parties(terms.dataset, terms.consumer));
        _log(2, abi.encode(Withdrawn.selector, id, msg.sender, SEQ));
    }

    function receive_(bytes32 root, uint32 size, bytes32 list) external {
        _requireMember(msg.sender);
        _log(2, abi.encode(Received.selector, msg.sender, root, size, list, SEQ));
    }

    function requireAllowed(Terms calldata terms, address who, uint8 uses, uint32 purposes, uint48 at) external view {
        GrantId id = idOf(terms);
        State found = _stateOf(_decisions[id]);
        if (found != State.Granted) revert NotGranted(id, found);
        if (who != terms.consumer) revert NotParty(who);
        if (uses & ~terms.uses != 0) revert UseNotOffered(uses, terms.uses);
        if (purposes & ~terms.purposes != 0) revert PurposeNotGranted(purposes, terms.purposes);
        if (at < terms.from) revert NotYet(terms.from);
        if (at >= terms.until) revert Over(terms.until);
        _requireMember(who);
    }

    function idOf(Terms calldata terms) public view returns (GrantId) {
        return GrantId.wrap(_typed(keccak256(abi.encode(TERMS, terms))));
    }

    function state(GrantId id) external view returns (State, uint48) {
        uint256 decision = _decisions[id];
        return (_stateOf(decision), uint48(decision >> 8));
    }

    function _end(GrantId id, State to, bytes25 parties) private {
        uint256 decision = _decisions[id];
        if (_stateOf(decision) != State.Granted) revert NotGranted(id, _stateOf(decision));
        if (bytes25(bytes32(decision)) != parties) revert OtherParties(id);
        _decisions[id] = _decision(to, parties);
    }

    /// Also while the alliance is paused.
    function _requireMember(address account) private view {
        IMembers.Member memory found = members.member(account);
        if (found.state != IMembers.State.Active || found.roles & MEMBER == 0) revert IMembers.NotMember(account);
    }

    function _requireOffer(Terms calldata terms) private view {
        if (block.timestamp > terms.deadline) revert Late(terms.deadline);
        if (terms.from >= terms.until) revert NoPeriod(terms.from, terms.until);
        members.requireActive(terms.owner);
        members.requireActive(terms.consumer);
        IDatasets.Dataset memory offered = _requireCurrent(terms.dataset, terms.version);
        if (terms.owner != offered.owner) revert IDatasets.NotOwner(offered.owner, terms.owner);
        if (terms.uses & ~offered.uses != 0) revert UseNotOffered(terms.uses, offered.uses);
    }

    function _requireCurrent(DatasetId id, uint32 version) private view returns (IDatasets.Dataset memory current) {
        current = datasets.dataset(id);
        if (current.state != IDatasets.State.Active) revert IDatasets.DatasetRetired(id);
        if (current.version != version) revert IDatasets.WrongVersion(version, current.version);
    }

    function _requireSigned(address signer, GrantId id, bytes calldata signature) private view {
        if (!Signatures.isValid(signer, GrantId.unwrap(id), signature)) revert TermsDiffer(signer);
    }

    function _requireUndecided(GrantId id) private view {
        State found = _stateOf(_decisions[id]);
        if (found != State.Unknown) revert AlreadyDecided(id, found);
    }

    function _decision(State state_, bytes25 parties) private view returns (uint256) {
        return uint256(bytes32(parties)) | (block.timestamp << 8) | uint8(state_);
    }

    function _stateOf(uint256 decision) private pure returns (State) {
        return State(uint8(decision));
    }

    function _parties(DatasetId dataset, address consumer) private pure returns (bytes25) {
        return bytes25(keccak256(abi.encode(dataset, consumer)));
    }
}
