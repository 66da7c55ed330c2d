"""Every bench prints the one document, and the table of it."""

import pytest

from scripts.benches import gas, sealing, securesum
from scripts.benches.__main__ import table

FIELDS = {"name", "value", "unit", "against", "ratio", "goal", "holds"}


@pytest.mark.long
@pytest.mark.parametrize("bench", [gas, sealing, securesum], ids=lambda bench: bench.__name__)
def test_a_bench_prints_the_one_document(bench):
    document = bench.run()
    assert set(document) == {"bench", "runs", "results"}
    for row in document["results"]:
        assert set(row) == FIELDS
        assert all(isinstance(value, (int, float)) for value in row["against"].values())
        assert (row["goal"] is None) == (row["holds"] is None)
    assert table(document).startswith(document["bench"])
