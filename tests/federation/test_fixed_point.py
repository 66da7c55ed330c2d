"""Reals as integers that add up exactly: rounding per record, and no overflow, clip or wrap."""

import numpy as np
import pytest

from federation.errors import Refused, Untrusted
from federation.vectors import Block, Layout, from_bytes, ring, to_bytes

AGE = Block("age", length=2, scale=8, bound=120.0)


def layout(width=64, members=4, records=1000, blocks=(AGE,)):
    return Layout(width, members, records, tuple(blocks))


def test_halves_go_to_the_even_neighbour():
    halves = Block("x", 1, 1, 10.0)
    assert halves.quantise([0.25, 0.75, 1.25, -0.25, -0.75, 0.3]).tolist() == [0, 2, 2, 0, -2, 1]


def test_rounding_is_per_record_so_the_split_does_not_matter(rand):
    values = np.random.default_rng(1).uniform(-120, 120, (900, 2))
    pooled = AGE.quantise(values).sum(axis=0)
    for parts in (3, 4, 10):
        split = sum(AGE.quantise(part).sum(axis=0) for part in np.array_split(values, parts))
        assert (split == pooled).all()
    rounded_late = np.rint(values.sum(axis=0) * 2.0**8)
    assert (rounded_late != pooled).any()  # rounding the sum instead would be another number


@pytest.mark.parametrize("width", [32, 64])
def test_negative_sums_survive_the_ring(width):
    plan = layout(width, records=10)
    parts = [plan.encode({"age": np.array([-3 * k, k], dtype=np.int64)}, records=10) for k in (5, 7)]
    assert plan.decode(parts[0] + parts[1])["age"].tolist() == [-36, 12]


@pytest.mark.parametrize("width", [32, 64])
def test_the_worst_case_that_is_allowed_does_not_wrap(width):
    """The largest layout that is accepted, filled to the brim by every member."""
    scale = width - 1 - 2 - 3
    block = Block("x", 1, scale, 1.0)
    plan = Layout(width, 4, 7, (block,))
    full = plan.encode({"x": block.quantise(np.ones((7, 1))).sum(axis=0)}, records=7)
    assert plan.decode(np.add.reduce([full] * 4, dtype=ring(width)))["x"].tolist() == [28 << scale]
    with pytest.raises(Refused, match="overflow"):
        Layout(width, 4, 8, (block,))


def test_a_refused_layout_shows_its_arithmetic():
    with pytest.raises(Refused) as caught:
        layout(width=32, members=4, records=100_000)
    assert caught.value.clause == "overflow"
    assert "4 members * 100000 records * ceil(120.0 * 2^8) = 12288000000" in str(caught.value)
    assert "less than 2^31" in str(caught.value)


@pytest.mark.parametrize("value", [120.1, -121.0, np.nan, np.inf, -np.inf])
def test_a_value_over_its_bound_names_block_value_and_bound(value):
    with pytest.raises(Refused) as caught:
        AGE.quantise([[1.0, value]])
    assert caught.value.clause == "bound"
    assert "block age" in str(caught.value)
    assert str(caught.value.seen) == str(value)
    assert "120.0" in str(caught.value)


@pytest.mark.parametrize(
    ("sums", "records", "clause"),
    [
        (np.array([0, 0], dtype=np.int64), 1001, "records"),
        (np.array([0, 120 * 256 * 3 + 1], dtype=np.int64), 3, "bound"),
        (np.array([0], dtype=np.int64), 3, "shape"),
        (np.array([0.0, 0.0]), 3, "shape"),
    ],
)
def test_sums_that_the_records_cannot_give_are_refused(sums, records, clause):
    with pytest.raises(Refused) as caught:
        layout().encode({"age": sums}, records=records)
    assert caught.value.clause == clause


@pytest.mark.parametrize(
    "build",
    [
        lambda: layout(width=48),
        lambda: layout(members=0),
        lambda: layout(records=0),
        lambda: layout(blocks=()),
        lambda: layout(blocks=(AGE, AGE)),
        lambda: layout(blocks=(Block("x", 0, 8, 1.0),)),
        lambda: layout(blocks=(Block("x", 1, -1, 1.0),)),
        lambda: layout(blocks=(Block("x", 1, 64, 1.0),)),
        lambda: layout(blocks=(Block("x", 1, 8, float("inf")),)),
        lambda: layout(blocks=(Block("x", 1, 8, float("nan")),)),
        lambda: layout(blocks=(Block("x", 1, 8, 0.0),)),
        lambda: layout(blocks=(Block("x", 1 << 29, 8, 1.0),)),
    ],
)
def test_what_is_no_layout_is_refused(build):
    with pytest.raises(Refused):
        build()


def test_blocks_keep_their_order_and_place():
    plan = layout(blocks=(AGE, Block("count", 1, 0, 1.0)))
    lanes = plan.encode({"count": np.array([3]), "age": np.array([1, 2])}, records=3)
    assert lanes.tolist() == [1, 2, 3]
    assert {name: part.tolist() for name, part in plan.decode(lanes).items()} == {"age": [1, 2], "count": [3]}


@pytest.mark.parametrize("width", [32, 64])
def test_lanes_are_little_endian(width):
    raw = to_bytes(np.array([1, 258], dtype=ring(width)))
    size = width // 8
    assert raw == (1).to_bytes(size, "little") + (258).to_bytes(size, "little")
    assert from_bytes(width, raw).tolist() == [1, 258]


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("extreme", [0, 1])
def test_a_total_beyond_all_records_is_not_believed(width, extreme):
    """A member within the ring but over every bound: seen at the first look at the sum."""
    plan = layout(width, records=10)
    most = 4 * 10 * 120 * 256
    for value in (most + 1, -most - 1, -(1 << (width - 1))):
        with pytest.raises(Untrusted) as caught:
            plan.decode(np.roll(np.array([value, 0], dtype=f"<i{width // 8}"), extreme).view(ring(width)))
        assert caught.value.clause == "bound"
    assert plan.decode(np.array([most, -most], dtype=f"<i{width // 8}").view(ring(width)))["age"].tolist() == [
        most,
        -most,
    ]


def test_bytes_that_are_no_lanes_are_not_read():
    for width, raw in ((64, b"1234"), (32, b"123")):
        with pytest.raises(Untrusted):
            from_bytes(width, raw)
    with pytest.raises(Untrusted):
        layout().decode(np.zeros(3, dtype="<u8"))
    with pytest.raises(Untrusted):
        layout().decode(np.zeros(2, dtype="<u4"))
