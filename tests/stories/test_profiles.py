"""A version may be cut into blocks as Kubo does by default; its envelope says so, and a grant opens it all the same."""

import os
from pathlib import Path

import pytest

from node.access import grant, request
from node.errors import Misuse
from node.fetch import fetch
from node.publish import publish
from node.sealed import envelope_of
from node.store import Cid
from node.store.dag import PROFILES, UNIXFS_V1_2025
from tests.stories.alliance import Person, follow_all


@pytest.mark.parametrize("profile", PROFILES)
def test_a_version_in_either_profile_is_fetched(
    people: dict[str, Person], alice: Person, bob: Person, tmp_path: Path, profile: str
) -> None:
    source = tmp_path / "blocks.bin"
    source.write_bytes(os.urandom(2_500_000))
    made = publish(alice.node, source, title=f"in {profile}", profile=profile)
    follow_all(people)
    envelope = envelope_of(alice.node, made.dataset, made.version)
    assert envelope.profile == profile
    leaves = alice.node.store.verify(Cid.parse(made.envelope)).blocks
    assert leaves > -(-envelope.size // PROFILES[profile].chunk)  # the leaves, and the nodes above them
    asked = request(bob.node, made.dataset, purposes=("research",))
    follow_all(people)
    grant(alice.node, asked.id)
    follow_all(people)
    fetch(bob.node, asked.id, tmp_path / "opened.bin", purposes=("research",))
    assert (tmp_path / "opened.bin").read_bytes() == source.read_bytes()


def test_an_unknown_profile_is_said_with_those_there_are(alice: Person, tmp_path: Path) -> None:
    (tmp_path / "one.bin").write_bytes(b"1")
    with pytest.raises(Misuse, match="unknown DAG profile") as caught:
        publish(alice.node, tmp_path / "one.bin", title="one", profile="v0")
    assert UNIXFS_V1_2025.name in str(caught.value.needed)
