"""The story of every scenario: publish, share, refuse, revoke, learn together, compare, audit, and catch a lie.

Each chapter does what a user would do, over the nodes' own APIs, and leaves what happened in one document. Nothing is
assumed: `held` is true only if every claim of the document was seen to hold.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from node.demo.comparison import compared
from node.demo.facts import facts_of
from node.demo.lying import lying_gateway
from node.demo.pages import Page, write_page
from node.demo.processes import Alliance, Person, as_soon_as_known, eventually, refused, started
from node.demo.scenario import Scenario
from node.demo.streams import collected, mosquitto
from node.errors import NotFinal, Retry
from node.tables import describe

TRAINING_SECONDS = 300.0
AUDIT_SECONDS = 120
CHALLENGE_SECONDS = 3
_NUMBERS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}

Document = dict[str, Any]


class Show(Protocol):
    """Who watches: told when a chapter begins, and what it came to."""

    def begin(self, chapter: str) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class Telling:
    """One telling of the story: what runs, what it is about, where, who watches, and the document so far."""

    alliance: Alliance
    scenario: Scenario
    folder: Path
    show: Show
    document: Document

    @property
    def owner(self) -> Person:
        """Of what is shared: the first site. The second is granted it, the third is refused."""
        return self._person(0)

    @property
    def consumer(self) -> Person:
        return self._person(1)

    @property
    def stranger(self) -> Person:
        return self._person(2)

    @property
    def victim(self) -> Person:
        """Whose sealed bytes are changed on their way: the last."""
        return self._person(-1)

    def dataset(self, member: str) -> Document:
        """What the member published."""
        found: Document = next(d for d in self.document["datasets"] if d["member"] == member)
        return found

    def _person(self, at: int) -> Person:
        return self.alliance.people[self.scenario.sites[at]]


def run(
    folder: Path, show: Show, scenario: Scenario, *, keep: bool = False, page: Page | None = None
) -> Document:  # fmt: skip
    """Tell the whole story in `folder`; the document of `hanse demo --json`. `keep` leaves the nodes running. `page`:
    the report that the first site's node writes of it, while it still runs."""
    began = time.monotonic()
    document: Document = {"scenario": scenario.name, "gas": {}}
    many = _NUMBERS[len(scenario.sites)]
    if scenario.stream is not None:
        mosquitto()  # before anything is started
    show.begin(f"{many} {scenario.sites_word} start an embedded chain, five contracts and a node each")
    with started(folder, scenario.sites, keep=keep) as alliance:
        people = alliance.people
        document["members"] = [{"name": p.name, "account": p.account, "url": p.url} for p in people.values()]
        show.note(f"Consortium {alliance.consortium} on {alliance.rpc}")
        telling = Telling(alliance, scenario, folder, show, document)
        for chapter in (_collect, _publish, _share, _refuse, _revoke, _train, _compare, _audit, _tamper):
            chapter(telling)
        document["urls"] = {"chain": alliance.rpc} | {p.name: p.url for p in people.values()}
        document["consortium"] = alliance.consortium
        document["memory_mb"] = alliance.memory_mb()
        document["kept"] = {"folder": str(folder), "processes": alliance.processes} if keep else None
        document["seconds"] = round(time.monotonic() - began, 1)
        document["held"] = _held(scenario, document)
        document["facts"] = facts_of(scenario, document)
        if page is not None:
            write_page(folder, telling.owner, scenario, document["facts"], page)
    return document


def _collect(telling: Telling) -> None:
    """Only where the records are a stream of sensors."""
    scenario, show = telling.scenario, telling.show
    if scenario.stream is None:
        return
    show.begin(f"the sensors of each {scenario.site} speak over MQTT; what they say is collected into Parquet, judged, "
               "and put into a table")  # fmt: skip
    made = []
    for site, measured in scenario.measured().items():
        made.append(collected(scenario.stream, site, measured, telling.folder))
        show.note(f"{sum(one['messages'] for one in made)} messages, {sum(one['table']['rows'] for one in made)} rows")
    telling.document["collected"] = made


def _publish(telling: Telling) -> None:
    scenario, people, show = telling.scenario, telling.alliance.people, telling.show
    show.begin(f"each publishes its part of {scenario.about}: sealed, stored, one commitment on chain")
    parts = scenario.parts(telling.folder)
    with ThreadPoolExecutor(len(parts)) as pool:
        made = list(pool.map(lambda name: _published(people[name], parts[name], scenario), parts))
    telling.document["datasets"] = made
    telling.document["gas"]["publish"] = _gas(made)
    show.note(f"{sum(d['records'] for d in made)} records in {len(made)} datasets")


def _published(person: Person, part: Path, scenario: Scenario) -> Document:
    offer = {"title": f"{scenario.offer}, {person.name}", "purpose": [scenario.purpose], "use": ["read", "train"],
             "days": 90}  # fmt: skip
    made = person.upload("/datasets", part, **offer)
    return {"member": person.name, "records": describe(part).rows, "file": str(part), **made}


def _share(telling: Telling) -> None:
    owner, consumer, purposes = telling.owner, telling.consumer, [telling.scenario.purpose]
    asks = f"{consumer.name} asks {owner.name} for its data"
    telling.show.begin(f"{asks}; both sign the same terms; the bytes are fetched and verified")
    dataset = telling.dataset(owner.name)
    body = {"dataset": dataset["dataset"], "purposes": purposes, "days": 30}
    asked = as_soon_as_known(lambda: consumer.post("/requests", body))
    granted = as_soon_as_known(lambda: owner.post(f"/requests/{asked['id']}/grant"))
    fetched = as_soon_as_known(lambda: consumer.post(f"/grants/{asked['id']}/fetch", {"purposes": purposes}))
    same = _sha256(Path(fetched["path"])) == _sha256(Path(dataset["file"]))
    telling.document["grants"] = [{"id": asked["id"], "owner": owner.name, "consumer": consumer.name,
                                   "state": "granted", "bytes": fetched["size"], "same_bytes": same}]  # fmt: skip
    telling.document["gas"] |= {"request": asked["gas"], "grant": granted["gas"], "receipt": fetched["gas"]}
    telling.show.note(f"{fetched['size']} bytes, every block re-hashed, receipt on chain")


def _refuse(telling: Telling) -> None:
    owner, stranger, scenario = telling.owner, telling.stranger, telling.scenario
    telling.show.begin(f"{stranger.name} asks for a purpose that {owner.name} does not offer, and tries "
                       f"{telling.consumer.name}'s grant")  # fmt: skip
    body = {"dataset": telling.dataset(owner.name)["dataset"], "purposes": [scenario.other], "days": 30}
    asked = refused(lambda: stranger.post("/requests", body))
    grant = telling.document["grants"][0]["id"]
    fetched = refused(lambda: stranger.post(f"/grants/{grant}/fetch", {"purposes": [scenario.purpose]}))
    telling.document["refused"] = [
        {"member": stranger.name, "act": act, **why} for act, why in (("request", asked), ("fetch", fetched))
    ]
    telling.show.note(f"refused by clause {asked['clause']}: asked for {asked['seen']}, offered {asked['needed']}")


def _revoke(telling: Telling) -> None:
    telling.show.begin(f"{telling.owner.name} ends the grant; a later fetch is refused")
    grant, consumer = telling.document["grants"][0], telling.consumer
    ended = telling.owner.post(f"/grants/{grant['id']}/revoke")
    eventually(lambda: consumer.get(f"/grants/{grant['id']}")["state"] == "revoked", "the revocation to be seen")
    body = {"purposes": [telling.scenario.purpose]}
    later = refused(lambda: consumer.post(f"/grants/{grant['id']}/fetch", body))
    grant |= {"state": "revoked", "later_fetch": later}
    telling.document["gas"]["revoke"] = ended["gas"]
    telling.show.note(f"refused by clause {later['clause']}: {later['seen']}, needed {later['needed']}")


def _train(telling: Telling) -> None:
    seats, document, show = len(telling.scenario.sites), telling.document, telling.show
    show.begin(f"all {_NUMBERS[seats]} learn one model; each round is a secure sum that anybody can recompute")
    plan = json.loads(telling.scenario.plan().encode())
    first = telling.owner
    opened = first.post("/trainings", {
        "title": plan["title"], "algorithm": plan["algorithm"], "params": plan["params"], "seats": seats,
        "challenge_seconds": CHALLENGE_SECONDS, "phase_seconds": 60, "join_seconds": 600,
    })  # fmt: skip
    for name, person in telling.alliance.people.items():
        as_soon_as_known(lambda p=person, n=name: p.post(f"/trainings/{opened['id']}/join",  # type: ignore[misc]
                                              {"dataset": telling.dataset(n)["dataset"]}))  # fmt: skip
    state = _watch(first, opened["id"], show)
    document["training"] = {"id": opened["id"], **first.get(f"/trainings/{opened['id']}/result")}
    document["rounds"] = first.get(f"/trainings/{opened['id']}/rounds")
    _attest(telling)
    attested = f"attested by {len(document['training']['attested'])} of {seats}"
    show.note(f"{state['rounds']} sums, model {document['training']['model'][:18]}..., {attested}")


def _attest(telling: Telling) -> None:
    """Wait until every member has said on chain which model it found, and serves the very bytes."""
    training, people = telling.document["training"], list(telling.alliance.people.values())
    path, accounts = f"/trainings/{training['id']}/result", sorted(str(person.account) for person in people)
    eventually(lambda: sorted(people[0].get(path)["attested"]) == accounts, "all members to attest the model",
                seconds=TRAINING_SECONDS)  # fmt: skip
    training["attested"] = accounts
    telling.document["model_bytes"] = {person.name: len(person.block(training["model"])) for person in people}


def _compare(telling: Telling) -> None:
    document, show = telling.document, telling.show
    show.begin(f"the same with all records in one place, and each {telling.scenario.site} by itself")
    parts = {dataset["member"]: Path(dataset["file"]) for dataset in document["datasets"]}
    training = document["training"]
    found = compared(telling.scenario, parts, training["id"], telling.owner.block(training["model"]))
    evaluation = document["training"]["evaluation"]
    if evaluation and "accuracy" in evaluation:
        document["accuracy"] = {
            "federated": evaluation["accuracy"], "pooled": found.pooled_accuracy, "records": evaluation["records"],
            "local": dict(found.local),
        }  # fmt: skip
    document["comparison"] = found.document(telling.scenario)
    equal = "0x" + hashlib.sha256(found.model).hexdigest() == document["training"]["model"]
    document["federated_equals_pooled"] = equal
    averaged = "" if telling.scenario.exact else ": averaging is not pooling"
    show.note("the model file is the same to the last bit" if equal else f"models differ{averaged}")


def _audit(telling: Telling) -> None:
    show = telling.show
    show.begin("an auditor, a process with no key, verifies all of it from an RPC URL, one address and gateways")
    code, report = _audited(telling.alliance, [p.url for p in telling.alliance.people.values()])
    telling.document["audit"] = {
        "checks": len(report["checks"]), "untrusted": len(report["untrusted"]), "unchecked": len(report["unchecked"]),
        "exit_code": code, "seconds": report["about"]["seconds"], "report": report,
    }  # fmt: skip
    show.note(f"{len(report['checks'])} checks, {len(report['untrusted'])} untrusted, exit code {code}")


def _tamper(telling: Telling) -> None:
    victim, alliance = telling.victim, telling.alliance
    telling.show.begin(f"one bit of {victim.name}'s sealed file is flipped on its way to the auditor")
    cid = telling.dataset(victim.name)["envelope"]
    with lying_gateway(victim.url, cid) as url:
        others = [p.url for p in alliance.people.values() if p.name != victim.name]
        code, report = _audited(alliance, [url, *others])
    named = [finding for finding in report["untrusted"] if cid in json.dumps(finding)]
    telling.document["tamper"] = {"cid": cid, "exit_code": code, "findings": named}
    telling.document["tamper_detected"] = code == 7 and bool(named)
    telling.show.note(f"found by check {named[0]['check']}, exit code {code}" if named else "NOT FOUND")


def _held(scenario: Scenario, document: Document) -> bool:
    """Whether all of it held: what the exit code says. Of averaging, pooling is not asked to leave the same model; of
    every scenario, that all members attest one."""
    grant, accuracy = document["grants"][0], document.get("accuracy")
    return all((
        grant["same_bytes"], grant["later_fetch"]["clause"] == "state", len(document["refused"]) == 2,
        document["federated_equals_pooled"] or not scenario.exact,
        len(document["training"]["attested"]) == len(document["members"]) == len(document["model_bytes"]),
        accuracy is None or accuracy["federated"] == accuracy["pooled"],
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


def _gas(records: list[Document]) -> int:
    """The median of what they cost: the first of all pays for fresh storage."""
    return sorted(int(r["gas"]) for r in records)[len(records) // 2]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
