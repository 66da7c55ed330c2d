// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DatasetId} from "./IDatasets.sol";
import {IRunningHash} from "./IRunningHash.sol";

/// A grant's id: the EIP-712 digest of its terms under this contract's domain.
type GrantId is bytes32;

/// @title Grants: who was given what, under which terms, by both parties' consent
/// @notice A grant is one set of terms signed by owner and consumer (ECDSA or EIP-1271), checked in one transaction that
/// anybody may send. Storage holds one slot a grant: state, time, and a digest of dataset and consumer that binds later acts.
interface IGrants is IRunningHash {
    /// `policy`: digest of the policy in force when asked. `document`: digest of the readable terms (ODRL), a raw block in the
    /// store. `recipient`: digest of the HPKE key the file key is wrapped for. `uses` as in Datasets: 1 read, 2 train.
    /// `purposes`: bit set of the purposes of the alliance's vocabulary. `count`: most openings, 0 without limit.
    /// `from`, `until`: seconds since the epoch, until exclusive. `deadline`: last moment to grant. `replaces`: the grant that these
    /// terms amend or renew, zero for none. `nonce`: makes equal terms distinct.
    struct Terms {
        DatasetId dataset;
        uint32 version;
        address owner;
        address consumer;
        bytes32 policy;
        bytes32 document;
        bytes32 recipient;
        uint8 uses;
        uint32 purposes;
        uint32 count;
        uint48 from;
        uint48 until;
        uint48 deadline;
        GrantId replaces;
        bytes32 nonce;
    }

    enum State {
        Unknown,
        Granted,
        Revoked,
        Replaced,
        Withdrawn
    }

    event Requested(GrantId indexed id, DatasetId indexed dataset, address indexed consumer, uint32 version, bytes32 request, uint32 seq);
    event Granted(GrantId indexed id, DatasetId indexed dataset, address indexed consumer, Terms terms, bytes32 wrap, uint32 seq);
    event Revoked(GrantId indexed id, DatasetId indexed dataset, address indexed by, uint32 seq);
    event Withdrawn(GrantId indexed id, address indexed consumer, uint32 seq);
    event Received(address indexed consumer, bytes32 indexed root, uint32 size, bytes32 list, uint32 seq);

    error NotParty(address who);
    error TermsDiffer(address signer);
    error AlreadyDecided(GrantId id, State state);
    error NotGranted(GrantId id, State state);
    error NotYet(uint48 from);
    error Over(uint48 until);
    error Late(uint48 deadline);
    error UseNotOffered(uint8 asked, uint8 offered);
    error NoPeriod(uint48 from, uint48 until);
    error PurposeNotGranted(uint32 asked, uint32 granted);
    error OtherParties(GrantId id);

    /// Ask for a grant on the current version: `request_` is the digest of the public request record (terms and the consumer's signature) in the store.
    function request(GrantId id, DatasetId dataset, uint32 version, bytes32 request_) external;

    /// Grant, on the current version: both signatures over the same terms; `wrap` is the digest of the wrap record (the wrapped file key) in the store.
    function grant(Terms calldata terms, bytes calldata ownerSignature, bytes calldata consumerSignature, bytes32 wrap) external;

    /// End a grant, by owner (the dataset's present one) or consumer, at any time, also while the alliance is paused.
    function revoke(GrantId id, DatasetId dataset, address consumer) external;

    /// The consumer takes an undecided request back, also while the alliance is paused: terms with this id can no longer be granted.
    function withdraw(Terms calldata terms) external;

    /// Anchor a batch of receipts (a consumer's signed notes that it fetched and verified) under one RFC 6962 root;
    /// also while the alliance is paused.
    function receive_(bytes32 root, uint32 size, bytes32 list) external;

    /// Reverts, saying why, unless `who`, an active member, may use the version for `purposes` and `uses` at time `at`. The time is an argument
    /// because an idle chain's latest timestamp is old.
    function requireAllowed(Terms calldata terms, address who, uint8 uses, uint32 purposes, uint48 at) external view;

    function idOf(Terms calldata terms) external view returns (GrantId);

    function state(GrantId id) external view returns (State state_, uint48 since);
}
