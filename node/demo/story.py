"""The demo's story: publish, share, refuse, revoke, learn together, audit, and catch a lie.

Each chapter does what a user would do, over the nodes' own APIs, and leaves what happened in one document. Nothing is
assumed: `held` is true only if every claim of the document was seen to hold.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from node.demo.hospitals import NAMES, alone, heart_plan, hospitals, pooled_model
from node.demo.lying import lying_gateway
from node.demo.processes import Alliance, Person, as_soon_as_known, started
from node.errors import NotFinal, Refused, Retry

TRAINING_SECONDS = 120.0
AUDIT_SECONDS = 120
CHALLENGE_SECONDS = 3
OWNER, CONSUMER, STRANGER = NAMES[0], NAMES[1], NAMES[2]

Document = dict[str, Any]


class Show(Protocol):
    """Who watches: told when a chapter begins, and what it came to."""

    def begin(self, chapter: str) -> None: ...

    def note(self, text: str) -> None: ...


def run(folder: Path, show: Show, *, keep: bool = False) -> Document:
    """Tell the whole story in `folder`; the document of `hanse demo --json`. `keep` leaves the nodes running."""
    began = time.monotonic()
    document: Document = {"gas": {}}
    show.begin("four hospitals start an embedded chain, five contracts and a node each")
    with started(folder, NAMES, keep=keep) as alliance:
        people = alliance.people
        document["members"] = [{"name": p.name, "account": p.account, "url": p.url} for p in people.values()]
        show.note(f"Consortium {alliance.consortium} on {alliance.rpc}")
        for chapter in (_publish, _share, _refuse, _revoke, _train, _compare, _audit, _tamper):
            chapter(alliance, document, folder, show)
        document["urls"] = {"chain": alliance.rpc} | {p.name: p.url for p in people.values()}
        document["consortium"] = alliance.consortium
        document["memory_mb"] = alliance.memory_mb()
        document["kept"] = {"folder": str(folder), "processes": alliance.processes} if keep else None
    document["seconds"] = round(time.monotonic() - began, 1)
    document["held"] = _held(document)
    return document


def _publish(alliance: Alliance, document: Document, folder: Path, show: Show) -> None:
    show.begin("each publishes its part of UCI's heart-disease records: sealed, stored, one commitment on chain")
    parts = hospitals(folder)
    with ThreadPoolExecutor(len(parts)) as pool:
        made = pool.map(lambda name: _published(alliance.people[name], parts[name]), parts)
    document["datasets"] = list(made)
    document["gas"]["publish"] = _gas(document["datasets"])
    show.note(f"{sum(d['records'] for d in document['datasets'])} records in {len(document['datasets'])} datasets")


def _published(person: Person, path: Path) -> Document:
    offer = {"title": f"Heart disease, {person.name}", "purpose": ["research"], "use": ["read", "train"], "days": 90}
    made = person.upload("/datasets", path, **offer)
    return {"member": person.name, "records": _lines(path), "file": str(path), **made}


def _share(alliance: Alliance, document: Document, folder: Path, show: Show) -> None:
    show.begin(f"{CONSUMER} asks {OWNER} for its data; both sign the same terms; the bytes are fetched and verified")
    owner, consumer = alliance.people[OWNER], alliance.people[CONSUMER]
    dataset = _of(document, OWNER)
    body = {"dataset": dataset["dataset"], "purposes": ["research"], "days": 30}
    asked = as_soon_as_known(lambda: consumer.post("/requests", body))
    granted = as_soon_as_known(lambda: owner.post(f"/requests/{asked['id']}/grant"))
    fetched = as_soon_as_known(lambda: consumer.post(f"/grants/{asked['id']}/fetch", {"purposes": ["research"]}))
    same = _sha256(Path(fetched["path"])) == _sha256(Path(dataset["file"]))
    document["grants"] = [{"id": asked["id"], "owner": OWNER, "consumer": CONSUMER, "state": "granted",
                           "bytes": fetched["size"], "same_bytes": same}]  # fmt: skip
    document["gas"] |= {"request": asked["gas"], "grant": granted["gas"], "receipt": fetched["gas"]}
    show.note(f"{fetched['size']} bytes, every block re-hashed, receipt on chain")


def _refuse(alliance: Alliance, document: Document, folder: Path, show: Show) -> None:
    show.begin(f"{STRANGER} asks for a purpose that {OWNER} does not offer, and tries {CONSUMER}'s grant")
    stranger = alliance.people[STRANGER]
    body = {"dataset": _of(document, OWNER)["dataset"], "purposes": ["risk"], "days": 30}
    asked = _refused(lambda: stranger.post("/requests", body))
    grant = document["grants"][0]["id"]
    fetched = _refused(lambda: stranger.post(f"/grants/{grant}/fetch", {"purposes": ["research"]}))
    document["refused"] = [
        {"member": STRANGER, "act": act, **why} for act, why in (("request", asked), ("fetch", fetched))
    ]
    show.note(f"refused by clause {asked['clause']}: asked for {asked['seen']}, offered {asked['needed']}")


def _revoke(alliance: Alliance, document: Document, folder: Path, show: Show) -> None:
    show.begin(f"{OWNER} ends the grant; a later fetch is refused")
    grant = document["grants"][0]
    ended = alliance.people[OWNER].post(f"/grants/{grant['id']}/revoke")
    consumer = alliance.people[CONSUMER]
    _eventually(lambda: consumer.get(f"/grants/{grant['id']}")["state"] == "revoked", "the revocation to be seen")
    later = _refused(lambda: consumer.post(f"/grants/{grant['id']}/fetch", {"purposes": ["research"]}))
    grant |= {"state": "revoked", "later_fetch": later}
    document["gas"]["revoke"] = ended["gas"]
    show.note(f"refused by clause {later['clause']}: {later['seen']}, needed {later['needed']}")


def _train(alliance: Alliance, document: Document, folder: Path, show: Show) -> None:
    show.begin("all four learn one model; each round is a secure sum that anybody can recompute")
    plan = json.loads(heart_plan(len(NAMES)).encode())
    first = alliance.people[OWNER]
    opened = first.post("/trainings", {
        "title": plan["title"], "algorithm": plan["algorithm"], "params": plan["params"], "seats": len(NAMES),
        "challenge_seconds": CHALLENGE_SECONDS, "phase_seconds": 60, "join_seconds": 600,
    })  # fmt: skip
    for name, person in alliance.people.items():
        as_soon_as_known(lambda p=person, n=name: p.post(f"/trainings/{opened['id']}/join",  # type: ignore[misc]
                                              {"dataset": _of(document, n)["dataset"]}))  # fmt: skip
    state = _watch(first, opened["id"], show)
    document["training"] = {"id": opened["id"], **first.get(f"/trainings/{opened['id']}/result")}
    document["rounds"] = first.get(f"/trainings/{opened['id']}/rounds")
    show.note(f"{state['rounds']} sums, model {document['training']['model'][:18]}...")


def _compare(alliance: Alliance, document: Document, folder: Path, show: Show) -> None:
    show.begin("the same with all records in one place, and each hospital by itself")
    parts = {d["member"]: Path(d["file"]) for d in document["datasets"]}
    model, pooled = pooled_model(parts, document["training"]["id"])
    local = alone(parts)
    evaluation = document["training"]["evaluation"]
    document["accuracy"] = {
        "federated": evaluation["accuracy"], "pooled": pooled.accuracy, "records": evaluation["records"],
        "local": {name: scores.accuracy for name, scores in local.items()},
    }  # fmt: skip
    document["federated_equals_pooled"] = "0x" + hashlib.sha256(model).hexdigest() == document["training"]["model"]
    show.note("the model file is the same to the last bit" if document["federated_equals_pooled"] else "models differ")


def _audit(alliance: Alliance, document: Document, folder: Path, show: Show) -> None:
    show.begin("an auditor, a process with no key, verifies all of it from an RPC URL, one address and gateways")
    code, report = _audited(alliance, [p.url for p in alliance.people.values()])
    document["audit"] = {
        "checks": len(report["checks"]), "untrusted": len(report["untrusted"]), "unchecked": len(report["unchecked"]),
        "exit_code": code, "seconds": report["about"]["seconds"], "report": report,
    }  # fmt: skip
    show.note(f"{len(report['checks'])} checks, {len(report['untrusted'])} untrusted, exit code {code}")


def _tamper(alliance: Alliance, document: Document, folder: Path, show: Show) -> None:
    victim = NAMES[3]
    show.begin(f"one bit of {victim}'s sealed file is flipped on its way to the auditor")
    cid = _of(document, victim)["envelope"]
    with lying_gateway(alliance.people[victim].url, cid) as url:
        others = [p.url for p in alliance.people.values() if p.name != victim]
        code, report = _audited(alliance, [url, *others])
    named = [finding for finding in report["untrusted"] if cid in json.dumps(finding)]
    document["tamper"] = {"cid": cid, "exit_code": code, "findings": named}
    document["tamper_detected"] = code == 7 and bool(named)
    show.note(f"found by check {named[0]['check']}, exit code {code}" if named else "NOT FOUND")


def _held(document: Document) -> bool:
    """Whether all of it held: what the exit code says."""
    grant = document["grants"][0]
    return all((
        grant["same_bytes"], grant["later_fetch"]["clause"] == "state", len(document["refused"]) == 2,
        document["federated_equals_pooled"], document["accuracy"]["federated"] == document["accuracy"]["pooled"],
        document["audit"]["exit_code"] == 0, document["audit"]["untrusted"] == 0, document["tamper_detected"],
    ))  # fmt: skip


def _audited(alliance: Alliance, gateways: list[str]) -> tuple[int, Document]:
    command = [sys.executable, "-m", "node.cli", "audit", "run", "--json", "--rpc", alliance.rpc]
    command += ["--consortium", alliance.consortium, "--allow-loopback"]
    for gateway in gateways:
        command += ["--gateway", gateway]
    done = subprocess.run(command, capture_output=True, timeout=AUDIT_SECONDS, check=False)
    document: Document = json.loads(done.stdout)
    if "error" in document:
        raise Retry(
            f"the audit could not be made: {document['error']['message']}", clause="audit", seen=done.returncode
        )
    return done.returncode, document


def _watch(person: Person, training: str, show: Show) -> Document:
    until, seen = time.monotonic() + TRAINING_SECONDS, ""
    while time.monotonic() < until:
        state: Document = person.get(f"/trainings/{training}")
        now = f"{state['phase']}, round {state['rounds']}"
        if now != seen:
            show.note(now)
            seen = now
        if state["phase"] in ("final", "void"):
            return state
        time.sleep(0.2)
    raise NotFinal("the training takes longer than the demo waits", clause="deadline", seen=seen, needed="final")


def _refused(act: Callable[[], Document]) -> Document:
    """The reason why it was refused; an error where it was not."""
    try:
        act()
    except Refused as no:
        return no.record()
    raise AssertionError("this should have been refused")


def _eventually(holds: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise NotFinal(f"waited in vain for {what}", clause="deadline")
        time.sleep(0.1)


def _of(document: Document, member: str) -> Document:
    found: Document = next(d for d in document["datasets"] if d["member"] == member)
    return found


def _gas(records: list[Document]) -> int:
    """The median of what they cost: the first of all pays for fresh storage."""
    return sorted(int(r["gas"]) for r in records)[len(records) // 2]


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") - 1


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
