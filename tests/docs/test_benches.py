"""Every bench prints the one document, and the table of it."""

from dataclasses import replace

import pytest

from scripts.benches import exact, gas, privacy, sealing, securesum
from scripts.benches.__main__ import table

FIELDS = {"name", "value", "unit", "against", "ratio", "goal", "holds"}


@pytest.mark.long
@pytest.mark.parametrize("bench", [exact, gas, privacy, sealing, securesum], ids=lambda bench: bench.__name__)
def test_a_bench_prints_the_one_document(bench):
    document = bench.run()
    assert set(document) == {"bench", "runs", "results"}
    for row in document["results"]:
        assert set(row) == FIELDS
        assert all(isinstance(value, (int, float)) for value in row["against"].values())
        assert (row["goal"] is None) == (row["holds"] is None)
    assert table(document).startswith(document["bench"])


def test_the_bench_of_exactness_compares_members_and_peer():
    ridge = exact.regressions()[0]
    rows = exact.rows(ridge)
    assert [row["name"] for row in rows] == [f"ridge_diabetes_{of}" for of in (1, 3, 10, 50, "hashes")]
    assert all(set(row) == FIELDS and row["holds"] for row in rows)
    assert rows[2]["against"] == {"scikit-learn": 0.0}
    wrong = exact.rows(replace(ridge, params=replace(ridge.params, ridge=1.01)))
    assert [row["holds"] for row in wrong] == [False, False, False, False, True]
