"""Regressions: linear with a ridge, logistic, Poisson.

model = FederatedRidge(RidgeParams(features, Quantity("price", 0, 1000), members=3, records=100), rand=os.urandom)
model.fit(tables).coef_
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federation import portable
from federation.algorithms import linear, logistic, poisson
from federation.algorithms.linear import RidgeParams, RidgeState
from federation.algorithms.logistic import LogisticParams, LogisticState
from federation.algorithms.poisson import PoissonParams, PoissonState
from federation.algorithms.significance import Significance
from federation.estimators.base import Estimator
from federation.tables import Columns, Table
from federation.vectors import Reals


class FederatedLogisticRegression(Estimator[LogisticParams, LogisticState]):
    """Logistic regression over several members' records."""

    algorithm = logistic.LOGISTIC

    @property
    def coef_(self) -> Reals:
        """(1, columns), in units of the records."""
        return logistic.original_weights(self.params, self._state)[None, 1:]

    @property
    def intercept_(self) -> Reals:
        """(1,)"""
        return logistic.original_weights(self.params, self._state)[:1]

    @property
    def n_iter_(self) -> int:
        """Secure sums that it took, the one for scaling included."""
        return self._state.rounds

    @property
    def significance_(self) -> Significance:
        """Standard errors and p-values; Refused where they mean nothing."""
        return logistic.significance(self.params, self._state)

    def decision_function(self, records: Table | Columns) -> Reals:
        """Log-odds of 1, (records,)."""
        return logistic.scores(self.params, self._state, self._table(records))

    def predict_proba(self, records: Table | Columns) -> Reals:
        """Chances of 0 and 1, (records, 2)."""
        chance = portable.sigmoid(self.decision_function(records))
        return np.column_stack([1.0 - chance, chance])

    def predict(self, records: Table | Columns) -> NDArray[np.int64]:
        """0 or 1 for each record."""
        return (self.decision_function(records) > 0).astype(np.int64)


class FederatedRidge(Estimator[RidgeParams, RidgeState]):
    """Linear regression; ordinary least squares with a ridge of 0."""

    algorithm = linear.RIDGE

    @property
    def coef_(self) -> Reals:
        """(columns,), in units of the records."""
        return linear.original_weights(self.params, self._state)[1:]

    @property
    def intercept_(self) -> float:
        return float(linear.original_weights(self.params, self._state)[0])

    @property
    def r2_(self) -> float:
        """1 - squared errors / spread on the records learnt from; 0 where the target does not vary."""
        return 1.0 - self._state.residual / self._state.spread if self._state.spread > 0.0 else 0.0

    @property
    def significance_(self) -> Significance:
        """Standard errors and p-values; Refused where they mean nothing."""
        return linear.significance(self.params, self._state)

    def predict(self, records: Table | Columns) -> Reals:
        """(records,), in units of the target."""
        return linear.predictions(self.params, self._state, self._table(records))


class FederatedPoissonRegressor(Estimator[PoissonParams, PoissonState]):
    """Regression of counts."""

    algorithm = poisson.POISSON

    @property
    def coef_(self) -> Reals:
        """(columns,): what one unit adds to the logarithm of the rate."""
        return poisson.original_weights(self.params, self._state)[1:]

    @property
    def intercept_(self) -> float:
        return float(poisson.original_weights(self.params, self._state)[0])

    @property
    def n_iter_(self) -> int:
        """Secure sums that it took, the one for scaling included."""
        return self._state.rounds

    @property
    def significance_(self) -> Significance:
        """Standard errors and p-values; Refused where they mean nothing."""
        return poisson.significance(self.params, self._state)

    def predict(self, records: Table | Columns) -> Reals:
        """The rate of each record, (records,)."""
        return poisson.predictions(self.params, self._state, self._table(records))
