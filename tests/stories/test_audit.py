"""The audit holds for an honest history, and each way of lying fails exactly the check that is there for it.

Real Anvil, real contracts, real servers: the endpoint that lies is a proxy in front of Anvil, the gateway that lies an
HTTP server over the store.
"""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import node.audit
from node import documents, model
from node.audit import Report, audit, render
from node.audit.report import NAMES
from node.chain import decode, encode, typed
from node.chain.client import Chain
from node.documents import RequestRecord
from node.errors import Misuse
from node.model import DatasetId, Directory, GrantId, Time, TrainingId
from node.store import Cid
from node.store.blocks import BlockStore
from node.store.gateway import gateway_router
from tests.chain.peers import ZERO_FEES, anvil, ask
from tests.chain.people import person, stranger
from tests.stories.history import FORWARDER, WALLET, World, Wrong, found
from tests.stories.liars import UNSUPPORTED, Lie, gateway, lying_rpc

ALICE, BOB, CAROL, DAVE = (person(i) for i in range(4))
FOUNDERS = [(ALICE, "Alice Mills"), (BOB, "Bob Foundry"), (CAROL, "Carol Works")]


@dataclass(frozen=True)
class Told:
    """The honest history: what the tests name in it."""

    world: World
    dataset: DatasetId
    asked: RequestRecord
    training: TrainingId


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, list[DatasetId]]]:
    """Three founders, a fourth member by consent, and a dataset each."""
    with anvil(*ZERO_FEES) as rpc:
        world = found(rpc, BlockStore(tmp_path_factory.mktemp("alliance")), FOUNDERS)
        world.admit_by_approval(DAVE, "Dave Steel", by=[ALICE, BOB, CAROL])
        people = (ALICE, BOB, CAROL, DAVE)
        yield world, [world.publish(who, b"speed,load\n0.1,0.2\n" * 100_000, budget=1000) for who in people]


@pytest.fixture(scope="module")
def told(base: tuple[World, list[DatasetId]]) -> Told:
    world, datasets = base
    asked = world.request(BOB, datasets[0], ALICE)
    world.grant(asked, ALICE)
    world.receive(BOB, asked)
    world.revoke(ALICE, asked)
    training = world.train([ALICE, BOB, CAROL], datasets[:3], rounds=2, epsilon=5)
    return Told(world, datasets[0], asked, training)


@pytest.fixture
def aside(base: tuple[World, list[DatasetId]], told: Told) -> Iterator[tuple[World, list[DatasetId]]]:
    """The same alliance, for a test that goes on with its history: put back afterwards."""
    snapshot = ask(base[0].rpc, "evm_snapshot")
    yield base
    assert ask(base[0].rpc, "evm_revert", snapshot) is True


Judge = Callable[..., Report]


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Judge]:
    """An auditor with an empty store: `judge(world, lie=..., lies={cid: bytes})`."""
    with ExitStack() as stack:

        def run(
            world: World, *, lie: Lie | None = None, lies: dict[str, bytes | None] | None = None,
            pinned: Directory | None = None, **more: Any,
        ) -> Report:  # fmt: skip
            rpc = stack.enter_context(lying_rpc(world.rpc, lie)) if lie else world.rpc
            url = stack.enter_context(gateway(world.store, lies or {}))
            scratch = BlockStore(tmp_path / f"scratch {len(list(tmp_path.iterdir()))}")
            whom = pinned or world.directory.consortium
            more = {"gateways": [url], "allow_loopback": True} | more
            return audit(Chain.connect(rpc), whom, scratch, **more)

        yield run


def untrusted(report: Report) -> set[int]:
    return {finding.check for finding in report.untrusted}


def unchecked(report: Report) -> set[int]:
    return {finding.check for finding in report.unchecked}


# --- what is honest ---


def test_an_honest_history_holds(told: Told, judge: Judge) -> None:
    report = judge(told.world, pinned=told.world.directory)
    assert (report.untrusted, report.unchecked, report.exit_code) == ((), (), 0)
    assert [check.number for check in report.checks] == list(NAMES) == list(range(1, 21))
    assert all(check.subjects for check in report.checks), "a check looked at nothing"
    assert report.about.block == told.world.chain.block(report.about.block.number)


def test_every_gateway_and_no_store_of_ones_own(told: Told, judge: Judge, serve: Any, tmp_path: Path) -> None:
    """Through the node's own gateway, and with a dead one in the list."""
    urls = ["http://127.0.0.1:1", serve(gateway_router(told.world.store))]
    assert judge(told.world, gateways=urls).exit_code == 0


def test_an_audit_as_of_an_earlier_block(told: Told, judge: Judge) -> None:
    granted = told.world.ledger().grants[told.asked.id].at.block
    report = judge(told.world, block=granted)
    assert report.about.block.number == granted
    assert not report.untrusted
    assert next(check.subjects for check in report.checks if check.number == 13) == 0


def test_a_training_under_way_is_not_judged_beyond_what_is_there(
    aside: tuple[World, list[DatasetId]], judge: Judge
) -> None:
    world, datasets = aside
    block = world.chain.final()
    world.train([ALICE, BOB, CAROL], datasets[:3], rounds=2)
    events = world.chain.events(world.directory, block + 1, world.chain.final())
    revealed = next(event.at.block for event in events if isinstance(event.said, model.Revealed))
    report = judge(world, block=revealed)
    assert not report.untrusted
    assert unchecked(report) == {16, 18}


def test_a_training_that_ended_early_is_derived_all_the_same(
    aside: tuple[World, list[DatasetId]], judge: Judge
) -> None:
    """Its last contributions brought keys for a round that never came."""
    world, datasets = aside
    number = world.train([ALICE, BOB, CAROL], datasets[:3], rounds=9, tolerance=0.5)
    training = world.ledger().trainings[number]
    assert training.round < training.terms.rounds
    report = judge(world)
    assert (report.untrusted, report.unchecked) == ((), ())


def test_a_sum_with_a_dropout_is_made_again_from_the_shares_that_were_opened(
    aside: tuple[World, list[DatasetId]], judge: Judge
) -> None:
    world, datasets = aside
    world.train_with_a_dropout([ALICE, BOB, CAROL, DAVE], datasets)
    report = judge(world)
    assert not report.untrusted
    assert {(f.check, f.clause) for f in report.unchecked} == {(18, "not checked")}  # it is not finished


def test_the_report_reads_in_both_languages(told: Told, judge: Judge) -> None:
    report = judge(told.world, lies={str(cid_of(card_of(told.world, BOB.address))): b"x"})
    for language, title, state in (("en", "# Audit report", "UNTRUSTED"), ("zh-CN", "# 审计报告", "不可信")):
        text = render(report, language)  # type: ignore[arg-type]
        assert text.startswith(title)
        assert f"| 6 | {NAMES[6][language]} | 4 | {state} |" in text
        assert BOB.address in text
    plain = json.loads(json.dumps(documents.plain(report)))
    assert plain["untrusted"][0]["check"] == 6
    assert plain["about"]["block"]["number"] == report.about.block.number
    with pytest.raises(Misuse):
        render(report, "fr")  # type: ignore[arg-type]


def test_the_docstring_the_names_and_the_code_have_the_same_numbers() -> None:
    assert node.audit.__doc__ is not None
    listed = [line.split()[0] for line in node.audit.__doc__.splitlines() if line[:2].strip().isdigit()]
    assert [int(number) for number in listed] == list(NAMES)


def test_it_imports_neither_database_nor_keyring_nor_stories() -> None:
    allowed = {"audit", "canon", "chain", "documents", "encryption", "errors", "ledger", "merkle", "model", "models"}
    allowed |= {"evidence", "patricia", "policy", "signature", "store", "sums"}
    for path in Path(node.audit.__file__).parent.glob("*.py"):
        for name in _imported(path):
            if name.startswith("node."):
                assert name.split(".")[1] in allowed, f"{path.name} imports {name}"


def _imported(path: Path) -> Iterator[str]:
    for found_ in ast.walk(ast.parse(path.read_text())):
        if isinstance(found_, ast.Import):
            yield from (alias.name for alias in found_.names)
        elif isinstance(found_, ast.ImportFrom) and found_.module:
            yield from (f"{found_.module}.{alias.name}" for alias in found_.names)


def test_a_wallet_consents_by_saying_so(aside: tuple[World, list[DatasetId]], judge: Judge) -> None:
    world, _ = aside
    wallet = world.deploy(WALLET)
    card = world.card(ALICE, "Alice Mills")
    everybody = [ALICE, BOB, CAROL, DAVE]
    consents = world.consents(everybody, lambda place: typed.admit(place, wallet, 1, card))
    world.send(ALICE, "Members", "admit", wallet, 1, card, consents)

    def admit_erin(place: typed.Place) -> typed.Message:
        return typed.admit(place, stranger("erin").address, 1, card)

    given = world.consents(everybody[:3], admit_erin)
    signed = dict(zip(given.signers, given.signatures, strict=True)) | {wallet: b"anything at all"}
    place = typed.Place(world.chain.chain_id, world.directory.address("Members"), given.epoch, given.until)
    world.send(ALICE, "Members", "admit", stranger("erin").address, 1, card, typed.consents(place, signed))
    report = judge(world)
    assert (report.untrusted, report.unchecked) == ((), ())
    assert report.checks[4].subjects == 3


def test_every_kind_of_decision_is_followed(aside: tuple[World, list[DatasetId]], judge: Judge) -> None:
    world, _ = aside
    world.decide("setState", [DAVE.address, 2], by=[ALICE, BOB, CAROL, DAVE],
                 message=lambda place: typed.set_state(place, DAVE.address, 2))  # fmt: skip
    later = Time(world.now() + 3600)
    world.decide("pause", [later], by=[BOB, CAROL], message=lambda place: typed.pause(place, later))
    world.decide("pause", [Time(1)], by=[ALICE, BOB, CAROL], message=lambda place: typed.pause(place, Time(1)))
    to = stranger("carol's new phone").address
    world.decide("rotate", [CAROL.address, to], by=[ALICE, BOB, CAROL],
                 message=lambda place: typed.rotate(place, CAROL.address, to))  # fmt: skip
    report = judge(world)
    assert not report.untrusted
    assert report.checks[4].subjects == 5


def test_a_call_from_inside_another_contract_cannot_be_checked(
    aside: tuple[World, list[DatasetId]], judge: Judge
) -> None:
    world, _ = aside
    card = world.card(ALICE, "Alice Mills")
    erin = stranger("erin").address
    consents = world.consents([ALICE, BOB, CAROL, DAVE], lambda place: typed.admit(place, erin, 1, card))
    data = world.chain.encode("Members", "admit", erin, 1, card, consents)
    world.forward(ALICE, world.deploy(FORWARDER), "Members", data)
    report = judge(world)
    assert not report.untrusted
    assert [(finding.check, finding.clause) for finding in report.unchecked] == [(5, "nested call")]


# --- gateways that lie ---


def cid_of(digest: str) -> Cid:
    return Cid.raw(model.raw(digest))


def card_of(world: World, account: str) -> str:
    return str(world.ledger().members[account].card)


def envelope_leaf(told: Told) -> str:
    """The second block of a sealed file of several."""
    record = documents.decode(documents.Envelope, told.world.store.get_block(cid_of(_version(told).envelope)))
    root = Cid.parse(record.cid)
    from node.store import dag

    return str(dag.children(root, told.world.store.get_block(root))[1])


def _version(told: Told) -> model.Version:
    return told.world.version(told.dataset)


def _round(told: Told) -> Any:
    return told.world.ledger().trainings[told.training].rounds[1]


SERVED: dict[str, tuple[int, set[int], Callable[[Told], str]]] = {
    "card": (6, set(), lambda t: str(cid_of(card_of(t.world, BOB.address)))),
    "offer": (7, set(), lambda t: str(cid_of(_version(t).policy))),
    "block of a sealed file": (8, set(), envelope_leaf),
    "request record": (9, set(), lambda t: str(cid_of(t.world.ledger().requests[t.asked.id].record))),
    "wrap record": (11, set(), lambda t: str(cid_of(t.world.ledger().grants[t.asked.id].wrap))),
    "list of receipts": (12, set(), lambda t: str(cid_of(t.world.ledger().receipts[0].list))),
    "plan": (13, {18}, lambda t: str(cid_of(t.world.ledger().trainings[t.training].terms.plan))),
    "training key": (13, set(), lambda t: str(cid_of(t.world.ledger().trainings[t.training].seats[1].hpke))),
    "contribution": (14, {16, 18}, lambda t: str(cid_of(_round(t).vectors[2].blob))),
    "sum": (16, {18}, lambda t: str(cid_of(_round(t).total.blob))),
    "model": (18, set(), lambda t: str(cid_of(t.world.ledger().trainings[t.training].model))),
}
"""What a gateway may lie about: the check that sees it, the checks that then cannot be made, the CID."""


@pytest.mark.parametrize("what", SERVED)
def test_wrong_bytes_of_one_block_fail_its_check_alone(what: str, told: Told, judge: Judge) -> None:
    number, left, which = SERVED[what]
    cid = which(told)
    block = bytearray(told.world.store.get_block(Cid.parse(cid)))
    block[len(block) // 2] ^= 1
    report = judge(told.world, lies={cid: bytes(block)})
    assert (untrusted(report), unchecked(report), report.exit_code) == ({number}, left, 7)
    assert any(cid in finding.message for finding in report.untrusted)


@pytest.mark.parametrize("what", SERVED)
def test_a_block_that_nobody_serves_is_unchecked_not_untrusted(what: str, told: Told, judge: Judge) -> None:
    number, left, which = SERVED[what]
    report = judge(told.world, lies={which(told): None})
    assert (untrusted(report), unchecked(report), report.exit_code) == (set(), {number} | left, 0)


def test_a_liar_among_honest_gateways_is_overruled(told: Told, judge: Judge) -> None:
    cid = envelope_leaf(told)
    with gateway(told.world.store, {cid: b"lies"}) as liar, gateway(told.world.store, {}) as honest:
        assert judge(told.world, gateways=[liar, honest]).exit_code == 0


def test_envelope_record_that_nobody_serves_leaves_what_hangs_on_it(told: Told, judge: Judge) -> None:
    report = judge(told.world, lies={str(cid_of(_version(told).envelope)): None})
    assert (untrusted(report), unchecked(report)) == (set(), {7, 8, 11})


def test_a_sample_says_what_it_left_out(told: Told, judge: Judge) -> None:
    report = judge(told.world, sample=1)
    assert not report.untrusted
    assert len(report.unchecked) == 3
    assert {(finding.check, finding.clause) for finding in report.unchecked} == {(8, "sample")}


def test_no_time_is_no_trust(told: Told, judge: Judge) -> None:
    report = judge(told.world, seconds=0.0)
    assert not report.untrusted
    assert {6, 7, 8, 9, 11, 12, 13, 14} <= unchecked(report)


# --- endpoints that lie ---


def _logs(change: Callable[[list[Any]], list[Any]]) -> Lie:
    """A lie about the logs of all five contracts, not about where the first one is."""

    def lie(method: str, params: list[Any], result: Any) -> Any:
        whole = method == "eth_getLogs" and len(params[0]["address"]) == 5
        return change(copy.deepcopy(result)) if whole else result

    return lie


def _of(logs: list[Any], told: Told, contract: str, event: str) -> int:
    """Index of the contract's last log of that event."""
    from node.chain import abi

    at, topic = told.world.directory.address(contract).lower(), "0x" + abi.event_of(contract, event).id.hex()
    return max(i for i, log in enumerate(logs) if log["address"].lower() == at and log["topics"][0] == topic)


def _omit(told: Told) -> Lie:
    def change(logs: list[Any]) -> list[Any]:
        del logs[_of(logs, told, "Grants", "Revoked")]
        return logs

    return _logs(change)


def _omit_last(told: Told) -> Lie:
    """The newest event of a contract: no gap in the numbers shows it."""

    def change(logs: list[Any]) -> list[Any]:
        del logs[max(i for i, log in enumerate(logs) if log["address"].lower() == _trainings(told))]
        return logs

    return _logs(change)


def _trainings(told: Told) -> str:
    return told.world.directory.address("Trainings").lower()


def _reorder(told: Told) -> Lie:
    """Two events of one contract change places and numbers."""

    def change(logs: list[Any]) -> list[Any]:
        mine = [i for i, log in enumerate(logs) if log["address"].lower() == _trainings(told)][-3:]
        first, second = logs[mine[0]], logs[mine[1]]
        seqs = first["data"][-64:], second["data"][-64:]
        for name in ("topics", "data"):
            first[name], second[name] = second[name], first[name]
        first["data"], second["data"] = first["data"][:-64] + seqs[0], second["data"][:-64] + seqs[1]
        return logs

    return _logs(change)


def _alter(told: Told) -> Lie:
    """Another wrap digest in a grant."""

    def change(logs: list[Any]) -> list[Any]:
        log = logs[_of(logs, told, "Grants", "Granted")]
        log["data"] = log["data"][:-128] + "ab" * 32 + log["data"][-64:]
        return logs

    return _logs(change)


def _garbage(told: Told) -> Lie:
    def change(logs: list[Any]) -> list[Any]:
        logs[_of(logs, told, "Datasets", "Published")]["data"] = "0x00"
        return logs

    return _logs(change)


def _code(told: Told) -> Lie:
    """One byte of the code at the Grants entry, and its hash in the directory to match."""
    from node.signature import keccak

    at = told.world.directory.address("Grants")
    honest = told.world.chain.code(at)
    false = honest[:-10] + bytes([honest[-10] ^ 1]) + honest[-9:]
    hashes = keccak(honest).hex(), keccak(false).hex()

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getCode" and params[0].lower() == at.lower():
            return "0x" + false.hex()
        return result.replace(*hashes) if method == "eth_call" else result

    return lie


def _other_members(told: Told) -> Lie:
    """Grants asks a Members contract of its own."""
    at, asked = told.world.directory.address("Grants").lower(), "0x" + encode.calldata("Grants", "members").hex()

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_call" and params[0]["to"].lower() == at and params[0]["data"] == asked:
            return "0x" + stranger("mallory").address[2:].lower().rjust(64, "0")
        return result

    return lie


def _signature(told: Told, contract: str, function: str) -> Lie:
    """The last signature in the calldata of `function`, altered in one byte."""
    at, selector = told.world.directory.address(contract).lower(), encode.calldata
    name = function

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method != "eth_getTransactionByHash" or not result or (result["to"] or "").lower() != at:
            return result
        data = bytes.fromhex(result["input"][2:])
        if decode.calldata(contract, data)[0] != name:
            return result
        altered = bytearray(data)
        altered[-90] ^= 1  # within r or s of the last signature: 65 bytes, padded to 96
        return result | {"input": "0x" + altered.hex()}

    assert selector
    return lie


def _time(told: Told) -> Lie:
    """Blocks from long after every deadline."""

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByHash" and result:
            return result | {"timestamp": hex(int(result["timestamp"], 16) + 10 * 365 * 86_400)}
        return result

    return lie


def _no_transaction(told: Told) -> Lie:
    return lambda method, params, result: None if method == "eth_getTransactionByHash" else result


def _omit_and_match(told: Told) -> Lie:
    """The newest event is left out, and head() is the one before it."""
    omit, at = _omit_last(told), _trainings(told)
    events = told.world.chain.events(told.world.directory, told.world.directory.born, told.world.chain.final())
    head = encode.EMPTY
    for event in [e for e in events if e.contract == "Trainings"][:-1]:
        head = encode.extend(head, event)
    asked = "0x" + encode.calldata("Trainings", "head").hex()

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_call" and params[0]["to"].lower() == at and params[0]["data"] == asked:
            return head.hash + "00000000" + head.seq.to_bytes(32, "big").hex()
        return omit(method, params, result)

    return lie


def _no_proof(told: Told) -> Lie:
    return lambda method, params, result: UNSUPPORTED if method == "eth_getProof" else result


def _other_state(told: Told) -> Lie:
    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByHash" and result:
            return result | {"stateRoot": "0x" + "11" * 32}
        return result

    return lie


NO_GRANTS = {9, 10, 11, 12}
NO_TRAININGS = {13, 14, 15, 16, 17, 18, 19}
NO_DATASETS = {7, 8} | NO_GRANTS | NO_TRAININGS
LIED: dict[str, tuple[set[int], set[int], Callable[[Told], Lie]]] = {
    "omitted event": ({3}, {4} | NO_GRANTS, _omit),
    "omitted last event": ({3}, {4} | NO_TRAININGS, _omit_last),
    "reordered events": ({3}, {4} | NO_TRAININGS, _reorder),
    "altered event": ({3}, {4} | NO_GRANTS, _alter),
    "an event that is none": ({3}, {4, 5, 6} | NO_DATASETS, _garbage),
    "omitted last event, and a head to match": ({3}, {4} | NO_TRAININGS, _omit_and_match),
    "no proofs of state": (set(), {3}, _no_proof),
    "a header that is not the block's": (set(), {3}, _other_state),
    "wrong code at an entry": ({2}, {4} | NO_GRANTS, _code),
    "immutable of another alliance": ({2}, {4} | NO_GRANTS, _other_members),
    "signature of a grant": ({10}, set(), lambda told: _signature(told, "Grants", "grant")),
    "signature of an admission": ({5}, set(), lambda told: _signature(told, "Members", "admit")),
    "transactions withheld": (set(), {5, 10, 20}, _no_transaction),
}
"""What an endpoint may lie about: the checks that see it, and those that then cannot be made."""


@pytest.mark.parametrize("what", LIED)
def test_a_lying_endpoint_fails_the_check_that_is_there_for_it(what: str, told: Told, judge: Judge) -> None:
    seen, left, lie = LIED[what]
    report = judge(told.world, lie=lie(told))
    assert (untrusted(report), unchecked(report)) == (seen, left)


def test_an_endpoint_that_tells_of_the_next_block_for_a_moment_is_asked_again(told: Told, judge: Judge) -> None:
    asked = set[tuple[str, str]]()

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_call" and len(result) == 2 + 128 and _first(method, params[0]["to"]):  # head() has two words
            return f"{result[:-64]}{int(result[-64:], 16) + 1:064x}"
        if method == "eth_getProof" and _first(method, params[0]):
            return result | {"accountProof": result["accountProof"][:-1]}
        return result

    def _first(method: str, at: str) -> bool:
        new = (method, at) not in asked
        asked.add((method, at))
        return new

    report = judge(told.world, lie=lie)
    assert len(asked) == 2 * (len(told.world.directory.entries) + 1)
    assert (report.untrusted, report.unchecked) == ((), ())


def test_times_that_the_chain_did_not_have_break_a_rule(told: Told, judge: Judge) -> None:
    assert untrusted(judge(told.world, lie=_time(told))) == {4, 5}


def test_an_altered_event_is_named(told: Told, judge: Judge) -> None:
    finding = judge(told.world, lie=_alter(told)).untrusted[0]
    granted = told.world.ledger().grants[told.asked.id].at
    assert "Granted" in finding.message
    assert granted.tx in finding.message


def test_another_chain_is_told_from_the_one_pinned(told: Told, judge: Judge) -> None:
    for wrong in (
        replace(told.world.directory, chain_id=1),
        replace(told.world.directory, genesis=model.BlockHash(model.ZERO)),
    ):
        report = judge(told.world, pinned=wrong)
        assert untrusted(report) == {1}
        assert unchecked(report) == set(range(2, 21))


def test_no_alliance_at_that_address(told: Told, judge: Judge) -> None:
    nowhere = replace(told.world.directory, consortium=stranger("nobody").address)
    report = judge(told.world, pinned=nowhere)
    assert untrusted(report) == {2}
    assert unchecked(report) == set(range(3, 21))


JUNK = (None, [{}], "0x", 7, "lies", {"hash": 1}, "0x" + "ff" * 400)


@pytest.mark.parametrize("method", ["eth_getLogs", "eth_getProof", "eth_getBlockByHash", "eth_getCode", "eth_call",
                                    "eth_getTransactionByHash"])  # fmt: skip
def test_junk_is_never_believed_and_never_stops_the_audit(method: str, told: Told, judge: Judge) -> None:
    for junk in JUNK:

        def lie(asked: str, params: list[Any], result: Any, junk: Any = junk) -> Any:
            return junk if asked == method else result

        report = judge(told.world, lie=lie)
        assert report.untrusted or report.unchecked, junk


# --- members that lie, on chain ---


def _train(**wrong: Any) -> Callable[[World, list[DatasetId]], object]:
    return lambda world, datasets: world.train([ALICE, BOB, CAROL], datasets[:3], rounds=2, wrong=Wrong(**wrong))


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _wrong_card(world: World, datasets: list[DatasetId]) -> None:
    world.send(BOB, "Members", "setCard", world.put_bytes(b'{"schema":"hanse/card/1"}'))


def _wrong_wrap(world: World, datasets: list[DatasetId]) -> GrantId:
    return world.grant(world.request(BOB, datasets[0], ALICE), ALICE, wrapped_by=CAROL)


def _readable(world: World, datasets: list[DatasetId]) -> None:
    text = model.digest(b"Mill 7, vibration of October"[:32].ljust(32, b" "))
    world.send(BOB, "Members", "approve", text)


def _named(world: World, datasets: list[DatasetId]) -> None:
    world.send(BOB, "Members", "approve", model.digest(b"\x00Bob Foundry\xff".ljust(32, b"\xfe")))


DONE: dict[str, tuple[set[int], set[int], Callable[[World, list[DatasetId]], object]]] = {
    "a card that is none": ({6}, set(), _wrong_card),
    "an envelope record larger than the file": (
        {8}, set(), lambda w, d: w.publish(BOB, b"x", lie=lambda e: replace(e, size=e.size + 1))
    ),
    "an envelope record smaller than the file": (
        {8}, set(), lambda w, d: w.publish(BOB, b"x", lie=lambda e: replace(e, size=e.size - 1))
    ),
    "an envelope record about another version": (
        {7}, set(), lambda w, d: w.publish(BOB, b"x", lie=lambda e: replace(e, version=2))
    ),
    "a key wrapped by somebody else": ({11}, set(), _wrong_wrap),
    "a contribution swapped in the store": ({14}, {16, 18}, _train(served=_flipped)),
    "a seed that was not committed to": ({15}, {16, 18}, _train(seed=_flipped)),
    "a sum that is none, by a dishonest aggregator": ({16}, {18}, _train(total=_flipped)),
    "a model that does not follow from the sums": ({18}, set(), _train(model=_flipped)),
    "an envelope record beyond all bounds": (
        set(), {8}, lambda w, d: w.publish(BOB, b"x", lie=lambda e: replace(e, size=1 << 50))
    ),
    "readable text": ({20}, set(), _readable),
    "a member's name": ({20}, set(), _named),
}  # fmt: skip
"""What members may do that no contract can refuse: the check that sees it, and those that then cannot be made."""


@pytest.mark.parametrize("what", DONE)
def test_a_dishonest_member_fails_the_check_that_is_there_for_it(
    what: str, aside: tuple[World, list[DatasetId]], judge: Judge
) -> None:
    seen, left, act = DONE[what]
    act(*aside)
    report = judge(aside[0])
    assert (untrusted(report), unchecked(report)) == (seen, left)
