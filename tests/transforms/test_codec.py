"""JSON read and written without loss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.json_depth import MAX_DEPTH, depth
from gateway.transforms.codec import MalformedJSON, dumps, loads

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
#: Any JSON value, lone surrogates included.
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.text(st.characters(codec=None, exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "number",
    [
        *("0", "-0", "-0.0", "1.10", "1e400", "-1E-400", "1.5e3", "0.1000000000000000055"),
        *(str(2**53 + 1), str(2**63), str(2**64), str(2**70), f"-{2**70}", "9" * 700, "9" * 5000),
        "123456789012345678901234567890.10",
    ],
    ids=lambda number: number[:24],
)
def test_a_number_is_written_as_it_was(number: str) -> None:
    for text in (number, f'{{"a":[{number}]}}', f'{{"a":[{number},"\\ud800"]}}'):
        assert dumps(loads(text)).decode() == text


def test_a_number_is_a_number_to_those_who_look() -> None:
    price, large, huge = loads("[1.10,1208925819614629174706176,1e999]")
    assert price == 1.1
    assert large == 2**80
    assert huge == float("inf")
    assert isinstance(price, float)
    assert isinstance(large, int)


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":2,"c":[]}',
        '"\\ud800"',
        '{"\\udfff":"\\ud83d"}',
        '["\\u0000"]',
        '["\U0001f600"]',
        '{"":null}',
        "[]",
    ],
)
def test_text_is_kept(text: str) -> None:
    assert dumps(loads(text)).decode() == text


@settings(deadline=None, max_examples=150)
@given(VALUES)
def test_any_value_survives(value: Any) -> None:
    text = json.dumps(value)
    again = dumps(loads(text, unique=True)).decode()
    assert json.loads(again) == json.loads(text)
    assert [*_names(json.loads(again))] == [*_names(value)]


def _names(value: Any) -> list[str]:
    """The names of members at all depths, in order."""
    if isinstance(value, dict):
        return [*value, *(name for one in value.values() for name in _names(one))]
    return [name for one in value for name in _names(one)] if isinstance(value, list) else []


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("{", 1, 2),
        ('{"a":\n  secret}', 2, 3),
        ("[1] [2]", 1, 5),
        ("01", 1, 2),
        ("[1,]", 1, 4),
        ('"a\x01"', 1, 3),
        ("\ufeff1", 1, 1),
        ("NaN", 0, 0),
        ("[-Infinity]", 0, 0),
    ],
)
def test_what_is_no_json_is_told_by_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(MalformedJSON) as raised:
        loads(text)
    assert (raised.value.line, raised.value.column) == (line, column)
    assert "secret" not in str(raised.value)


def test_a_name_may_be_there_twice_only_where_the_last_counts() -> None:
    text = '{"role":"user","a":{"x":1,"x":2},"role":"admin"}'
    assert dumps(loads(text)) == b'{"role":"admin","a":{"x":2}}'
    with pytest.raises(MalformedJSON, match="same name"):
        loads(text, unique=True)
    with pytest.raises(MalformedJSON, match="same name"):
        loads('{"a":1,"\\u0061":2}', unique=True)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_bounded(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    text = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH
    assert dumps(loads(text)).decode() == text
    assert depth(loads(text)) == MAX_DEPTH
    for more in (1, 100_000):
        with pytest.raises(MalformedJSON, match="inside of one another"):
            loads(opening * (MAX_DEPTH + more) + "1" + closing * (MAX_DEPTH + more))


def test_many_brackets_are_not_deep() -> None:
    text = "[" + ",".join(["[]"] * 1000) + ',"[[[["]'
    assert dumps(loads(text)).decode() == text


def test_what_was_put_around_a_deep_value_is_written() -> None:
    value = loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(150):  # more than orjson takes
        value = {"a": value}
    assert depth(json.loads(dumps(value))) == MAX_DEPTH + 150


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})
