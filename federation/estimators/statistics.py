"""What all members' records look like together.

found = FederatedStatistics(StatisticsParams(features, members=3, records=100), rand=os.urandom).fit(tables)
found.description_.numbers[0].mean
"""

from __future__ import annotations

import numpy as np

from federation.algorithms import statistics
from federation.algorithms.statistics import Description, describe
from federation.algorithms.tally import StatisticsParams, StatisticsState
from federation.estimators.base import Estimator
from federation.vectors import Reals


class FederatedStatistics(Estimator[StatisticsParams, StatisticsState]):
    """Counts, means, quantiles, histograms, tables and correlations; the arrays are over the numeric features."""

    algorithm = statistics.STATISTICS

    @property
    def description_(self) -> Description:
        """Everything, with small cells left out."""
        return describe(self.params, self._state)

    @property
    def n_samples_seen_(self) -> int:
        return self._state.records

    @property
    def mean_(self) -> Reals:
        """(numeric features,), NaN for figures over too few records."""
        return np.array([np.nan if one.mean is None else one.mean for one in self.description_.numbers])

    @property
    def var_(self) -> Reals:
        """(numeric features,), divided by present - 1; NaN for figures over too few records."""
        return np.array([np.nan if one.variance is None else one.variance for one in self.description_.numbers])

    @property
    def quantiles_(self) -> Reals:
        """(numeric features, quantiles): the middle of the part each lies in; NaN for figures over too few records."""
        rows = [[one.middle for one in number.quantiles] for number in self.description_.numbers]
        return np.array([[np.nan if one is None else one for one in row] for row in rows])
