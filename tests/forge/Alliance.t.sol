// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Datasets} from "../../contracts/Datasets.sol";
import {Grants} from "../../contracts/Grants.sol";
import {Members} from "../../contracts/Members.sol";
import {Trainings} from "../../contracts/Trainings.sol";
import {DatasetId, IDatasets} from "../../contracts/interfaces/IDatasets.sol";
import {IMembers} from "../../contracts/interfaces/IMembers.sol";
import {ITrainings, TrainingId} from "../../contracts/interfaces/ITrainings.sol";
import {Merkle6962} from "../../contracts/lib/Merkle6962.sol";
import {Harness, Vm} from "./Harness.sol";

/// Random steps of five members through one training after another.
contract Steps {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint48 public constant BUDGET = 5000;
    // the generator's point: on the curve, and good for everybody here
    bytes32 private constant X = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798;

    Datasets public datasets;
    Trainings public trainings;
    DatasetId[5] public owned;
    TrainingId public id;
    uint256 public steps;
    uint256 public opened;
    uint256 public sums; // of the present training
    bool public spareCameBack;
    bytes32 private _before;
    ITrainings.Sum private _newest;

    constructor() {
        IMembers.Founder[] memory founders = new IMembers.Founder[](5);
        for (uint160 i; i < 5; ++i) founders[i] = IMembers.Founder(address(i + 1), 1, bytes32(uint256(i + 1)));
        Members members = new Members(founders);
        datasets = new Datasets(members);
        trainings = new Trainings(members, datasets, new Grants(members, datasets));
        for (uint160 i; i < 5; ++i) {
            vm.prank(address(i + 1));
            owned[i] = datasets.publish(0, IDatasets.Version(bytes32("m"), bytes32("e"), bytes32("p"), 3, BUDGET));
        }
        _open(1000);
    }

    /// Most steps go on with the present training; when it has ended another is opened.
    function step(uint256 seed) external {
        seed = uint256(keccak256(abi.encode(seed, steps, opened))); // forge draws the same small numbers again and again
        (uint8 who, uint8 what) = (uint8(seed), uint8(seed >> 8));
        ITrainings.Training memory now_ = trainings.training(id);
        if (now_.phase >= ITrainings.Phase.Final) return _open(uint16(seed >> 16) / 64);
        uint8 kind = what % 16;
        if (kind == 0) {
            vm.warp(block.timestamp + 400);
            trainings.lapse(id);
        } else if (kind < 7 && now_.phase == ITrainings.Phase.Revealing) {
            vm.prank(_member(who));
            trainings.accuse(id, now_.round, kind == 1 ? 3 : now_.contributed & (0 - now_.contributed));
        } else if (kind < 5 && sums != 0) {
            _overrule(who, what, now_.transcript);
        } else {
            _goOn(who, what, now_);
        }
        if (trainings.training(id).spares > now_.spares) spareCameBack = true;
        ++steps;
    }

    function _goOn(uint8 who, uint8 what, ITrainings.Training memory now_) private {
        if (now_.phase == ITrainings.Phase.Joining) {
            address newcomer = _missing(who, 0);
            vm.prank(newcomer);
            trainings.join(id, owned[uint160(newcomer) - 1], 1, 0);
        } else if (now_.phase == ITrainings.Phase.Keying) {
            vm.prank(_missing(who, now_.keyed));
            trainings.postKeys(id, now_.round, _keys());
        } else if (now_.phase == ITrainings.Phase.Contributing) {
            vm.prank(_missing(who, now_.contributed));
            trainings.contribute(id, now_.round, _vector("y"), _keys());
        } else if (now_.phase == ITrainings.Phase.Revealing) {
            vm.prank(_missing(who, now_.revealed));
            trainings.reveal(id, now_.round, bytes32("b"), _shares(now_.keyed & ~now_.contributed));
        } else if (now_.phase == ITrainings.Phase.Recovering) {
            vm.prank(_missing(who, now_.recovered));
            trainings.recover(id, now_.round, _shares(now_.contributed & ~now_.revealed));
        } else if (now_.phase == ITrainings.Phase.Aggregating) {
            _aggregate(_member(who), what > 200, now_);
        } else {
            vm.warp(block.timestamp + 1000);
            vm.prank(_member(who));
            trainings.finalize(id, bytes32("model"));
        }
    }

    function _aggregate(address poster, bool last, ITrainings.Training memory now_) private {
        vm.prank(poster);
        trainings.aggregate(id, now_.round, _vector("s"), last);
        _before = now_.transcript;
        _newest = ITrainings.Sum(now_.round, now_.posts, now_.keyed, now_.contributed, _vector("s"), poster);
        ++sums;
    }

    function _overrule(uint8 who, uint8 what, bytes32 transcript) private {
        ITrainings.Vector memory other = _vector(what < 240 ? bytes32("t") : bytes32("u"));
        address voter = _member(who);
        vm.prank(voter);
        trainings.overrule(id, _before, _newest, other, what > 200);
        if (trainings.training(id).transcript != transcript) (_newest.vector, _newest.poster) = (other, voter);
    }

    function _open(uint48 epsilon) private {
        sums = 0;
        vm.prank(address(1));
        id = trainings.open(bytes32(++opened), ITrainings.Terms(bytes32("plan"), 64, 5, 3, 3, 3, 2, 300, 300, 900, epsilon));
    }

    function _member(uint8 who) private pure returns (address) {
        return address(uint160(who % 5) + 1);
    }

    /// Somebody who has not posted (or joined) yet.
    function _missing(uint8 who, uint64 posted) private view returns (address found) {
        ITrainings.Phase phase = trainings.training(id).phase;
        for (uint8 i; i < 5; ++i) {
            found = _member(who / 2 + i);
            uint16 seat = trainings.seat(id, found);
            bool waited = phase == ITrainings.Phase.Joining ? seat == 0 : seat != 0 && posted >> (seat - 1) & 1 == 0;
            if (waited) return found;
        }
    }

    function _shares(uint64 dealers) private pure returns (bytes32[] memory shares) {
        uint256 count;
        for (; dealers != 0; dealers &= dealers - 1) ++count;
        shares = new bytes32[](count);
        if (count != 0) shares[0] = bytes32("share");
    }

    function _keys() private pure returns (ITrainings.Keys memory) {
        return ITrainings.Keys(X, 0, bytes32("s"), bytes32("b"));
    }

    function _vector(bytes32 root) private pure returns (ITrainings.Vector memory) {
        return ITrainings.Vector(root, bytes32("b"), 1);
    }
}

contract InvariantTest is Harness {
    Steps private _steps;

    function setUp() external {
        _steps = new Steps();
        target(address(_steps));
    }

    function invariant_no_budget_is_overspent() external view {
        for (uint256 i; i < 5; ++i) {
            check(_steps.trainings().spent(_steps.owned(i), 1) <= _steps.BUDGET(), "overspent");
        }
    }

    function invariant_who_contributed_had_keys_and_who_revealed_had_contributed() external view {
        ITrainings.Training memory seen = _steps.trainings().training(_steps.id());
        check(seen.contributed & ~seen.keyed == 0, "contributed without keys");
        check(seen.revealed & ~seen.contributed == 0, "revealed without a contribution");
        check(seen.recovered & ~seen.revealed == 0, "recovered without a seed");
        check(seen.keyed >> seen.size == 0, "a position beyond the roster");
    }

    function invariant_a_sum_has_enough_survivors() external view {
        ITrainings.Training memory seen = _steps.trainings().training(_steps.id());
        if (seen.phase < ITrainings.Phase.Contributing || seen.phase > ITrainings.Phase.Aggregating) return;
        bool fixed_ = seen.phase > ITrainings.Phase.Contributing;
        uint256 members;
        for (uint64 bits = fixed_ ? seen.contributed : seen.keyed; bits != 0; bits &= bits - 1) ++members;
        check(members >= seen.minimum && members >= seen.threshold, "too few for a round");
    }

    /// Whoever is barred while a round goes on ends it: no later phase waits for such a member.
    function invariant_the_barred_are_never_expected() external view {
        ITrainings.Training memory seen = _steps.trainings().training(_steps.id());
        if (seen.phase > ITrainings.Phase.Aggregating) return;
        check((seen.keyed | seen.contributed | seen.revealed | seen.recovered) & seen.barred == 0, "a barred member");
    }

    function invariant_each_round_gave_a_sum_or_is_lost() external view {
        ITrainings.Training memory seen = _steps.trainings().training(_steps.id());
        if (seen.phase == ITrainings.Phase.Void) return;
        bool over = seen.phase > ITrainings.Phase.Aggregating;
        check(_steps.sums() + seen.lost == seen.round + (over ? 1 : 0), "rounds without account");
        check(_steps.sums() <= seen.rounds, "more sums than the terms allow");
    }

    function invariant_spares_are_never_given_back() external view {
        check(!_steps.spareCameBack(), "a spare came back");
    }

    function invariant_every_step_is_in_the_running_hash() external view {
        (, uint32 seq) = _steps.trainings().head();
        check(seq >= _steps.steps() + _steps.opened(), "an event is missing");
    }
}

contract MerkleTest is Harness {
    function included(bytes32 root, uint256 size, bytes calldata leaf, uint256 index, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return Merkle6962.included(root, size, leaf, index, path);
    }

    /// A proof that holds for one place holds for no other.
    function testFuzz_a_proof_names_one_place(bytes32[8] calldata siblings, uint8 index, uint8 other, bytes calldata leaf)
        external
        view
    {
        bytes32[] memory path = new bytes32[](8);
        bytes32 hash = sha256(abi.encodePacked(bytes1(0), leaf));
        for (uint256 i; i < 8; ++i) {
            path[i] = siblings[i];
            bool right = (index >> i) & 1 == 1;
            hash = sha256(
                right ? abi.encodePacked(bytes1(0x01), path[i], hash) : abi.encodePacked(bytes1(0x01), hash, path[i])
            );
        }
        check(this.included(hash, 256, leaf, index, path), "the true place");
        check(index == other || !this.included(hash, 256, leaf, other, path), "another place");
    }
}
