"""At the edges of the ring and of each bound: what fits is exact to the last bit, what does not is refused, nothing
wraps. The oracle is Python's own integers and fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from federation.errors import Refused
from federation.vectors import CHUNK, STRETCH, Block, Layout, ring

WIDTHS = st.sampled_from([32, 64])
INT64 = np.iinfo(np.int64)
UINT64 = np.iinfo(np.uint64)
bounds = st.one_of(
    st.floats(min_value=0, exclude_min=True, allow_infinity=False), st.integers(1, 2**64), st.just(2**63 - 1)
)


def fits(block):
    return block.most < 2**63


def expected(block, value):
    """round-half-even(value * 2^scale) in fractions, None where it has to be refused."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not fits(block) or abs(Fraction(value)) > Fraction(block.bound):
        return None
    return round(Fraction(value) * 2**block.scale)


def quantised(block, values):
    try:
        return block.quantise(values)
    except Refused as refused:
        if refused.clause not in ("bound", "overflow"):
            raise
        return None


@settings(deadline=None, max_examples=400)
@given(bounds, st.integers(0, 63), st.floats(allow_subnormal=True))
@example(2**63 - 1, 0, 2.0**63)
@example(2**53 + 1, 0, 2.0**53 + 2)
@example(1.0, 62, 1.0)
@example(5e-324, 63, 5e-324)
@example(1e300, 8, 1e299)
@example(120.0, 8, -0.0)
def test_a_real_is_rounded_exactly_or_refused(bound, scale, value):
    block = Block("x", 1, scale, bound)
    found, wanted = quantised(block, [value]), expected(block, value)
    assert (None if found is None else found.tolist()) == (None if wanted is None else [wanted])


@settings(deadline=None, max_examples=400)
@given(bounds, st.integers(0, 63), st.one_of(st.integers(INT64.min, UINT64.max), st.integers(-300, 300)))
@example(2**53, 0, 2**53 + 1)
@example(2**63 - 1, 0, INT64.max)
@example(2**63 - 1, 0, INT64.min)
@example(2.0**62, 0, UINT64.max)
@example(100, 56, 100)
def test_an_integer_is_scaled_exactly_or_refused(bound, scale, value):
    block = Block("x", 1, scale, bound)
    kind = np.uint64 if value > INT64.max else np.int64
    found, wanted = quantised(block, np.array([value], dtype=kind)), expected(block, value)
    assert (None if found is None else found.tolist()) == (None if wanted is None else [wanted])


@settings(deadline=None)
@given(st.sampled_from([np.float16, np.float32, np.float64]), st.floats(width=16, allow_nan=False))
def test_the_width_of_a_float_changes_nothing(kind, value):
    block = Block("x", 1, 20, 1000.5)
    wanted = expected(block, value)
    found = quantised(block, np.array([value], dtype=kind))
    assert (None if found is None else found.tolist()) == (None if wanted is None else [wanted])


@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK, STRETCH, 2 * STRETCH])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1.5, -np.nextafter(1.0, 2.0), np.finfo(float).max])
def test_one_wrong_value_anywhere_is_found(place, wrong):
    values = np.zeros((2 * STRETCH + 1, 1))
    values[place] = wrong
    with pytest.raises(Refused) as caught:
        Block("x", 1, 30, 1.0).quantise(values)
    assert caught.value.clause == "bound"
    np.testing.assert_equal(caught.value.seen, wrong)


@pytest.mark.parametrize("values", [["a"], [None], [1j], [b"1"], [np.datetime64("2026-01-01")], [2**70], [{}]])
def test_what_is_no_real_number_is_refused(values):
    with pytest.raises(Refused) as caught:
        Block("x", 1, 0, 1e6).quantise(values)
    assert caught.value.clause == "bound"


def test_shapes_stay_and_the_given_values_too():
    block = Block("x", 2, 1, 4.0)
    for shape in ((), (0,), (0, 2), (3, 2), (2, 3, 4)):
        values = np.full(shape, 1.5)
        assert block.quantise(values).shape == shape
        assert (values == 1.5).all()
    columns = np.asfortranarray(np.arange(6).reshape(3, 2) / 2)
    assert block.quantise(columns[::2]).tolist() == [[0, 1], [4, 5]]


@settings(deadline=None)
@given(WIDTHS, st.integers(1, 64), st.integers(1, 2**20), st.booleans())
def test_a_layout_may_reach_the_limit_less_one_and_no_more(width, members, records, negative):
    """The largest bound that fits: accepted, and its worst sum decodes exactly. One more is refused, with the terms."""
    most = (2 ** (width - 1) - 1) // (members * records)
    plan = Layout(width, members, records, (Block("x", 1, 0, most),))
    each = records * most * (-1 if negative else 1)
    lanes = [plan.encode({"x": np.array([each], dtype=np.int64)}, records=records) for _ in range(members)]
    assert plan.decode(np.add.reduce(lanes, dtype=ring(width)))["x"].tolist() == [members * each]
    with pytest.raises(Refused) as caught:
        Layout(width, members, records, (Block("x", 1, 0, most + 1),))
    assert caught.value.clause == "overflow"
    assert f"{members} members * {records} records" in str(caught.value)
    assert f"= {members * records * (most + 1)}" in str(caught.value)


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("scale", [0, 1, 20, 30])
def test_exactly_the_limit_is_refused(width, scale):
    """4 members * 2 records * bound * 2^scale = 2^(width - 1), and one unit of the last place less."""
    bound = 2.0 ** (width - 1 - 3 - scale)
    with pytest.raises(Refused, match=rf"= {2 ** (width - 1)}; needed less than 2\^{width - 1}"):
        Layout(width, 4, 2, (Block("x", 1, scale, bound),))
    below = Fraction(bound) - Fraction(1, 2**scale)
    if Fraction(float(below)) == below and below > 0:
        assert Layout(width, 4, 2, (Block("x", 1, scale, float(below)),)).length == 1


@settings(deadline=None)
@given(WIDTHS, st.integers(2, 64), st.integers(1, 1000), st.sampled_from([1, -1]), st.integers(0, 2**31))
def test_one_over_what_the_records_allow_is_refused(width, members, records, sign, spare):
    most = max(1, (2 ** (width - 1) - 1) // (members * records) - spare)
    plan = Layout(width, members, records, (Block("x", 1, 0, most),))
    with pytest.raises(Refused) as caught:
        plan.encode({"x": np.array([sign * (records * most + 1)], dtype=np.int64)}, records=records)
    assert caught.value.clause == "bound"


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("extreme", [INT64.min, INT64.max, INT64.min + 1])
def test_sums_at_the_ends_of_int64_do_not_slip_through(width, extreme):
    plan = Layout(width, 3, 10, (Block("x", 2, 0, 100.0),))
    for sums in ([0, extreme], [extreme, 0]):
        with pytest.raises(Refused) as caught:
            plan.encode({"x": np.array(sums, dtype=np.int64)}, records=10)
        assert caught.value.clause == "bound"


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint8])
def test_limits_that_are_numpy_integers_do_not_wrap(kind):
    """100 * 100 * 100 wraps in 8 bits, 2^62 * 3 in 64: the products are Python's."""
    plan = Layout(32, kind(100), kind(100), (Block("x", 1, kind(0), 100),))
    assert plan.decode(np.array([10**6], dtype="<u4"))["x"].tolist() == [10**6]
    with pytest.raises(Refused) as caught:
        plan.encode({"x": np.array([10_001])}, records=kind(100))
    assert caught.value.clause == "bound"
    assert plan.encode({"x": np.array([10_000])}, records=kind(100)).tolist() == [10_000]
    with pytest.raises(Refused, match="overflow"):
        Layout(64, kind(3), kind(1), (Block("x", 1, kind(62), 1.0),))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Layout(64, 2.5, 1, (Block("x", 1, 0, 1.0),)),
        lambda: Layout(64, 3, 1.0, (Block("x", 1, 0, 1.0),)),
        lambda: Layout(64, 3, 1, (Block("x", 1.0, 0, 1.0),)),
        lambda: Layout(64, 3, 1, (Block("x", 1, 0.5, 1.0),)),
        lambda: Layout(64, 3, 1, (Block("x", 1, 0, 10**400),)),
        lambda: Block("x", 1, 0, 10**400).quantise([0]),
        lambda: Layout(64, 3, 1, (Block("x", 1, 0, 1.0),)).encode({"x": np.array([0])}, records=0.5),
        lambda: Layout(64, 3, 1, (Block("x", 1, 0, 1.0),)).encode({"x": np.array([0])}, records=-1),
    ],
)
def test_limits_are_whole_numbers_that_exist(build):
    with pytest.raises(Refused):
        build()


@pytest.mark.parametrize("width", [32, 64])
def test_one_records_vector_is_its_quantised_values(width):
    plan = Layout(width, 3, 1, (Block("w", 3 * CHUNK + 1, 16, 8.0), Block("n", 2, 0, 9)))
    values = np.random.default_rng(1).uniform(-8, 8, 3 * CHUNK + 1)
    sums = {"w": plan["w"].quantise(values), "n": plan["n"].quantise([-9, 9])}
    assert (plan.encode_record({"w": values, "n": [-9, 9]}) == plan.encode(sums, records=1)).all()
    for wrong, clause in (({"w": values, "n": [1]}, "shape"), ({"w": values, "n": [-10, 9]}, "bound")):
        with pytest.raises(Refused) as caught:
            plan.encode_record(wrong)
        assert caught.value.clause == clause


@pytest.mark.parametrize("scale", [0, 16, 27])
def test_single_precision_is_rounded_like_double(scale, rand):
    """Every float32 of any exponent within the bound, and the ones next to it on both sides."""
    block, bound = Block("w", 1, scale, 8.1), np.float32(8.1)
    values = np.frombuffer(rand(4 * 10_000), dtype=np.float32)
    values = np.concatenate([values[np.abs(values) < 8.1], np.arange(-8, 8, 0.5, dtype=np.float32) / 2**scale])
    assert (block.quantise(values) == np.rint(values.astype(np.float64) * 2.0**scale)).all()
    below, above = (np.nextafter(bound, towards) for towards in (np.float32(0), np.float32(9)))
    assert float(bound) > 8.1
    assert abs(block.quantise([-below])[0]) <= block.most
    for wrong in (bound, -bound, above, np.float32("inf"), np.float32("nan"), np.finfo(np.float32).max):
        with pytest.raises(Refused):
            block.quantise(np.append(values, wrong).astype(np.float32))
