// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DatasetId} from "./IDatasets.sol";
import {IRunningHash} from "./IRunningHash.sol";

/// A training's id: keccak256(abi.encode(chain id, Trainings, opener, salt)).
type TrainingId is bytes32;

/// @title Trainings: the bulletin board of the verifiable secure sum
/// @notice The contract fixes the roster, the keys, the survivors and the deadlines of every round, so that nobody can be told
/// two stories. Vectors stay in the store: `root` is the RFC 6962 root (SHA-256, leaves of 256 bytes) of a vector, `blob` the
/// digest inside its CID (a raw block up to 1 MiB, else dag-pb), `leaves` the tree size.
///
/// Phases: Joining -> Keying -> [ Contributing -> Revealing -> Aggregating ] per round -> Challenging -> Final, or Void from any.
/// A phase ends as soon as everyone expected has posted; past its deadline anybody may call `lapse`. Aggregating leads back to Keying
/// where fewer than max(minimum, threshold) have posted keys for the next round. PhaseChanged names the members expected to post.
///
/// `posts` rolls over all keys and vectors in order: keccak256(abi.encode(posts, member, position, round, vector, next)) for
/// a contribution, keccak256(abi.encode(posts, member, position, round, keys)) for keys posted alone. `transcript` starts as
/// keccak256(abi.encode(terms)); each sum makes it keccak256(abi.encode(transcript, round, posts, survivors, vector, poster)).
interface ITrainings is IRunningHash {
    enum Phase {
        Unknown,
        Joining,
        Keying,
        Contributing,
        Revealing,
        Aggregating,
        Challenging,
        Final,
        Void
    }

    enum Reason {
        None,
        TooFewJoined,
        TooFewKeys,
        TooFewContributions,
        SilentAtReveal,
        NoAggregate,
        WrongAggregate,
        NotFinalized
    }

    /// `plan`: digest of the public plan. `ring`: 32 or 64. `seats`: the roster closes when that many have joined, 3 to 64.
    /// `minimum`: fewest survivors of a round, at least 3. `threshold`: shares that recover a secret, more than half of the seats.
    /// Durations in seconds. `epsilon`: thousandths spent by each joining version, 0 for a plan without noise.
    struct Terms {
        bytes32 plan;
        uint8 ring;
        uint16 seats;
        uint16 minimum;
        uint16 threshold;
        uint16 rounds;
        uint32 joinSeconds;
        uint32 phaseSeconds;
        uint32 challengeSeconds;
        uint48 epsilon;
    }

    /// One member's keys for one round: the compressed secp256k1 point P (x and parity 0 or 1), SHA-256 of the seed b, and the
    /// digest of the share bundle in the store.
    struct Keys {
        bytes32 x;
        uint8 parity;
        bytes32 seed;
        bytes32 shares;
    }

    struct Vector {
        bytes32 root;
        bytes32 blob;
        uint32 leaves;
    }

    /// `keyed`, `contributed`, `revealed`: bit sets of positions for the current round; `revealed` counts while Revealing and is
    /// cleared when all have.
    struct Training {
        Phase phase;
        uint8 ring;
        uint16 size;
        uint16 threshold;
        uint16 minimum;
        uint16 rounds;
        uint16 round;
        uint48 deadline;
        uint64 keyed;
        uint64 contributed;
        uint64 revealed;
        bytes32 posts;
        bytes32 transcript;
    }

    event Opened(TrainingId indexed id, address indexed opener, Terms terms, uint48 joinUntil, uint32 seq);
    event Joined(
        TrainingId indexed id, address indexed member, DatasetId indexed dataset, uint32 version, uint16 position, bytes32 hpke, uint32 seq
    );
    event Keyed(TrainingId indexed id, address indexed member, uint16 round, uint16 position, Keys keys, uint32 seq);
    event Contributed(
        TrainingId indexed id, address indexed member, uint16 round, uint16 position, Vector vector, Keys next, uint32 seq
    );
    event Revealed(TrainingId indexed id, address indexed member, uint16 round, uint16 position, bytes32 seed, uint32 seq);
    event Aggregated(
        TrainingId indexed id, address indexed poster, uint16 round, Vector vector, uint64 survivors, bytes32 transcript, bool last, uint32 seq
    );
    event PhaseChanged(TrainingId indexed id, Phase phase, uint16 round, uint64 members, uint48 deadline, uint32 seq);
    event Voided(TrainingId indexed id, Reason reason, uint16 round, uint32 seq);
    event Finalized(TrainingId indexed id, address indexed by, bytes32 model, uint32 seq);
    event Attested(TrainingId indexed id, address indexed member, bytes32 model, uint32 seq);

    error BadTerms(uint256 which);
    error Exists(TrainingId id);
    error UnknownTraining(TrainingId id);
    error NotJoined(address who);
    error AlreadyIn(address who);
    error WrongPhase(Phase given, Phase needed);
    error WrongRound(uint16 given, uint16 current);
    error Late(uint48 deadline);
    error TooEarly(uint48 until);
    error NotExpected(address who);
    error NotTrainable(DatasetId dataset);
    error BudgetSpent(uint48 left, uint48 asked);
    error BadKeys();
    error BadVector();

    function open(bytes32 salt, Terms calldata terms) external returns (TrainingId id);

    /// Join with a version of one's own (or, later, one granted for training): spends `epsilon` of its budget. `hpke` is the
    /// digest of the member's public key for share bundles, a raw block in the store, fresh for this training. The last seat
    /// closes the roster.
    function join(TrainingId id, DatasetId dataset, uint32 version, bytes32 hpke) external;

    /// Post keys for `round`: everybody for round 0; later only a member that missed a round and returns.
    function postKeys(TrainingId id, uint16 round, Keys calldata keys) external;

    /// Post the masked vector of the round, with the keys for the next one (all zero where there is none).
    function contribute(TrainingId id, uint16 round, Vector calldata vector, Keys calldata next) external;

    /// Post one's own seed once the survivors are fixed.
    function reveal(TrainingId id, uint16 round, bytes32 seed) external;

    /// Post the sum of the round; any joined member may. `last` ends the training's rounds and opens the challenge window.
    function aggregate(TrainingId id, uint16 round, Vector calldata vector, bool last) external;

    /// After the challenge window: final, with the model's digest.
    function finalize(TrainingId id, bytes32 model) external;

    /// A member's statement that it derived the same model within the plan's tolerance.
    function attest(TrainingId id, bytes32 model) external;

    /// Past its deadline a phase can be ended by anybody: to the next phase where enough have posted, else void.
    function lapse(TrainingId id) external;

    /// Reverts UnknownTraining.
    function training(TrainingId id) external view returns (Training memory);

    /// Position plus one; zero where `who` has not joined.
    function seat(TrainingId id, address who) external view returns (uint16);

    /// Thousandths of epsilon spent by trainings on that version.
    function spent(DatasetId dataset, uint32 version) external view returns (uint48);
}
