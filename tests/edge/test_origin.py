"""Who the client is, seen through the proxies that are trusted."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.edge.origin import Edge, TrustedProxies, edge_of, parse_address, valid_host

PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])


def _edge(peer: str, **environ: str) -> Edge:
    base: dict[str, Any] = {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http", "HTTP_HOST": "own"}
    return edge_of({**base, **environ}, PROXIES)


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd12::1", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::1", False),
        ("", False),
        ("junk", False),
    ],
)
def test_peers_that_are_trusted(peer: str, trusted: bool) -> None:
    assert (peer in PROXIES) is trusted


def test_unix_peer_is_trusted_when_named() -> None:
    proxies = TrustedProxies(["unix"])
    assert "" in proxies
    assert "10.0.0.1" not in proxies


def test_nobody_is_trusted_by_default() -> None:
    proxies = TrustedProxies(())
    assert not any(peer in proxies for peer in ("127.0.0.1", "10.0.0.1", "", "::1"))


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("1.1.1.1, 203.0.113.5", "203.0.113.5"),
        ("1.1.1.1, 203.0.113.5, 10.0.0.9", "203.0.113.5"),
        ("10.0.0.8, 10.0.0.9", "10.0.0.8"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::5]:4711", "2001:db8::5"),
        ("2001:DB8:0::5", "2001:db8::5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("203.0.113.5, junk", "10.0.0.1"),
        ("203.0.113.5, ", "10.0.0.1"),
        ("203.0.113.5, unknown, 10.0.0.9", "10.0.0.9"),
        ("", "10.0.0.1"),
        (",,,", "10.0.0.1"),
    ],
)
def test_client_is_the_rightmost_address_nobody_trusts(chain: str, client: str) -> None:
    assert _edge("10.0.0.1", HTTP_X_FORWARDED_FOR=chain).address == client


def test_a_stranger_cannot_say_who_they_are() -> None:
    told = {
        "HTTP_X_FORWARDED_FOR": "1.1.1.1",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "evil",
    }
    edge = _edge("203.0.113.5", **told)
    assert edge == Edge("203.0.113.5", False, "203.0.113.5", "http", "own")
    trusted = _edge("10.0.0.1", **told)
    assert trusted == Edge("10.0.0.1", True, "1.1.1.1", "https", "evil")


@pytest.mark.parametrize(
    ("told", "scheme"),
    [
        *(("https", "https"), ("HTTPS", "https"), ("http, https", "https"), ("ftp", "http")),
        *(("", "http"), ("https,", "http"), ("https://evil", "http")),
    ],
)
def test_scheme_told_by_a_proxy(told: str, scheme: str) -> None:
    assert _edge("10.0.0.1", HTTP_X_FORWARDED_PROTO=told).scheme == scheme


@pytest.mark.parametrize(
    ("told", "host"),
    [
        *(("a.example:8443", "a.example:8443"), ("evil, b", "b"), ("a b", "own"), ("", "own")),
        *(("a\r\nX: 1", "own"), ('"', "own"), ("a/b", "own")),
    ],
)
def test_host_told_by_a_proxy(told: str, host: str) -> None:
    assert _edge("10.0.0.1", HTTP_X_FORWARDED_HOST=told).host == host


@pytest.mark.parametrize(
    ("host", "scheme", "port"),
    [
        *(
            ("a", "http", "80"),
            ("a", "https", "443"),
            ("a:81", "https", "81"),
            ("[::1]", "http", "80"),
        ),
        *(("[::1]:82", "http", "82"), ("a:", "http", "80"), ("", "https", "443")),
    ],
)
def test_port_the_client_used(host: str, scheme: str, port: str) -> None:
    assert Edge("", False, "", scheme, host).port == port


def test_own_origin() -> None:
    assert Edge("", False, "", "https", "a:81").url == "https://a:81"
    assert Edge("", False, "", "https", "").url == ""


@pytest.mark.parametrize(
    "host", ["", "a", "a.b:80", "127.0.0.1", "[::1]", "[::1]:8", "a_b", "xn--a", "a:", "a.:1"]
)
def test_valid_host(host: str) -> None:
    assert valid_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "a b",
            "a/b",
            "u@a",
            "a:b",
            "a:123456",
            "[a",
            "[::1]x",
            "é",
            "a\n",
            "a\r\n",
            "a,b",
            "a?b",
        ),
        *("a#b", "a\\b", "a%2e", "::1", "<a>", "a;b", "[g]", "a\x00"),
    ],
)
def test_invalid_host(host: str) -> None:
    assert not valid_host(host)


@pytest.mark.parametrize(
    "text", ["", "a", "1.2.3", "1.2.3.4.5", "010.0.0.1", "1.2.3.4/8", "[", "[]", ":", "1:2:3"]
)
def test_text_that_is_no_address(text: str) -> None:
    assert parse_address(text) is None
