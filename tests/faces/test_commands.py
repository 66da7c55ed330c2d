"""The command line over a real alliance: what it prints, in which form, and with which exit code it fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from node.settings import Settings
from tests.chain.peers import ZERO_FEES, anvil
from tests.faces.conftest import CSV, Hanse, Shared
from tests.faces.transcripts import PROGRAM
from tests.stories.alliance import PASSPHRASE, Person, account_key, free_ports

pytestmark = pytest.mark.xdist_group("faces")  # one alliance for all of them

# --- a story from end to end ---


def test_publish_request_grant_fetch_revoke(hanse: Hanse, alice: Person, bob: Person, tmp_path: Path) -> None:
    source, got = tmp_path / "mill.csv", tmp_path / "got.csv"
    source.write_text(CSV)
    publish = ("dataset", "publish", source, "--title", "Mill 8", "--purpose", "research", "--json")
    made = hanse(*publish, home=alice.home).json
    again = hanse(*publish, home=alice.home).json
    assert (again["dataset"], again["version"], again["already"]) == (made["dataset"], 1, True)

    dataset = made["dataset"]
    assert hanse("dataset", "describe", dataset, "--json", home=bob.home).json["title"] == "Mill 8"
    asked = hanse("request", "create", dataset[:14], "--purpose", "research", "--json", home=bob.home).json
    waiting = hanse("request", "list", "--waiting", "--json", home=alice.home).json
    assert asked["id"] in {request["id"] for request in waiting}
    early = hanse("grant", "fetch", asked["id"], got, "--purpose", "research", home=bob.home)
    assert (early.code, got.exists()) == (3, False)

    assert hanse("grant", "create", asked["id"][:14], home=alice.home).code == 0
    fetched = hanse("grant", "fetch", asked["id"], got, "--purpose", "research", "--json", home=bob.home).json
    assert (got.read_text(), fetched["size"]) == (CSV, len(CSV))
    assert hanse("dataset", "verify", dataset, home=bob.home).code == 0
    assert hanse("grant", "revoke", asked["id"], home=alice.home).code == 0
    late = hanse("grant", "why", asked["id"], "--purpose", "research", home=bob.home)
    assert (late.code, "revoked" in late.err) == (4, True)


def test_a_refused_request_is_answered_in_words(hanse: Hanse, alice: Person, carol: Person, shared: Shared) -> None:
    asked = hanse("request", "create", shared.dataset, "--purpose", "quality", "--json", home=carol.home).json
    said = hanse("grant", "refuse", asked["id"], "not this quarter", "--json", home=alice.home).json
    assert (said["id"], said["message"]) == (asked["id"], "not this quarter")
    again = hanse("grant", "refuse", asked["id"], "another answer", "--json", home=alice.home).json
    assert again == said  # one answer to a request, however often it is given


# --- forms of output ---


def test_json_is_the_shape_of_the_api(hanse: Hanse, alice: Person, shared: Shared, client: httpx2.Client) -> None:
    for words, path in (
        (("dataset", "list"), "/datasets"),
        (("dataset", "show", shared.dataset), f"/datasets/{shared.dataset}"),
        (("dataset", "describe", shared.dataset), f"/datasets/{shared.dataset}/versions/1/manifest"),
        (("request", "list"), "/requests"),
        (("grant", "list"), "/grants"),
        (("grant", "show", shared.grant), f"/grants/{shared.grant}"),
        (("member", "list"), "/members"),
        (("training", "list"), "/trainings"),
    ):
        assert hanse(*words, "--json", home=alice.home).json == client.get(path).json(), path


def test_errors_as_json_are_those_of_the_api(
    hanse: Hanse, alice: Person, shared: Shared, client: httpx2.Client
) -> None:
    said = hanse("grant", "why", shared.grant, "--purpose", "risk", "--who", alice.node.me, "--json", home=alice.home)
    answer = client.get(f"/grants/{shared.grant}/why", params={"purpose": "risk", "who": alice.node.me})
    assert (said.code, answer.status_code) == (4, 403)
    assert said.json == {"error": answer.json()}
    assert said.json["error"]["clause"] == "consumer"
    assert said.err == ""


def test_a_pipe_gets_tab_separated_lines(hanse: Hanse, alice: Person, shared: Shared) -> None:
    said = hanse("dataset", "list", home=alice.home)
    head, *rows = said.out.splitlines()
    assert head.split("\t") == ["id", "owner", "state", "version", "uses", "published"]
    mine = next(row.split("\t") for row in rows if row.startswith(shared.dataset))
    assert mine[:5] == [shared.dataset, alice.node.me, "active", "1", "read, train"]


def test_a_terminal_gets_a_table(alice: Person, shared: Shared, tmp_path: Path) -> None:
    shown = _at_a_terminal("dataset", "list", "--home", str(alice.home))
    assert shared.dataset[:14] + "…" in shown
    assert "\t" not in shown


def test_words_from_outside_cannot_break_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    from node.cli.output import show

    show([{"title": "a\tb\nc\x1b[31md", "of": "bob"}], json=False)
    assert capsys.readouterr().out == "title\tof\na b c [31md\tbob\n"


def test_progress_and_prompts_stay_off_stdout(hanse: Hanse, alice: Person, tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(os.urandom(100_000))
    said = hanse("dataset", "publish", source, "--title", "bytes", "--json", home=alice.home)
    assert said.json["size"] == 100_000
    assert "seal" in said.err


# --- exit codes ---

UNKNOWN = "0x" + "ee" * 32


@pytest.mark.parametrize(
    ("code", "words", "clause"),
    [
        (2, ("dataset", "show", "mill"), "dataset"),
        (2, ("dataset", "show", "0x12"), "dataset"),
        (2, ("store", "verify", "bafynonsense"), None),
        (2, ("member", "show", "0x1234"), "address"),
        (2, ("request", "create", "{dataset}", "--purpose", "fun"), "purpose"),
        (2, ("dataset", "publish"), None),
        (2, ("token", "create", "x", "--scope", "admin"), "scope"),
        (3, ("dataset", "show", UNKNOWN), "dataset"),
        (3, ("grant", "show", UNKNOWN), "grant"),
        (3, ("training", "show", UNKNOWN), "training"),
        (3, ("member", "show", "0x" + "11" * 20), "member"),
        (3, ("dataset", "publish", "/no/such/file", "--title", "x"), "source"),
        (3, ("token", "revoke", "hanse_nobody"), "token"),
        (3, ("chain", "status"), "chain"),
        (4, ("request", "create", "{dataset}", "--purpose", "risk"), "purpose"),
        (4, ("request", "create", "{dataset}", "--purpose", "research", "--days", "91"), "period"),
        (4, ("dataset", "retire", "{dataset}"), "owner"),
        (4, ("grant", "fetch", "{grant}", "{new}", "--purpose", "quality"), "purpose"),
        (5, ("grant", "fetch", "{grant}", "{there}", "--purpose", "research"), "destination"),
        (5, ("node", "init", "--name", "again"), "home"),
    ],
)
def test_exit_codes(
    hanse: Hanse, bob: Person, shared: Shared, tmp_path: Path, code: int, words: tuple[str, ...], clause: str | None
) -> None:
    (tmp_path / "there").write_text("mine")
    names = {"dataset": shared.dataset, "grant": shared.grant, "there": tmp_path / "there", "new": tmp_path / "new"}
    said = hanse(*(word.format(**names) for word in words), "--json", home=bob.home)
    assert said.code == code, said
    error = said.json["error"]
    assert clause is None or error["clause"] == clause
    assert (tmp_path / "there").read_text() == "mine"
    assert not (tmp_path / "new").exists()


def test_no_home_is_not_found(hanse: Hanse, tmp_path: Path) -> None:
    said = hanse("dataset", "list", home=tmp_path / "empty")
    assert said.code == 3
    assert "hanse node init" in said.err


def test_a_wrong_passphrase_is_refused(hanse: Hanse, bob: Person, shared: Shared, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not it\n")
    words = ("request", "create", shared.dataset, "--purpose", "research", "--json", "--passphrase-file", wrong)
    said = hanse(*words, "--home", bob.home)
    assert (said.code, said.json["error"]["clause"]) == (4, "passphrase")


def test_no_passphrase_is_a_usage_error(hanse: Hanse, bob: Person, shared: Shared) -> None:
    said = hanse("request", "create", shared.dataset, "--purpose", "research", "--json", "--home", bob.home)
    assert (said.code, said.json["error"]["clause"]) == (2, "passphrase")


def test_the_passphrase_comes_through_a_descriptor(hanse: Hanse, bob: Person) -> None:
    read, write = os.pipe()
    os.write(write, PASSPHRASE + b"\n")
    os.close(write)
    assert hanse("request", "list", "--waiting", "--home", bob.home, "--passphrase-fd", str(read)).code == 0
    os.close(read)


def _stranger(hanse: Hanse, home: Path, rpc: str, *more: str) -> None:
    said = hanse("node", "init", "--name", "dave", "--rpc", rpc, "--profile", "development", *more, home=home)
    assert said.code == 0, said


def test_a_dead_chain_is_unavailable(hanse: Hanse, alice: Person, tmp_path: Path) -> None:
    [port] = free_ports(1)
    _stranger(hanse, tmp_path / "dave", f"http://127.0.0.1:{port}")
    said = hanse("node", "join", "--consortium", alice.node.directory.consortium, "--json", home=tmp_path / "dave")
    assert (said.code, said.json["error"]["code"]) == (6, "unavailable")


def test_a_stranger_is_refused(hanse: Hanse, alice: Person, shared: Shared, tmp_path: Path) -> None:
    home, rpc = tmp_path / "dave", alice.node.settings.rpc
    _stranger(hanse, home, rpc, "--peer", alice.url)
    joined = hanse("node", "join", "--consortium", alice.node.directory.consortium, "--json", home=home)
    assert joined.json["state"] == "stranger"
    said = hanse("request", "create", shared.dataset, "--purpose", "research", "--json", home=home)
    assert (said.code, said.json["error"]["clause"]) == (4, "member")
    told = hanse("dataset", "describe", shared.dataset, "--json", home=home)
    assert told.code == 4  # alice's node tells members only


def test_another_alliance_is_a_conflict(hanse: Hanse, alice: Person) -> None:
    said = hanse("node", "join", "--consortium", "0x" + "22" * 20, "--json", home=alice.home)
    assert (said.code, said.json["error"]["clause"]) == (5, "consortium")


def test_another_chain_is_a_conflict(hanse: Hanse, alice: Person, tmp_path: Path) -> None:
    """The database remembers the chain it was drawn from."""
    copy = tmp_path / "copy"
    shutil.copytree(alice.home, copy)
    with anvil(*ZERO_FEES) as other:
        settings = replace(Settings.load(copy), rpc=other)
        settings.save()
        founder = f"{alice.node.me}:{alice.node.ledger.members[alice.node.me].card}"
        deployed = hanse("chain", "deploy", "--founder", founder, home=copy)
        assert (deployed.code, deployed.out.startswith("0x"), len(deployed.out)) == (0, True, 43)
        replace(settings, consortium=deployed.out.strip()).save()
        said = hanse("dataset", "list", "--json", home=copy)
    assert (said.code, said.json["error"]["clause"]) == (5, "chain")


def test_a_well_known_key_is_taken_on_development_chains_only(hanse: Hanse, alice: Person, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(account_key(7).hex())
    init = ("node", "init", "--name", "dave", "--account-key-file", key, "--json")
    said = hanse(*init, "--rpc", alice.node.settings.rpc, home=tmp_path / "dave")
    assert said.json["account"] == "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
    [port] = free_ports(1)
    unknown = hanse(*init, "--rpc", f"http://127.0.0.1:{port}", home=tmp_path / "eve")
    assert unknown.code == 6  # which chain it is cannot be told, so the key is not taken
    assert not (tmp_path / "eve" / "hanse.toml").exists()


def test_a_defect_is_one_line_and_a_trace_on_request(hanse: Hanse, monkeypatch: pytest.MonkeyPatch) -> None:
    from node.cli import frame

    monkeypatch.setattr(frame.Run, "settings", lambda self: 1 // 0)
    said = hanse("token", "list")
    assert (said.code, "ZeroDivisionError" in said.err, "Traceback" in said.err) == (1, True, False)
    with pytest.raises(ZeroDivisionError):
        hanse("token", "list", "--debug")


# --- doctor ---


def test_the_doctor_finds_a_served_node_well(hanse: Hanse, alice: Person) -> None:
    found = hanse("node", "doctor", "--json", home=alice.home).json
    assert {check["check"]: check["state"] for check in found} == dict.fromkeys(
        ("keys", "disk", "sqlite", "chain", "clock", "contracts", "endpoints"), "good"
    ), found


def test_the_doctor_finds_what_is_wrong_and_says_what_helps(hanse: Hanse, alice: Person, tmp_path: Path) -> None:
    home, [dead] = tmp_path / "dave", free_ports(1)
    _stranger(hanse, home, f"http://127.0.0.1:{dead}", "--endpoint", f"http://127.0.0.1:{dead}")
    (home / "keys" / "account.json").chmod(0o644)
    found = {check["check"]: check for check in hanse("node", "doctor", "--json", home=home).json}
    bad = {name for name, check in found.items() if check["state"] == "bad"}
    assert bad == {"keys", "chain", "clock", "contracts", "endpoints"}
    assert "chmod" in found["keys"]["remedy"]
    assert "join" in found["contracts"]["remedy"]


# --- the running node ---


def test_a_node_runs_serves_and_stops_gracefully(alice: Person, tmp_path: Path) -> None:
    with running_node(alice, tmp_path) as (url, _):
        assert httpx2.get(url + "/health").json()["account"] == alice.node.me


@contextmanager
def running_node(person: Person, folder: Path) -> Iterator[tuple[str, int]]:
    """`hanse node run` over a copy of somebody's home: its URL and process id; stopped gracefully afterwards."""
    home, [port] = folder / person.name, free_ports(1)
    shutil.copytree(person.home, home)
    replace(Settings.load(home), listen=f"127.0.0.1:{port}", home=home).save()
    (folder / "passphrase").write_bytes(PASSPHRASE)
    words = [PROGRAM, "node", "run", "--home", home, "--passphrase-file", folder / "passphrase"]
    with (folder / "log").open("wb") as log, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log) as running:
        try:
            _await(port, running)
            yield f"http://127.0.0.1:{port}", running.pid
            running.send_signal(signal.SIGTERM)
            out, _ = running.communicate(timeout=60)
        finally:
            running.kill()
    said = (folder / "log").read_text()
    assert (running.returncode, out) == (0, b""), said
    assert "Traceback" not in said


def _await(port: int, running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert running.poll() is None, "the node ended at once"
        try:
            httpx2.get(f"http://127.0.0.1:{port}/health")
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the node did not serve in time")


def test_an_interrupted_command_says_130(tmp_path: Path) -> None:
    words = [PROGRAM, "chain", "up", "--home", tmp_path / "home", "--passphrase-fd", "0", "--port", "0"]
    environment = os.environ | {"HANSE_ANVIL": str(_sleeper(tmp_path))}
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - ignored where pytest runs behind `&`
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, env=environment, preexec_fn=heard, **pipes) as running:  # type: ignore[call-overload]
        until = time.monotonic() + 20
        while not (tmp_path / "started").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)
    os.kill(int((tmp_path / "started").read_text()), signal.SIGKILL)
    assert running.returncode == 130


def _sleeper(folder: Path) -> Path:
    """A program in Anvil's place that never answers."""
    program = folder / "sleeper"
    program.write_text(
        f"#!/bin/sh\necho $$ > {folder}/starting; mv {folder}/starting {folder}/started; exec sleep 60\n"
    )
    program.chmod(0o755)
    return program


def _at_a_terminal(*words: str) -> str:
    """What the program prints when stdout is a terminal of 200 columns."""
    import pty

    main, side = pty.openpty()
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    with subprocess.Popen([PROGRAM, *words], stdout=side, stderr=subprocess.PIPE, env=environment) as running:
        os.close(side)
        shown = b""
        while True:
            try:
                shown += (chunk := os.read(main, 65536))
            except OSError:  # Linux: the other side is closed
                break
            if not chunk:
                break
        assert running.wait(60) == 0, running.communicate()[1]
    os.close(main)
    return shown.decode()


def test_the_documents_are_json_to_the_last_byte(hanse: Hanse, alice: Person, shared: Shared) -> None:
    said = hanse("node", "status", "--json", home=alice.home)
    assert json.dumps(said.json, indent=2, ensure_ascii=False) + "\n" == said.out
