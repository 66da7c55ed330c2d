"""Fusion over a real chain: tables of three shapes give the sums of equal tables, and what was joined with stays."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from federation.sources import Code, Source
from node import documents, mapped, mapping, model, report, training
from node.audit.blobs import Blobs
from node.audit.rounds import _check_key
from node.documents import PublicKey, digest_of
from node.errors import Conflict, NotFound, Refused, Untrusted
from node.ledger import Seat
from node.model import DatasetId, TrainingId
from node.publish import publish
from node.store import Cid
from node.store.blocks import BlockStore
from node.sums import Plan, plan_of
from node.trainer import Trainer
from tests.stories.alliance import Person
from tests.stories.sharing import opened
from tests.stories.taking_part import People, audited, finish, posted_sums, together
from tests.stories.test_refusals import refused

FEATURES = [
    {"name": "temperature", "low": 10, "high": 90, "unit": "Cel"},
    {"name": "kind", "levels": ["a", "b"]},
]
BOB = [
    Source("temperature", "TempF", unit="[degF]"),
    Source("kind", "type", codes=(Code("1", "a"), Code("2", "b"))),
    Source("failed", "out of order", codes=(Code("no", "0"), Code("yes", "1"))),
]
CAROL = [
    Source("temperature", "t10", factor=0.1, missing=("-999",)),
    Source("kind", constant="b"),
    Source("failed", "failed"),
]
ALICE = [
    Source("temperature", "temperature", unit="Cel"),
    Source("kind", "kind"),
    Source("failed", "failed"),
]


def plan(title: str) -> Plan:
    params = {"features": FEATURES, "target": {"name": "failed", "above": 0}, "members": 3, "records": 100, "rounds": 2}
    return plan_of(title, "logistic", params)


def rows(start: int, *, kind: str = "ab") -> list[tuple[int, str, int]]:
    return [(20 + 5 * ((i + start) % 9), kind[i % len(kind)], (i * i + start) % 3 == 0) for i in range(20)]


def table(path: Path, head: str, lines: list[str]) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def shapes(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Each member's own table, and the same records as the plan names them."""
    folder.mkdir()
    a, b, c = rows(0), rows(1), rows(2, kind="b")
    own = {
        "alice": table(folder / "a.csv", "temperature,kind,failed", [f"{t},{k},{f:d}" for t, k, f in a]),
        "bob": table(folder / "b.csv", "out of order,type,TempF",
                     [f"{'yes' if f else 'no'},{1 + 'ab'.index(k)},{t * 9 / 5 + 32}" for t, k, f in b]),
        "carol": table(folder / "c.csv", "failed,t10", [f"{f:d},{t * 10}" for t, _, f in c]),
    }  # fmt: skip
    equal = [table(folder / f"{i}.csv", "temperature,kind,failed", [f"{t},{k},{f:d}" for t, k, f in part])
             for i, part in enumerate((a, b, c))]  # fmt: skip
    return own, equal


def published(people: People, own: dict[str, Path]) -> dict[str, DatasetId]:
    return {name: publish(people[name].node, path, title="Mill").dataset for name, path in own.items()}


def three(people: People) -> People:
    return {name: people[name] for name in ("alice", "bob", "carol")}


def key_of(person: Person, number: TrainingId) -> PublicKey:
    person.node.follow()
    seat = next(s for s in person.node.ledger.trainings[number].seats if s.member == person.me)
    return person.node.get_document(PublicKey, seat.hpke)


def test_three_shapes_of_one_table_give_the_sums_of_equal_tables(people: People, tmp_path: Path) -> None:
    """The digest fixed on chain is used, although the mapping is changed after the join; an audit finds nothing."""
    some, plan_ = three(people), plan("fused")
    own, equal = shapes(tmp_path / "tables")
    datasets = published(some, own)
    bob, carol = (
        mapping.set_mapping(some["bob"].node, plan_, BOB),
        mapping.set_mapping(some["carol"].node, plan_, CAROL),
    )
    number = opened(some["alice"], list(some.values()), plan_)
    for name, person in some.items():
        training.join(person.node, number, datasets[name])
    assert [key_of(some[name], number).mapping for name in some] == [None, bob.digest, carol.digest]

    changed = mapping.set_mapping(some["bob"].node, plan_, [replace(BOB[0], unit="", factor=1.0), *BOB[1:]])
    assert (changed.version, changed.earlier) == (2, (number,))
    error = refused(lambda: training.join(some["bob"].node, number, datasets["bob"]), Conflict, "mapping", 5)
    assert (error.seen, error.needed) == ("version 2", "version 1")
    assert training.join(some["carol"].node, number, datasets["carol"]).already

    finish(some, number)
    assert posted_sums(some, number) == list(together(plan_, equal).totals)
    assert audited(some, number, tmp_path) == []
    for node, path in zip((person.node for person in some.values()), equal, strict=True):
        found, wanted = Trainer(node, number).own_table(), plan_.steps.prepare(plan_.params, report._together([path]))
        assert (found.values.tobytes(), found.target.tobytes()) == (wanted.values.tobytes(), wanted.target.tobytes())


def test_a_mapping_is_kept_by_version_and_hidden_by_its_salt(people: People) -> None:
    node, plan_ = people["dave"].node, plan("kept")
    with pytest.raises(NotFound):
        mapping.show(node, plan_)
    first = mapping.set_mapping(node, plan_, BOB)
    assert mapping.set_mapping(node, plan_, BOB) == replace(first, already=True)
    second = mapping.set_mapping(node, plan_, CAROL)
    third = mapping.set_mapping(node, plan_, BOB)
    assert [one.version for one in mapping.show(node, plan_)] == [1, 2, 3]
    assert len({first.digest, second.digest, third.digest}) == 3  # the same words under another salt
    kept = mapped.required(node, first.digest)
    assert kept.sources == tuple(BOB)
    assert len(bytes.fromhex(kept.salt)) == 32
    assert digest_of(kept) == first.digest
    assert mapped.current(node, mapped.plan_digest(plan("another"))) is None
    assert not node.store.has(_cid(first.digest))  # it is served to nobody


def _cid(digest: model.Digest) -> Cid:
    return Cid.raw(model.raw(digest))


@pytest.mark.parametrize(
    ("sources", "clause"),
    [
        (BOB[:2], "mapping"),
        ([*BOB, BOB[0]], "mapping"),
        ([replace(BOB[0], unit="kg"), *BOB[1:]], "unit"),
        ([replace(BOB[0], unit=""), *BOB[1:]], "unit"),
        ([BOB[0], replace(BOB[1], codes=(Code("1", "c"),)), BOB[2]], "codes"),
    ],
)
def test_a_mapping_that_does_not_fit_the_plan_is_not_kept(people: People, sources: list[Source], clause: str) -> None:
    node, plan_ = people["dave"].node, plan(f"unfit {clause} {len(sources)}")
    refused(lambda: mapping.set_mapping(node, plan_, sources), Refused, clause, 4)
    assert mapped.current(node, mapped.plan_digest(plan_)) is None


def test_a_join_is_refused_where_a_code_is_not_named(people: People, tmp_path: Path) -> None:
    some, plan_ = three(people), plan("unknown code")
    own, _ = shapes(tmp_path / "tables")
    dataset = publish(some["bob"].node, own["bob"], title="Mill").dataset
    mapping.set_mapping(some["bob"].node, plan_, [BOB[0], replace(BOB[1], codes=(Code("1", "a"),)), BOB[2]])
    number = opened(some["alice"], list(some.values()), plan_)
    error = refused(lambda: training.join(some["bob"].node, number, dataset), Refused, "codes", 4)
    assert (error.seen, "feature kind" in error.message, "row 2" in error.message) == ("2", True, True)
    assert some["bob"].node.follow().trainings[number].seats == ()
    mapping.set_mapping(some["bob"].node, plan_, BOB)
    training.join(some["bob"].node, number, dataset)
    with some["bob"].restarted() as node:
        assert len(Trainer(node, number).own_table()) == 20


def test_checking_says_what_is_wrong_and_what_to_try(people: People, tmp_path: Path) -> None:
    node, plan_ = people["dave"].node, plan("checked")
    lines = ["36,1,0", "-999,2,1", "200,3,1", "200,3,0"]
    path = table(tmp_path / "d.csv", "Temperature_C,Kind,failed", lines)
    dataset = publish(node, path, title="Mill").dataset
    bare = {row.feature: row for row in mapping.check(node, plan_, dataset)}
    assert (bare["temperature"].suggested, bare["kind"].suggested) == ("Temperature_C", "Kind")
    assert "no column temperature" in bare["temperature"].trouble
    assert (bare["failed"].trouble, bare["failed"].suggested) == ("", "")
    sources = [
        Source("temperature", "Temperature_C", unit="Cel", missing=("-999",)),
        Source("kind", "Kind", codes=(Code("1", "a"), Code("2", "b"))),
        Source("failed", "failed"),
    ]
    rows = {row.feature: row for row in mapping.check(node, plan_, dataset, sources=sources)}
    assert (rows["temperature"].missing, rows["temperature"].outside, rows["temperature"].rows) == (0.25, 2, (3, 4))
    assert (rows["kind"].unknown, rows["kind"].rows) == (("3 (2)",), (3, 4))
    mapping.set_mapping(node, plan_, sources)
    assert mapping.check(node, plan_, dataset) == list(rows.values())


def test_a_mapping_is_not_a_public_document(people: People) -> None:
    """What the chain shows of it is a digest inside the training key."""
    node = people["dave"].node
    made = mapping.set_mapping(node, plan("private"), CAROL)
    key = documents.encode(PublicKey(node.me, "00", made.digest))
    assert json.loads(key)["mapping"] == made.digest
    assert b"t10" not in key


def test_an_audit_names_a_mapping_that_is_no_digest(people: People, tmp_path: Path) -> None:
    me, store = people["dave"].me, BlockStore(tmp_path / "auditor")
    blobs = Blobs(store, [], until=time.monotonic() + 60)

    def judged(mapping: str | None) -> None:
        cid = store.put_block(documents.encode(PublicKey(me, "00", mapping)))  # type: ignore[arg-type]
        seat = Seat(me, DatasetId(model.ZERO), 1, model.digest(cid.digest))
        _check_key(blobs, seat)

    judged(None)
    judged(model.ZERO)
    for wrong in ("", "0x12", model.ZERO.upper(), model.ZERO + "\n"):
        with pytest.raises(Untrusted, match="mapping"):
            judged(wrong)
