"""Fraud proofs on real rounds: a right sum is never voided, a wrong one always is, and no evidence bends."""

import os
from dataclasses import astuple, fields, is_dataclass, replace

import pytest
from compile_contracts import compile_sources
from conftest import npm
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from eth_abi.abi import encode
from local_chain import CHAIN_ID, ROOT, deployed, digest, events, found, named, person, refusal
from real_rounds import Plan, Played, members, on_chain, play, rounds, secrets_of, vector_form, wrong
from training_steps import opened

from federation.securesum import Context
from federation.securesum.keys import ORDER
from federation.vectors import to_bytes
from node import model
from node.chain import abi
from node.errors import Misuse
from node.evidence import Bytes, History, evidence_of, first_difference, rolled, start_of
from node.merkle import leaf_hash
from node.signature import checksummed, keccak

LANES = {32: 217, 64: 109}  # 868 and 872 bytes: the fourth leaf is short, and so is its second block
LAST_BLOCK = 13
TRAINING = digest("a training")


@pytest.fixture(scope="session")
def judge(w3):
    """The tests' contract around FraudProof, on its own."""
    npm("solc")
    path = "tests/contracts/Judge.sol"
    built = compile_sources({path: (ROOT / path).read_text()})[path]["Judge"]
    return deployed(w3, built["abi"], built["evm"]["bytecode"]["object"])


def board(judge, n, plans, *, ring=64, **changed):
    where = Context(CHAIN_ID.to_bytes(32, "big"), bytes.fromhex(judge.address[2:]), TRAINING, bytes(32))
    return play(where, members(n), plans, ring=ring, lanes=LANES[ring], **changed)


EVIDENCE = abi.function_of("Trainings", "challenge").inputs[1]
TYPES = [EVIDENCE.type, "bytes32", "uint8", "bytes32"]
SELECTOR = keccak(f"requireWrong({','.join(TYPES)})".encode())[:4]


def verdict(judge, played, evidence, ring=64, training=TRAINING):
    """Name and arguments of the refusal; nothing where the sum is shown to be wrong."""
    arguments = (abi.lower(EVIDENCE, evidence), played.transcript, ring, training)
    data = "0x" + (SELECTOR + encode(TYPES, arguments)).hex()
    answer = judge.w3.provider.make_request("eth_call", [{"to": judge.address, "data": data}, "latest"])
    return named(bytes.fromhex(answer["error"]["data"][2:])) if "error" in answer else None


# --- verdicts ---

CASES = [(3, (), 64), (4, (), 32), (4, (2,), 64), (4, (0,), 32), (10, (), 32), (10, (7,), 64), (10, (0, 4, 9), 32)]


def changed_lanes(ring):
    """One in the first, the seventh and the last block."""
    return 0, 6 * (512 // ring) + 3, LANES[ring] - 1


@pytest.fixture(scope="session", params=CASES, ids=str)
def case(judge, request):
    """A round whose posted sum is right, and one whose has lanes changed in its first, seventh and last block."""
    n, dropped, ring = request.param
    right, false = (
        board(judge, n, [Plan(dropped)], ring=ring, changed={0: some}) for some in ((), changed_lanes(ring))
    )
    return right, false, ring


@pytest.mark.parametrize("block", [0, 1, 6, LAST_BLOCK])
def test_a_right_sum_is_honest_at_every_block(judge, case, block):
    right, _, ring = case
    evidence = right.evidence(0, to_bytes(right.outcomes[0].total), block)
    assert verdict(judge, right, evidence, ring) == ("Honest",)


@pytest.mark.parametrize("block", [0, 6, LAST_BLOCK])
def test_a_changed_lane_is_shown(judge, case, block):
    _, false, ring = case
    evidence = false.evidence(0, wrong(false.outcomes[0], *changed_lanes(ring)), block)
    assert verdict(judge, false, evidence, ring) is None


@pytest.mark.parametrize("block", [1, 5, 7, LAST_BLOCK - 1])
def test_a_wrong_sum_is_honest_where_it_is_right(judge, case, block):
    _, false, ring = case
    evidence = false.evidence(0, wrong(false.outcomes[0], *changed_lanes(ring)), block)
    assert verdict(judge, false, evidence, ring) == ("Honest",)


def test_behind_the_end_of_the_vector_nothing_differs(judge, case):
    right, false, ring = case
    for played, posted in ((right, wrong(right.outcomes[0])), (false, wrong(false.outcomes[0], *changed_lanes(ring)))):
        past = replace(played.evidence(0, posted, LAST_BLOCK), block=LAST_BLOCK + 1)
        assert verdict(judge, played, past, ring) == ("Honest",)


def test_a_sum_of_another_length_is_wrong_without_secrets(judge):
    longer = board(judge, 4, [Plan((1,))])
    total = to_bytes(longer.outcomes[0].total)
    for posted, leaves in ((total + bytes(256), 0), (total[:-8], 4), (total + bytes(8), 4)):
        longer.sums.clear()
        longer.aggregate(0, posted, longer.members[1])
        evidence = longer.evidence(0, posted, first_difference(total, posted))
        assert len(evidence.leaves) == leaves
        assert verdict(judge, longer, evidence) is None


def test_vectors_that_cannot_be_added_give_no_verdict(judge):
    """Members accuse whoever posted such a vector; the sum's poster is not to be blamed."""
    for member, extra, which in ((2, 256, 2), (1, 8, 1)):
        played = board(judge, 4, [Plan()])
        outcome = played.outcomes[0]
        contributions = dict(outcome.contributions)
        contributions[played.members[member]] += bytes(extra)
        played.posts.clear(), played.sums.clear()
        played.outcomes = [replace(outcome, contributions=contributions)]
        played.keys_alone(0, played.members)
        played.contributions(0)
        posted = to_bytes(outcome.total)
        played.aggregate(0, posted, played.members[0])
        evidence = played.evidence(0, posted, LAST_BLOCK)
        assert verdict(judge, played, evidence) == ("BadLeaf", which)


@pytest.mark.parametrize(("lanes", "ring"), [(40, 64), (3, 32)], ids=["320 bytes", "12 bytes for Z_2^64"])
def test_leaves_that_are_none_give_no_verdict(judge, lanes, ring):
    """Longer than a leaf may be, or not a whole number of lanes, and all of one opinion."""
    where = Context(CHAIN_ID.to_bytes(32, "big"), bytes.fromhex(judge.address[2:]), TRAINING, bytes(32))
    outcomes = rounds(where, members(3), [Plan()], ring=ring, lanes=lanes)
    played = Played(members(3), outcomes, model.digest(TRAINING), one_leaf)
    played.keys_alone(0, played.members)
    played.contributions(0)
    posted = wrong(outcomes[0], 0)
    played.aggregate(0, posted, played.members[0])
    whole = (*(data for _, data in sorted(played.vectors(0).items())), posted)
    evidence = replace(played.evidence(0, posted, 0), leaves=whole, paths=((),) * 4)
    assert verdict(judge, played, evidence) == ("BadLeaf", 0)


def one_leaf(data):
    return model.Vector(model.digest(leaf_hash(data)), model.digest(digest("blob")), 1)


# --- an older round, keys posted alone, members who come back ---

STORY = [Plan((1,)), Plan((0, 3)), Plan(away=(2,)), Plan()]


@pytest.fixture(scope="session")
def story(judge):
    """Four rounds of seven members; the sums of rounds 1 and 2 are wrong."""
    return board(judge, 7, STORY, changed={1: (9,), 2: (0,)})


@pytest.mark.parametrize(("number", "lane"), [(1, 9), (2, 0)])
def test_an_older_round_is_challenged_with_the_sums_since(judge, story, number, lane):
    posted = wrong(story.outcomes[number], lane)
    evidence = story.evidence(number, posted, first_difference(to_bytes(story.outcomes[number].total), posted))
    assert len(evidence.sums) == len(STORY) - number
    assert verdict(judge, story, evidence) is None


@pytest.mark.parametrize("number", [0, 3])
def test_the_right_sums_among_wrong_ones_are_honest(judge, story, number):
    evidence = story.evidence(number, to_bytes(story.outcomes[number].total), 1)
    assert verdict(judge, story, evidence) == ("Honest",)


def test_earlier_posts_than_needed_may_come_too(judge, story):
    evidence = story.evidence(1, wrong(story.outcomes[1], 9), 1)
    whole = story.posts[: story.posts.index(evidence.posts[-1]) + 1]
    assert len(whole) > len(evidence.posts)
    assert verdict(judge, story, replace(evidence, posts_before=model.ZERO, posts=tuple(whole))) is None


def test_posts_cut_short_name_the_positions_that_lack(judge, story):
    evidence = story.evidence(1, wrong(story.outcomes[1], 9), 1)
    first, *rest = evidence.posts
    cut = replace(evidence, posts_before=rolled(evidence.posts_before, [first]), posts=tuple(rest))
    assert verdict(judge, story, cut) == ("BadPosts", 1 << first.position)
    nothing = replace(evidence, posts_before=evidence.sums[0].posts, posts=())
    assert verdict(judge, story, nothing) == ("BadPosts", 0b1111111)


def test_a_lost_round_leaves_posts_and_no_sum(judge, story):
    """Round 1 gave no sum; the keys for round 2 came with its vectors all the same."""
    lost = replace(story, sums=[one for one in story.sums if one.round != 1])
    evidence = lost.evidence(2, wrong(story.outcomes[2], 0), 0)
    assert verdict(judge, lost, evidence) is None
    assert verdict(judge, lost, replace(evidence, block=1)) == ("Honest",)


def test_keys_posted_before_the_vector_count_and_not_the_empty_ones_with_it(judge):
    whole = board(judge, 4, [Plan(), Plan((1,))])
    played = Played(whole.members, whole.outcomes, whole.start, vector_form)
    played.keys_alone(0, played.members)
    played.keys_alone(1, played.members[2:3])
    given = played.contributions(0)
    played.posts[-4:] = [replace(post, keys=model.NO_KEYS) if post.position == 2 else post for post in given]
    played.aggregate(0, played.total(0), played.members[0])
    played.contributions(1)
    posted = wrong(played.outcomes[1], 0)
    played.aggregate(1, posted, played.members[0])
    assert verdict(judge, played, played.evidence(1, posted, 0)) is None
    assert verdict(judge, played, played.evidence(1, posted, 1)) == ("Honest",)


@pytest.mark.long
@pytest.mark.parametrize("dropped", [(), (0, 31, 63)], ids=str)
def test_sixty_four_members(judge, dropped):
    played = board(judge, 64, [Plan(dropped)], changed={0: (108,)})
    posted = wrong(played.outcomes[0], 108)
    assert verdict(judge, played, played.evidence(0, posted, LAST_BLOCK)) is None
    assert verdict(judge, played, played.evidence(0, posted, 12)) == ("Honest",)


# --- what evidence is not made of ---


@pytest.mark.parametrize(
    ("clause", "changes"),
    [
        ("round", {"sums": []}),
        ("posts", {"posts": []}),
    ],
)
def test_a_history_without_the_sum_or_its_posts_is_misuse(story, clause, changes):
    with pytest.raises(Misuse) as error:
        replace(story, **changes).evidence(1, to_bytes(story.outcomes[1].total), 0)
    assert error.value.clause == clause


def test_vectors_of_others_than_the_survivors_are_misuse(story):
    outcome = story.outcomes[1]
    history = History(story.start, tuple(story.sums), tuple(story.posts))
    vectors = dict(list(story.vectors(1).items())[1:])
    with pytest.raises(Misuse, match="survivors"):
        evidence_of(history, outcome.round, secrets_of(outcome), Bytes(vectors, to_bytes(outcome.total)), 0)


@pytest.mark.parametrize(
    ("ours", "posted", "block"),
    [
        (b"a" * 200, b"a" * 199 + b"b", 3),
        (b"a" * 200, b"b" + b"a" * 199, 0),
        (b"a" * 200, b"a" * 128, 2),
        (b"a" * 128, b"a" * 129, 2),
        (b"", b"a", 0),
    ],
)
def test_the_first_block_that_differs(ours, posted, block):
    assert first_difference(ours, posted) == block


def test_equal_sums_have_no_difference():
    with pytest.raises(Misuse):
        first_difference(b"a" * 200, b"a" * 200)


# --- nothing of the evidence can be bent ---


@pytest.fixture(scope="session")
def bent(judge):
    """A challenge that holds: two dropped members, keys from two kinds of posts, a later sum."""
    played = board(judge, 7, [Plan((5,)), Plan((0, 3)), Plan()], changed={1: (17,)})
    evidence = played.evidence(1, wrong(played.outcomes[1], 17), 2)
    assert verdict(judge, played, evidence) is None
    return played, evidence


SURVIVORS, DROPPED = 5, 2
REFUSALS = {
    "before": lambda _: ("BadHistory",),
    "sums": lambda _: ("BadHistory",),
    "posts_before": lambda _: ("BadPosts", 0),
    "posts": lambda _: ("BadPosts", 0),
    "leaves": lambda which: ("BadLeaf", which),
    "paths": lambda which: ("BadLeaf", which),
    "seeds": lambda which: ("BadSecret", which),
    "scalars": lambda which: ("BadSecret", SURVIVORS + which),
    "points": lambda which: ("BadPoint", which),
}


def values(record, place=()):
    """Where each single value of a record stands: names and indices from the record to it."""
    if is_dataclass(record):
        return [at for f in fields(record) for at in values(getattr(record, f.name), (*place, f.name))]
    if isinstance(record, tuple):
        return [at for i, part in enumerate(record) for at in values(part, (*place, i))]
    return [place]


def changed_at(record, place):
    if not place:
        return changed_value(record)
    at, *rest = place
    if is_dataclass(record):
        return replace(record, **{at: changed_at(getattr(record, at), rest)})
    return (*record[:at], changed_at(record[at], rest), *record[at + 1 :])


def changed_value(value):
    if isinstance(value, int):
        return value ^ 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 0x80]) + value[1:]
    changed = f"0x{int(value, 16) ^ 1:0{len(value) - 2}x}"
    return checksummed(changed) if len(value) == 42 else changed


@pytest.mark.parametrize("field", REFUSALS)
def test_each_value_of_the_evidence_is_bound(judge, bent, field):
    played, evidence = bent
    places = [place for place in values(evidence) if place[0] == field]
    assert places
    for place in places:
        refusal_ = verdict(judge, played, changed_at(evidence, place))
        assert refusal_ == REFUSALS[field](place[1] if len(place) > 1 else None), place


def test_the_table_names_every_field_but_the_block():
    """Another block is another claim: right where the sum is, or without its leaf."""
    assert {*REFUSALS, "block"} == {f.name for f in fields(model.Evidence)}


@pytest.mark.parametrize(("block", "refusal_"), [(3, ("Honest",)), (4, ("BadLeaf", 0)), (1 << 20, ("BadLeaf", 0))])
def test_another_block_is_another_claim(judge, bent, block, refusal_):
    played, evidence = bent
    assert verdict(judge, played, replace(evidence, block=block)) == refusal_


COUNTS = {"leaves": SURVIVORS + 1, "paths": SURVIVORS + 1, "seeds": SURVIVORS, "scalars": DROPPED,
          "points": DROPPED * SURVIVORS}  # fmt: skip


@pytest.mark.parametrize("field", COUNTS)
def test_lists_of_another_length_are_refused(judge, bent, field):
    played, evidence = bent
    given, need = getattr(evidence, field), COUNTS[field]
    for some in (given[:-1], (*given, given[0]), ()):
        assert verdict(judge, played, replace(evidence, **{field: some})) == ("BadCount", len(some), need)


@pytest.mark.parametrize(
    ("field", "refusal_"), [("sums", ("BadHistory",)), ("posts", ("BadPosts", 0)), ("paths", None), ("leaves", None)]
)
def test_lists_in_another_order_are_refused(judge, bent, field, refusal_):
    played, evidence = bent
    swapped = tuple(reversed(getattr(evidence, field)))
    assert verdict(judge, played, replace(evidence, **{field: swapped})) == (refusal_ or ("BadLeaf", 0))


@pytest.mark.parametrize("field", ["sums", "posts"])
def test_history_cannot_be_left_out_or_added_to(judge, bent, field):
    played, evidence = bent
    given = getattr(evidence, field)
    for some in (given[1:], given[:-1], (*given, given[-1]), ()):
        assert verdict(judge, played, replace(evidence, **{field: some})) == REFUSALS[field](None)


def test_no_sums_at_all_are_no_history(judge, bent):
    played, evidence = bent
    none = replace(evidence, before=model.digest(played.transcript), sums=())
    assert verdict(judge, played, none) == ("BadHistory",)


def test_paths_of_another_length_are_refused(judge, bent):
    played, evidence = bent
    for which, path in enumerate(evidence.paths):
        for some in (path[:-1], (*path, path[0]), ()):
            paths = (*evidence.paths[:which], some, *evidence.paths[which + 1 :])
            assert verdict(judge, played, replace(evidence, paths=paths)) == ("BadLeaf", which)


@pytest.mark.parametrize("scalar", [0, 1, ORDER])
def test_no_special_scalar_passes(judge, bent, scalar):
    played, evidence = bent
    scalars = (model.digest(scalar.to_bytes(32, "big")), evidence.scalars[1])
    assert verdict(judge, played, replace(evidence, scalars=scalars)) == ("BadSecret", SURVIVORS)


def test_pair_masks_are_those_of_the_contracts_own_training(judge, bent):
    """The id is the contract's to say: with another, the right sum of a round with dropouts would seem wrong."""
    played, evidence = bent
    right = replace(evidence, block=3)
    assert verdict(judge, played, right) == ("Honest",)
    assert verdict(judge, played, right, training=digest("another training")) is None


# --- through Trainings ---


@pytest.fixture(scope="session")
def enacted(w3):
    """Two rounds of four members; bob drops out of the second, and alice posts its sum with lane 17 wrong."""
    people = [person(i) for i in range(4)]
    training = on_chain(found(w3), people, [Plan(), Plan((1,)), Plan()], ring=64, lanes=LANES[64])
    outcomes = training.played.outcomes
    training.contribute(0)
    training.aggregate(0, to_bytes(outcomes[0].total), by=2)
    training.contribute(1)
    training.aggregate(1, wrong(outcomes[1], 17), by=0)
    return training


@pytest.fixture
def summed(enacted, w3):
    """As it was enacted, for each test."""
    snapshot = w3.provider.make_request("evm_snapshot", [])["result"]
    yield replace(enacted, played=replace(enacted.played, sums=[*enacted.played.sums]))
    assert w3.provider.make_request("evm_revert", [snapshot])["result"] is True


def test_the_history_made_in_python_is_the_contracts(summed):
    state = summed.call.training(summed.id).call()
    posts, transcript = state[-2:]
    assert (posts, transcript) == (model.raw(rolled(model.ZERO, summed.played.posts)), summed.played.transcript)


def test_the_transcript_starts_with_the_terms(alliance, alice, bob, carol):
    run = opened(alliance, [alice, bob, carol])
    (opening,) = [e for e in alliance.trainings.events.Opened().get_logs(from_block=0) if e["args"]["id"] == run.id]
    terms = model.TrainingTerms(**{
        abi.snake(name): model.digest(value) if isinstance(value, bytes) else value
        for name, value in opening["args"]["terms"].items()
    })  # fmt: skip
    assert model.raw(start_of(terms)) == run.call.training(run.id).call()[-1]


def test_a_wrong_sum_is_corrected_by_who_shows_it(summed, carol):
    played = summed.played
    right, posted = to_bytes(played.outcomes[1].total), wrong(played.outcomes[1], 17)
    evidence = played.evidence(1, posted, first_difference(right, posted))
    shown = summed.alliance.send(summed.challenging(evidence, vector_form(right)), by=carol)
    (challenged,) = events(summed.alliance.trainings, shown, "Challenged")
    assert (challenged["round"], challenged["block"], challenged["by"]) == (1, 2, carol.address.lower())
    (corrected,) = events(summed.alliance.trainings, shown, "Corrected")
    assert corrected["vector"] == tuple(map(raw_or_same, astuple(vector_form(right))))


def test_the_corrected_sum_is_honest(summed, carol, dave):
    played = summed.played
    right, posted = to_bytes(played.outcomes[1].total), wrong(played.outcomes[1], 17)
    evidence = played.evidence(1, posted, 2)
    summed.alliance.send(summed.challenging(evidence, vector_form(right)), by=carol)
    played.sums.pop()
    played.sums.append(replace(evidence.sums[0], vector=vector_form(right), poster=model.Address(carol.address)))
    again = played.evidence(1, right, 2)
    assert refusal(summed.challenging(again, vector_form(right)), by=dave) == ("Honest",)


@pytest.mark.parametrize("block", [0, 2, LAST_BLOCK])
def test_a_right_sum_cannot_be_replaced(summed, dave, block):
    right = to_bytes(summed.played.outcomes[0].total)
    evidence = summed.played.evidence(0, right, block)
    other = vector_form(bytes(len(right)))
    assert refusal(summed.challenging(evidence, other), by=dave) == ("Honest",)


def raw_or_same(value):
    return model.raw(value) if isinstance(value, str) else value


# --- ChaCha20 ---

RFC_8439 = [  # key, counter and nonce, block: 2.3.2, then A.1 from 1 to 5
    (bytes(range(32)).hex(), "01000000" "000000090000004a00000000",
     "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
     "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"),
    ("00" * 32, "00" * 16,
     "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
     "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"),
    ("00" * 32, "01" + "00" * 15,
     "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
     "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"),
    ("00" * 31 + "01", "01" + "00" * 15,
     "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
     "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"),
    ("00ff" + "00" * 30, "02" + "00" * 15,
     "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
     "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"),
    ("00" * 32, "00000000" "000000000000000000000002",
     "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
     "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"),
]  # fmt: skip


def keystreams(judge, keys, starts):
    blocks = judge.functions.keystreams(keys, [int.from_bytes(start, "little") for start in starts]).call()
    return [low.to_bytes(32, "little") + high.to_bytes(32, "little") for low, high in blocks]


@pytest.mark.parametrize(("key", "start", "block"), RFC_8439)
def test_the_vectors_of_rfc_8439(judge, key, start, block):
    assert keystreams(judge, [bytes.fromhex(key)], [bytes.fromhex(start)]) == [bytes.fromhex(block)]


def test_random_keys_counters_and_nonces_give_openssls_blocks(judge):
    keys, starts = ([os.urandom(size) for _ in range(400)] for size in (32, 16))
    edges = [b"\xff" * 16, b"\xff" * 4 + bytes(12), bytes(16)]
    keys, starts = [*keys, *(b"\xff" * 32 for _ in edges)], [*starts, *edges]
    openssl = [Cipher(algorithms.ChaCha20(key, start), mode=None).encryptor() for key, start in zip(keys, starts)]
    assert keystreams(judge, keys, starts) == [one.update(bytes(64)) for one in openssl]
