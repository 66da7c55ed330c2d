import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import canon
from node.errors import Misuse

numbers = st.integers(-canon.MAX_INTEGER, canon.MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not (number.is_integer() and abs(number) > canon.MAX_INTEGER)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(texts, values, max_size=5))
def test_what_is_written_is_read_back_and_is_a_fixed_point(document):
    data = canon.encode(document)
    again = canon.parse(data, limit=1 << 20)
    assert again == document
    assert canon.encode(again) == data


@given(st.dictionaries(texts, values, min_size=2, max_size=5))
def test_the_order_of_keys_does_not_matter(document):
    assert canon.digest(dict(reversed(document.items()))) == canon.digest(document)


# RFC 8785, appendix B: the IEEE 754 bits are given there; these are their values.
@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5e-324, "5e-324"),
        (9007199254740991, "9007199254740991"),
        (1e-7, "1e-7"),
        (0.000001, "0.000001"),
        (333333333.3333332, "333333333.3333332"),
        (333333333.33333325, "333333333.33333325"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.2, "1424953923781206.2"),
        (-0.0, "0"),
    ],
)
def test_numbers_of_the_rfc(number, text):
    assert canon.encode({"n": number}) == b'{"n":%s}' % text.encode()


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, -(2**53), 1e16, 1e300, b"bytes", {1: 2}, "\ud800", {"a"}],
    ids=repr,
)
def test_what_has_no_canonical_form_is_misuse(value):
    with pytest.raises(Misuse) as misuse:
        canon.encode({"value": value})
    assert misuse.value.clause == "canonical"


def test_thirty_two_levels_are_the_limit():
    def nested(levels):
        value = 0
        for _ in range(levels):
            value = [value]
        return {"value": value}

    canon.parse(canon.encode(nested(30)), limit=100)
    with pytest.raises(Misuse):
        canon.encode(nested(31))
    with pytest.raises(Misuse):
        canon.encode(nested(100_000))


def test_a_document_of_the_limit_is_read():
    data = canon.encode({"text": "x" * 89})
    assert canon.parse(data, limit=len(data)) == {"text": "x" * 89}
