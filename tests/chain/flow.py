"""Found an alliance, share a dataset, train once: the same steps on every chain, through the chain edge only.

directory = share_and_train(chain, advance=lambda seconds: ...)
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from coincurve import PublicKey

from node.chain.client import Chain
from node.chain.deploy import deploy
from node.chain.encode import EMPTY, extend
from node.chain.typed import grant_id, terms_message
from node.model import (
    ZERO,
    DatasetId,
    Directory,
    GrantId,
    GrantState,
    Keys,
    Phase,
    Terms,
    Time,
    TrainingId,
    TrainingTerms,
    Use,
    Vector,
    Version,
    digest,
)
from tests.chain.people import Person, founders, named, person

READ_AND_TRAIN = int(Use.READ | Use.TRAIN)
NO_KEYS = Keys(ZERO, 0, ZERO, ZERO)


def share_and_train(chain: Chain, *, advance: Callable[[int], None]) -> Directory:
    """Deploy, publish three datasets, grant one, train over all; every running hash recomputed at the end."""
    directory = deploy(chain, person(0), founders(), delay=3600)
    members = [person(i) for i in range(3)]
    datasets = [publish(chain, directory, member, named("salt")) for member in members]
    grant(chain, directory, datasets[0], owner=members[0], consumer=members[1])
    training = train(chain, directory, dict(zip(datasets, members, strict=True)), advance=advance)
    assert chain.call(directory, "Trainings", "training", training).phase == Phase.FINAL
    assert_complete(chain, directory)
    return directory


def publish(chain: Chain, directory: Directory, owner: Person, salt: str) -> DatasetId:
    content = Version(named("manifest"), named("envelope"), named("policy"), READ_AND_TRAIN, 1000)
    owner.sends(chain, directory, "Datasets", "publish", salt, content)
    dataset = DatasetId(chain.call(directory, "Datasets", "idOf", owner.address, salt))
    found = chain.call(directory, "Datasets", "dataset", dataset)
    assert (found.owner, found.version, found.commitment) == (owner.address, 1, content.commitment)
    return dataset


def terms_between(chain: Chain, owner: Person, consumer: Person, dataset: DatasetId) -> Terms:
    now = chain.block("latest").time
    digests = named("policy"), named("document"), named("recipient")
    period = Time(now), Time(now + 86_400), Time(now + 3600)
    parties = owner.address, consumer.address
    return Terms(dataset, 1, *parties, *digests, READ_AND_TRAIN, 1, 0, *period, GrantId(ZERO), named("nonce"))


def grant(chain: Chain, directory: Directory, dataset: DatasetId, *, owner: Person, consumer: Person) -> GrantId:
    terms = terms_between(chain, owner, consumer, dataset)
    at = directory.address("Grants")
    message, id_ = terms_message(terms, chain.chain_id, at), grant_id(terms, chain.chain_id, at)
    consumer.sends(chain, directory, "Grants", "request", id_, dataset, 1, named("request"))
    signatures = owner.sign_typed(message), consumer.sign_typed(message)
    owner.sends(chain, directory, "Grants", "grant", terms, *signatures, named("wrap"))
    assert chain.call(directory, "Grants", "state", id_)[0] == GrantState.GRANTED
    chain.call(directory, "Grants", "requireAllowed", terms, consumer.address, 1, 1, terms.from_)
    return id_


def train(
    chain: Chain, directory: Directory, seats: dict[DatasetId, Person], *, advance: Callable[[int], None]
) -> TrainingId:
    """One round by everybody, final once the challenge window is over."""
    terms = TrainingTerms(named("plan"), 64, 3, 3, 2, 1, 0, 3600, 3600, 60, 100)
    opener, *_ = members = list(seats.values())
    opener.sends(chain, directory, "Trainings", "open", named("salt"), terms)
    opened = chain.events(directory, directory.born, chain.final())[-1].said
    training = TrainingId(opened.id)
    for dataset, member in seats.items():
        member.sends(chain, directory, "Trainings", "join", training, dataset, 1, named("hpke"))
    for member in members:
        member.sends(chain, directory, "Trainings", "postKeys", training, 0, keys_of(member))
    for member in members:
        masked = Vector(named(member.address), named("blob"), 4)
        member.sends(chain, directory, "Trainings", "contribute", training, 0, masked, NO_KEYS)
    for member in members:
        member.sends(chain, directory, "Trainings", "reveal", training, 0, named("seed " + member.address), [])
    total = Vector(named("sum"), named("sum blob"), 4)
    opener.sends(chain, directory, "Trainings", "aggregate", training, 0, total, True)
    advance(61)
    opener.sends(chain, directory, "Trainings", "finalize", training, named("model"))
    return training


def keys_of(member: Person) -> Keys:
    point = PublicKey.from_valid_secret(sha256(member.address.encode()).digest()).format(compressed=True)
    return Keys(digest(point[1:]), point[0] - 2, named("seed " + member.address), named("shares"))


def assert_complete(chain: Chain, directory: Directory) -> None:
    """The events read add up to the running hash of every contract, by range and block by block."""
    last = chain.final()
    events = chain.events(directory, directory.born, last)
    heads = dict.fromkeys(("Consortium", *(entry.name for entry in directory.entries)), EMPTY)
    for event in events:
        heads[event.contract] = extend(heads[event.contract], event)
    assert heads == {name: chain.head_of(directory, name) for name in heads}
    assert min(head.seq for head in heads.values()) > 0
    blocks = [chain.block(number) for number in range(directory.born, last + 1)]
    assert [event for block in blocks for event in chain.events_of(directory, block)] == events
