"""X-Forwarded-* and Forwarded: set from the peer, or continued for a peer that is trusted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.testing import Received, ScriptedUpstream
from tests.support.client import Address, exchange
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import HOST, request

SPOOFED = (
    b"X-Forwarded-For: 6.6.6.6",
    b"X-Forwarded-For: 7.7.7.7",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: spoofed.example",
    b"X-Forwarded-Port: 61666",
    b"X-Forwarded-Prefix: /spoofed",
    b"X-Forwarded-Ssl: on",
    b"X-Real-IP: 6.6.6.6",
    b"Forwarded: for=6.6.6.6;host=spoofed.example;proto=https",
)


def forwarded(address: Address, upstream: ScriptedUpstream, message: bytes) -> Received:
    """What reached the upstream of a request that the gateway answers with 200."""
    assert exchange(address, message).status == 200
    return upstream.requests[-1]


def test_claims_of_an_untrusted_peer_are_replaced(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    # No id by chance, in whose digits a trace might be found.
    message = request(b"/plain/x", b"X-Request-ID: told", *SPOOFED)
    received = forwarded(gateway.port, upstream, message)
    assert received.header(b"X-Forwarded-For") == [b"127.0.0.1"]
    assert received.header(b"X-Forwarded-Proto") == [b"http"]
    assert received.header(b"X-Forwarded-Host") == [HOST]
    for trace in (b"6.6.6.6", b"7.7.7.7", b"spoofed", b"61666", b"X-Forwarded-Ssl"):
        assert trace.lower() not in received.head.lower()


def test_host_and_port_are_those_the_client_used(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    received = forwarded(gateway.port, upstream, request(b"/plain/x", b"Host: h.example:8443"))
    assert received.header(b"X-Forwarded-Host") == [b"h.example:8443"]
    assert received.header(b"X-Forwarded-Port") == [b"8443"]


def test_prefix_is_what_was_stripped(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    for target, prefix in (
        (b"/api/v1/stripped/x", [b"/api/v1/stripped"]),
        (b"/api/v1/partly/x", [b"/api/v1"]),
        (b"/plain/x", []),
    ):
        received = forwarded(gateway.port, upstream, request(target, *SPOOFED))
        assert received.header(b"X-Forwarded-Prefix") == prefix


def test_forwarded_is_opt_in(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    assert not forwarded(gateway.port, upstream, request(b"/plain/x")).header(b"Forwarded")


def test_trusted_peer_is_continued(trusting: Gateway, upstream: ScriptedUpstream) -> None:
    received = forwarded(
        trusting.port,
        upstream,
        request(
            b"/plain/x",
            b"X-Forwarded-For: 203.0.113.9, 10.1.2.3",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Host: public.example",
            b"X-Forwarded-Port: 444",
        ),
    )
    assert received.header(b"X-Forwarded-For") == [b"203.0.113.9, 10.1.2.3, 127.0.0.1"]
    assert received.header(b"X-Forwarded-Proto") == [b"https"]
    assert received.header(b"X-Forwarded-Host") == [b"public.example"]
    assert received.header(b"X-Forwarded-Port") == [b"444"]


def test_prefixes_of_trusted_proxies_add_up(trusting: Gateway, upstream: ScriptedUpstream) -> None:
    message = request(b"/api/v1/partly/x", b"X-Forwarded-Prefix: /outer")
    received = forwarded(trusting.port, upstream, message)
    assert received.header(b"X-Forwarded-Prefix") == [b"/outer/api/v1"]


def test_trusted_peer_without_claims_is_the_client(
    trusting: Gateway, upstream: ScriptedUpstream
) -> None:
    received = forwarded(trusting.port, upstream, request(b"/plain/x"))
    assert received.header(b"X-Forwarded-For") == [b"127.0.0.1"]
    assert received.header(b"X-Forwarded-Proto") == [b"http"]
    assert received.header(b"X-Forwarded-Host") == [HOST]


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ([b"203.0.113.9"], "203.0.113.9"),
        ([b"6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        ([b"6.6.6.6, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        ([b"6.6.6.6", b"203.0.113.9,10.1.2.3"], "203.0.113.9"),
        ([b"10.9.9.9, 203.0.113.9, 10.1.2.3, 10.1.2.4"], "203.0.113.9"),
        ([b"10.1.2.3"], "10.1.2.3"),
        ([b"2001:db8::7, fd00::1"], "2001:db8::7"),
    ],
)
def test_client_is_the_last_address_that_is_not_trusted(
    trusting: Gateway, upstream: ScriptedUpstream, chain: list[bytes], client: str
) -> None:
    lines = [b"X-Forwarded-For: " + part for part in chain]
    received = forwarded(trusting.port, upstream, request(b"/plain/x", *lines))
    (arrived,) = received.header(b"X-Forwarded-For")
    assert arrived.replace(b" ", b"") == b",".join([*chain, b"127.0.0.1"]).replace(b" ", b"")
    (request_id,) = received.header(b"X-Request-ID")
    assert trusting.line_of(request_id.decode())["client"] == client


@pytest.mark.parametrize(
    "value",
    [b"unknown", b"", b",", b"1.2.3", b"1.2.3.4:99", b"[2001:db8::1]:80", b"_hidden", b"\xff, x"],
)
def test_odd_addresses_harm_nobody(
    trusting: Gateway, upstream: ScriptedUpstream, value: bytes
) -> None:
    line = b"X-Forwarded-For: " + value
    received = forwarded(trusting.port, upstream, request(b"/plain/x", line))
    assert received.header(b"X-Forwarded-For")[0].endswith(b"127.0.0.1")


def test_claims_that_cannot_be_true_are_dropped(
    trusting: Gateway, upstream: ScriptedUpstream
) -> None:
    claims = (b"X-Forwarded-Proto: ftp", b"X-Forwarded-Host: a/b?c", b"X-Forwarded-Port: x")
    received = forwarded(trusting.port, upstream, request(b"/plain/x", *claims))
    assert received.header(b"X-Forwarded-Proto") == [b"http"]
    assert received.header(b"X-Forwarded-Host") == [HOST]
    assert received.header(b"X-Forwarded-Port") == [b"80"]


def test_forwarded_continues_the_chain(trusting: Gateway, upstream: ScriptedUpstream) -> None:
    message = request(
        b"/plain/x",
        b"Forwarded: for=203.0.113.9;proto=https;host=public.example",
        b"X-Forwarded-For: 203.0.113.9",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: public.example",
    )
    received = forwarded(trusting.port, upstream, message)
    last = b",".join(received.header(b"Forwarded")).split(b",")[-1].strip()
    pairs = {part.split(b"=")[0].lower() for part in last.split(b";")}
    assert {b"for", b"proto", b"host"} <= pairs


@pytest.fixture
def on_unix_socket(worker_class: str, environment: dict[str, str]) -> Iterator[Gateway]:
    """A gateway on a unix socket, behind a proxy of the same machine."""
    env = {**environment, "TRUSTED_PROXIES": "unix, 10.0.0.0/8", "FORWARDED_HEADER": "true"}
    with start_gateway(worker_class=worker_class, env=env, unix=True) as running:
        yield running


def test_peer_on_a_unix_socket(on_unix_socket: Gateway, upstream: ScriptedUpstream) -> None:
    address = on_unix_socket.address
    bare = forwarded(address, upstream, request(b"/plain/x"))
    assert bare.header(b"X-Forwarded-Proto") == [b"http"]
    assert bare.header(b"X-Forwarded-For") in ([], [b"unknown"])
    (element,) = bare.header(b"Forwarded")
    assert element.split(b";")[0] == b"for=unknown"
    chain = (b"X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.2.3", b"X-Forwarded-Proto: https")
    received = forwarded(address, upstream, request(b"/plain/x", *chain))
    assert received.header(b"X-Forwarded-Proto") == [b"https"]
    assert received.header(b"X-Forwarded-For")[0].startswith(b"6.6.6.6, 203.0.113.9, 10.1.2.3")
    (request_id,) = received.header(b"X-Request-ID")
    assert on_unix_socket.line_of(request_id.decode())["client"] == "203.0.113.9"
