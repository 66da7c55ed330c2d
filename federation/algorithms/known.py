"""The algorithms a plan can name. A new one is one file beside this and one line here.

algorithm = named("logistic")
params = records.parse(algorithm.params, json.loads(plan))
"""

from __future__ import annotations

from typing import Any

from federation.algorithms import Algorithm
from federation.algorithms.bayes import BAYES
from federation.algorithms.boosting import BOOSTING
from federation.algorithms.cluster import KMEANS
from federation.algorithms.discriminant import DISCRIMINANT
from federation.algorithms.evaluation import EVALUATION
from federation.algorithms.evaluation_classes import CLASS_EVALUATION
from federation.algorithms.evaluation_numbers import REGRESSION_EVALUATION
from federation.algorithms.explanation import EXPLANATION
from federation.algorithms.held_out import HELD_OUT
from federation.algorithms.linear import RIDGE
from federation.algorithms.logistic import LOGISTIC
from federation.algorithms.multinomial import MULTINOMIAL
from federation.algorithms.neural import NEURAL
from federation.algorithms.pca import PCA
from federation.algorithms.poisson import POISSON
from federation.algorithms.private import PRIVATE_LOGISTIC
from federation.algorithms.statistics import STATISTICS
from federation.errors import Refused

ALGORITHMS: dict[str, Algorithm[Any, Any]] = {
    one.name: one
    for one in (
        LOGISTIC,
        *HELD_OUT,
        EVALUATION,
        RIDGE,
        POISSON,
        BAYES,
        DISCRIMINANT,
        MULTINOMIAL,
        KMEANS,
        PCA,
        STATISTICS,
        CLASS_EVALUATION,
        REGRESSION_EVALUATION,
        BOOSTING,
        NEURAL,
        PRIVATE_LOGISTIC,
        EXPLANATION,
    )
}


def named(name: str) -> Algorithm[Any, Any]:
    """The algorithm of that name, or Refused with the names there are."""
    if name not in ALGORITHMS:
        raise Refused("an algorithm that is not known", clause="algorithm", seen=name, needed=sorted(ALGORITHMS))
    return ALGORITHMS[name]
