"""Redirects: passed to the client, and those to the upstream itself lead back through us."""

from __future__ import annotations

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import Gateway
from tests.support.messages import request, response

NAMES = [b"Location", b"Content-Location"]


@pytest.mark.parametrize(
    "status",
    [
        b"301 Moved Permanently",
        b"302 Found",
        b"303 See Other",
        b"307 Temporary Redirect",
        b"308 Permanent Redirect",
    ],
)
def test_redirect_is_the_clients_to_follow(
    gateway: Gateway, upstream: ScriptedUpstream, status: bytes
) -> None:
    upstream.respond(response(status, b"Location: https://elsewhere.example/", body=b"moved"))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert (reply.status, reply.body) == (int(status[:3]), b"moved")
    assert reply.header(b"Location") == [b"https://elsewhere.example/"]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created", b"302 Found"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("path", "sent", "comes"),
    [
        (b"/plain/x", b"{origin}/plain/y?q=%7E#z", b"http://{host}/plain/y?q=%7E#z"),
        (b"/plain/x", b"{origin}/", b"http://{host}/"),
        (b"/plain/x", b"{origin}", b"http://{host}/"),
        (b"/api/v1/stripped/x", b"{origin}/y%2F", b"http://{host}/api/v1/stripped/y%2F"),
        (b"/api/v1/stripped/x", b"/y?q", b"/api/v1/stripped/y?q"),
        (b"/api/v1/stripped/x", b"/", b"/api/v1/stripped/"),
        (b"/api/v1/partly/x", b"{origin}/partly/y", b"http://{host}/api/v1/partly/y"),
        (b"/based/x", b"{origin}/base/based/y", b"http://{host}/based/y"),
        (b"/based/x", b"/base/based/y", b"/based/y"),
    ],
)
def test_address_of_the_upstream_becomes_ours(
    gateway: Gateway,
    upstream: ScriptedUpstream,
    path: bytes,
    sent: bytes,
    comes: bytes,
    name: bytes,
    status: bytes,
) -> None:
    location = sent.replace(b"{origin}", upstream.url.encode())
    upstream.respond(response(status, name + b": " + location))
    reply = exchange(gateway.port, request(path, b"Host: api.example:8443"))
    assert reply.header(name) == [comes.replace(b"{host}", b"api.example:8443")]


def test_client_behind_a_trusted_proxy_gets_the_address_it_used(
    trusting: Gateway, upstream: ScriptedUpstream
) -> None:
    upstream.respond(response(b"302 Found", b"Location: %s/plain/y" % upstream.url.encode()))
    claims = (b"X-Forwarded-Proto: https", b"X-Forwarded-Host: public.example")
    reply = exchange(trusting.port, request(b"/plain/x", *claims))
    assert reply.header(b"Location") == [b"https://public.example/plain/y"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "location",
    [
        b"https://elsewhere.example/plain/y",
        b"http://elsewhere.example:%(port)d/plain/y",
        b"http://127.0.0.1:%(port)d0/plain/y",
        b"http://127.0.0.1:%(port)d.evil.example/y",
        b"http://127.0.0.1:%(port)d@evil.example/y",
        b"http://user@127.0.0.1:%(port)d/y",
        b"https://127.0.0.1:%(port)d/y",
        b"http://127.0.0.1/y",
        b"//elsewhere.example/y",
        b"/plain/y%7E?q=%zz",
        b"y/../z",
        b"?q",
        b"#z",
        b"mailto:a@b.example",
        b"caf\xe9",
        b"",
    ],
)
def test_other_address_is_untouched(
    gateway: Gateway, upstream: ScriptedUpstream, location: bytes, name: bytes
) -> None:
    location = location.replace(b"%(port)d", b"%d" % upstream.port)
    upstream.respond(response(b"302 Found", name + b": " + location))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert reply.header(name) == [location]


def test_no_other_header_is_rewritten(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    origin = upstream.url.encode()
    lines = [b"Link: <%s/plain/y>" % origin, b"X-Where: %s/plain/y" % origin]
    upstream.respond(response(b"200 OK", *lines, body=origin))
    reply = exchange(gateway.port, request(b"/plain/x"))
    assert reply.header(b"Link") == [b"<%s/plain/y>" % origin]
    assert reply.header(b"X-Where") == [b"%s/plain/y" % origin]
    assert reply.body == origin
