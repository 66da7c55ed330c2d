"""The adversary matrix: under every attack the right sum, or an abort that names the culprit, and no vector exposed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from federation.securesum import draw
from federation.simulate import addresses
from tests.federation.adversary import ATTACKS, ROUND, VICTIM_DROPS, Attack, Table, both, of, play
from tests.federation.knowledge import closure

CELLS = [(attack, n) for attack in ATTACKS for n in (3, 4, 8)]
SIXTEEN = [(attack, 16) for attack in ATTACKS]


def name_of(cell) -> str:
    return f"{cell[0].name}, n = {cell[1]}"


@pytest.mark.parametrize("cell", [*CELLS, *SIXTEEN[::6]], ids=name_of)
def test_the_right_sum_or_an_abort_that_names_the_culprit(cell, rand):
    attack, n = cell
    table = play(attack, n=n, rand=rand)
    require_outcome(table, attack, attack.expected(n))
    require_no_honest_member_named(table)
    require_nobody_exposed(table, random.Random(n))


@pytest.mark.long
@pytest.mark.parametrize("cell", SIXTEEN, ids=name_of)
def test_the_same_among_sixteen(cell, rand):
    test_the_right_sum_or_an_abort_that_names_the_culprit(cell, rand)


def require_outcome(table: Table, attack: Attack, outcome: str) -> None:
    right = np.add.reduce([table.given[member] for member in table.vectors], dtype="<u8")
    culprit = table.evil if attack.culprit else None
    complaints = {(clause, who) for _, clause, who in (*table.said, *table.noted)}
    if outcome == "sum":
        assert table.total is not None
        assert (table.total == right).all()
        assert not attack.noted or (attack.noted, culprit) in complaints
    elif outcome == "spoilt":
        assert table.total is not None
        assert (table.total != right).any()
    else:
        assert table.total is None
        assert outcome in {clause for _, clause, _ in table.said}
        # Of three nobody can be done without: that one is missing is plain from the board, and nobody has to say so.
        assert len(table.members) == 3 or culprit is None or culprit in {who for _, who in complaints}


def require_no_honest_member_named(table: Table) -> None:
    assert {who for _, _, who in (*table.said, *table.noted)} <= {None, table.evil}


def require_nobody_exposed(table: Table, dice: random.Random) -> None:
    """Of the evil one alone, and of it with random others up to one below the threshold: what they learn is one sum."""
    most = table.roster.threshold - 1 - table.fooled
    for size in (1, most, most):
        spies = {table.evil, *dice.sample(table.honest, size - 1)}
        known = closure(table.seen, spies)
        hidden = table.seen.vectors.keys() - spies
        own = len(table.seen.vectors.keys() & spies)
        assert known.parts() <= own + 1
        for member in hidden:
            assert len(hidden & table.vectors.keys()) <= 1 or known.opened([member]) is None


@pytest.mark.parametrize("n", [4, 8])
def test_where_a_vector_is_withheld_from_all_no_honest_seed_leaves(n, rand):
    table = play(named("a vector withheld from all"), n=n, rand=rand)
    assert {answer.member for answer in table.answers if answer.seed} <= {table.evil}


def named(name: str) -> Attack:
    return next(attack for attack in ATTACKS if attack.name == name)


# --- what only finality protects from: each member's own view of the chain has to be the real one ---


@pytest.mark.parametrize("n", [4, 8])
def test_a_member_that_is_shown_itself_as_a_survivor_and_is_none_is_exposed(n, rand):
    """It gives its seed, and the others, who see the real chain, open its scalar: nobody has to collude for that."""
    breaks = both(VICTIM_DROPS, of("victim", "survivors_shown", lambda table, _: table.members))
    table = play(Attack("", breaks, ""), n=n, rand=rand)
    assert (closure(table.seen, []).opened([table.victim]) == table.given[table.victim]).all()


@pytest.mark.parametrize("n", [4, 8])
def test_made_up_peers_before_contributing_and_a_recovered_seed_expose(n, rand):
    """The member itself gives no seed among the real keys; but the others take its silence for absence, and open it."""
    made_up = {member: draw(ROUND, member, rand) for member in addresses(n)[1:]}
    table_of_lies = {member: keys for member, (_, keys) in made_up.items()}
    asked = []

    def shown(table, keys):
        asked.append(1)
        return {**keys, **table_of_lies} if len(asked) == 1 else keys

    table = play(Attack("", of("victim", "keys_shown", shown), ""), n=n, rand=rand)
    assert (table.victim, "among", None) in table.said
    known = closure(table.seen, [], scalars=[state.scalar for state, _ in made_up.values()])
    assert (known.opened([table.victim]) == table.given[table.victim]).all()


def test_fooled_members_count_as_colluding_ones(rand):
    """Two final survivor lists: spies and fooled members together at the threshold hold both secrets of one member."""
    table = play(named("two survivor lists"), n=8, rand=rand)
    fooled = table.honest[1::2]
    spies = [table.evil, *(m for m in table.honest[1:] if m not in fooled)]
    enough = table.roster.threshold - len(fooled)
    assert closure(table.seen, spies[: enough - 1]).opened([table.victim]) is None
    assert (closure(table.seen, spies[:enough]).opened([table.victim]) == table.given[table.victim]).all()
