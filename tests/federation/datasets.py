"""Records that come with scikit-learn, as raw columns with the ranges a plan would declare."""

import numpy as np
from sklearn import datasets

from federation.tables import Feature


def load(name):
    """(features, columns with "y", values): ranges are the whole numbers around what there is."""
    values, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    low, high = np.floor(values.min(axis=0)), np.ceil(values.max(axis=0))
    high = np.where(high > low, high, low + 1.0)
    features = tuple(Feature(f"x{i}", float(low[i]), float(high[i])) for i in range(values.shape[1]))
    return features, {f"x{i}": values[:, i] for i in range(values.shape[1])} | {"y": y}, values


def parts(columns, members=3):
    """The columns of each member, records sorted by label: the worst split there is."""
    order = np.argsort(columns["y"], kind="stable")
    return [{name: cells[rows] for name, cells in columns.items()} for rows in np.array_split(order, members)]
