"""Federated algorithms with the face of scikit-learn: `fit` is a training of all members in memory.

For trying a plan out, for tests and notebooks; between real nodes the same steps are carried by the node. Imports no
scikit-learn.

    model = FederatedLogisticRegression(params, rand=os.urandom).fit(tables)
    model.coef_, model.intercept_, model.predict_proba(columns)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federation import portable
from federation.algorithms.logistic import LOGISTIC, LogisticParams, LogisticState, original_weights, prepare, scores
from federation.errors import Refused
from federation.securesum.keys import Random
from federation.simulate import Training, train
from federation.tables import Columns, Table
from federation.vectors import Reals


@dataclass
class FederatedLogisticRegression:
    """Logistic regression over several members' records; `fit` takes one entry a member, three or more."""

    params: LogisticParams
    rand: Random
    training_: Training[LogisticState] | None = field(default=None, init=False, repr=False)

    def fit(self, members: Sequence[Table | Columns]) -> FederatedLogisticRegression:
        """Train through the secure sum. Refused by whatever the plan refuses."""
        tables = [one if isinstance(one, Table) else prepare(self.params, one) for one in members]
        self.training_ = train(LOGISTIC, self.params, tables, rand=self.rand)
        return self

    @property
    def coef_(self) -> Reals:
        """(1, columns), in units of the records."""
        return original_weights(self.params, self._state)[None, 1:]

    @property
    def intercept_(self) -> Reals:
        """(1,)"""
        return original_weights(self.params, self._state)[:1]

    @property
    def n_iter_(self) -> int:
        """Secure sums that it took, the one for scaling included."""
        return self._state.rounds

    def decision_function(self, records: Table | Columns) -> Reals:
        """Log-odds of 1, (records,)."""
        table = records if isinstance(records, Table) else prepare(self.params, records)
        return scores(self.params, self._state, table)

    def predict_proba(self, records: Table | Columns) -> Reals:
        """Chances of 0 and 1, (records, 2)."""
        chance = portable.sigmoid(self.decision_function(records))
        return np.column_stack([1.0 - chance, chance])

    def predict(self, records: Table | Columns) -> NDArray[np.int64]:
        """0 or 1 for each record."""
        return (self.decision_function(records) > 0).astype(np.int64)

    @property
    def _state(self) -> LogisticState:
        if self.training_ is None:
            raise Refused("not fitted yet", clause="order", seen="no training", needed="fit")
        return self.training_.state
