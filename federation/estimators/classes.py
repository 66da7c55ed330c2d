"""Classifiers with several classes: Gaussian naive Bayes, linear discriminant analysis, multinomial logistic.

params = BayesParams(features, Classes("kind", ("a", "b", "c")), members=3, records=100)
FederatedGaussianNB(params, rand=os.urandom).fit(tables).predict(columns)        # "a", "c", ...
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federation import portable
from federation.algorithms import Params, State, bayes, discriminant, multinomial
from federation.algorithms.bayes import BayesParams, BayesState
from federation.algorithms.discriminant import DiscriminantParams, DiscriminantState
from federation.algorithms.multinomial import MultinomialParams, MultinomialState
from federation.estimators.base import Estimator
from federation.tables import Columns, Table, halves, middles
from federation.vectors import Reals


class Classifier(Estimator[Params, State]):
    """What the three share. `scores(params, state, table)`: logarithms of chances but for what all classes share."""

    scores: ClassVar[Any]

    @property
    def classes_(self) -> NDArray[Any]:
        """The levels of the target, as text."""
        return np.array(self.params.target.levels)  # type: ignore[attr-defined]

    def predict_proba(self, records: Table | Columns) -> Reals:
        """Chances, (records, classes)."""
        return portable.softmax(self._scores(self._table(records)))

    def predict(self, records: Table | Columns) -> NDArray[Any]:
        """The level of each record, (records,)."""
        return np.asarray(self.classes_[np.argmax(self._scores(self._table(records)), axis=1)])

    def _scores(self, table: Table) -> Reals:
        found: Reals = type(self).scores(self.params, self._state, table)
        return found


class FederatedGaussianNB(Classifier[BayesParams, BayesState]):
    """Gaussian naive Bayes; a missing value says nothing."""

    algorithm = bayes.BAYES
    scores = staticmethod(bayes.scores)

    @property
    def theta_(self) -> Reals:
        """Means, (classes, columns)."""
        return np.array(self._state.means)

    @property
    def var_(self) -> Reals:
        """Variances with the smoothing, (classes, columns)."""
        return np.array(self._state.variances)

    @property
    def class_count_(self) -> Reals:
        return np.array(self._state.counts, dtype=np.float64)

    @property
    def class_prior_(self) -> Reals:
        return self.class_count_ / self._state.records

    @property
    def constant_(self) -> tuple[str, ...]:
        """Names of the columns that hardly vary over all records."""
        return tuple(self.params.columns[i] for i in self._state.constant)


class FederatedLDA(Classifier[DiscriminantParams, DiscriminantState]):
    """Linear discriminant analysis; a row of `coef_` for each class, with two classes too."""

    algorithm = discriminant.DISCRIMINANT
    scores = staticmethod(discriminant.scores)

    @property
    def coef_(self) -> Reals:
        """(classes, columns), in units of the records."""
        return np.array(self._state.weights)[:, 1:]

    @property
    def intercept_(self) -> Reals:
        """(classes,)"""
        return np.array(self._state.weights)[:, 0]

    @property
    def means_(self) -> Reals:
        """(classes, columns), in units of the records."""
        return np.array(self._state.means) * halves(self.params.features) + middles(self.params.features)

    @property
    def priors_(self) -> Reals:
        return np.array(self._state.counts) / self._state.records

    @property
    def constant_(self) -> tuple[str, ...]:
        """Names of the columns that do not vary within any class: they weigh nothing."""
        return tuple(self.params.columns[i] for i in self._state.constant)

    def decision_function(self, records: Table | Columns) -> Reals:
        """(records, classes)"""
        return self._scores(self._table(records))


class FederatedMultinomialLogistic(Classifier[MultinomialParams, MultinomialState]):
    """Logistic regression with several classes."""

    algorithm = multinomial.MULTINOMIAL
    scores = staticmethod(multinomial.scores)

    @property
    def coef_(self) -> Reals:
        """(classes, columns), in units of the records."""
        return multinomial.original_weights(self.params, self._state)[:, 1:]

    @property
    def intercept_(self) -> Reals:
        """(classes,)"""
        return multinomial.original_weights(self.params, self._state)[:, 0]

    @property
    def n_iter_(self) -> int:
        """Secure sums that it took, the one for scaling included."""
        return self._state.rounds

    def decision_function(self, records: Table | Columns) -> Reals:
        """(records, classes)"""
        return self._scores(self._table(records))
