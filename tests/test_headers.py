"""Header fields in both directions."""

from __future__ import annotations

import io
from typing import Any

import pytest

from gateway import headers
from gateway.headers import HOP_BY_HOP, NEVER_FORWARDED

NAMES = sorted(NEVER_FORWARDED)


@pytest.mark.parametrize("name", NAMES)
def test_never_forwarded(name: str) -> None:
    fields = [(headers.spelled(name.upper()), "x"), ("Accept", "y")]
    assert headers.forwardable(fields, NEVER_FORWARDED) == [("Accept", "y")]


@pytest.mark.parametrize(
    "name",
    [
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "proxy-authorization", "x-user-id", "x-user-roles", "x-user-permissions"),
        *("host", "content-length", "expect", "x-original-url", "x-http-method-override"),
    ],
)
def test_the_list_has_what_it_must(name: str) -> None:
    assert name in NEVER_FORWARDED


def test_fields_named_in_connection_are_dropped() -> None:
    fields = [("Connection", "close, X-Secret"), ("Connection", " accept "), ("X-Secret", "1")]
    fields += [("Accept", "2"), ("X-Kept", "3")]
    assert headers.forwardable(fields, NEVER_FORWARDED) == [("X-Kept", "3")]


def test_order_and_repetition_stay() -> None:
    fields = [("B", "1"), ("A", "2"), ("B", "3")]
    assert headers.forwardable(fields, frozenset()) == fields


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_of_an_upstream_is_dropped(name: str) -> None:
    assert headers.response_fields([(name.title(), "x"), ("ETag", '"1"')]) == [("ETag", '"1"')]


def test_upstream_cannot_drop_framing_through_connection() -> None:
    fields = [("Connection", "Content-Length, X-Own"), ("Content-Length", "2"), ("X-Own", "1")]
    assert headers.response_fields(fields) == [("Content-Length", "2")]


@pytest.mark.parametrize(("status", "kept"), [(200, 1), (304, 1), (204, 0)])
def test_no_content_announces_no_length(status: int, kept: int) -> None:
    assert len(headers.response_fields([("Content-Length", "5")], status)) == kept


def test_set_cookie_stays_apart() -> None:
    fields = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    assert headers.response_fields(fields) == fields


class _Message:
    headers = [("ACCEPT", "a"), ("X-TWICE", "1"), ("X-TWICE", "2"), ("ETAG", "e")]


class _Body(io.BytesIO):
    message = _Message()


def test_repeated_fields_are_read_apart_from_the_server() -> None:
    environ: dict[str, Any] = {"wsgi.input": _Body(), "HTTP_X_TWICE": "1,2"}
    assert headers.request_fields(environ) == [
        ("Accept", "a"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("ETag", "e"),
    ]


def test_fields_come_from_the_environ_under_other_servers() -> None:
    environ: dict[str, Any] = {
        "wsgi.input": io.BytesIO(),
        "HTTP_X_USER_ID": "1",
        "CONTENT_TYPE": "a/b",
        "PATH_INFO": "/",
    }
    assert headers.request_fields(environ) == [("X-User-Id", "1"), ("Content-Type", "a/b")]


def test_spelling_is_remembered_for_a_bounded_number_of_names() -> None:
    for number in range(3000):
        assert headers.spelled(f"X-FLOOD-{number}") == f"X-Flood-{number}"
    assert len(headers._spelled) <= 1000


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["1.1 edge"], {"edge"}),
        (["1.0 A, 1.1 b (comment)"], {"a", "b"}),
        (["HTTP/1.1 a", "1.1 c"], {"a", "c"}),
        (["edge"], set()),
        ([""], set()),
    ],
)
def test_via_names(values: list[str], names: set[str]) -> None:
    assert headers.via_names(values) == names
