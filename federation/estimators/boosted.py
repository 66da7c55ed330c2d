"""Boosted trees, for classes and for quantities.

params = BoostingParams(features, Classes("kind", ("a", "b", "c")), members=3, records=100)
FederatedHistGradientBoostingClassifier(params, rand=os.urandom).fit(tables).predict(columns)        # "a", "c", ...
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.algorithms import boosting
from federation.algorithms.boosting import BoostingParams, BoostingState
from federation.estimators.base import Estimator
from federation.tables import Columns, Table
from federation.vectors import Reals


class _Boosted(Estimator[BoostingParams, BoostingState]):
    algorithm = boosting.BOOSTING

    @property
    def n_iter_(self) -> int:
        """Trees that each class has."""
        return len(self._state.steps)


class FederatedHistGradientBoostingClassifier(_Boosted):
    """For a target of two classes or more."""

    @property
    def classes_(self) -> NDArray[Any]:
        """The levels of the target, as text."""
        return np.array(self.params.levels)

    def decision_function(self, records: Table | Columns) -> Reals:
        """Log-odds of the second of two classes, (records,), or one margin a class, (records, classes)."""
        margins = boosting.scores(self.params, self._state, self._table(records))
        return margins[:, 0] if margins.shape[1] == 1 else margins

    def predict_proba(self, records: Table | Columns) -> Reals:
        """Chances, (records, classes)."""
        return boosting.chances(self.params, self._state, self._table(records))

    def predict(self, records: Table | Columns) -> NDArray[Any]:
        """The likeliest level of each record, (records,); of equals the first."""
        return np.asarray(self.classes_[self.predict_proba(records).argmax(axis=1)])


class FederatedHistGradientBoostingRegressor(_Boosted):
    """For a quantity."""

    def predict(self, records: Table | Columns) -> Reals:
        """In the units of the target, (records,)."""
        return boosting.values(self.params, self._state, self._table(records))
