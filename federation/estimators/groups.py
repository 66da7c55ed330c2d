"""What has no target: clusters and principal components.

model = FederatedKMeans(KMeansParams(features, clusters=3, members=3, records=100), rand=os.urandom).fit(tables)
model.predict(columns)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federation.algorithms import cluster, pca
from federation.algorithms.cluster import KMeansParams, KMeansState
from federation.algorithms.pca import PcaParams, PcaState
from federation.estimators.base import Estimator
from federation.tables import Columns, Table
from federation.vectors import Reals


class FederatedKMeans(Estimator[KMeansParams, KMeansState]):
    """k-means. Distances, and so `inertia_`, are in units of the declared ranges: each column goes from -1 to 1."""

    algorithm = cluster.KMEANS

    @property
    def cluster_centers_(self) -> Reals:
        """(clusters, columns), in units of the records."""
        return cluster.original_centres(self.params, self._state)

    @property
    def inertia_(self) -> float:
        """Sum of squared distances to the nearest centre."""
        return self._state.inertia

    @property
    def n_iter_(self) -> int:
        """Sums of Lloyd's iterations, those of the seeding left out."""
        return max(0, self._state.rounds - 1 - (self.params.clusters if self.params.clusters > 1 else 0))

    def predict(self, records: Table | Columns) -> NDArray[np.int64]:
        """The place of each record's centre, (records,)."""
        return cluster.nearest(self.params, self._state, self._table(records))


class FederatedPCA(Estimator[PcaParams, PcaState]):
    """Principal components, each with its largest entry above 0, as scikit-learn signs them."""

    algorithm = pca.PCA

    @property
    def components_(self) -> Reals:
        """(components, columns)"""
        return np.array(self._state.components)

    @property
    def explained_variance_(self) -> Reals:
        """(components,), in squared units of the records."""
        return np.array(self._state.variances)

    @property
    def explained_variance_ratio_(self) -> Reals:
        """(components,); 0 where nothing varies."""
        return self.explained_variance_ / (self._state.total or 1.0)

    @property
    def mean_(self) -> Reals:
        """(columns,), in units of the records."""
        return pca.mean(self.params, self._state)

    def transform(self, records: Table | Columns) -> Reals:
        """(records, components)"""
        return pca.project(self.params, self._state, self._table(records))
