"""The settings file: what is written is read back, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Misuse, NotFound
from node.settings import FILE, Settings

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    made = Settings(
        tmp_path, name="Alice Mills", rpc="http://10.0.0.1:8545", endpoints=("https://a", "https://b"), peers=("http://c",),
        profile="development", depth=3, poll=0.5,
    )  # fmt: skip
    made.save()
    assert Settings.load(tmp_path) == made


@given(name=TEXT, peer=TEXT)
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, name: str, peer: str) -> None:
    folder = tmp_path_factory.mktemp("home")
    made = Settings(folder, name=name, peers=(peer,))
    made.save()
    assert Settings.load(folder) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name = 3",
        'name = "a"\ncolour = "red"',
        'name = "a"\nprofile = "fast"',
        'name = "a"\ndepth = "3"',
        'name = "a"\ndepth = -1',
        'name = "a"\ndepth = true',
        'name = "a"\npoll = "often"',
        'name = "a"\nrpc = ["http://x"]',
        'name = "a"\npeers = "http://x"',
        'name = "a"\npeers = [1]',
        'name = "a"\nhome = "/elsewhere"',
        'name = "a',
        "\x00",
    ],
)
def test_a_file_that_is_not_settings_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(Misuse):
        Settings.load(tmp_path)


def test_a_folder_without_settings_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Settings.load(tmp_path)


def test_the_database_is_in_the_home_unless_named(tmp_path: Path) -> None:
    made = Settings(tmp_path, name="a")
    assert made.database_url == f"sqlite:///{tmp_path / 'node.sqlite'}"
    assert replace(made, database="postgresql://db").database_url == "postgresql://db"
