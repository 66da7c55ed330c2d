"""What a member's own records alone would have given it, beside the common model: this member's private figure.

The training's own plan is run once more here, on the records that this member joined with and on no others; both models
are then judged on the same records, its own that were held out. Nothing of it is sent or stored.

    found = alone_of(Trainer(node, training_id), state)
    found.own.accuracy, found.together.accuracy
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from federation.algorithms.held_out import HeldOutState
from federation.algorithms.judging import judging_table
from federation.errors import FederationError
from federation.simulate import pooled
from federation.tables import Table
from node.cards import Quality, asked, quality_of
from node.errors import NotFound
from node.sums import Plan
from node.trainer import Trainer

FEWEST = 20
"""Of fewer records of its own a member's figures say nothing."""

Why: TypeAlias = Literal["", "no_records", "not_held_out", "gone", "too_few", "not_trained"]


@dataclass(frozen=True, slots=True)
class Alone:
    """Computed on this node and sent nowhere: the model of our `own` records and the one made `together`, both judged
    on our own records that were held out. None where `why` says why: we have no seat, the plan holds nothing out, the
    version is gone from here, fewer than 20 of our records were held out, or no model can be fitted to ours."""

    why: Why
    own: Quality | None = None
    together: Quality | None = None


def alone_of(trainer: Trainer, state: Any) -> Alone:
    """`state`: the last of the training. Errors as of `trainer.table_of`."""
    plan = trainer.plan
    if trainer.training.position(trainer.node.me) is None:
        return Alone("no_records")
    if not isinstance(state, HeldOutState):
        return Alone("not_held_out")
    try:
        table = trainer.own_table()
    except NotFound:
        return Alone("gone")
    if len(plan.params.split(table)[1]) < FEWEST:
        return Alone("too_few")
    try:
        mine = of_one_place(plan, table)
    except FederationError:
        return Alone("not_trained")
    return Alone("", judged(plan, mine, table), judged(plan, state, table))


def of_one_place(plan: Plan, table: Table) -> Any:
    """The last state of the plan run over one table."""
    return pooled(plan.steps, _one_place(plan.params), table).state


def judged(plan: Plan, state: Any, table: Table) -> Quality:
    """The model in a state, on the records of `table` that its plan holds out. Refused where there are none."""
    judging, answers = plan.params.judging, asked(plan, state)
    sums = judging.local(judging_table(answers, answers.judged(table)))
    return quality_of(judging.report(judging.step(sums)), unseen=True)


def _one_place(params: Any) -> Any:
    """The params for one place that has as many records as all members may: the same bits after the point."""
    for inner in ("model", "averaging"):
        if hasattr(params, inner):
            return replace(params, **{inner: _one_place(getattr(params, inner))})
    return replace(params, members=1, records=params.members * params.records)
