"""Networks of dense layers, for classes and for quantities.

params = NeuralParams(features, Classes("digit", LEVELS), AveragingParams(5, 400, rounds=20), hidden=(64,))
FederatedMLPClassifier(params, rand=os.urandom).fit(tables).predict(columns)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.algorithms import neural
from federation.algorithms.averaging import AveragingState, weights_of
from federation.algorithms.neural import NeuralParams
from federation.estimators.base import Estimator
from federation.tables import Columns, Table
from federation.vectors import Reals


class _Network(Estimator[NeuralParams, AveragingState]):
    algorithm = neural.NEURAL

    @property
    def coefs_(self) -> list[Reals]:
        """Weights of each layer, (units before, units), for scaled columns."""
        return [matrix for matrix, _ in neural.layers(self.params, weights_of(self._state))]

    @property
    def intercepts_(self) -> list[Reals]:
        """Biases of each layer, (units,)."""
        return [bias for _, bias in neural.layers(self.params, weights_of(self._state))]


class FederatedMLPClassifier(_Network):
    """For a target of two classes or more."""

    @property
    def classes_(self) -> NDArray[Any]:
        """The levels of the target, as text."""
        return np.array(self.params.levels)

    def predict_proba(self, records: Table | Columns) -> Reals:
        """Chances, (records, classes)."""
        return neural.chances(self.params, self._state, self._table(records))

    def predict(self, records: Table | Columns) -> NDArray[Any]:
        """The likeliest level of each record, (records,); of equals the first."""
        return np.asarray(self.classes_[self.predict_proba(records).argmax(axis=1)])


class FederatedMLPRegressor(_Network):
    """For a quantity."""

    def predict(self, records: Table | Columns) -> Reals:
        """In the units of the target, (records,)."""
        return neural.values(self.params, self._state, self._table(records))
