"""A whole alliance in one process: real homes, real keys, real contracts, a real gateway for every member.

with alliance(tmp_path, rpc, names=("alice", "bob", "carol")) as people:
    published = publish(people["alice"].node, path, title="Mill 7")
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn

from node import home
from node.api import create_app
from node.chain.client import Chain
from node.development_keys import HARDHAT_MNEMONIC
from node.keyring import Keyring
from node.model import Address, Time
from node.settings import Settings
from node.wiring import Node
from tests.chain.peers import advance

PASSPHRASE = b"correct horse battery staple"


@dataclass
class Person:
    """A member and its node. `url` is its gateway and API."""

    name: str
    home: Path
    url: str
    node: Node

    @property
    def me(self) -> Address:
        return self.node.me

    @contextmanager
    def restarted(self) -> Iterator[Node]:
        """Another process's view of the same home: nothing but the disk is common."""
        with Node.open(self.home, passphrase=PASSPHRASE) as node:
            node.clock = self.node.clock
            yield node


@contextmanager
def alliance(folder: Path, rpc: str, names: Sequence[str], **changed: object) -> Iterator[dict[str, Person]]:
    """Founders with the accounts of the development mnemonic, an alliance of theirs, and their running gateways."""
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    homes = {name: _home(folder / name, name, rpc, ports, index, changed) for index, name in enumerate(names)}
    founders = [home.founder_of(path) for path in homes.values()]
    consortium = home.found(next(iter(homes.values())), PASSPHRASE, founders, delay=3600)
    clock = Clock()
    with ExitStack() as stack:
        people = {}
        for name, path in homes.items():
            home.join(path, consortium)
            node = stack.enter_context(Node.open(path, passphrase=PASSPHRASE))
            node.clock = clock  # type: ignore[method-assign]
            url = f"http://127.0.0.1:{ports[name]}"
            stack.enter_context(serving(node, ports[name]))
            people[name] = Person(name, path, url, node)
        yield people


class Clock:
    """The one clock of the alliance's nodes; it can be put forward together with the chain's."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> Time:
        return Time(int(time.time()) + self.ahead)


def pass_time(people: Mapping[str, Person], seconds: int) -> None:
    """Let time pass for the chain and for everybody."""
    node = next(iter(people.values())).node
    advance(node.settings.rpc, seconds)
    node.clock.ahead += seconds
    follow_all(people)


def _home(path: Path, name: str, rpc: str, ports: Mapping[str, int], index: int, changed: dict[str, object]) -> Path:
    endpoints = {other: f"http://127.0.0.1:{port}" for other, port in ports.items()}
    settings = Settings(
        path, name=name, rpc=rpc, listen=f"127.0.0.1:{ports[name]}", endpoints=(endpoints[name],),
        peers=tuple(url for other, url in endpoints.items() if other != name), profile="development", poll=0.05,
    )  # fmt: skip
    # The keyring is there before the home is made, with a cost of scrypt that is for tests only.
    Keyring.create(path / "keys", PASSPHRASE, account_key=account_key(index), scrypt_n=2)
    home.create(replace(settings, **changed), PASSPHRASE)
    return path


def account_key(index: int) -> bytes:
    """The private key of a development account."""
    from eth_account import Account

    Account.enable_unaudited_hdwallet_features()
    return bytes(Account.from_mnemonic(HARDHAT_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key)


@contextmanager
def serving(node: Node, port: int) -> Iterator[None]:
    """The node's API and gateway on loopback."""
    server = uvicorn.Server(uvicorn.Config(create_app(node), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def follow_all(people: Mapping[str, Person]) -> None:
    for person in people.values():
        person.node.follow()


__all__ = ["PASSPHRASE", "Address", "Chain", "Person", "alliance", "follow_all", "pass_time", "serving"]
