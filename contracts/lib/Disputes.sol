// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TrainingId} from "../interfaces/ITrainings.sol";
import {FraudProof} from "./FraudProof.sol";
import {Phases} from "./Phases.sol";

/// @title Disputes: members against members and against sums, and who may speak at all
/// @notice The middle of Trainings: withheld vectors, wrong sums, and what follows from them.
abstract contract Disputes is Phases {
    mapping(TrainingId id => mapping(address member => uint16)) public seat;
    mapping(bytes32 what => uint64 members) private _said;

    function accuse(TrainingId id, uint16 round, uint64 positions) external {
        (Board storage board,, uint64 bit) = _posting(id, Phase.Revealing, round);
        _free(id, board);
        uint64 allowed = board.contributed;
        if (positions == 0 || positions & ~allowed != 0) revert BadPositions(positions, allowed);
        _log(2, abi.encode(Accused.selector, id, msg.sender, round, positions, SEQ));
        uint64 culprits;
        for (uint256 at; at < 64; ++at) {
            uint64 one = uint64(1) << uint8(at);
            if (positions & one == 0) continue;
            if (_votes(board, keccak256(abi.encode(id, round, at)), bit) >= board.threshold) culprits |= one;
        }
        if (culprits == 0) return;
        _bar(id, board, culprits);
        _lose(id, board, Reason.Withheld);
    }

    function challenge(TrainingId id, Evidence calldata evidence, Vector calldata vector, bool last) external {
        Board storage board = _summing(id);
        uint16 seated = seat[id][msg.sender];
        bool within = seated != 0 && board.barred >> (seated - 1) & 1 == 0;
        if (!within) _outsiderInTime(board);
        FraudProof.requireWrong(evidence, board.transcript, board.ring, id);
        Sum calldata wrong = evidence.sums[0];
        _notBy(wrong.poster);
        _log(2, abi.encode(Challenged.selector, id, msg.sender, wrong.round, evidence.block, SEQ));
        if (!within) {
            _barPoster(id, board, wrong.poster);
            _void(id, board, Reason.WrongAggregate);
        } else {
            _requireVector(vector);
            _correct(id, board, evidence.before, wrong, evidence.sums.length - 1, vector, last);
        }
    }

    function overrule(TrainingId id, bytes32 before, Sum calldata newest, Vector calldata vector, bool last) external {
        Board storage board = _summing(id);
        (, uint64 bit) = _free(id, board);
        bytes32 transcript = keccak256(abi.encode(before, newest));
        if (transcript != board.transcript) revert BadHistory();
        _notBy(newest.poster);
        _requireVector(vector);
        bytes32 said = keccak256(abi.encode(vector, last));
        if (said == keccak256(abi.encode(newest.vector, board.phase == Phase.Challenging))) revert Honest();
        _log(2, abi.encode(Overruled.selector, id, msg.sender, newest.round, vector, last, SEQ));
        if (_votes(board, keccak256(abi.encode(id, transcript, said)), bit) < board.threshold) return;
        _correct(id, board, before, newest, 0, vector, last);
    }

    /// Who has no seat can but void a training, so the members come first: with the first half of the window, and all rounds before it.
    function _outsiderInTime(Board storage board) private view {
        if (board.phase != Phase.Challenging) revert NotJoined(msg.sender);
        uint40 from = board.deadline - board.challengeSeconds / 2;
        if (block.timestamp < from) revert TooEarly(from);
    }

    /// `vector` takes the place of a wrong sum; `later` sums after it are struck, and so is the round under way.
    function _correct(
        TrainingId id,
        Board storage board,
        bytes32 before,
        Sum calldata wrong,
        uint256 later,
        Vector calldata vector,
        bool last
    ) private {
        _barPoster(id, board, wrong.poster);
        board.lost += uint16(later) + (board.phase == Phase.Challenging ? 0 : 1);
        (board.revealed, board.recovered) = (0, 0);
        Sum memory sum = Sum(wrong.round, wrong.posts, wrong.keyed, wrong.survivors, vector, msg.sender);
        bytes32 transcript = keccak256(abi.encode(before, sum));
        board.transcript = transcript;
        bool ends = _ends(board, last);
        _log(2, abi.encode(Corrected.selector, id, msg.sender, wrong.round, vector, transcript, ends, SEQ));
        if (!ends && _tooFew(board, _everyone(board))) return _void(id, board, Reason.WrongAggregate);
        _toNext(id, board, ends);
    }

    function _barPoster(TrainingId id, Board storage board, address poster) private {
        uint16 seated = seat[id][poster];
        _bar(id, board, uint64(1) << (seated - 1));
    }

    /// How many members have now said so, without those who have been barred since.
    function _votes(Board storage board, bytes32 what, uint64 bit) private returns (uint256) {
        return _count((_said[what] |= bit) & ~board.barred);
    }

    /// Whether the sum that is being posted ends the training's rounds.
    function _ends(Board storage board, bool last) internal view returns (bool) {
        return last || board.round + 1 - board.lost == board.rounds;
    }

    /// A training whose sums can be disputed: from the first one posted until it is final.
    function _summing(TrainingId id) private view returns (Board storage board) {
        board = _boards[id];
        if (board.phase < Phase.Keying || board.phase > Phase.Challenging) _at(id, Phase.Challenging);
    }

    function _posting(TrainingId id, Phase needed, uint16 round)
        internal
        view
        returns (Board storage board, uint16 position, uint64 bit)
    {
        board = _at(id, needed);
        if (round != board.round) revert WrongRound(round, board.round);
        _inTime(board);
        (position, bit) = _seated(id);
    }

    function _inTime(Board storage board) internal view {
        if (block.timestamp > board.deadline) revert Late(board.deadline);
    }

    function _seated(TrainingId id) internal view returns (uint16 position, uint64 bit) {
        uint16 found = seat[id][msg.sender];
        if (found == 0) revert NotJoined(msg.sender);
        position = found - 1;
        bit = uint64(1) << position;
    }

    /// Seated, and not barred.
    function _free(TrainingId id, Board storage board) internal view returns (uint16 position, uint64 bit) {
        (position, bit) = _seated(id);
        if (board.barred & bit != 0) revert BarredFrom(id, msg.sender);
    }

    /// Nobody takes the place of its own sum: it would be barred and the poster at once.
    function _notBy(address poster) private view {
        if (poster == msg.sender) revert NotExpected(msg.sender);
    }

    function _requireVector(Vector calldata vector) internal pure {
        if (vector.root == 0 || vector.blob == 0 || vector.leaves == 0) revert BadVector();
    }
}
