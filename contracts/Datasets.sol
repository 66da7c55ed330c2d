// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DatasetId, IDatasets} from "./interfaces/IDatasets.sol";
import {IMembers} from "./interfaces/IMembers.sol";
import {Merkle6962} from "./lib/Merkle6962.sol";
import {RunningHash} from "./lib/RunningHash.sol";

contract Datasets is IDatasets, RunningHash {
    uint8 private constant ALL_USES = 3;

    IMembers public immutable members;

    mapping(DatasetId id => Dataset) private _datasets;
    mapping(address owner => mapping(bytes32 root => uint32 size)) private _anchors;

    constructor(IMembers members_) {
        members = members_;
    }

    function publish(bytes32 salt, Version calldata content) external returns (DatasetId id) {
        members.requireActive(msg.sender);
        _requireContent(content);
        id = idOf(msg.sender, salt);
        if (_datasets[id].state != State.Unknown) revert Exists(id);
        _write(id, 1, content);
    }

    function publishVersion(DatasetId id, uint32 version, Version calldata content) external {
        members.requireActive(msg.sender);
        _requireContent(content);
        Dataset storage current = _owned(id);
        if (version != current.version + 1) revert WrongVersion(version, current.version);
        _write(id, version, content);
    }

    function retire(DatasetId id) external {
        if (members.member(msg.sender).state != IMembers.State.Active) revert IMembers.NotMember(msg.sender);
        _owned(id).state = State.Retired;
        _log(2, abi.encode(Retired.selector, id, msg.sender, SEQ));
    }

    function transfer(DatasetId id, address to) external {
        members.requireActive(msg.sender);
        members.requireActive(to);
        Dataset storage moved = _live(id);
        address from = moved.owner;
        if (from != msg.sender && !_sameMember(from, msg.sender)) revert NotOwner(from, msg.sender);
        moved.owner = to;
        _log(3, abi.encode(Transferred.selector, id, from, to, SEQ));
    }

    function anchor(bytes32 root, uint32 size, bytes32 list) external {
        members.requireActive(msg.sender);
        if (root == 0 || size == 0 || list == 0) revert EmptyDigest();
        if (_anchors[msg.sender][root] != 0) revert AlreadyAnchored(root);
        _anchors[msg.sender][root] = size;
        _log(2, abi.encode(Anchored.selector, root, msg.sender, size, list, SEQ));
    }

    function included(bytes32 root, address owner, bytes calldata leaf, uint32 index, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return Merkle6962.included(root, _anchors[owner][root], leaf, index, path);
    }

    function idOf(address owner, bytes32 salt) public view returns (DatasetId) {
        return DatasetId.wrap(keccak256(abi.encode(block.chainid, address(this), owner, salt)));
    }

    function dataset(DatasetId id) external view returns (Dataset memory) {
        return _found(id);
    }

    function ownerOf(DatasetId id) external view returns (address owner) {
        owner = _datasets[id].owner;
        if (owner == address(0)) revert UnknownDataset(id);
    }

    function _write(DatasetId id, uint32 version, Version calldata content) private {
        Dataset storage written = _datasets[id];
        (uint8 uses, uint48 budget) = (content.uses, content.budget);
        written.owner = msg.sender;
        written.version = version;
        written.state = State.Active;
        written.uses = uses;
        written.budget = budget;
        written.commitment = content.commitment;
        _log(2, abi.encode(Published.selector, id, msg.sender, version, content, SEQ));
    }

    /// A rotated account keeps its index: by it a successor is known.
    function _sameMember(address one, address other) private view returns (bool) {
        return members.member(one).index == members.member(other).index;
    }

    function _requireContent(Version calldata content) private pure {
        if (content.commitment == 0 || content.envelope == 0 || content.policy == 0) revert EmptyDigest();
        if (content.uses > ALL_USES) revert BadUses(content.uses);
    }

    function _owned(DatasetId id) private view returns (Dataset storage found) {
        found = _live(id);
        if (found.owner != msg.sender) revert NotOwner(found.owner, msg.sender);
    }

    function _live(DatasetId id) private view returns (Dataset storage found) {
        found = _found(id);
        if (found.state == State.Retired) revert DatasetRetired(id);
    }

    function _found(DatasetId id) private view returns (Dataset storage found) {
        found = _datasets[id];
        if (found.state == State.Unknown) revert UnknownDataset(id);
    }
}
