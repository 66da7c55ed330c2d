"""An algorithm is a record of functions over one primitive: what a member adds up, and what everybody makes of the sum.

    params   the plan's part of it, a frozen record read from JSON: public, the same for everybody
    state    what is known so far, derived by each member from params and the sums so far; nobody is handed one
    prepare  raw columns -> the table the algorithm works on, once
    start    the first state
    layout   the blocks of the coming round's vector
    local    a member's sums over its records, as integers quantised record by record
    step     the next state, from the decoded total
    done     whether another round is needed

k-means, boosting, averaging and statistics have the same six functions. All are pure; states are exact on every
processor (`portable`), so equal sums give equal states.

    state = advance(algorithm, params, state, total)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from federation.tables import Columns, Table
from federation.vectors import Integers, Lanes, Layout

Params = TypeVar("Params")
State = TypeVar("State")
Sums: TypeAlias = Mapping[str, Integers]


@dataclass(frozen=True)
class Algorithm(Generic[Params, State]):
    """See the module. `params` and `state` are the record types, for `records.parse` and `records.load`."""

    name: str
    params: type[Params]
    state: type[State]
    prepare: Callable[[Params, Columns], Table]
    start: Callable[[Params], State]
    layout: Callable[[Params, State], Layout]
    local: Callable[[Params, State, Table], Sums]
    step: Callable[[Params, State, Sums], State]
    done: Callable[[Params, State], bool]


def vector(algorithm: Algorithm[Params, State], params: Params, state: State, table: Table) -> Lanes:
    """One member's unmasked vector for the coming round; Refused if a record or their number is over a limit."""
    layout = algorithm.layout(params, state)
    return layout.encode(algorithm.local(params, state, table), records=len(table))


def advance(algorithm: Algorithm[Params, State], params: Params, state: State, total: Lanes) -> State:
    """The state after a round whose sum is `total`."""
    return algorithm.step(params, state, algorithm.layout(params, state).decode(total))
