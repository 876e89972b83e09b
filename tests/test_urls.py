"""Request targets: read raw, checked, stripped and joined without being decoded."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.urls import (
    Origin,
    check_path,
    check_routed,
    client_path,
    join,
    raw_target,
    strip_prefix,
)


@pytest.mark.parametrize(
    ("raw", "path", "query"),
    [
        ("/a/b", "/a/b", None),
        ("/a?", "/a", ""),
        ("/a?x=1&y=%2F", "/a", "x=1&y=%2F"),
        ("/a?x?y", "/a", "x?y"),
        ("/%7Ea/%2f", "/%7Ea/%2f", None),
        ("http://evil.example/a?b", "/a", "b"),
        ("HTTPS://u:p@evil.example:1/a", "/a", None),
        ("http://evil.example", "/", None),
        ("http://evil.example?x", "/", "x"),
        ("http://evil.example//a", "//a", None),
        ("*", "/*", None),
        ("a/b", "/a/b", None),
    ],
)
def test_raw_target_keeps_what_was_sent(raw: str, path: str, query: str | None) -> None:
    assert raw_target({"RAW_URI": raw, "PATH_INFO": "/else"}) == (path, query)


def test_request_uri_stands_in_for_raw_uri() -> None:
    assert raw_target({"REQUEST_URI": "/%61", "PATH_INFO": "/a"}) == ("/%61", None)


@pytest.mark.parametrize(
    ("decoded", "query", "expected"),
    [
        ("/a b", "", ("/a%20b", None)),
        ("/a?b", "c=1", ("/a%3Fb", "c=1")),
        ("/\xc3\xa9", "", ("/%C3%A9", None)),
        ("/a%b", "", ("/a%25b", None)),
        ("", "", ("/", None)),
    ],
)
def test_decoded_path_is_encoded_where_no_raw_one_is_kept(
    decoded: str, query: str, expected: tuple[str, str | None]
) -> None:
    assert raw_target({"PATH_INFO": decoded, "QUERY_STRING": query}) == expected


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/a/", "/...", "/a..b", "/.well-known", "/a;x=1", "/a;..", "/%41%7e", "/%2541"],
)
def test_plain_path_passes(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/.",
        "/a/../b",
        "/a/./b",
        "/%2e%2E/a",
        "/.%2e",
        "/..;x/a",
        "/.;",
        "/%2e;x",
        "//a",
        "/a//b",
        "/a//",
        "/a\\b",
        "/a%5Cb",
        "/a%5cb",
        "/a%00",
        "/a%2Fb",
        "/a%2fb",
        "/a#b",
        "/a b",
        "/a\tb",
        "/a\x7fb",
        "/\xe9",
    ],
)
def test_ambiguous_path_is_refused(path: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_path(path)
    assert (refused.value.code, refused.value.slug) == (400, "ambiguous_path")


@pytest.mark.parametrize("path", ["/a%2Fb", "/a%2fb/c", "/%2F"])
def test_encoded_slash_passes_where_allowed(path: str) -> None:
    check_path(path, encoded_slashes=True)


@pytest.mark.parametrize("path", ["/a%2F..%2Fb", "/..%2Fb", "/a%2f%2e%2e", "/a%5C", "/a%2F/%00"])
def test_encoded_slash_still_parts_segments(path: str) -> None:
    with pytest.raises(Refusal):
        check_path(path, encoded_slashes=True)


def _naively_ambiguous(path: str) -> bool:
    """The rule without a sieve: what the quick check must agree with."""
    plain = re.sub("%2[Ee]", ".", path)
    segments = plain[1:].split("/")
    return (
        any(segment.split(";")[0] in (".", "..") for segment in segments)
        or "" in segments[:-1]
        or any(mark in path.upper() for mark in ("\\", "%5C", "%2F", "%00"))
    )


@settings(derandomize=True, max_examples=400)
@given(st.lists(st.sampled_from(["/", ".", "%2e", "%2E", ";", "a", "%2f", "\\", "%"]), max_size=9))
def test_sieve_agrees_with_the_plain_rule(parts: list[str]) -> None:
    path = "/" + "".join(parts)
    try:
        check_path(path)
        refused = False
    except Refusal:
        refused = True
    assert refused == _naively_ambiguous(path)


@pytest.mark.parametrize(
    ("path", "routed", "script"),
    [("/a", "/a", ""), ("/%61", "/a", ""), ("/x/a", "/a", "/x"), ("/", "", ""), ("/é", "/é", "")],
)
def test_target_that_was_routed_passes(path: str, routed: str, script: str) -> None:
    check_routed(path, {"PATH_INFO": routed, "SCRIPT_NAME": script})


@pytest.mark.parametrize(("path", "routed"), [("/http:/a", "/a"), ("/a%2561", "/aa"), ("/a", "/")])
def test_target_routed_by_another_path_is_refused(path: str, routed: str) -> None:
    with pytest.raises(Refusal):
        check_routed(path, {"PATH_INFO": routed})


@pytest.mark.parametrize(
    ("path", "prefix", "rest"),
    [
        ("/a/b/c", "/a/b", "/c"),
        ("/a/b", "/a/b", "/"),
        ("/a/b/", "/a/b", "/"),
        ("/a/b%2Fc", "/a", "/b%2Fc"),
        ("/%61/b/%63", "/a/b", "/%63"),
        ("/a/b", "", "/a/b"),
    ],
)
def test_prefix_is_stripped(path: str, prefix: str, rest: str) -> None:
    assert strip_prefix(path, prefix) == rest


@pytest.mark.parametrize(
    ("path", "prefix", "made"),
    [
        ("/a/b/c", "/a/b", "/x/y/c"),
        ("/a/b", "/a/b", "/x/y"),
        ("/a/b/", "/a/b", "/x/y/"),
        ("/%61/b/%63", "/a/b", "/x/y/%63"),
        ("/%61/b", "/a/b", "/x/y"),
        ("/%61/b/", "/a/b", "/x/y/"),
        ("/a", "", "/x/y/a"),
    ],
)
def test_another_prefix_is_put_in_its_place(path: str, prefix: str, made: str) -> None:
    assert strip_prefix(path, prefix, "/x/y") == made


@pytest.mark.parametrize(
    ("value", "strip", "path"),
    [
        ("/x/y/c?q#f", "/a/b", "/a/b/c?q#f"),
        ("/x/y", "/a/b", "/a/b"),
        ("/x/yz", "/a/b", "/x/yz"),
        ("http://one/base/x/y/c", "/a/b", "/a/b/c"),
        ("/x/y", "", "/"),
        ("/x/y?q", "", "/?q"),
    ],
)
def test_a_prefix_that_was_put_is_exchanged_again(value: str, strip: str, path: str) -> None:
    assert client_path(value, "http://one", "/base", strip, "/x/y") == path


@pytest.mark.parametrize("path", ["/a%2Fb/c", "/ab", "/b/a"])
def test_prefix_that_does_not_line_up_is_refused(path: str) -> None:
    with pytest.raises(Refusal):
        strip_prefix(path, "/a/b")


def test_join_puts_one_slash_between() -> None:
    assert join("/base", "/x", "q=1") == "/base/x?q=1"
    assert join("/base", "x", None) == "/base/x"
    assert join("", "/x", "") == "/x?"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a", ("http", "a", 80, "", "a")),
        ("https://a:443/", ("https", "a", 443, "", "a")),
        ("http://a:8080/v1/", ("http", "a", 8080, "/v1", "a:8080")),
        ("http://[::1]:81", ("http", "::1", 81, "", "[::1]:81")),
        ("https://a_b.c", ("https", "a_b.c", 443, "", "a_b.c")),
    ],
)
def test_origin_is_parsed(url: str, expected: tuple[str, str, int, str, str]) -> None:
    origin = Origin.parse(url)
    fields = (origin.scheme, origin.host, origin.port, origin.base_path, origin.authority)
    assert fields == expected
    assert origin.url == f"{expected[0]}://{expected[4]}"


@pytest.mark.parametrize(
    "url",
    [
        *("a:80", "ftp://a", "http://", "http://u:p@a", "http://a?x", "http://a/#f", "http://a:0"),
        *("http://a:65536", "http://a b", "http://a/b c", "http://[::1", "//a", "http://a\n"),
    ],
)
def test_other_addresses_are_no_origin(url: str) -> None:
    with pytest.raises(ValueError):
        Origin.parse(url)
