// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ITrainings, TrainingId} from "../interfaces/ITrainings.sol";
import {RunningHash} from "./RunningHash.sol";

/// @title Phases: where each training stands, and how it moves on
/// @notice The ground of Trainings: it knows phases, deadlines and who is expected, and nothing of what is posted.
abstract contract Phases is ITrainings, RunningHash {
    /// Five slots. The first is all that a contribution reads and writes besides `posts`; the fourth holds what every sum asks for; the
    /// last what joining, closing and recovering do.
    struct Board {
        Phase phase;
        uint16 round;
        uint40 deadline;
        uint64 keyed;
        uint64 contributed;
        uint64 keyedNext;
        bytes32 posts;
        bytes32 transcript;
        uint64 revealed;
        uint64 barred;
        uint8 ring;
        uint8 size;
        uint8 minimum;
        uint8 threshold;
        uint8 spares;
        uint16 rounds;
        uint16 lost;
        uint32 phaseSeconds;
        uint8 seats;
        uint64 recovered;
        uint32 challengeSeconds;
        uint48 epsilon;
    }

    mapping(TrainingId id => Board) internal _boards;

    function lapse(TrainingId id) external {
        Board storage board = _boards[id];
        Phase phase = board.phase;
        if (phase < Phase.Joining || phase > Phase.Aggregating) _at(id, Phase.Aggregating);
        if (block.timestamp <= board.deadline) revert TooEarly(board.deadline);
        if (phase == Phase.Joining) {
            if (board.size < _need(board)) _void(id, board, Reason.TooFewJoined);
            else _toKeying(id, board);
        } else if (phase == Phase.Keying) {
            if (_tooFew(board, board.keyed)) _spare(id, board, Reason.TooFewKeys);
            else _toContributing(id, board);
        } else if (phase == Phase.Contributing) {
            if (_tooFew(board, board.contributed)) _spare(id, board, Reason.TooFewContributions);
            else _toRevealing(id, board);
        } else if (phase == Phase.Revealing) {
            if (_count(board.revealed) < board.threshold) _void(id, board, Reason.SilentAtReveal);
            else _enter(id, board, Phase.Recovering, board.revealed, board.phaseSeconds);
        } else if (phase == Phase.Recovering) {
            if (_count(board.recovered) < board.threshold) _void(id, board, Reason.SilentAtReveal);
            else _toAggregating(id, board);
        } else {
            _void(id, board, Reason.NoAggregate);
        }
    }

    function training(TrainingId id) external view returns (Training memory found) {
        Board storage board = _boards[id];
        if (board.phase == Phase.Unknown) revert UnknownTraining(id);
        (found.phase, found.round, found.deadline) = (board.phase, board.round, board.deadline);
        (found.ring, found.size, found.rounds) = (board.ring, board.size, board.rounds);
        (found.threshold, found.minimum) = (board.threshold, board.minimum);
        (found.keyed, found.contributed) = (board.keyed, board.contributed);
        (found.revealed, found.recovered) = (board.revealed, board.recovered);
        (found.barred, found.lost, found.spares) = (board.barred, board.lost, board.spares);
        (found.posts, found.transcript) = (board.posts, board.transcript);
    }

    function _toKeying(TrainingId id, Board storage board) internal {
        _enter(id, board, Phase.Keying, _everyone(board), board.phaseSeconds);
    }

    function _toContributing(TrainingId id, Board storage board) internal {
        _enter(id, board, Phase.Contributing, board.keyed, board.phaseSeconds);
    }

    function _toRevealing(TrainingId id, Board storage board) internal {
        _enter(id, board, Phase.Revealing, board.contributed, board.phaseSeconds);
    }

    function _toAggregating(TrainingId id, Board storage board) internal {
        board.revealed = 0; // here, where the slot is being written: the next round finds it clear
        if (board.phase == Phase.Recovering) board.recovered = 0;
        _enter(id, board, Phase.Aggregating, board.contributed, board.phaseSeconds);
    }

    /// After a sum: to the next round, or, where it was the last, to the challenge window.
    function _toNext(TrainingId id, Board storage board, bool ends) internal {
        if (ends) _enter(id, board, Phase.Challenging, board.contributed & ~board.barred, board.challengeSeconds);
        else _toNextRound(id, board);
    }

    function _toNextRound(TrainingId id, Board storage board) internal {
        uint64 keyed = board.keyedNext;
        (board.keyed, board.contributed, board.keyedNext) = (keyed, 0, 0);
        ++board.round;
        if (_tooFew(board, keyed)) _toKeying(id, board);
        else _toContributing(id, board);
    }

    /// The round has too few members: it is lost, or, without a spare, the training is void.
    function _spare(TrainingId id, Board storage board, Reason reason) private {
        if (board.spares == 0) return _void(id, board, reason);
        --board.spares;
        _lose(id, board, reason);
    }

    /// The round gives no sum. Its number is used up, so that nothing is masked twice under one; keys for the next one stand.
    function _lose(TrainingId id, Board storage board, Reason reason) internal {
        if (_tooFew(board, _everyone(board))) return _void(id, board, reason);
        _log(1, abi.encode(RoundLost.selector, id, reason, board.round, SEQ));
        ++board.lost;
        (board.revealed, board.recovered) = (0, 0);
        _toNextRound(id, board);
    }

    /// The training goes on without these members.
    function _bar(TrainingId id, Board storage board, uint64 positions) internal {
        board.barred |= positions;
        board.keyedNext &= ~positions;
        _log(1, abi.encode(Barred.selector, id, board.round, positions, SEQ));
    }

    function _void(TrainingId id, Board storage board, Reason reason) internal {
        board.phase = Phase.Void;
        _log(1, abi.encode(Voided.selector, id, reason, board.round, SEQ));
    }

    function _at(TrainingId id, Phase needed) internal view returns (Board storage board) {
        board = _boards[id];
        if (board.phase == Phase.Unknown) revert UnknownTraining(id);
        if (board.phase != needed) revert WrongPhase(board.phase, needed);
    }

    /// Who joined and is not barred.
    function _everyone(Board storage board) internal view returns (uint64) {
        return uint64((uint256(1) << board.size) - 1) & ~board.barred;
    }

    /// How many bits are set.
    function _count(uint64 bits) internal pure returns (uint256) {
        unchecked {
            bits -= (bits >> 1) & 0x5555555555555555;
            bits = (bits & 0x3333333333333333) + ((bits >> 2) & 0x3333333333333333);
            bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
            return (bits * 0x0101010101010101) >> 56;
        }
    }

    function _enter(TrainingId id, Board storage board, Phase phase, uint64 expected, uint32 seconds_) private {
        uint16 round = board.round;
        uint40 deadline = uint40(block.timestamp + seconds_);
        (board.phase, board.deadline) = (phase, deadline);
        _log(1, abi.encode(PhaseChanged.selector, id, phase, round, expected, deadline, SEQ));
    }

    function _need(Board storage board) private view returns (uint256) {
        return board.minimum > board.threshold ? board.minimum : board.threshold;
    }

    function _tooFew(Board storage board, uint64 posted) internal view returns (bool) {
        return _count(posted) < _need(board);
    }
}
