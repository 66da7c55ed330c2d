// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IRunningHash} from "./IRunningHash.sol";

/// @title Members: who belongs, in which role, and how the alliance decides
/// @notice One member, one consent. A decision is a quorum (two thirds, rounded down, plus one) of consents over the same
/// EIP-712 struct, collected off chain and brought in one transaction by anybody. A consent is a signature of the member's
/// account (ECDSA, or EIP-1271 for a contract wallet), or an empty one where the member has called `approve` before.
/// Every struct carries the epoch, which rises with each decision, so old consents die, and a deadline. Events carry the epoch
/// that the decision began; the founders share epoch 0.
/// The contract knows no other contract of the alliance.
interface IMembers is IRunningHash {
    /// `index` counts from 1 in order of admission and is never reused. `card` is the SHA-256 digest of the member's public
    /// card (name, endpoints, HPKE key), a raw block in the store.
    struct Member {
        uint16 index;
        State state;
        uint8 roles;
        uint48 since;
        bytes32 card;
    }

    struct Founder {
        address account;
        uint8 roles;
        bytes32 card;
    }

    /// Signers strictly ascending; `signatures[i]` belongs to `signers[i]` and is empty where that signer approved on chain.
    /// `epoch` and `until` are those that were signed.
    struct Consents {
        uint64 epoch;
        uint48 until;
        address[] signers;
        bytes[] signatures;
    }

    enum State {
        Unknown,
        Active,
        Suspended,
        Expelled
    }

    event Admitted(address indexed account, uint16 index, uint8 roles, bytes32 card, uint64 epoch, uint32 seq);
    event StateChanged(address indexed account, State state, uint64 epoch, uint32 seq);
    event AccountRotated(address indexed from, address indexed to, uint16 index, uint64 epoch, uint32 seq);
    event CardChanged(address indexed account, bytes32 card, uint32 seq);
    event Approved(address indexed account, bytes32 indexed digest, uint32 seq);
    event PauseSet(uint48 until, uint64 epoch, uint32 seq);

    error NotMember(address who);
    error AlreadyMember(address who);
    error BadRoles(uint8 roles);
    error NotEnough(uint256 have, uint256 need);
    error Unsorted(uint256 at);
    error BadSignature(address signer);
    error StaleEpoch(uint64 given, uint64 now_);
    error Expired(uint48 until);
    error Paused(uint48 until);
    error TooLong(uint256 given, uint256 most);
    error BadState(State from, State to);

    /// Admit `account`. Struct: Admit(address account,uint8 roles,bytes32 card,uint64 epoch,uint48 until)
    function admit(address account, uint8 roles, bytes32 card, Consents calldata consents) external;

    /// Suspend, reinstate or expel; an expelled account stays so. Struct: SetState(address account,uint8 state,uint64 epoch,uint48 until)
    function setState(address account, State state, Consents calldata consents) external;

    /// Move a member to another account (lost or stolen key). The old account counts as expelled and keeps the index, by which
    /// its successor is known. Struct: Rotate(address from,address to,uint64 epoch,uint48 until)
    function rotate(address from, address to, Consents calldata consents) external;

    /// The member's own new card.
    function setCard(bytes32 card) external;

    /// Stop all admissions of new facts until `until`, at most MAX_PAUSE from now; ends by itself. A third plus one suffices to
    /// pause or to lengthen a pause, only a quorum shortens or ends one (`until` in the past). Decisions go on.
    /// Struct: Pause(uint48 pausedUntil,uint64 epoch,uint48 until), where `pausedUntil` is this `until`.
    function pause(uint48 until, Consents calldata consents) external;

    /// Consent on chain to the EIP-712 digest of a decision, for accounts that cannot sign typed data.
    function approve(bytes32 digest) external;

    /// Reverts unless a quorum of active members consents to `structHash` under this contract's EIP-712 domain. The struct must
    /// hold the epoch and the deadline that `consents` names.
    function requireQuorum(bytes32 structHash, Consents calldata consents) external view;

    /// Reverts NotMember unless `account` is an active member with the member role; Paused while the alliance is.
    function requireActive(address account) external view;

    function member(address account) external view returns (Member memory);

    function count() external view returns (uint16 active);

    function quorum() external view returns (uint256);

    function epoch() external view returns (uint64);

    function pausedUntil() external view returns (uint48);
}
