"""The fallback: when it answers, from what, and what the client and the log are told."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from gateway import (
    AdaptiveConcurrency,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Deadline,
    Fallback,
    Hedge,
    NotSent,
    Policy,
    Retry,
    StaticBody,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway.errors import (
    ClientBodyError,
    ClientGone,
    ConnectFailed,
    Forbidden,
    HeadFailed,
    HeadTimeout,
)
from gateway.policy import policy_faults
from tests.policies.falling_back import failing, guarded, header, read, refusing
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import call, make_app, open_service

# -- the answer given in the options ----------------------------------------------------------


def test_without_a_source_it_is_an_error_object() -> None:
    response = guarded(failing(ConnectFailed()))(outline())
    assert response.status == 503
    assert read(response) == (
        b'{"error":"Service temporarily unavailable","service":"things","fallback":true}'
    )
    assert header(response, "content-type") == ["application/json"]
    assert header(response, "x-fallback") == ["static"]
    assert header(response, "cache-control") == ["no-store"]
    assert header(response, "retry-after") == ["1"]
    assert header(response, "content-length") == [str(len(read_again()))]


def read_again() -> bytes:
    """The same answer's body once more."""
    return read(guarded(failing(ConnectFailed()))(outline()))


@pytest.mark.parametrize(
    ("body", "data", "media_type"),
    [
        (b"\x00", b"\x00", "application/octet-stream"),
        ("später", "später".encode(), "text/plain; charset=utf-8"),
        ({"items": []}, b'{"items":[]}', "application/json"),
        ([], b"[]", "application/json"),
        ("", b"", "text/plain; charset=utf-8"),
    ],
)
def test_a_body_of_any_kind(body: Any, data: bytes, media_type: str) -> None:
    response = guarded(failing(HeadTimeout()), body=body, status=200)(outline())
    assert (response.status, read(response)) == (200, data)
    assert header(response, "content-type") == [media_type]
    assert header(response, "content-length") == [str(len(data))]
    assert header(response, "retry-after") == []


def test_fields_given_win() -> None:
    fields = {"content-type": "text/html", "Cache-Control": "max-age=5", "Retry-After": "60"}
    response = guarded(failing(HeadTimeout()), body=b"<p>", headers=fields)(outline())
    assert header(response, "content-type") == ["text/html"]
    assert header(response, "cache-control") == ["max-age=5"]
    assert header(response, "retry-after") == ["60"]


@pytest.mark.parametrize(("seconds", "told"), [(None, "1"), (26.2, "27"), (0.0, "1")])
def test_it_says_when_to_come_back(seconds: float | None, told: str) -> None:
    error = NotSent("circuit_open", retry_after=seconds)
    assert header(guarded(failing(error))(outline()), "retry-after") == [told]


def test_it_says_when_to_come_back_as_the_backend_did() -> None:
    backend = answer(503, headers=[("retry-after", "120")])
    response = guarded(lambda _: backend, statuses={503})(outline())
    assert header(response, "retry-after") == ["120"]
    silent = guarded(lambda _: answer(503), statuses={503})(outline())
    assert header(silent, "retry-after") == ["1"]


def test_an_answer_to_head_has_no_body() -> None:
    response = guarded(failing(HeadTimeout()), body=b"four")(outline("HEAD"))
    assert read(response) == b""
    assert header(response, "content-length") == ["4"]


# -- when ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ClientGone(),
        ClientBodyError("The request body is malformed."),
        Forbidden("No.", "a:b"),
        RuntimeError("bug"),
    ],
)
def test_what_is_not_the_services_failure_has_no_fallback(error: Exception) -> None:
    with pytest.raises(type(error)):
        guarded(failing(error), body=b"x", view=lambda *_: (200, {}, b""))(outline())


@pytest.mark.parametrize("status", [200, 404, 500, 503])
def test_an_answer_is_the_backends_business(status: int) -> None:
    response = guarded(lambda _: answer(status))(outline())
    assert (response.status, read(response)) == (status, b"ok")
    assert header(response, "x-fallback") == []


def test_statuses_that_count_as_failures() -> None:
    handle = guarded(lambda request: answer(int(request.target)), statuses={502, 503})
    assert header(handle(outline(target="503")), "x-fallback") == ["static"]
    assert header(handle(outline(target="504")), "x-fallback") == []
    request = outline(target="502")
    handle(request)
    assert (request.exchange.party, request.exchange.reason) == ("upstream", "status_502")


class Watched(StaticBody):
    """A body that knows whether it was closed."""

    closed = False

    def close(self) -> None:
        """Note it."""
        self.closed = True


def test_the_answer_that_counts_as_a_failure_is_closed_or_given() -> None:
    body = Watched(b"maintenance")

    def backend(_request: UpstreamRequest) -> UpstreamResponse:
        return UpstreamResponse(503, "", [], body)

    guarded(backend, statuses={503})(outline())
    assert body.closed
    body = Watched(b"maintenance")
    response = guarded(backend, statuses={503}, stale=True)(outline())  # nothing is remembered
    assert not body.closed
    assert (response.status, read(response)) == (503, b"maintenance")


def test_what_went_wrong_is_kept_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    request = outline()
    with caplog.at_level(logging.WARNING, "gateway"):
        guarded(failing(NotSent("circuit_open")))(request)
        request.exchange.blame("client", "client_gone")
    assert (request.exchange.party, request.exchange.reason) == ("gateway", "circuit_open")
    assert caplog.text == ""  # an open circuit keeps back thousands
    with caplog.at_level(logging.WARNING, "gateway"):
        guarded(failing(HeadFailed("cut")))(outline())
    assert "a-request-id: things connection_terminated (cut), fallback: static" in caplog.text


# -- orders and faults -----------------------------------------------------------------------


def test_its_place_is_before_what_fails() -> None:
    inner: list[Policy] = [Bulkhead(), Retry(), AdaptiveConcurrency(), CircuitBreaker()]
    for around in ([], [Deadline(5)]):
        assert policy_faults([Fallback(), *around, *inner], make_context()) == []
        assert policy_faults([*around, Fallback(), *inner], make_context()) == []
    for policy in (Bulkhead(), CircuitBreaker()):
        (fault,) = policy_faults([policy, Fallback()], make_context())
        assert "Fallback must come before" in fault
    for repeating in (Retry(), Hedge()):
        found = policy_faults([repeating, Fallback()], make_context())
        assert any("Fallback works per request" in fault for fault in found)
    assert policy_faults([Fallback(), Fallback()], make_context()) == ["Fallback is there twice"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"status": 100}, "status=100 must be from 200 to 599"),
        ({"service": "nobody"}, "service='nobody' is none of the services"),
        ({"service": "things"}, "service='things' is the one that failed"),
        ({"view": "things"}, "view must be a function"),
        ({"remember_seconds": 0}, "remember_seconds=0 must be above 0"),
        ({"statuses": {200}}, "statuses must be from 400 to 599"),
        ({"body": object()}, "body cannot be written as JSON"),
    ],
)
def test_faults(options: dict[str, Any], fault: str) -> None:
    (found,) = policy_faults([Fallback(**options)], make_context())
    assert found.startswith(f"Fallback: {fault}")


# -- in a gateway ----------------------------------------------------------------------------


def test_the_circuit_is_open_and_the_client_has_an_answer() -> None:
    service, stub = open_service(
        backend=refusing, policies=[Fallback(), CircuitBreaker(failures=2, recovery=30)]
    )
    app = make_app(service)
    found = [call(app, "/things/7") for _ in range(3)]
    assert len(stub.requests) == 2
    for one in found:
        assert one.status == 503
        assert one.json == {
            "error": "Service temporarily unavailable",
            "service": "things",
            "fallback": True,
        }
        assert one.header("Content-Type") == ["application/json"]
        assert len(one.header("X-Request-ID")) == 1
    assert int(found[2].header("Retry-After")[0]) > 20
    assert call(app, "/things/7", "HEAD").body == b""


def test_an_answer_is_remembered_on_its_way_to_the_client() -> None:
    works = [True]

    def backend(*_asked: object) -> tuple[int, dict[str, str], bytes]:
        if not works[0]:
            raise ConnectFailed
        return 200, {"Content-Length": "5", "Content-Type": "text/plain"}, b"fresh"

    service, _ = open_service(backend=backend, policies=[Fallback(stale=True)])
    app = make_app(service)
    assert call(app, "/things/7").body == b"fresh"
    works[0] = False
    found = call(app, "/things/7")
    assert (found.status, found.body) == (200, b"fresh")
    assert found.header("X-Fallback") == ["stale"]
    assert found.header("Via") == ["1.1 edge"]
    assert call(app, "/things/8").status == 502


def test_a_client_that_wants_only_what_is_kept_gets_nothing_else() -> None:
    """RFC 9111 section 5.2.1.7: not forwarded, and 504."""
    service, stub = open_service(policies=[Fallback(body={"x": 1}, status=200), Cache()])
    found = call(make_app(service), "/things/7", headers=[("Cache-Control", "only-if-cached")])
    assert (found.status, found.header("X-Fallback")) == (504, [])
    assert orjson.loads(found.body)["code"] == "only_if_cached"
    assert stub.requests == []
