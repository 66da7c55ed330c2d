// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IRunningHash} from "./IRunningHash.sol";

/// A dataset's id: keccak256(abi.encode(chain id, Datasets, owner at birth, salt)); known before sending, nobody can squat it.
type DatasetId is bytes32;

/// @title Datasets: who published which version
/// @notice Nothing readable: `commitment` is the SHA-256 digest of the version's manifest, which carries a random salt;
/// `envelope` is the digest of the public envelope record (where the sealed bytes are); `policy` that of the offered terms.
interface IDatasets is IRunningHash {
    enum State {
        Unknown,
        Active,
        Retired
    }

    /// `uses` is a bit set: 1 may be read under a grant, 2 may be trained on. `budget` is in thousandths of epsilon; 0 means
    /// that no plan which spends privacy may use the version.
    struct Dataset {
        address owner;
        uint32 version;
        State state;
        uint8 uses;
        uint48 budget;
        bytes32 commitment;
    }

    struct Version {
        bytes32 commitment;
        bytes32 envelope;
        bytes32 policy;
        uint8 uses;
        uint48 budget;
    }

    event Published(DatasetId indexed id, address indexed owner, uint32 version, Version content, uint32 seq);
    event Retired(DatasetId indexed id, address indexed owner, uint32 seq);
    event Transferred(DatasetId indexed id, address indexed from, address indexed to, uint32 seq);
    event Anchored(bytes32 indexed root, address indexed owner, uint32 size, bytes32 list, uint32 seq);

    error NotOwner(address owner, address who);
    error Exists(DatasetId id);
    error UnknownDataset(DatasetId id);
    error DatasetRetired(DatasetId id);
    error WrongVersion(uint32 given, uint32 current);
    error EmptyDigest();
    error BadUses(uint8 uses);
    error AlreadyAnchored(bytes32 root);

    /// Version 1 of a new dataset.
    function publish(bytes32 salt, Version calldata content) external returns (DatasetId id);

    /// The next version; `version` must be the current one plus one, so that a retry is harmless.
    function publishVersion(DatasetId id, uint32 version, Version calldata content) external;

    /// No new versions, requests, grants or trainings; what was granted stays as granted.
    function retire(DatasetId id) external;

    /// Hand the dataset to another active member. The successor of a rotated owner takes it over by the same call.
    function transfer(DatasetId id, address to) external;

    /// Anchor many small records under one RFC 6962 root; `list` is the digest of the list in the store.
    function anchor(bytes32 root, uint32 size, bytes32 list) external;

    /// Whether `leaf` is at `index` of the tree that `owner` anchored under `root` (RFC 9162 inclusion proof).
    function included(bytes32 root, address owner, bytes calldata leaf, uint32 index, bytes32[] calldata path)
        external
        view
        returns (bool);

    function idOf(address owner, bytes32 salt) external view returns (DatasetId);

    /// Reverts UnknownDataset.
    function dataset(DatasetId id) external view returns (Dataset memory);

    /// Reverts UnknownDataset.
    function ownerOf(DatasetId id) external view returns (address);
}
