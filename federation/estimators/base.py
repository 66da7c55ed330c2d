"""What all estimators share: a plan, randomness for the masks, and the training that `fit` runs.

class FederatedThing(Estimator[ThingParams, ThingState]):
    algorithm = THING
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from federation.algorithms import Algorithm, Params, State
from federation.algorithms.scaling import Scaling
from federation.errors import Refused
from federation.securesum.keys import Random
from federation.simulate import Training, train
from federation.tables import Columns, Table

Self = TypeVar("Self", bound="Estimator[Any, Any]")


@dataclass
class Estimator(Generic[Params, State]):
    """A plan that can be fitted; `training_` are the sums and the state they led to."""

    algorithm: ClassVar[Algorithm[Any, Any]]

    params: Params
    rand: Random
    training_: Training[State] | None = field(default=None, init=False, repr=False)

    def fit(self: Self, members: Sequence[Table | Columns]) -> Self:
        """Train through the secure sum, one entry a member, three or more. Refused by whatever the plan refuses."""
        self.training_ = train(self.algorithm, self.params, [self._table(one) for one in members], rand=self.rand)
        return self

    @property
    def n_rounds_(self) -> int:
        """Secure sums that it took."""
        return len(self._training.totals)

    @property
    def constant_(self) -> tuple[str, ...]:
        """Names of the columns that hardly vary over all records, or are never present: they weigh nothing."""
        scaling: Scaling | None = getattr(self._state, "scaling", None)
        return tuple(self.params.columns[i] for i in scaling.constant) if scaling else ()  # type: ignore[attr-defined]

    @property
    def _state(self) -> State:
        return self._training.state

    @property
    def _training(self) -> Training[State]:
        if self.training_ is None:
            raise Refused("not fitted yet", clause="order", seen="no training", needed="fit")
        return self.training_

    def _table(self, records: Table | Columns) -> Table:
        return records if isinstance(records, Table) else self.algorithm.prepare(self.params, records)
