"""Gas of whole transactions (member checks and running hash included) against ceilings and peers, on one Anvil.

from benches import gas
gas.run()    # {"bench": "gas", "runs": 1, "results": [{"name": "publish", "value": 84_000, ...}, ...]}
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "contracts"), str(ROOT / "scripts")]

from benches.gas_peers import measure as measure_peers  # noqa: E402
from compile_contracts import compile_sources  # noqa: E402
from local_chain import (  # noqa: E402
    MEMBER,
    Alliance,
    anvil,
    consents,
    deployed,
    digest,
    domain,
    found,
    person,
    sign,
    terms,
    version,
)
from real_rounds import Plan, on_chain, wrong  # noqa: E402
from training_steps import keyed  # noqa: E402

from node import merkle, model  # noqa: E402

CEILINGS = {
    "publish": 85_000,
    "new_version": 60_000,
    "anchor_1000": 60_000,
    "request": 60_000,
    "grant": 100_000,
    "revoke": 42_000,
    "contribute": 60_000,
    "aggregate": 60_000,
    "finalize": 40_000,
    "admit_11": 170_000,
    "fraud_10_0": 1_000_000,
    "fraud_10_1": 1_500_000,
    "fraud_64_0": 1 << 24,  # EIP-7825: the most gas of one transaction
    "fraud_64_1": 1 << 24,
    "fraud_64_3": 1 << 24,
    "fraud_64_3_bytes": 1 << 17,  # the largest transaction that pools take
}
PEERS = {"publish": ("EAS attest", "Ocean publish"), "grant": ("Ocean order",), "fraud_64_3_bytes": ()}
FRAUD_SIZES = (3, 10, 32, 64)
EVERYDAY = FRAUD_SIZES[:2]
FRAUD_DROPPED = (0, 1, 3)
FRAUD_LANES = 1_000_000  # of Z_2^64


def run(sizes: Sequence[int] = FRAUD_SIZES) -> dict[str, Any]:
    """Measure once: gas does not vary from run to run. `sizes`: members of the challenged rounds."""
    with anvil() as w3:
        peers = measure_peers(w3)
        ours = measure(w3) | measure_fraud(w3, sizes)
    return {"bench": "gas", "runs": 1, "results": [_result(name, value, peers) for name, value in ours.items()]}


def measure(w3: Any) -> dict[str, int]:
    """Gas by operation, in an alliance of ten where everything but what the operation makes exists already."""
    alliance = found(w3, [(person(i).address, MEMBER, digest(f"card {i}")) for i in range(10)])
    return _datasets(alliance) | _grants(alliance) | _trainings(alliance) | _members(alliance)


def _datasets(alliance: Alliance) -> dict[str, int]:
    calls, alice = alliance.datasets.functions, person(0)
    alliance.send(calls.publish(digest("the first"), version()), by=alice)
    published = alliance.send(calls.publish(digest("the second"), version()), by=alice)
    dataset = calls.idOf(alice.address, digest("the second")).call()
    renewed = version(commitment=digest("manifest 2"), envelope=digest("envelope 2"))
    return {
        "publish": published["gasUsed"],
        "new_version": alliance.send(calls.publishVersion(dataset, 2, renewed), by=alice)["gasUsed"],
        "anchor_1000": alliance.send(calls.anchor(digest("root"), 1000, digest("list")), by=alice)["gasUsed"],
    }


def _grants(alliance: Alliance) -> dict[str, int]:
    calls, alice, bob = alliance.grants.functions, person(0), person(1)
    dataset = alliance.datasets.functions.idOf(alice.address, digest("the first")).call()
    where = domain(alliance.grants, "Hanse Grants")
    spent = {}
    for _ in range(2):  # the first one's figures are overwritten: it makes the running hash's slot
        agreed = terms(alliance, dataset, alice, bob)
        signatures = [sign(who, "Terms", agreed, where)[0] for who in (alice, bob)]
        id_ = sign(alice, "Terms", agreed, where)[1]
        asked = calls.request(id_, dataset, 1, digest("request"))
        spent["request"] = alliance.send(asked, by=bob)["gasUsed"]
        given = calls.grant(agreed, *signatures, digest("wrap"))
        spent["grant"] = alliance.send(given, by=alice)["gasUsed"]
        spent["revoke"] = alliance.send(calls.revoke(id_, dataset, bob.address), by=alice)["gasUsed"]
    return spent


def _trainings(alliance: Alliance) -> dict[str, int]:
    people = [person(i) for i in range(10)]
    run_ = keyed(alliance, people, rounds=3)
    first = run_.contribute(people[0])["gasUsed"]
    second = run_.contribute(people[1])["gasUsed"]
    for who in people[2:]:
        run_.contribute(who)
    run_.reveal_all()
    aggregated = run_.aggregate()["gasUsed"]
    run_.contribute_all(1)
    run_.reveal_all(1)
    run_.aggregate(1, last=True)
    alliance.sleep(run_.state()["deadline"] - alliance.now() + 1)
    final = alliance.send(run_.call.finalize(run_.id, digest("model")), by=people[0])
    return {"contribute_first": first, "contribute": second, "aggregate": aggregated, "finalize": final["gasUsed"]}


def measure_fraud(w3: Any, sizes: Sequence[int]) -> dict[str, int]:
    """Challenges by size and dropouts: `fraud_N_D` where N members had posted keys and D of them dropped out."""
    people = [person(i) for i in range(max(sizes))]
    alliance = found(w3, [(who.address, MEMBER, digest(f"card {who.address}")) for who in people])
    path = "tests/contracts/Judge.sol"
    judge = compile_sources({path: (ROOT / path).read_text()})[path]["Judge"]
    block = deployed(w3, judge["abi"], judge["evm"]["bytecode"]["object"]).functions.cost(digest("key")).call()
    rows = (row for size in sizes for row in _challenges(alliance, people[:size]))
    return dict(rows) | {"chacha20_block": block}


def _challenges(alliance: Alliance, people: list[Any]) -> Iterator[tuple[str, int]]:
    """One training, whose rounds lose more and more members and all end with a wrong sum."""
    size = len(people)
    plans = [Plan(tuple(range(gone))) for gone in FRAUD_DROPPED if size - gone > 2 * size // 3]
    deep = _Deep()
    training = on_chain(alliance, people, plans, ring=64, lanes=merkle.LEAF_SIZE // 8, form=deep.vector)
    for number, plan in enumerate(plans):
        posted = wrong(training.played.outcomes[number], 9)
        training.contribute(number)
        training.aggregate(number, posted, by=size - 1)
        evidence = training.played.evidence(number, posted, 1)
        shown = replace(evidence, paths=(deep.path,) * len(evidence.leaves))
        call = training.challenging(shown, deep.vector(bytes(merkle.LEAF_SIZE)))
        name = f"fraud_{size}_{len(plan.dropped)}"
        yield name, _undone(alliance, call, people[-2])
        if f"{name}_bytes" in CEILINGS:
            yield f"{name}_bytes", len(call.build_transaction({"gas": 1, "gasPrice": 0})["data"]) // 2 - 1


class _Deep:
    """Vectors of a million lanes that are zeros behind their first leaf, so that one path serves all of them."""

    def __init__(self) -> None:
        zeros = bytes(FRAUD_LANES * 8)
        self.leaves = len(zeros) // merkle.LEAF_SIZE
        self.path = tuple(model.digest(node) for node in merkle.vector_proof(zeros, 0))

    def vector(self, leaf: bytes) -> model.Vector:
        root = merkle.leaf_hash(leaf)
        for sibling in self.path:
            root = merkle.node_hash(root, model.raw(sibling))
        return model.Vector(model.digest(root), model.digest(digest("blob")), self.leaves)


def _undone(alliance: Alliance, call: Any, by: Any) -> int:
    """Gas of a transaction that is taken back afterwards."""
    provider = alliance.w3.provider
    snapshot = provider.make_request("evm_snapshot", [])["result"]
    spent = alliance.send(call, by=by)["gasUsed"]
    provider.make_request("evm_revert", [snapshot])
    return int(spent)


def _members(alliance: Alliance) -> dict[str, int]:
    newcomer = person(10)
    message = {"account": newcomer.address, "roles": MEMBER, "card": digest("card 10")}
    agreed = consents(alliance, [person(i) for i in range(7)], "Admit", message)
    call = alliance.members.functions.admit(newcomer.address, MEMBER, digest("card 10"), agreed)
    return {"admit_11": alliance.send(call, by=person(0))["gasUsed"]}


def _result(name: str, value: int, peers: dict[str, int]) -> dict[str, Any]:
    against = {peer: peers[peer] for peer in PEERS.get(name, ("EAS attest",))}
    goal = CEILINGS.get(name)
    return {
        "name": name,
        "value": value,
        "unit": "bytes" if name.endswith("_bytes") else "gas",
        "against": against,
        "ratio": round(value / min(against.values()), 3) if against else None,
        "goal": goal,
        "holds": None if goal is None else value <= goal,
    }
