"""What each column adds to a tree's answer: along the way from the root to the leaf, what every split changes.

A node answers something as a leaf would; going on to a child changes that, and the change is the split column's (Saabas
2014; exact in sum, but credits a column only for splits on its own, unlike Shapley values: Lundberg et al. 2020).

    added = sum_of_paths(trees, codes(table.values), columns)        # (records, columns); base + its sum = the answer
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federation.algorithms.trees import Tree, descent
from federation.vectors import Reals


def sum_of_paths(trees: Sequence[Tree], coded: NDArray[np.int32], columns: int) -> Reals:
    """Over all trees, for each record of `codes` (records, columns of the table)."""
    total = np.zeros((len(coded), columns))
    for tree in trees:
        _add(tree, coded, total)
    return total


def _add(tree: Tree, coded: NDArray[np.int32], total: Reals) -> None:
    column, value = np.array(tree.column, dtype=np.intp), np.array(tree.value)
    for moving, here, there in descent(tree, coded):
        total[moving, column[here]] += value[there] - value[here]
