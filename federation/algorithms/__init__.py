"""An algorithm is a record of functions over one primitive: what a member adds up, and what everybody makes of the sum.

    params   the plan's part of it, a frozen record read from JSON: public, the same for everybody
    state    what is known so far, derived by each member from params and the sums so far; nobody is handed one
    prepare  raw columns -> the table the algorithm works on, once
    start    the first state
    layout   the blocks of the coming round's vector
    local    a member's sums over its records, as integers quantised record by record
    step     the next state, from the decoded total
    done     whether another round is needed
    fitted   what the last state leaves as named arrays, in the units of the records; `shapes` says which there are
    noise    a member's part of the noise in the coming sum, where the plan wants some

k-means, boosting, averaging and statistics have the same functions. All are pure; states are exact on every
processor (`portable`), so equal sums give equal states.

    state = advance(algorithm, params, state, total)
    check_arrays(algorithm.shapes, algorithm.fitted(params, state))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from federation.errors import Refused, Untrusted
from federation.securesum.keys import Random
from federation.tables import Columns, Table
from federation.vectors import Integers, Lanes, Layout, Reals

Params = TypeVar("Params")
State = TypeVar("State")
Sums: TypeAlias = Mapping[str, Integers]
Shapes: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Fitted:
    """What a training leaves: float64 arrays by name, what their axes stand for, and over how many records."""

    columns: tuple[str, ...]
    records: int
    arrays: Mapping[str, Reals]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Algorithm(Generic[Params, State]):
    """See the module. `params` and `state` are the record types, for `records.parse` and `records.load`.

    `shapes` names each array of `fitted` and its axes: "columns", "classes", a free name, or "1 + " one of these.
    """

    name: str
    params: type[Params]
    state: type[State]
    prepare: Callable[[Params, Columns], Table]
    start: Callable[[Params], State]
    layout: Callable[[Params, State], Layout]
    local: Callable[[Params, State, Table], Sums]
    step: Callable[[Params, State, Sums], State]
    done: Callable[[Params, State], bool]
    fitted: Callable[[Params, State], Fitted] | None = None
    shapes: Shapes = field(default_factory=dict, hash=False)
    noise: Callable[[Params, State, Random], Sums] | None = None


def vector(
    algorithm: Algorithm[Params, State], params: Params, state: State, table: Table, rand: Random | None = None
) -> Lanes:
    """One member's unmasked vector for the coming round; Refused if a record or their number is over a limit.

    `rand` is what noise is drawn from; an algorithm without noise needs none.
    """
    layout, sums = algorithm.layout(params, state), algorithm.local(params, state, table)
    if algorithm.noise is None:
        return layout.encode(sums, records=len(table))
    if rand is None:
        raise Refused("noise is drawn from something", clause="noise", seen=None, needed="rand")
    return layout.encode(sums, records=len(table), noise=algorithm.noise(params, state, rand))


def advance(algorithm: Algorithm[Params, State], params: Params, state: State, total: Lanes) -> State:
    """The state after a round whose sum is `total`."""
    return algorithm.step(params, state, algorithm.layout(params, state).decode(total))


def fitted_of(algorithm: Algorithm[Params, State], params: Params, state: State) -> Fitted:
    """What the state leaves; Refused where the algorithm leaves nothing, and it or Untrusted before enough sums."""
    if algorithm.fitted is None:
        raise Refused("it leaves no model", clause="model", seen=algorithm.name, needed="an algorithm that does")
    found = algorithm.fitted(params, state)
    check_arrays(algorithm.shapes, found)
    return found


def check_arrays(shapes: Shapes, fitted: Fitted) -> None:
    """Untrusted unless the arrays are those of `shapes`: names, axes of one length wherever they are named, finite."""
    if fitted.arrays.keys() != shapes.keys():
        raise Untrusted(f"arrays {sorted(fitted.arrays)} instead of {sorted(shapes)}", clause="shape")
    lengths = {"columns": len(fitted.columns)} | ({"classes": len(fitted.classes)} if fitted.classes else {})
    for name, axes in shapes.items():
        array = fitted.arrays[name]
        if array.dtype != np.float64 or array.ndim != len(axes):
            raise Untrusted(f"array {name} is {array.dtype} with {array.ndim} axes", clause="shape")
        for axis, seen in zip(axes, array.shape, strict=True):
            more, free = axis.startswith("1 + "), axis.removeprefix("1 + ")
            if lengths.setdefault(free, seen - more) != seen - more or seen < 1:
                raise Untrusted(f"array {name}: {seen} {axis}, and {lengths[free]} {free} elsewhere", clause="shape")
        if not np.isfinite(array).all():
            raise Untrusted(f"array {name} holds numbers that are none", clause="finite")
