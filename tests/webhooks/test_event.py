"""What a backend hands in, read strictly, and the body that is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import Refusal
from gateway.webhooks.event import read_event


def handed_in(**members: Any) -> bytes:
    """An event as JSON; a member that is None is left out."""
    said = {"type": "order.shipped", "data": {"id": 7}, **members}
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


def test_the_body_is_of_the_standard_and_the_same_each_time() -> None:
    event = read_event(handed_in(id="e-1", data={"b": "ü\u2028", "a": [1, 2.5, None, 10**30]}))
    body = event.body(1_790_000_000)
    assert json.loads(body) == {
        "type": "order.shipped",
        "timestamp": "2026-09-21T14:13:20Z",
        "data": {"b": "ü\u2028", "a": [1, 2.5, None, 10**30]},
    }
    assert event.body(1_790_000_000) == body
    assert event.body(1_790_000_001) != body


def test_an_event_without_an_id_gets_one() -> None:
    one, other = read_event(handed_in()), read_event(handed_in())
    assert one.id != other.id
    assert one.id.startswith("evt_")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"type": "a", "type": "b", "data": {}}',
        b'{"type": "a", "data": {"x": NaN}}',
        b'{"type": "a", "data": {"x": 1e999}}',
        b'{"type": "a", "data": {"x": "\\ud800"}}',
        handed_in(type=None),
        handed_in(data=None),
        handed_in(more=1),
        handed_in(type=7),
        handed_in(type="a b"),
        handed_in(type="a..b"),
        handed_in(type="order.shipped\n"),
        handed_in(type="x" * 101),
        handed_in(data=[1]),
        handed_in(data="text"),
        handed_in(id=7),
        handed_in(id=""),
        handed_in(id="a.b"),
        handed_in(id="a\r\nb"),
        handed_in(id="x" * 101),
        handed_in(partner=7),
        handed_in(partner=""),
    ],
)
def test_what_is_no_event_is_refused(text: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        read_event(text)
    assert (caught.value.code, caught.value.slug) == (400, "event_unclear")
