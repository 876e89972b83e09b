"""What a backend is told about the client, and a client about the gateway."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway import Service, forwarded, public
from gateway.edge.origin import Edge
from gateway.errors import Refusal
from gateway.exchange import UpstreamResponse
from gateway.service import Runtime
from tests.support.wsgi import call, make_app, make_settings, open_service

PEER = Edge("192.0.2.1", False, "192.0.2.1", "http", "gateway.example:8080")
TRUSTED = replace(PEER, trusted=True)


def _runtime(**changes: Any) -> Runtime:
    service = public(Service("a", __name__, url_prefix="/a", upstream="http://backend.internal"))
    runtimes: dict[str, Runtime] = make_app(service).extensions["gateway"].runtimes
    return replace(runtimes["a"], **changes)


RUNTIME = _runtime()


def _fields(edge: Edge, runtime: Runtime = RUNTIME, **environ: str) -> dict[str, str]:
    return dict(forwarded.fields(dict(environ), edge, runtime))


def test_an_untrusted_peers_word_is_replaced() -> None:
    told = _fields(PEER, HTTP_X_FORWARDED_FOR="10.0.0.1", HTTP_X_FORWARDED_PREFIX="/p")
    assert told["X-Forwarded-For"] == "192.0.2.1"
    assert told["X-Forwarded-Proto"] == "http"
    assert told["X-Forwarded-Host"] == "gateway.example:8080"
    assert told["X-Forwarded-Port"] == "8080"
    assert "X-Forwarded-Prefix" not in told


def test_a_trusted_peers_word_is_continued() -> None:
    told = _fields(TRUSTED, HTTP_X_FORWARDED_FOR="10.0.0.1", HTTP_X_FORWARDED_PREFIX="/p/")
    assert told["X-Forwarded-For"] == "10.0.0.1, 192.0.2.1"
    assert told["X-Forwarded-Prefix"] == "/p"


def test_unix_peer_adds_no_address() -> None:
    edge = replace(TRUSTED, peer="")
    assert _fields(edge, HTTP_X_FORWARDED_FOR="10.0.0.1")["X-Forwarded-For"] == "10.0.0.1"
    assert "X-Forwarded-For" not in _fields(edge)


def test_stripped_prefix_is_told() -> None:
    runtime = replace(RUNTIME, strip="/api")
    assert _fields(PEER, runtime)["X-Forwarded-Prefix"] == "/api"
    told = _fields(TRUSTED, runtime, HTTP_X_FORWARDED_PREFIX="/p")
    assert told["X-Forwarded-Prefix"] == "/p/api"


def test_via_is_continued_in_one_field() -> None:
    assert _fields(PEER)["Via"] == "1.1 edge"
    told = _fields(PEER, HTTP_VIA="1.0 cdn", SERVER_PROTOCOL="HTTP/1.0")
    assert told["Via"] == "1.0 cdn, 1.0 edge"


@pytest.mark.parametrize(
    ("edge", "element"),
    [
        (PEER, 'for=192.0.2.1;proto=http;host="gateway.example:8080"'),
        (replace(PEER, peer="2001:db8::1", host="a"), 'for="[2001:db8::1]";proto=http;host=a'),
        (replace(PEER, peer="", host="", scheme="https"), "for=unknown;proto=https"),
    ],
)
def test_forwarded_element(edge: Edge, element: str) -> None:
    runtime = replace(RUNTIME, forwarded_header=True)
    assert _fields(edge, runtime, HTTP_FORWARDED="for=1")["Forwarded"] == element
    trusted = replace(edge, trusted=True)
    assert _fields(trusted, runtime, HTTP_FORWARDED="for=1")["Forwarded"] == f"for=1, {element}"


def test_forwarded_is_not_written_unless_configured() -> None:
    assert "Forwarded" not in _fields(PEER)


@pytest.mark.parametrize("via", ["1.1 edge", "1.0 a, HTTP/1.1 EDGE (x)"])
def test_loop_is_refused(via: str) -> None:
    with pytest.raises(Refusal) as refused:
        forwarded.refuse_loop({"HTTP_VIA": via}, "Edge")
    assert (refused.value.code, refused.value.slug) == (508, "loop")


def test_other_gateways_are_no_loop() -> None:
    forwarded.refuse_loop({"HTTP_VIA": "1.1 edge-2"}, "edge")
    forwarded.refuse_loop({}, "edge")


def _located(value: str, edge: Edge = PEER, strip: str = "", base: str = "") -> str:
    response = UpstreamResponse(302, "", [], iter(()), "http://b.internal", base)  # type: ignore[arg-type]
    pairs = [("X-Location", value), ("Location", value)]
    forwarded.rewrite_locations(pairs, response, edge, replace(RUNTIME, strip=strip))
    assert pairs[0] == ("X-Location", value)
    return pairs[1][1]


@pytest.mark.parametrize(
    "value",
    [
        *(
            "/x",
            "x/y",
            "?q",
            "",
            "//b.internal/x",
            "https://b.internal/x",
            "http://b.internal.evil/x",
        ),
        *("http://b.internal@evil/", "http://b.internal:8080/", "http://other/"),
    ],
)
def test_location_elsewhere_passes_untouched(value: str) -> None:
    assert _located(value) == value


@pytest.mark.parametrize(
    ("value", "strip", "base", "expected"),
    [
        ("http://b.internal/x?y#z", "", "", "http://gateway.example:8080/x?y#z"),
        ("http://B.INTERNAL:80/x", "", "", "http://gateway.example:8080/x"),
        ("http://b.internal", "", "", "http://gateway.example:8080/"),
        ("http://b.internal?q", "", "", "http://gateway.example:8080/?q"),
        ("/x", "/api", "", "/api/x"),
        ("/api/x", "/api", "", "/api/x"),
        ("/api?x", "/api", "", "/api?x"),
        ("/apix", "/api", "", "/api/apix"),
        ("http://b.internal/x", "/api", "", "http://gateway.example:8080/api/x"),
        ("/base/x", "", "/base", "/x"),
        ("/base", "", "/base", "/"),
        ("/base?q", "", "/base", "/?q"),
        ("/based", "", "/base", "/based"),
        ("http://b.internal/base/x", "/api", "/base", "http://gateway.example:8080/api/x"),
    ],
)
def test_location_at_the_upstream_is_rewritten(
    value: str, strip: str, base: str, expected: str
) -> None:
    assert _located(value, strip=strip, base=base) == expected


def test_location_without_a_host_becomes_a_path() -> None:
    assert _located("http://b.internal/x", replace(PEER, host="")) == "/x"


def test_default_pseudonym_is_a_valid_setting_and_stays() -> None:
    name = forwarded.default_pseudonym()
    assert name == forwarded.default_pseudonym()
    assert name == make_settings(VIA_PSEUDONYM=name).VIA_PSEUDONYM


@pytest.mark.parametrize("name", sorted(forwarded.ALWAYS | forwarded.UNTRUSTED))
def test_a_strangers_claims_do_not_reach_the_backend(name: str) -> None:
    service, stub = open_service()
    call(make_app(service), "/things/x", headers=[(name, "203.0.113.9")])
    assert "203.0.113.9" not in stub.requests[0].headers.values()
