"""Federated algorithms with the face of scikit-learn: `fit` is a training of all members in memory.

For trying a plan out, for tests and notebooks; between real nodes the same steps are carried by the node. Imports no
scikit-learn.

    model = FederatedLogisticRegression(params, rand=os.urandom).fit(tables)
    model.coef_, model.intercept_, model.predict_proba(columns)
"""

from federation.estimators.base import Estimator
from federation.estimators.boosted import (
    FederatedHistGradientBoostingClassifier,
    FederatedHistGradientBoostingRegressor,
)
from federation.estimators.classes import FederatedGaussianNB, FederatedLDA, FederatedMultinomialLogistic
from federation.estimators.groups import FederatedKMeans, FederatedPCA
from federation.estimators.linear import (
    FederatedLogisticRegression,
    FederatedPoissonRegressor,
    FederatedRidge,
)
from federation.estimators.networks import FederatedMLPClassifier, FederatedMLPRegressor
from federation.estimators.statistics import FederatedStatistics

__all__ = [
    "Estimator",
    "FederatedGaussianNB",
    "FederatedHistGradientBoostingClassifier",
    "FederatedHistGradientBoostingRegressor",
    "FederatedKMeans",
    "FederatedLDA",
    "FederatedLogisticRegression",
    "FederatedMLPClassifier",
    "FederatedMLPRegressor",
    "FederatedMultinomialLogistic",
    "FederatedPCA",
    "FederatedPoissonRegressor",
    "FederatedRidge",
    "FederatedStatistics",
]
