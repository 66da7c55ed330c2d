// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IMembers} from "./interfaces/IMembers.sol";
import {Domain} from "./lib/Domain.sol";
import {RunningHash} from "./lib/RunningHash.sol";
import {Signatures} from "./lib/Signatures.sol";

contract Members is IMembers, Domain("Hanse Members"), RunningHash {
    /// A pause is written to every seat, so that the question asked with each transaction of the alliance, `requireActive`, reads
    /// one slot. `before` chains the accounts ever admitted for that. Times fit 32 bits until 2106.
    struct Seat {
        uint16 index;
        State state;
        uint8 roles;
        uint32 since;
        uint32 pausedUntil;
        address before;
        bytes32 card;
    }

    uint48 public constant MAX_PAUSE = 7 days;

    uint8 private constant MEMBER = 1;
    uint8 private constant ALL_ROLES = 7;

    bytes32 private constant ADMIT =
        keccak256("Admit(address account,uint8 roles,bytes32 card,uint64 epoch,uint48 until)");
    bytes32 private constant SET_STATE = keccak256("SetState(address account,uint8 state,uint64 epoch,uint48 until)");
    bytes32 private constant ROTATE = keccak256("Rotate(address from,address to,uint64 epoch,uint48 until)");
    bytes32 private constant PAUSE = keccak256("Pause(uint48 pausedUntil,uint64 epoch,uint48 until)");

    uint32 private _epoch;
    uint32 private _pausedUntil;
    uint16 public count;
    uint16 private _lastIndex;
    address private _lastAccount;
    mapping(address account => Seat) private _seats;
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
        Seat storage changed = _known(account);
        State before = changed.state;
        if (state == State.Unknown || state == before || before == State.Expelled) revert BadState(before, state);
        if (changed.roles & MEMBER != 0) {
            if (before == State.Active) --count;
            if (state == State.Active) ++count;
        }
        changed.state = state;
        _log(1, abi.encode(StateChanged.selector, account, state, _epoch, SEQ));
    }

    function rotate(address from, address to, Consents calldata consents) external {
        _decide(keccak256(abi.encode(ROTATE, from, to, consents.epoch, consents.until)), consents, quorum());
        Seat storage old = _known(from);
        if (old.state == State.Expelled) revert BadState(State.Expelled, State.Active);
        _requireNew(to);
        _seats[to] = old;
        _seats[to].before = _lastAccount;
        _lastAccount = to;
        old.state = State.Expelled;
        _log(2, abi.encode(AccountRotated.selector, from, to, old.index, _epoch, SEQ));
    }

    function setCard(bytes32 card) external {
        _active(msg.sender).card = card;
        _log(1, abi.encode(CardChanged.selector, msg.sender, card, SEQ));
    }

    function pause(uint48 until, Consents calldata consents) external {
        if (until > block.timestamp + MAX_PAUSE) revert TooLong(until, block.timestamp + MAX_PAUSE);
        // a third may lengthen a pause; only a quorum may shorten one
        bool lengthens = until > block.timestamp && until >= _pausedUntil;
        bytes32 structHash = keccak256(abi.encode(PAUSE, until, consents.epoch, consents.until));
        _decide(structHash, consents, lengthens ? count / 3 + 1 : quorum());
        _pausedUntil = uint32(until);
        for (address account = _lastAccount; account != address(0); account = _seats[account].before) {
            _seats[account].pausedUntil = uint32(until);
        }
        _log(0, abi.encode(PauseSet.selector, until, _epoch, SEQ));
    }

    function approve(bytes32 digest) external {
        _active(msg.sender);
        _approved[msg.sender][digest] = true;
        _log(2, abi.encode(Approved.selector, msg.sender, digest, SEQ));
    }

    function requireQuorum(bytes32 structHash, Consents calldata consents) external view {
        _requireConsents(structHash, consents, quorum());
    }

    function requireActive(address account) external view {
        uint32 until = _active(account).pausedUntil;
        if (block.timestamp < until) revert Paused(until);
    }

    function member(address account) external view returns (Member memory) {
        Seat storage found = _seats[account];
        return Member(found.index, found.state, found.roles, found.since, found.card);
    }

    function epoch() external view returns (uint64) {
        return _epoch;
    }

    function pausedUntil() external view returns (uint48) {
        return _pausedUntil;
    }

    function quorum() public view returns (uint256) {
        return uint256(count) * 2 / 3 + 1;
    }

    function _add(address account, uint8 roles, bytes32 card) private {
        if (roles == 0 || roles > ALL_ROLES) revert BadRoles(roles);
        _requireNew(account);
        uint16 index = ++_lastIndex;
        if (roles & MEMBER != 0) ++count;
        _seats[account] =
            Seat(index, State.Active, roles, uint32(block.timestamp), _pausedUntil, _lastAccount, card);
        _lastAccount = account;
        _log(1, abi.encode(Admitted.selector, account, index, roles, card, _epoch, SEQ));
    }

    function _decide(bytes32 structHash, Consents calldata consents, uint256 need) private {
        _requireConsents(structHash, consents, need);
        ++_epoch;
    }

    function _requireConsents(bytes32 structHash, Consents calldata consents, uint256 need) private view {
        if (block.timestamp > consents.until) revert Expired(consents.until);
        if (consents.epoch != _epoch) revert StaleEpoch(consents.epoch, _epoch);
        uint256 have = consents.signers.length;
        if (have < need) revert NotEnough(have, need);
        if (consents.signatures.length != have) revert NotEnough(consents.signatures.length, have);
        bytes32 digest = _typed(structHash);
        address last = address(0);
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

    function _active(address account) private view returns (Seat storage found) {
        found = _seats[account];
        (State state, uint8 roles) = (found.state, found.roles);
        if (state != State.Active || roles & MEMBER == 0) revert NotMember(account);
    }

    function _known(address account) private view returns (Seat storage found) {
        found = _seats[account];
        if (found.state == State.Unknown) revert NotMember(account);
    }

    function _requireNew(address account) private view {
        if (account == address(0)) revert NotMember(account);
        if (_seats[account].state != State.Unknown) revert AlreadyMember(account);
    }
}
