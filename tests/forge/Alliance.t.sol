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
    function step(uint8 who, uint8 what, uint16 epsilon) external {
        ITrainings.Training memory now_ = trainings.training(id);
        if (now_.phase >= ITrainings.Phase.Final) return _open(epsilon);
        if (what % 16 == 0) vm.warp(block.timestamp + 400);
        vm.prank(address(uint160(who % 5) + 1));
        if (what % 16 == 0) trainings.lapse(id);
        else if (now_.phase == ITrainings.Phase.Joining) trainings.join(id, owned[who % 5], 1, 0);
        else if (now_.phase == ITrainings.Phase.Keying) trainings.postKeys(id, now_.round, _keys());
        else if (now_.phase == ITrainings.Phase.Contributing) trainings.contribute(id, now_.round, _vector(), _keys());
        else if (now_.phase == ITrainings.Phase.Revealing) trainings.reveal(id, now_.round, bytes32("b"));
        else if (now_.phase == ITrainings.Phase.Aggregating) trainings.aggregate(id, now_.round, _vector(), what > 200);
        else _finalize();
        ++steps;
    }

    function _finalize() private {
        vm.warp(block.timestamp + 1000);
        trainings.finalize(id, bytes32("model"));
    }

    function _open(uint48 epsilon) private {
        vm.prank(address(1));
        id = trainings.open(bytes32(++opened), ITrainings.Terms(bytes32("plan"), 64, 4, 3, 3, 3, 300, 300, 900, epsilon));
    }

    function _keys() private pure returns (ITrainings.Keys memory) {
        return ITrainings.Keys(X, 0, bytes32("s"), bytes32("b"));
    }

    function _vector() private pure returns (ITrainings.Vector memory) {
        return ITrainings.Vector(bytes32("r"), bytes32("b"), 1);
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
        check(seen.keyed >> seen.size == 0, "a position beyond the roster");
    }

    function invariant_a_sum_has_enough_survivors() external view {
        ITrainings.Training memory seen = _steps.trainings().training(_steps.id());
        if (seen.phase < ITrainings.Phase.Revealing || seen.phase > ITrainings.Phase.Final) return;
        uint256 survivors;
        for (uint64 bits = seen.contributed; bits != 0; bits &= bits - 1) ++survivors;
        check(survivors >= seen.minimum && survivors >= seen.threshold, "too few survivors");
    }

    function invariant_every_step_is_in_the_running_hash() external view {
        (, uint32 seq) = _steps.trainings().head();
        check(seq >= _steps.steps() + _steps.opened(), "an event is missing");
    }
}

contract MerkleTest is Harness {
    function included(bytes32 root, uint256 size, bytes calldata leaf, uint256 index, bytes32[] calldata path)
        external
        pure
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
