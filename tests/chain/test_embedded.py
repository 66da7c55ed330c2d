"""The embedded Anvil: outlives its starter, loses nothing on a stop, an interval at most on a kill, always starts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from node.chain import embedded
from node.chain.client import Chain
from node.chain.deploy import deploy
from node.chain.embedded import Running
from node.errors import Misuse, Retry
from tests.chain.people import founders, person


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "chain"
    yield folder
    embedded.down(folder)


def kill(running: Running, folder: Path) -> None:
    os.killpg(running.pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while embedded.status(folder):
        assert time.monotonic() < until
        time.sleep(0.02)


def blocks(running: Running) -> int:
    return Chain.connect(running.url).final()


def test_up_is_quick_and_up_again_finds_it(folder: Path) -> None:
    begun = time.monotonic()
    running = embedded.up(folder, port=0)
    assert time.monotonic() - begun < 5
    assert embedded.up(folder, port=0) == embedded.status(folder) == running
    chain = Chain.connect(running.url)
    assert (chain.chain_id, chain.fees().most, chain.final()) == (31337, 0, 0)


def test_nothing_runs(folder: Path) -> None:
    assert embedded.status(folder) is None
    assert embedded.down(folder) is False


def test_it_outlives_the_command_that_started_it(folder: Path) -> None:
    command = "import sys, pathlib; from node.chain import embedded; embedded.up(pathlib.Path(sys.argv[1]), port=0)"
    subprocess.run([sys.executable, "-c", command, str(folder)], check=True, timeout=30)
    running = embedded.status(folder)
    assert running
    assert blocks(running) == 0


def test_a_stop_loses_nothing(folder: Path) -> None:
    chain = Chain.connect(embedded.up(folder, port=0).url)
    directory = deploy(chain, person(0), founders(), delay=0)
    events, last = chain.events(directory, 0, chain.final()), chain.block("latest")
    assert embedded.down(folder)
    assert embedded.status(folder) is None
    again = Chain.connect(embedded.up(folder, port=0).url)
    assert again.block("latest") == last
    assert again.directory(directory.consortium) == directory
    assert again.events(directory, 0, again.final()) == events


def test_a_kill_goes_back_at_most_one_interval(folder: Path) -> None:
    running = embedded.up(folder, port=0)
    chain = Chain.connect(running.url)
    directory = deploy(chain, person(0), founders(), delay=0)
    time.sleep(embedded.INTERVAL + 1.5)
    kill(running, folder)
    again = embedded.up(folder, port=0)
    assert not again.restored
    assert Chain.connect(again.url).directory(directory.consortium) == directory


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_a_truncated_state_does_not_stop_the_start(folder: Path, kept: float) -> None:
    deploy(Chain.connect(embedded.up(folder, port=0).url), person(0), founders(), delay=0)
    embedded.down(folder)
    state = folder / "state.json"
    whole = state.read_bytes()
    state.write_bytes(whole[: int(len(whole) * kept)])
    running = embedded.up(folder, port=0)
    assert running.restored
    assert blocks(running) == 5
    assert (folder / "state.broken.json").exists()


def test_a_truncated_state_without_a_copy_starts_anew_and_says_so(folder: Path) -> None:
    folder.mkdir()
    (folder / "state.json").write_bytes(b'{"block":')
    running = embedded.up(folder, port=0)
    assert running.restored
    assert blocks(running) == 0


def test_a_good_copy_is_kept_while_it_runs(folder: Path) -> None:
    running = embedded.up(folder, port=0)
    deploy(Chain.connect(running.url), person(0), founders(), delay=0)
    until = time.monotonic() + 10
    while not embedded.keep(folder):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert embedded.keep(folder)


def test_a_port_already_taken_is_said(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Retry, match="another program") as taken:
            embedded.up(folder, port=port)
    assert (taken.value.clause, taken.value.seen) == ("port", port)
    assert embedded.status(folder) is None


def test_many_starters_make_one_chain(folder: Path) -> None:
    folder.mkdir()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: embedded.up(folder, port=0), range(8)))
    assert len(set(found)) == 1


def test_a_process_id_used_again_is_not_taken_for_the_chain(folder: Path) -> None:
    running = embedded.up(folder, port=0)
    kill(running, folder)
    embedded._write(folder / "running.json", (b'{"url": "x", "port": 1, "pid": %d, "restored": false}' % os.getpid()))
    assert embedded.status(folder) is None
    assert embedded.down(folder) is False


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Retry) as unusable:
        embedded.up(tmp_path / "file" / "chain", port=0)
    assert unusable.value.clause == "folder"


def test_no_anvil(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANSE_ANVIL", str(tmp_path / "nothing"))
    with pytest.raises(Misuse, match="HANSE_ANVIL"):
        embedded.up(folder, port=0)


@pytest.mark.parametrize(("script", "said"), [("echo no luck >&2; exit 3", "no luck"), ("exec sleep 60", "in time")])
def test_an_anvil_that_does_not_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, said: str
) -> None:
    program = tmp_path / "anvil"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("HANSE_ANVIL", str(program))
    with pytest.raises(Retry, match=said):
        embedded.up(folder, port=0, seconds=1)
    monkeypatch.delenv("HANSE_ANVIL")
    assert embedded.up(folder, port=0).port > 0


def test_the_npm_wrapper_on_path_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = Path(__file__).resolve().parents[2] / "node_modules" / ".bin" / "anvil"
    monkeypatch.setenv("HANSE_ANVIL", str(wrapper))
    running = embedded.up(folder, port=0)
    assert blocks(running) == 0
    assert embedded.down(folder)
    with pytest.raises(Retry):
        Chain.connect(running.url, timeout=2)
