"""Requests that are too large or no HTTP: refused before the application, with the same body."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import HOST, request, request_head

LINE, FIELDS, FIELD = 512, 20, 1024
GET = b"GET /plain/%s HTTP/1.1"


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def gateway(request: pytest.FixtureRequest, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway with small limits."""
    limits = {
        "LIMIT_REQUEST_LINE": str(LINE),
        "LIMIT_REQUEST_FIELDS": str(FIELDS),
        "LIMIT_REQUEST_FIELD_SIZE": str(FIELD),
        "PLAIN_URL": scripted.url,
    }
    with start_gateway(
        "tests.workers.app:app", worker_class=str(request.param), env=limits
    ) as running:
        yield running


def line_of(size: int) -> bytes:
    """A request whose line has so many bytes, without its end."""
    return request(b"/plain/" + b"x" * (size - len(GET % b"")))


def fields_of(count: int) -> bytes:
    """A request with so many fields, the one it needs among them."""
    return request_head(b"/plain/x", *(b"X-%d: y" % number for number in range(count - 1)))


def field_of(size: int) -> bytes:
    """A request with a field of so many bytes, its end among them."""
    return request_head(b"/plain/x", b"X-Long: " + b"y" * (size - len(b"X-Long: \r\n")))


@pytest.mark.parametrize(
    "data",
    [line_of(LINE), fields_of(FIELDS), field_of(FIELD)],
    ids=["line", "fields", "field"],
)
def test_what_just_fits_is_served(
    gateway: Gateway, upstream: ScriptedUpstream, data: bytes
) -> None:
    assert exchange(gateway.address, data).status == 200


REFUSED = {
    "line too long": (line_of(LINE + 1), 414, "URI Too Long"),
    "line without end": (b"GET /" + b"x" * 5000, 414, "URI Too Long"),
    "too many fields": (fields_of(FIELDS + 1), 431, "Request Header Fields Too Large"),
    "field too long": (field_of(FIELD + 1), 431, "Request Header Fields Too Large"),
    "field without end": (
        request_head(b"/plain/x")[:-2] + b"X-Long: " + b"y" * 60_000,
        431,
        "Request Header Fields Too Large",
    ),
    "no HTTP": (b"hello\r\n\r\n", 400, "Bad Request"),
    "space before colon": (request(b"/plain/x", b"X-A : b"), 400, "Bad Request"),
    "two lengths": (
        request(b"/plain/x", b"Content-Length: 1", b"Content-Length: 2"),
        400,
        "Bad Request",
    ),
    "unknown expectation": (request(b"/plain/x", b"Expect: wonders"), 417, "Expectation Failed"),
    "unknown coding": (
        request(b"/plain/x", b"Transfer-Encoding: wondrous"),
        501,
        "Not Implemented",
    ),
}


@pytest.mark.parametrize(("data", "status", "title"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_is_refused_as_everything_is(
    gateway: Gateway, upstream: ScriptedUpstream, data: bytes, status: int, title: str
) -> None:
    reply = exchange(gateway.address, data)
    assert problem_of(reply)["title"] == title
    assert (reply.status, reply.reason.decode()) == (status, title)
    assert reply.header(b"Connection") == [b"close"]
    assert upstream.requests == []
    assert exchange(gateway.address, request(b"/plain/next")).status == 200


def problem_of(reply: Reply) -> dict[str, object]:
    """The error body, after a look at what every one of them has."""
    assert reply.header(b"Content-Type") == [b"application/problem+json"]
    assert reply.clean_end
    problem: dict[str, object] = json.loads(reply.body)
    assert problem["status"] == reply.status
    assert [str(problem["request_id"]).encode()] == reply.header(b"X-Request-ID")
    assert HOST not in reply.body
    return problem


def test_refusal_is_found_by_its_id(gateway: Gateway) -> None:
    problem = problem_of(exchange(gateway.address, line_of(LINE + 1)))
    assert f"{problem['request_id']}: malformed request: LimitRequestLine" in gateway.stderr_text()
