"""Every bench prints the one document, and the table of it."""

from dataclasses import replace

import pytest

from scripts.benches import exact, flower, flower_env, gas, privacy, scale, sealing, securesum
from scripts.benches.__main__ import table

FIELDS = {"name", "value", "unit", "against", "ratio", "goal", "holds"}


@pytest.mark.long
@pytest.mark.timeout(3600)  # Flower takes its minutes
@pytest.mark.parametrize("bench", [exact, gas, privacy, sealing, securesum, scale], ids=lambda bench: bench.__name__)
def test_a_bench_prints_the_one_document(bench):
    document = bench.run()
    assert set(document) == {"bench", "runs", "results"}
    for row in document["results"]:
        assert set(row) - {"runs"} == FIELDS
        assert all(isinstance(value, (int, float)) for value in row["against"].values())
        assert (row["goal"] is None) == (row["holds"] is None)
    assert table(document).startswith(document["bench"])


def test_without_flower_nothing_is_made_up(tmp_path, monkeypatch, capsys):
    """It cannot be installed: the row has no figure of Flower's, no goal and no verdict, and stderr says why."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(flower_env, "HOME", tmp_path / "file" / "no folder can be here")
    with flower.started() as peer:
        assert peer is None
        *_, row = securesum.masks(1000, 3, 2, peer)
        dealt = securesum.deal_row(51, 1, peer)
    assert "Flower is left out" in capsys.readouterr().err
    for one in (row, dealt):
        assert (one["against"], one["ratio"], one["goal"], one["holds"]) == ({}, None, None, None)
    assert table({"bench": "x", "runs": 1, "results": [row, dealt]})


def test_the_round_that_is_unmasked_in_the_bench_opens():
    """All its seeds and scalars are the committed ones: what is timed is a round, not noise."""
    round, reveals, bundles = securesum.finished(7, 2)
    secrets = securesum.opened(round, reveals, bundles)
    assert set(secrets.seeds) == set(round.survivors)
    assert set(secrets.scalars) == set(round.dropped)


def test_a_row_against_the_floor_has_its_verdict():
    for row in securesum.masks(1000, 3, 1, None)[:2]:
        assert set(row["against"]) == {"floor"}
        assert row["holds"] is (row["ratio"] <= row["goal"])


def test_the_bench_of_exactness_compares_members_and_peer():
    ridge = exact.regressions()[0]
    rows = exact.rows(ridge)
    assert [row["name"] for row in rows] == [f"ridge_diabetes_{of}" for of in (1, 3, 10, 50, "hashes")]
    assert all(set(row) == FIELDS and row["holds"] for row in rows)
    assert rows[2]["against"] == {"scikit-learn": 0.0}
    wrong = exact.rows(replace(ridge, params=replace(ridge.params, ridge=1.01)))
    assert [row["holds"] for row in wrong] == [False, False, False, False, True]
