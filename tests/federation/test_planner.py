"""How many bits a plan can afford: the most that are safe, never more than are of use, never too few."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from datasets import load

from federation.algorithms.logistic import LOGISTIC, LogisticParams
from federation.errors import Refused
from federation.planner import LEAST, MOST, Limits
from federation.simulate import pooled
from federation.tables import Target
from node.models import encode_model
from node.sums import Plan


@pytest.mark.parametrize(("members", "records", "bound", "width"), [
    (3, 10, 1.0, 64), (50, 10**6, 1.0, 64), (50, 10**6, 300.0, 64), (10, 10**4, 1e6, 64), (3, 10, 0.1, 32),
    (4, 100, 1.5, 32),
])  # fmt: skip
def test_the_most_bits_that_are_safe(members, records, bound, width):
    limits = Limits(members, records, width)
    scale = limits.scale_for("x", bound)
    limits.layout(limits.reals("x", 2, bound))
    assert LEAST <= scale <= MOST
    if scale < MOST:
        with pytest.raises(Refused, match="overflow"):
            Limits(members, records, width, scale + 1).layout(
                Limits(members, records, width, scale + 1).reals("x", 2, bound)
            )


def test_a_plan_without_room_shows_the_sum():
    with pytest.raises(Refused) as caught:
        Limits(members=50, records=10**6, width=32).reals("gradient", 3, 2.5)
    assert caught.value.clause == "overflow"
    assert "50 members * 1000000 records * ceil(2.5 * 2^16) = 8192000000000" in str(caught.value)
    assert "2^31" in str(caught.value)


def test_a_scale_that_a_plan_names_is_kept():
    assert Limits(50, 10**6, 64, 7).scale_for("x", 1.0) == 7


@pytest.fixture(scope="module")
def cancer():
    features, columns, values = load("breast_cancer")
    exact = tuple(replace(f, low=float(v.min()), high=float(v.max())) for f, v in zip(features, values.T, strict=True))
    exact = tuple(replace(f, name=f"f{i}") for i, f in enumerate(exact))
    plan = LogisticParams(exact, Target("y", above=0.5), members=10, records=1000)
    return plan, {"y": columns["y"], **{f"f{i}": values[:, i] for i in range(30)}}


def test_logistic_plans_keep_their_bytes(cancer):
    """Taken before there was a planner: sums and model of a plan with the scale it had."""
    plan, columns = cancer
    training = pooled(LOGISTIC, plan, LOGISTIC.prepare(plan, columns))
    model = encode_model(Plan("x", "logistic", plan), training.state, "0x" + "77" * 32)
    assert hashlib.sha256(b"".join(training.totals)).hexdigest() == SUMS
    assert hashlib.sha256(model).hexdigest() == MODEL


SUMS = "48aa6a430fa8e79f9ca5e0f5ec00250ed27924d430a89643fbfd9356c7c8610a"
MODEL = "645d91e8118df1bbf8b11c3697b9ca62af8486f23c20ba2ad6c8ebdc969841b3"


def test_logistic_may_leave_the_scale_to_the_planner(cancer):
    plan, columns = cancer
    table = LOGISTIC.prepare(plan, columns)
    ours, theirs = pooled(LOGISTIC, plan, table), pooled(LOGISTIC, replace(plan, scale=None), table)
    assert np.allclose(ours.state.weights, theirs.state.weights, atol=1e-6)
    assert ours.totals != theirs.totals
