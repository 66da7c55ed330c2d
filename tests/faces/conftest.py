"""One alliance of three for all tests of the faces: real chain, homes, keys, and a served API each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from node import access, tokens
from node.cli import run
from node.fetch import fetch
from node.model import DatasetId, GrantId
from node.policy import Offer
from node.publish import publish
from tests.chain.peers import ZERO_FEES, anvil
from tests.stories.alliance import PASSPHRASE, Person, alliance

CSV = "hour,power\n" + "".join(f"{hour},{hour * 7 % 13}\n" for hour in range(200))


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Person]]:
    folder = tmp_path_factory.mktemp("alliance")
    with anvil(*ZERO_FEES) as rpc, alliance(folder, rpc, ("alice", "bob", "carol")) as found:
        yield found


@pytest.fixture(scope="session")
def alice(people: dict[str, Person]) -> Person:
    return people["alice"]


@pytest.fixture(scope="session")
def bob(people: dict[str, Person]) -> Person:
    return people["bob"]


@pytest.fixture(scope="session")
def carol(people: dict[str, Person]) -> Person:
    return people["carol"]


@dataclass(frozen=True)
class Shared:
    """A dataset of alice's, and bob's fetched grant of it."""

    dataset: DatasetId
    grant: GrantId


@pytest.fixture(scope="session")
def shared(alice: Person, bob: Person, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.mktemp("shared")
    source = folder / "mill.csv"
    source.write_text(CSV)
    made = publish(alice.node, source, title="Mill 7", offer=Offer(purposes=("research", "quality"), days=90))
    bob.node.follow()
    asked = access.request(bob.node, made.dataset, purposes=("research",), days=30)
    alice.node.follow()
    access.grant(alice.node, asked.id)
    bob.node.follow()
    fetch(bob.node, asked.id, folder / "fetched.csv", purposes=("research",))
    assert (folder / "fetched.csv").read_text() == CSV
    alice.node.follow()
    return Shared(made.dataset, asked.id)


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Hanse:
    """The command line, in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str], passphrase: Path) -> None:
        self._capfd, self._passphrase = capfd, passphrase

    def __call__(self, *arguments: str | Path, home: Path | None = None) -> Said:
        self._capfd.readouterr()
        extra = ["--home", str(home), "--passphrase-file", str(self._passphrase)] if home else []
        code = run([*map(str, arguments), *extra])
        out, err = self._capfd.readouterr()
        return Said(code, out, err)


@pytest.fixture
def hanse(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hanse:
    for name in [name for name in os.environ if name.startswith("HANSE_") and name != "HANSE_ANVIL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HANSE_HOME", str(tmp_path / "nowhere"))
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(PASSPHRASE + b"\n")
    return Hanse(capfd, passphrase)


def token(person: Person, *scopes: str, days: int = 1, ago: int = 0) -> str:
    """The secret of a fresh token, made `ago` seconds ago."""
    node = person.node
    made = tokens.create(node.db, label="test", scopes=scopes, days=days, at=type(node.clock())(node.clock() - ago))
    return made.secret


@pytest.fixture
def client(alice: Person) -> Iterator[httpx2.Client]:
    """Somebody with an `operate` token at alice's API."""
    headers = {"Authorization": f"Bearer {token(alice, 'operate')}"}
    with httpx2.Client(base_url=alice.url, headers=headers, timeout=60) as found:
        yield found
