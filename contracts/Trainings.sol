// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DatasetId, IDatasets} from "./interfaces/IDatasets.sol";
import {IGrants} from "./interfaces/IGrants.sol";
import {IMembers} from "./interfaces/IMembers.sol";
import {ITrainings, TrainingId} from "./interfaces/ITrainings.sol";
import {Disputes} from "./lib/Disputes.sol";

contract Trainings is Disputes {
    uint8 private constant MAY_TRAIN = 2;

    IMembers public immutable members;
    IDatasets public immutable datasets;
    IGrants public immutable grants;

    mapping(DatasetId dataset => mapping(uint32 version => uint48)) public spent;

    constructor(IMembers members_, IDatasets datasets_, IGrants grants_) {
        (members, datasets, grants) = (members_, datasets_, grants_);
    }

    function open(bytes32 salt, Terms calldata terms) external returns (TrainingId id) {
        members.requireActive(msg.sender);
        _requireTerms(terms);
        id = TrainingId.wrap(keccak256(abi.encode(block.chainid, address(this), msg.sender, salt)));
        Board storage board = _boards[id];
        if (board.phase != Phase.Unknown) revert Exists(id);
        uint48 joinUntil = uint48(block.timestamp) + terms.joinSeconds;
        (board.phase, board.deadline) = (Phase.Joining, uint40(joinUntil));
        board.transcript = keccak256(abi.encode(terms));
        board.ring = terms.ring;
        board.seats = uint8(terms.seats);
        board.minimum = uint8(terms.minimum);
        board.threshold = uint8(terms.threshold);
        board.rounds = terms.rounds;
        board.spares = terms.spares;
        board.phaseSeconds = terms.phaseSeconds;
        board.challengeSeconds = terms.challengeSeconds;
        board.epsilon = terms.epsilon;
        _log(2, abi.encode(Opened.selector, id, msg.sender, terms, joinUntil, SEQ));
    }

    function join(TrainingId id, DatasetId dataset, uint32 version, bytes32 hpke) external {
        members.requireActive(msg.sender);
        Board storage board = _at(id, Phase.Joining);
        _inTime(board);
        if (seat[id][msg.sender] != 0) revert AlreadyIn(msg.sender);
        _spend(dataset, version, board.epsilon);
        uint8 position = board.size++;
        seat[id][msg.sender] = position + 1;
        _log(3, abi.encode(Joined.selector, id, msg.sender, dataset, version, position, hpke, SEQ));
        if (board.size == board.seats) _toKeying(id, board);
    }

    function postKeys(TrainingId id, uint16 round, Keys calldata keys) external {
        Board storage board = _boards[id];
        bool now_ = board.phase == Phase.Keying;
        if (!now_ && (board.phase < Phase.Contributing || board.phase > Phase.Aggregating)) _at(id, Phase.Keying);
        uint16 current = now_ ? board.round : board.round + 1;
        if (round != current) revert WrongRound(round, current);
        if (now_) _inTime(board);
        (uint16 position, uint64 bit) = _free(id, board);
        if ((now_ ? board.keyed : board.keyedNext) & bit != 0) revert AlreadyIn(msg.sender);
        _requireKeys(keys);
        if (now_) board.keyed |= bit;
        else board.keyedNext |= bit;
        board.posts = keccak256(abi.encode(board.posts, msg.sender, position, round, Vector(0, 0, 0), keys));
        _log(2, abi.encode(Keyed.selector, id, msg.sender, round, position, keys, SEQ));
        if (now_ && board.keyed == _everyone(board)) _toContributing(id, board);
    }

    function contribute(TrainingId id, uint16 round, Vector calldata vector, Keys calldata next) external {
        (Board storage board, uint16 position, uint64 bit) = _posting(id, Phase.Contributing, round);
        if (board.keyed & bit == 0) revert NotExpected(msg.sender);
        if (board.contributed & bit != 0) revert AlreadyIn(msg.sender);
        _requireVector(vector);
        if (!_isEmpty(next)) {
            _requireKeys(next);
            if (board.keyedNext & bit != 0) revert AlreadyIn(msg.sender);
            board.keyedNext |= bit;
        }
        board.contributed |= bit;
        board.posts = keccak256(abi.encode(board.posts, msg.sender, position, round, vector, next));
        _log(2, abi.encode(Contributed.selector, id, msg.sender, round, position, vector, next, SEQ));
        if (board.contributed == board.keyed) _toRevealing(id, board);
    }

    function reveal(TrainingId id, uint16 round, bytes32 seed, bytes32[] calldata shares) external {
        (Board storage board, uint16 position, uint64 bit) = _posting(id, Phase.Revealing, round);
        if (board.contributed & bit == 0) revert NotExpected(msg.sender);
        if (board.revealed & bit != 0) revert AlreadyIn(msg.sender);
        board.revealed |= bit;
        _log(2, abi.encode(Revealed.selector, id, msg.sender, round, position, seed, SEQ));
        _openShares(id, round, board.keyed & ~board.contributed, shares);
        if (board.revealed == board.contributed) _toAggregating(id, board);
    }

    function recover(TrainingId id, uint16 round, bytes32[] calldata shares) external {
        (Board storage board, uint16 position, uint64 bit) = _posting(id, Phase.Recovering, round);
        if (board.revealed & bit == 0) revert NotExpected(msg.sender);
        if (board.recovered & bit != 0) revert AlreadyIn(msg.sender);
        board.recovered |= bit;
        _log(2, abi.encode(Recovered.selector, id, msg.sender, round, position, SEQ));
        _openShares(id, round, board.contributed & ~board.revealed, shares);
        if (board.recovered == board.revealed) _toAggregating(id, board);
    }

    function aggregate(TrainingId id, uint16 round, Vector calldata vector, bool last) external {
        (Board storage board,,) = _posting(id, Phase.Aggregating, round);
        _free(id, board);
        _requireVector(vector);
        uint64 survivors = board.contributed;
        bool ends = _ends(board, last);
        Sum memory sum = Sum(round, board.posts, board.keyed, survivors, vector, msg.sender);
        bytes32 transcript = keccak256(abi.encode(board.transcript, sum));
        board.transcript = transcript;
        _log(2, abi.encode(Aggregated.selector, id, msg.sender, round, vector, survivors, transcript, ends, SEQ));
        _toNext(id, board, ends);
    }

    function finalize(TrainingId id, bytes32 model) external {
        Board storage board = _at(id, Phase.Challenging);
        _seated(id);
        if (block.timestamp <= board.deadline) revert TooEarly(board.deadline);
        board.phase = Phase.Final;
        _log(2, abi.encode(Finalized.selector, id, msg.sender, model, SEQ));
    }

    function attest(TrainingId id, bytes32 model) external {
        _at(id, Phase.Final);
        _seated(id);
        _log(2, abi.encode(Attested.selector, id, msg.sender, model, SEQ));
    }

    function _spend(DatasetId dataset, uint32 version, uint48 epsilon) private {
        IDatasets.Dataset memory own = datasets.dataset(dataset);
        bool trainable = own.state == IDatasets.State.Active && own.owner == msg.sender && own.version == version
            && own.uses & MAY_TRAIN != 0;
        if (!trainable) revert NotTrainable(dataset);
        if (epsilon == 0) return;
        uint48 left = own.budget - spent[dataset][version];
        if (epsilon > left) revert BudgetSpent(left, epsilon);
        spent[dataset][version] += epsilon;
    }

    /// One event for each share that the holder has: `dealers` (a bit set) by ascending position.
    function _openShares(TrainingId id, uint16 round, uint64 dealers, bytes32[] calldata shares) private {
        uint256 need = _count(dealers);
        if (shares.length != need) revert BadCount(shares.length, need);
        uint256 at;
        for (uint16 dealer; at < need; ++dealer) {
            if (dealers >> dealer & 1 == 0) continue;
            bytes32 share = shares[at++];
            if (share != 0) _log(2, abi.encode(ShareOpened.selector, id, msg.sender, round, dealer, share, SEQ));
        }
    }

    function _requireTerms(Terms calldata terms) private pure {
        if (terms.plan == 0) revert BadTerms(0);
        if (terms.ring != 32 && terms.ring != 64) revert BadTerms(1);
        if (terms.seats < 3 || terms.seats > 64) revert BadTerms(2);
        if (terms.minimum < 3 || terms.minimum > terms.seats) revert BadTerms(3);
        if (terms.threshold > terms.seats || terms.threshold * 2 <= terms.seats) revert BadTerms(4);
        if (terms.rounds == 0) revert BadTerms(5);
        if (terms.joinSeconds == 0) revert BadTerms(6);
        if (terms.phaseSeconds == 0) revert BadTerms(7);
        if (terms.challengeSeconds == 0) revert BadTerms(8);
    }

    function _isEmpty(Keys calldata keys) private pure returns (bool) {
        return keys.x == 0 && keys.parity == 0 && keys.seed == 0 && keys.shares == 0;
    }

    /// A point off the curve would stop the round for everybody; ecrecover answers zero for one.
    function _requireKeys(Keys calldata keys) private pure {
        bool onCurve = keys.parity < 2 && ecrecover(0, 27 + keys.parity, keys.x, bytes32(uint256(1))) != address(0);
        if (!onCurve || keys.seed == 0 || keys.shares == 0) revert BadKeys();
    }
}
