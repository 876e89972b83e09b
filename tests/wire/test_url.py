"""Request targets: what a client asks for is what the upstream is asked for, byte for byte."""

from __future__ import annotations

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import request

UNCHANGED = [
    b"/plain",
    b"/plain/",
    b"/plain?x=1",
    b"/plain/~ada",
    b"/plain/%7Eada",
    b"/plain/%7eada",
    b"/plain/a%252Fb",
    b"/plain/a%252e%252e/b",
    b"/plain/%zz",
    b"/plain/100%",
    b"/plain/a;v=1/b;w",
    b"/plain/a+b%20c",
    b"/plain/%c3%A9",
    b"/plain/%FF",
    b"/plain/...",
    b"/plain/.well-known/x..y/..z",
    b"/plain/:a@b!$&'()*,=",
    b"/plain/{a}|b^`",
    b"/plain/x/",
    b"/plain/x?",
    b"/plain/x??",
    b"/plain/x?a=1&a=2&b&=&&c=",
    b"/plain/x?a=b+c%20d%zz;e;f=%",
    b"/plain/x?next=//h/../y%2F%00\\%5C",
    b"/plain/x?%61=%C3%A9&q=?/",
    b"/pl%61in/x",
]

REFUSED = [
    b"/plain/x/../y",
    b"/plain/../stripped",
    b"/plain/./y",
    b"/plain/..",
    b"/plain/.",
    b"/plain/%2e%2e/y",
    b"/plain/%2E%2e/y",
    b"/plain/.%2e/y",
    b"/plain/%2e/y",
    b"/plain/x/%2e",
    b"/plain//x",
    b"/plain/x//",
    b"//plain/x",
    b"/plain/a%2Fb",
    b"/plain/a%2fb",
    b"/plain%2Fa",
    b"/plain/..%2Fb",
    b"/plain/a%5Cb",
    b"/plain/a%5cb",
    b"/plain/a\\b",
    b"/plain/..\\b",
    b"/plain/a%00b",
    b"/plain/..;/b",
    b"/plain/..;v=1/b",
    b"/plain/.;/b",
    b"/plain/%2e%2e;/b",
    b"/slashes/a%2F..%2Fb",
    b"/slashes/..%2fb",
    b"/slashes/%2e%2e%2Fb",
    b"/slashes/a%5Cb",
    b"/api/v1/stripped/..",
    b"/api/v1/stripped/../partly/x",
    b"/api/v1/stripped//x",
    b"/api%2Fv1/stripped/x",
]


@pytest.mark.parametrize("target", UNCHANGED)
def test_target_arrives_as_it_was_sent(
    gateway: Gateway, upstream: ScriptedUpstream, target: bytes
) -> None:
    assert exchange(gateway.port, request(target)).status == 200
    assert [received.target for received in upstream.requests] == [target]


@pytest.mark.parametrize("target", REFUSED)
def test_ambiguous_path_is_refused(
    gateway: Gateway, upstream: ScriptedUpstream, target: bytes
) -> None:
    assert exchange(gateway.port, request(target)).status == 400
    assert not upstream.requests


@pytest.mark.parametrize("target", [b"/slashes/a%2Fb", b"/slashes/a%2fb/c", b"/slashes/x?a%2Fb"])
def test_encoded_slash_stays_encoded_where_allowed(
    gateway: Gateway, upstream: ScriptedUpstream, target: bytes
) -> None:
    assert exchange(gateway.port, request(target)).status == 200
    assert upstream.requests[0].target == target


@pytest.mark.parametrize("target", [b"/plain/a\x01b", b"/plain/a\x7fb", b"/plain/\xc3\xa9"])
def test_bytes_that_no_target_may_hold_are_refused(
    gateway: Gateway, upstream: ScriptedUpstream, target: bytes
) -> None:
    assert exchange(gateway.port, request(target)).status == 400
    assert not upstream.requests


@pytest.mark.parametrize("target", [b"/plained", b"/plained/x", b"/", b"/nothing", b"/plai"])
def test_prefix_ends_at_a_segment(
    gateway: Gateway, upstream: ScriptedUpstream, target: bytes
) -> None:
    assert exchange(gateway.port, request(target)).status == 404
    assert not upstream.requests


@pytest.mark.parametrize(
    ("target", "arrives"),
    [
        (b"/api/v1/stripped/x%7E?q=", b"/x%7E?q="),
        (b"/api/v1/stripped/x/", b"/x/"),
        (b"/api/v1/stripped", b"/"),
        (b"/api/v1/stripped/", b"/"),
        (b"/api/v1/stripped?x=1", b"/?x=1"),
        (b"/api/v1/stripped?", b"/?"),
        (b"/api/v1/str%69pped/x", b"/x"),
        (b"/api/v1/partly/x", b"/partly/x"),
        (b"/api/v1/partly", b"/partly"),
        (b"/api/v1/partly?x", b"/partly?x"),
        (b"/based", b"/base/based"),
        (b"/based/", b"/base/based/"),
        (b"/based/x%20y?a=1&a=", b"/base/based/x%20y?a=1&a="),
    ],
)
def test_prefix_is_stripped_and_base_path_added(
    gateway: Gateway, upstream: ScriptedUpstream, target: bytes, arrives: bytes
) -> None:
    assert exchange(gateway.port, request(target)).status == 200
    assert upstream.requests[0].target == arrives


def test_absolute_form_never_chooses_the_upstream(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    with ScriptedUpstream() as other:
        authority = other.url.encode()
        assert exchange(gateway.port, request(authority + b"/plain/x?y=%7E")).status == 200
        assert exchange(gateway.port, request(b"https://evil.example/plain/z")).status == 200
        # User information in a target is an attack more often than not (RFC 9110, 4.2.4).
        assert exchange(gateway.port, request(b"https://u:p@evil.example/plain/z")).status == 400
        assert not other.connections
    assert [received.target for received in upstream.requests] == [b"/plain/x?y=%7E", b"/plain/z"]


@pytest.mark.parametrize(
    "target",
    [
        b"http://evil.example/plain/../x",
        b"http://evil.example//plain/x",
        b"http://evil.example/plain/%2e%2e/x",
        b"//evil.example/plain/x",
        b"//plain/x",
        b"///plain/x",
    ],
)
def test_other_forms_pass_the_same_checks(
    gateway: Gateway, upstream: ScriptedUpstream, target: bytes
) -> None:
    assert exchange(gateway.port, request(target)).status == 400
    assert not upstream.requests


@pytest.mark.parametrize(
    ("method", "target"),
    [(b"OPTIONS", b"*"), (b"CONNECT", b"evil.example:443"), (b"GET", b"plain/x"), (b"GET", b"?x")],
)
def test_targets_without_a_path_go_nowhere(
    gateway: Gateway, upstream: ScriptedUpstream, method: bytes, target: bytes
) -> None:
    assert 400 <= exchange(gateway.port, request(target, method=method)).status < 500
    assert not upstream.requests


def test_host_of_an_absolute_form_target_wins(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    target = b"http://a.example:81/host/x"
    assert exchange(gateway.port, request(target, b"Host: b.example")).status == 200
    assert b"\r\nHost: a.example:81\r\n" in upstream.requests[0].head
    assert b"\r\nX-Forwarded-Host: a.example:81\r\n" in upstream.requests[0].head


def test_fragment_is_refused(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    for target in (b"/plain/x#a", b"/plain/x?a=1#b"):
        assert exchange(gateway.port, request(target)).status == 400
    assert not upstream.requests
