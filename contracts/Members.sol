// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IMembers} from "./interfaces/IMembers.sol";
import {Domain} from "./lib/Domain.sol";
import {RunningHash} from "./lib/RunningHash.sol";
import {Signatures} from "./lib/Signatures.sol";

contract Members is IMembers, Domain("Hanse Members"), RunningHash {
    uint48 public constant MAX_PAUSE = 7 days;

    uint8 private constant MEMBER = 1;
    uint8 private constant ALL_ROLES = 7;

    bytes32 private constant ADMIT =
        keccak256("Admit(address account,uint8 roles,bytes32 card,uint64 epoch,uint48 until)");
    bytes32 private constant SET_STATE = keccak256("SetState(address account,uint8 state,uint64 epoch,uint48 until)");
    bytes32 private constant ROTATE = keccak256("Rotate(address from,address to,uint64 epoch,uint48 until)");
    bytes32 private constant PAUSE = keccak256("Pause(uint48 pausedUntil,uint64 epoch,uint48 until)");

    uint64 public epoch;
    uint48 public pausedUntil;
    uint16 public count;
    uint16 private _lastIndex;
    mapping(address account => Member) private _members;
    mapping(address account => mapping(bytes32 digest => bool)) private _approved;

    constructor(Founder[] memory founders) {
        for (uint256 i; i < founders.length; ++i) {
            _add(founders[i].account, founders[i].roles, founders[i].card);
        }
        if (count == 0) revert NotEnough(0, 1);
    }

    function admit(address account, uint8 roles, bytes32 card, Consents calldata consents) external {
        bytes32 structHash = keccak256(abi.encode(ADMIT, account, roles, card, consents.epoch, consents.until));
        _decide(structHash, consents, quorum());
        _add(account, roles, card);
    }

    function setState(address account, State state, Consents calldata consents) external {
        _decide(keccak256(abi.encode(SET_STATE, account, state, consents.epoch, consents.until)), consents, quorum());
        Member storage changed = _known(account);
        State before = changed.state;
        if (state == State.Unknown || state == before || before == State.Expelled) revert BadState(before, state);
        if (changed.roles & MEMBER != 0) {
            if (before == State.Active) --count;
            if (state == State.Active) ++count;
        }
        changed.state = state;
        _log(1, abi.encode(StateChanged.selector, account, state, epoch, SEQ));
    }

    function rotate(address from, address to, Consents calldata consents) external {
        _decide(keccak256(abi.encode(ROTATE, from, to, consents.epoch, consents.until)), consents, quorum());
        Member storage old = _known(from);
        if (old.state == State.Expelled) revert BadState(State.Expelled, State.Active);
        _requireNew(to);
        _members[to] = old;
        old.state = State.Expelled;
        uint16 index = old.index;
        _log(2, abi.encode(AccountRotated.selector, from, to, index, epoch, SEQ));
    }

    function setCard(bytes32 card) external {
        _active(msg.sender).card = card;
        _log(1, abi.encode(CardChanged.selector, msg.sender, card, SEQ));
    }

    function pause(uint48 until, Consents calldata consents) external {
        if (until > block.timestamp + MAX_PAUSE) revert TooLong(until, block.timestamp + MAX_PAUSE);
        // a third may lengthen a pause; only a quorum may shorten one
        bool lengthens = until > block.timestamp && until >= pausedUntil;
        bytes32 structHash = keccak256(abi.encode(PAUSE, until, consents.epoch, consents.until));
        _decide(structHash, consents, lengthens ? count / 3 + 1 : quorum());
        pausedUntil = until;
        _log(0, abi.encode(PauseSet.selector, until, epoch, SEQ));
    }

    function approve(bytes32 digest) external {
        _active(msg.sender);
        _approved[msg.sender][digest] = true;
        _log(2, abi.encode(Approved.selector, msg.sender, digest, SEQ));
    }

    function requireQuorum(bytes32 structHash, Consents calldata consents) external view {
        _requireConsents(structHash, consents, quorum());
    }

    function requireActive(address account) external view returns (uint16 index) {
        if (block.timestamp < pausedUntil) revert Paused(pausedUntil);
        return _active(account).index;
    }

    function member(address account) external view returns (Member memory) {
        return _members[account];
    }

    function quorum() public view returns (uint256) {
        return uint256(count) * 2 / 3 + 1;
    }

    function _add(address account, uint8 roles, bytes32 card) private {
        if (roles == 0 || roles > ALL_ROLES) revert BadRoles(roles);
        _requireNew(account);
        uint16 index = ++_lastIndex;
        if (roles & MEMBER != 0) ++count;
        _members[account] = Member(index, State.Active, roles, uint48(block.timestamp), card);
        _log(1, abi.encode(Admitted.selector, account, index, roles, card, epoch, SEQ));
    }

    function _decide(bytes32 structHash, Consents calldata consents, uint256 need) private {
        _requireConsents(structHash, consents, need);
        ++epoch;
    }

    function _requireConsents(bytes32 structHash, Consents calldata consents, uint256 need) private view {
        if (block.timestamp > consents.until) revert Expired(consents.until);
        if (consents.epoch != epoch) revert StaleEpoch(consents.epoch, epoch);
        uint256 have = consents.signers.length;
        if (have < need) revert NotEnough(have, need);
        if (consents.signatures.length != have) revert NotEnough(consents.signatures.length, have);
        bytes32 digest = _typed(structHash);
        address last;
        for (uint256 i; i < have; ++i) {
            address signer = consents.signers[i];
            if (signer <= last) revert Unsorted(i);
            _active(signer);
            if (!_consents(signer, digest, consents.signatures[i])) revert BadSignature(signer);
            last = signer;
        }
    }

    function _consents(address signer, bytes32 digest, bytes calldata signature) private view returns (bool) {
        if (signature.length == 0) return _approved[signer][digest];
        return Signatures.isValid(signer, digest, signature);
    }

    function _active(address account) private view returns (Member storage found) {
        found = _members[account];
        if (found.state != State.Active || found.roles & MEMBER == 0) revert NotMember(account);
    }

    function _known(address account) private view returns (Member storage found) {
        found = _members[account];
        if (found.state == State.Unknown) revert NotMember(account);
    }

    function _requireNew(address account) private view {
        if (account == address(0)) revert NotMember(account);
        if (_members[account].state != State.Unknown) revert AlreadyMember(account);
    }
}
