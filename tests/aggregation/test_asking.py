"""Answers of backends that are broken, or mean no good."""

from __future__ import annotations

import gzip
import zlib
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


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b'{"id":1}', mtime=0)),
        ("X-Gzip", gzip.compress(b'{"id":1}', mtime=0)),
        ("deflate", zlib.compress(b'{"id":1}')),
        ("deflate, gzip", gzip.compress(zlib.compress(b'{"id":1}'), mtime=0)),
        ("identity", b'{"id":1}'),
    ],
    ids=["gzip", "X-Gzip", "deflate", "two", "identity"],
)
def test_an_answer_in_a_coding_nobody_asked_for_is_read(coding: str, body: bytes) -> None:
    house = House(replies={"/a/1": (200, {**JSON, "Content-Encoding": coding}, body)})
    told = house.ask(one=house.a.fetch("/1")).json
    assert (told["one"], told["_degraded"]) == ({"id": 1}, False)
    assert house.stub.requests[0].headers["Accept-Encoding"] == "identity"


def test_nothing_in_a_coding_is_nothing() -> None:
    fields = {"Content-Encoding": "gzip"}
    replies = {"/a/1": (204, fields, b""), "/a/2": (200, fields, gzip.compress(b"", mtime=0))}
    house = House(replies=replies)
    told = house.ask(one=house.a.fetch("/1"), two=house.a.fetch("/2")).json
    assert told == {"one": None, "two": None, "_degraded": False}


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("br", b"{}", "http_response_content_coding"),
        ("gzip", b"{}", "http_response_content_coding"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-1], "http_response_content_coding"),
        ("gzip", gzip.compress(bytes(50_000_000), mtime=0), "answer_too_large"),
        ("gzip", gzip.compress(b" " * 2001, mtime=0), "answer_too_large"),
    ],
    ids=["unknown", "plain", "cut short", "bomb", "too large"],
)
def test_an_answer_in_a_coding_that_cannot_be_read(coding: str, body: bytes, reason: str) -> None:
    answer = (200, {**JSON, "Content-Encoding": coding}, body)
    told: list[str] = []
    house = House(replies={"/a/1": answer}, leg_bytes=2000 if len(body) < 2000 else 60_000)
    leg = house.a.fetch("/1", fallback=lambda failed: told.append(failed.reason))
    assert house.ask(one=leg).status == 200
    assert told == [reason]
