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
/// A phase ends as soon as everyone expected has posted; past its deadline anybody may call `lapse`. Where survivors stay silent,
/// Recovering comes between Revealing and Aggregating: those who revealed open their shares of the silent ones' seeds. Aggregating
/// leads back to Keying where fewer than max(minimum, threshold) have posted keys for the next round. PhaseChanged names the members
/// expected to post.
///
/// Lost rounds: before a seed is out, a round that has too few members is lost, and the next number begins with fresh keys, while the
/// terms' `spares` last; a round in which members withhold their vectors is lost without them and costs no spare. Once seeds are out
/// nothing is repeated: the same vectors summed over other survivors would show the difference. Numbers of rounds never come twice.
///
/// `posts` rolls over all keys and vectors in order: keccak256(abi.encode(posts, post)), keys posted alone with a vector of zeros.
/// `transcript` starts as keccak256(abi.encode(terms)); each sum makes it keccak256(abi.encode(transcript, sum)).
interface ITrainings is IRunningHash {
    enum Phase {
        Unknown,
        Joining,
        Keying,
        Contributing,
        Revealing,
        Recovering,
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
        Withheld
    }

    /// `plan`: digest of the public plan. `ring`: 32 or 64. `seats`: the roster closes when that many have joined, 3 to 64.
    /// `minimum`: fewest survivors of a round, at least 3. `threshold`: shares that recover a secret, more than half of the seats.
    /// `rounds`: the most sums. `spares`: how many rounds may be lost for want of members before the training is void. Durations in
    /// seconds. `epsilon`: thousandths spent by each joining version, 0 for a plan without noise.
    struct Terms {
        bytes32 plan;
        uint8 ring;
        uint16 seats;
        uint16 minimum;
        uint16 threshold;
        uint16 rounds;
        uint8 spares;
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

    /// What a member has posted: a vector of `round` with keys for the next one (or none), or keys for `round` and a vector of zeros.
    struct Post {
        address member;
        uint16 position;
        uint16 round;
        Vector vector;
        Keys keys;
    }

    /// A posted sum, and what it was to be the sum of: `posts` as they stood, U1 (`keyed`) and U3 (`survivors`) as bit sets of positions.
    struct Sum {
        uint16 round;
        bytes32 posts;
        uint64 keyed;
        uint64 survivors;
        Vector vector;
        address poster;
    }

    /// What shows one 64-byte block of a posted sum to be wrong. History: `sums` from the challenged one to the newest, and the transcript
    /// `before` them; `posts` from before the first keys of the round to the challenged sum, and the rolling digest `postsBefore` them.
    /// The block: number `block` of the vector; `leaves` and `paths` of the tree leaf that holds it, one for each survivor by ascending
    /// position, then the sum's own. Secrets: `seeds` of the survivors, `scalars` of the dropped, by ascending position; `points`: for each
    /// dropped member and each survivor their shared point Q as x, y.
    struct Evidence {
        bytes32 before;
        Sum[] sums;
        bytes32 postsBefore;
        Post[] posts;
        uint32 block;
        bytes[] leaves;
        bytes32[][] paths;
        bytes32[] seeds;
        bytes32[] scalars;
        bytes32[2][] points;
    }

    /// `keyed`, `contributed`, `revealed`, `recovered`: bit sets of positions for the current round; the last two are cleared when the
    /// sum is due. `barred`: whom the training goes on without. `lost`: how many rounds up to the current one gave no sum. `spares`: how
    /// many more may be lost for want of members.
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
        uint64 recovered;
        uint64 barred;
        uint16 lost;
        uint8 spares;
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
    /// A share of the scalar of a dropped member, or, while Recovering, of the seed of a silent survivor: the one at position `dealer`.
    event ShareOpened(TrainingId indexed id, address indexed holder, uint16 round, uint16 dealer, bytes32 share, uint32 seq);
    event Recovered(TrainingId indexed id, address indexed member, uint16 round, uint16 position, uint32 seq);
    event Accused(TrainingId indexed id, address indexed member, uint16 round, uint64 positions, uint32 seq);
    event Barred(TrainingId indexed id, uint16 round, uint64 positions, uint32 seq);
    event RoundLost(TrainingId indexed id, Reason reason, uint16 round, uint32 seq);
    event Aggregated(
        TrainingId indexed id, address indexed poster, uint16 round, Vector vector, uint64 survivors, bytes32 transcript, bool last, uint32 seq
    );
    /// Block `block` of the sum of `round` was shown to be wrong.
    event Challenged(TrainingId indexed id, address indexed by, uint16 round, uint32 block, uint32 seq);
    event Overruled(TrainingId indexed id, address indexed member, uint16 round, Vector vector, bool last, uint32 seq);
    /// `vector` takes the place of the sum of `round`; sums after it, and the round under way, are struck.
    event Corrected(TrainingId indexed id, address indexed by, uint16 round, Vector vector, bytes32 transcript, bool last, uint32 seq);
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
    error BadCount(uint256 have, uint256 need);
    error BadPositions(uint64 given, uint64 allowed);
    error BarredFrom(TrainingId id, address who);
    /// A sum that is right, or that stands already.
    error Honest();
    /// Sums that do not lead to the transcript.
    error BadHistory();
    /// Posts that do not lead to the sum's digest, or lack the keys or the vector of these positions.
    error BadPosts(uint64 lacking);
    /// Counted over survivors by ascending position, the sum's own last.
    error BadLeaf(uint256 which);
    /// Counted over the seeds, then the scalars.
    error BadSecret(uint256 which);
    error BadPoint(uint256 which);

    function open(bytes32 salt, Terms calldata terms) external returns (TrainingId id);

    /// Join with a version of one's own (or, later, one granted for training): spends `epsilon` of its budget. `hpke` is the
    /// digest of the member's public key for share bundles, a raw block in the store, fresh for this training. The last seat
    /// closes the roster.
    function join(TrainingId id, DatasetId dataset, uint32 version, bytes32 hpke) external;

    /// Post keys for `round`: everybody for round 0; later only a member that missed a round and returns.
    function postKeys(TrainingId id, uint16 round, Keys calldata keys) external;

    /// Post the masked vector of the round, with the keys for the next one (all zero where there is none).
    function contribute(TrainingId id, uint16 round, Vector calldata vector, Keys calldata next) external;

    /// Once the survivors are fixed: one's own seed, and one's shares of the scalars of the dropped, by ascending position, zero where
    /// one holds none. Reveal only while holding every survivor's vector.
    function reveal(TrainingId id, uint16 round, bytes32 seed, bytes32[] calldata shares) external;

    /// While Revealing: the vectors of these survivors (a bit set) are served by nobody, or are not what was posted. Where `threshold`
    /// members say so of one, it is barred and the round is lost.
    function accuse(TrainingId id, uint16 round, uint64 positions) external;

    /// While Recovering, by those who revealed: shares of the silent survivors' seeds, by ascending position, zero where one holds none.
    function recover(TrainingId id, uint16 round, bytes32[] calldata shares) external;

    /// Post the sum of the round; any joined member may. `last` ends the training's rounds and opens the challenge window.
    function aggregate(TrainingId id, uint16 round, Vector calldata vector, bool last) external;

    /// Show a posted sum to be wrong, until the training is final. Its poster is barred. By a member, `vector` (and `last`) take the
    /// wrong one's place, open to challenge in turn; by anybody else, from the middle of the challenge window on, the training is void. It is void too
    /// where rounds are left and too few members to run them. A right sum reverts Honest; its own poster is NotExpected.
    function challenge(TrainingId id, Evidence calldata evidence, Vector calldata vector, bool last) external;

    /// Vote on the newest sum (`newest`, with the transcript `before` it), where its poster withholds its bytes so that nobody can show
    /// a wrong leaf, or ended too early or too late: as `threshold` members, its poster and the barred not counted, say the same, it is
    /// replaced and its poster barred.
    function overrule(TrainingId id, bytes32 before, Sum calldata newest, Vector calldata vector, bool last) external;

    /// After the challenge window: final, with the model's digest.
    function finalize(TrainingId id, bytes32 model) external;

    /// A member's statement that it derived the same model within the plan's tolerance.
    function attest(TrainingId id, bytes32 model) external;

    /// Past its deadline a phase can be ended by anybody: to the next phase where enough have posted, else the round is lost or the
    /// training void.
    function lapse(TrainingId id) external;

    /// Reverts UnknownTraining.
    function training(TrainingId id) external view returns (Training memory);

    /// Position plus one; zero where `who` has not joined.
    function seat(TrainingId id, address who) external view returns (uint16);

    /// Thousandths of epsilon spent by trainings on that version.
    function spent(DatasetId dataset, uint32 version) external view returns (uint48);
}
