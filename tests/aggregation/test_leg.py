"""What a leg is made of."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import Service

users = Service("users", __name__, url_prefix="/users", upstream="http://users")


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("", None, ""),
        ("/", None, ""),
        ("/7", None, "/7"),
        ("7", None, "/7"),
        ("/7/", None, "/7/"),
        ("/a b", None, "/a%20b"),
        ("/a?b#c%2F", None, "/a%3Fb%23c%252F"),
        ("/ä", {"q": "ä&b"}, "/%C3%A4?q=%C3%A4%26b"),
        ("", {"a": 1, "b": None}, "?a=1"),
        ("", [("a", 1), ("a", 2)], "?a=1&a=2"),
        ("", {"a": []}, ""),
    ],
)
def test_a_path_is_text_and_encoded_once(path: str, query: Any, target: str) -> None:
    assert users.fetch(path, query=query).target == target


def test_text_of_a_client_may_be_of_any_kind() -> None:
    leg = users.fetch("/\ud800", query={"q": "\udfff"}, headers={"X-Note": "\ud800"})
    assert leg.target == "/%ED%A0%80?q=%ED%BF%BF"
    assert leg.headers == (("X-Note", "%ED%A0%80"),)


def test_a_path_is_no_number() -> None:
    with pytest.raises(TypeError, match="text"):
        users.fetch(7)  # type: ignore[arg-type]  # what is refused


def test_a_timeout_is_above_0() -> None:
    with pytest.raises(ValueError, match="above 0"):
        users.fetch("/7", timeout=0)


@pytest.mark.parametrize(
    "name",
    ["X-User-ID", "Content-Length", "host", "Connection", "X-Request-Deadline", "X A", "X\n"],
)
def test_what_the_gateway_writes_is_no_field_of_a_leg(name: str) -> None:
    with pytest.raises(ValueError, match="field"):
        users.fetch("/7", headers={name: "1"})
