"""Every event of every contract, in order, is in one hash that an auditor recomputes from the logs."""

import pytest
from eth_utils.abi import event_abi_to_log_topic
from local_chain import digest, fold_head, found, person, terms, vector, version
from test_grants import agree
from test_members import admission, pausing, rotation, state_change
from training_steps import keyed, opened


@pytest.fixture(scope="module")
def busy(w3):
    """An alliance in which every kind of event has happened."""
    alliance = found(w3)
    _share(alliance, person(0), person(1))
    _train(alliance, [person(i) for i in range(4)])
    _decide(alliance, [person(0), person(1), person(2)])
    return alliance


def _share(alliance, alice, bob):
    datasets, grants = alliance.datasets.functions, alliance.grants.functions
    alliance.send(datasets.publish(digest("salt"), version()), by=alice)
    dataset = datasets.idOf(alice.address, digest("salt")).call()
    granting, id_ = agree(alliance, terms(alliance, dataset, alice, bob), alice, bob)
    for call, by in [
        (datasets.anchor(digest("root"), 3, digest("list")), bob),
        (grants.request(id_, dataset, 1, digest("request")), bob),
        (granting, alice),
        (grants.revoke(id_, dataset, bob.address), bob),
        (grants.withdraw(terms(alliance, dataset, alice, bob)), bob),
        (grants.receive_(digest("root"), 1, digest("list")), bob),
        (datasets.transfer(dataset, bob.address), alice),
        (datasets.retire(dataset), bob),
    ]:
        alliance.send(call, by=by)


def _train(alliance, people):
    run = keyed(alliance, people, rounds=1)
    run.contribute_all()
    run.accuse(people[0], 3)
    for who in people[:3]:
        run.reveal(who)
    run.lapse()
    for who in people[:3]:
        run.recover(who, 0, [digest("share")])
    run.aggregate(leaves=5000)
    alliance.send(run.challenging("right"), by=people[1])
    alliance.send(run.call.overrule(run.id, *_corrected(run, people[1]), vector("other"), True), by=people[2])
    alliance.sleep(901)
    alliance.send(run.call.finalize(run.id, digest("model")), by=people[2])
    alliance.send(run.call.attest(run.id, digest("model")), by=people[1])
    opened(alliance, people).lapse()
    poor = opened(alliance, people, spares=1)
    poor.join_all()
    poor.lapse()


def _corrected(run, by):
    return run.before, (*run.newest[:4], vector("right"), by.address)


def _decide(alliance, quorum):
    alliance.send(alliance.members.functions.setCard(digest("new card")), by=quorum[0])
    alliance.send(alliance.members.functions.approve(digest("decision")), by=quorum[0])
    alliance.send(admission(alliance, person(9), quorum), by=quorum[0])
    alliance.send(state_change(alliance, person(9), 3, [*quorum, person(3)]), by=quorum[0])
    alliance.send(pausing(alliance, alliance.now() + 10, quorum), by=quorum[0])
    alliance.send(rotation(alliance, person(3), person(20), quorum), by=quorum[0])


@pytest.mark.parametrize("name", ["Consortium", "Members", "Datasets", "Grants", "Trainings"])
def test_the_head_is_the_fold_of_all_events(busy, name):
    contract = busy.contracts()[name]
    logs = busy.w3.eth.get_logs({"fromBlock": 0, "address": contract.address})
    kinds = {event_abi_to_log_topic(e) for e in contract.abi if e["type"] == "event"}
    assert {bytes(log["topics"][0]) for log in logs} == kinds, "the fixture leaves an event out"
    assert fold_head(contract, busy.w3) == tuple(contract.functions.head().call())


def test_a_log_left_out_or_moved_changes_the_head(busy):
    members = busy.members
    logs = busy.w3.eth.get_logs({"fromBlock": 0, "address": members.address})
    told = tuple(members.functions.head().call())
    for shown in (logs[:-1], [*logs[:2], *logs[3:]], [logs[1], logs[0], *logs[2:]]):
        assert fold_head(members, busy.w3, logs=shown) != told
