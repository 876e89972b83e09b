"""Answers of backends that are broken, or mean no good."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aggregation.house import JSON, House


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 300 + b"]" * 300,
        b'{"a":' * 129 + b"1" + b"}" * 129,
        b"[" * 100_000,
        b'"\xff"',
        b"1e999",
        b'{"a":1}{"a":2}',
        b"\xef\xbb\xbf{}",
        b"\x1f\x8b\x08\x00",
        b"NaN",
    ],
    ids=["deep", "deep objects", "very deep", "no UTF-8", "huge", "two", "mark", "gzip", "NaN"],
)
def test_an_answer_that_is_no_use_costs_its_own_part_only(body: bytes) -> None:
    house = House(replies={"/a/1": (200, JSON, body)}, leg_bytes=200_000)
    told = house.ask(one=house.a.fetch("/1", default="none"), two=house.b.fetch("/1"))
    assert told.json == {
        "one": "none",
        "two": {"path": "/b/1"},
        "_degraded": True,
        "_degraded_parts": ["one"],
    }


def test_an_answer_may_be_as_deep_as_bodies_may_be() -> None:
    deep: Any = []
    for _ in range(127):
        deep = [deep, 1]
    house = House(replies={"/a/1": deep})
    assert house.ask(one=house.a.fetch("/1")).json["one"] == deep
