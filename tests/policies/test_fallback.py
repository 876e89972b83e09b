"""The fallback: when it answers, from what, and what the client and the log are told."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import pytest

from gateway import (
    AdaptiveConcurrency,
    Bulkhead,
    CircuitBreaker,
    Deadline,
    Fallback,
    Handler,
    Hedge,
    NotSent,
    Policy,
    Retry,
    Service,
    StaticBody,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway.bodies import RequestBody
from gateway.errors import (
    ClientBodyError,
    ClientGone,
    ConnectFailed,
    Forbidden,
    HeadFailed,
    HeadTimeout,
)
from gateway.exchange import Attempt, BodySource
from gateway.policy import policy_faults
from gateway.testing_stub import StubTransport
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import call, make_app, open_service


def failing(error: BaseException) -> Handler:
    """A chain that fails."""

    def fail(_request: UpstreamRequest) -> UpstreamResponse:
        raise error

    return fail


def read(response: UpstreamResponse) -> bytes:
    """All of a body."""
    return b"".join(response.body)


def header(response: UpstreamResponse, name: str) -> list[str]:
    """All values of a field."""
    return [value for key, value in response.headers if key.lower() == name.lower()]


def guarded(
    following: Handler, others: dict[str, Handler] | None = None, **options: Any
) -> Handler:
    """A chain with a fallback in front."""
    return Fallback(**options).wrap(following, make_context(others=others))


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


# -- a view ----------------------------------------------------------------------------------


def test_a_view_sees_the_request_and_the_error() -> None:
    seen: list[tuple[str, UpstreamError | None]] = []

    def view(request: UpstreamRequest, error: UpstreamError | None) -> tuple[int, Any, Any]:
        seen.append((request.target, error))
        return 206, {"X-A": "b"}, {"a": 1}

    error = HeadTimeout()
    response = guarded(failing(error), view=view)(outline())
    assert (response.status, read(response)) == (206, b'{"a":1}')
    assert header(response, "x-a") == ["b"]
    assert header(response, "x-fallback") == ["view"]
    guarded(lambda _: answer(503), view=view, statuses={503})(outline())
    assert seen == [("/things/7", error), ("/things/7", None)]


def test_a_view_may_answer_with_a_response_or_without_a_body() -> None:
    made = answer(201, b"made", headers=[("X-Fallback", "no"), ("A", "b")])
    response = guarded(failing(HeadTimeout()), view=lambda *_: made)(outline())
    assert response.headers == [("A", "b"), ("X-Fallback", "view")]
    empty = guarded(failing(HeadTimeout()), view=lambda *_: (204, {}, None))(outline())
    assert (empty.status, read(empty), header(empty, "content-type")) == (204, b"", [])


def test_a_view_that_cannot_leaves_it_to_the_next() -> None:
    view = failing(HeadTimeout())
    unable: Callable[..., Any] = lambda request, _error: view(request)  # noqa: E731
    both = guarded(failing(ConnectFailed()), view=unable, body=b"static")
    assert header(both(outline()), "x-fallback") == ["static"]
    request = outline()
    with pytest.raises(ConnectFailed):  # the original
        guarded(failing(ConnectFailed()), view=unable)(request)
    assert request.exchange.party == ""  # whoever tells it will say so


# -- another service -------------------------------------------------------------------------


class Other:
    """Another service's chain: keeps what it was asked, and answers."""

    def __init__(self, *outcomes: UpstreamResponse | Exception) -> None:
        self.asked: list[UpstreamRequest] = []
        self.bodies: list[bytes] = []
        self._outcomes = outcomes

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        self.asked.append(request)
        self.bodies.append(taken(request.body))
        outcome = self._outcomes[min(len(self.asked), len(self._outcomes)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def taken(body: BodySource | None, most: int = 1 << 30) -> bytes:
    """So much of a body, or all."""
    data = b""
    while body is not None and len(data) < most and (piece := body.next_piece()):
        data += piece
    return data


def client_body(data: bytes) -> RequestBody:
    """A body of the client's."""
    return RequestBody(io.BytesIO(data), len(data))


def test_another_service_is_sent_the_same_request() -> None:
    other = Other(answer(200, b"backup"))
    handle = guarded(failing(HeadTimeout()), {"backup": other}, service="backup")
    request = outline(headers=[("A", "b")])
    response = handle(request)
    assert (response.status, read(response)) == (200, b"backup")
    assert header(response, "x-fallback") == ["service"]
    (asked,) = other.asked
    assert (asked.method, asked.target, asked.headers) == ("GET", "/things/7", [("A", "b")])
    assert asked.exchange is request.exchange
    assert (request.exchange.party, request.exchange.reason) == (
        "upstream",
        "http_response_timeout",
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_may_have_been_done_is_not_sent_to_another(method: str) -> None:
    other = Other(answer())
    handle = guarded(failing(HeadTimeout()), {"backup": other}, service="backup")
    with pytest.raises(HeadTimeout):
        handle(outline(method))
    assert other.asked == []
    safe = guarded(failing(ConnectFailed()), {"backup": other}, service="backup")
    assert safe(outline(method)).status == 200


def test_an_answer_means_that_it_may_have_been_done() -> None:
    other = Other(answer())
    handle = guarded(lambda _: answer(503), {"backup": other}, service="backup", statuses={503})
    assert handle(outline("POST")).status == 503
    assert other.asked == []
    assert handle(outline("GET")).status == 200


def test_every_attempt_counts_not_the_last_alone() -> None:
    def twice(request: UpstreamRequest) -> UpstreamResponse:
        attempts = request.exchange.attempts
        attempts += [Attempt("a", 0, sent=sent[0]), Attempt("b", 0, sent=False)]
        raise ConnectFailed

    other = Other(answer())
    handle = guarded(twice, {"backup": other}, service="backup")
    sent = [True]
    with pytest.raises(ConnectFailed):
        handle(outline("POST"))
    sent = [False]
    request = outline("POST")
    request.exchange.attempts.append(Attempt("before this service", 0))
    assert handle(request).status == 200


@pytest.mark.parametrize("size", [0, 10, 65536])
def test_a_body_that_was_begun_is_sent_again(size: int) -> None:
    def begin(request: UpstreamRequest) -> UpstreamResponse:
        taken(request.body, 5)
        raise ConnectFailed

    other = Other(answer())
    handle = guarded(begin, {"backup": other}, service="backup")
    assert handle(outline("POST", body=client_body(b"x" * size))).status == 200
    assert other.bodies == [b"x" * size]


def test_a_body_that_is_gone_is_not() -> None:
    def read_all(request: UpstreamRequest) -> UpstreamResponse:
        taken(request.body)
        raise ConnectFailed

    other = Other(answer())
    handle = guarded(read_all, {"backup": other}, service="backup", body=b"sorry")
    response = handle(outline("POST", body=client_body(bytes(200_000))))
    assert header(response, "x-fallback") == ["static"]
    assert other.asked == []


def test_nothing_is_sent_after_the_deadline() -> None:
    other = Other(answer())
    request = outline()
    handle = guarded(
        failing(HeadTimeout()), {"backup": other}, service="backup", clock=lambda: request.deadline
    )
    with pytest.raises(HeadTimeout):
        handle(request)
    assert other.asked == []


def test_another_service_that_fails_too() -> None:
    other = Other(HeadFailed(), answer(502))
    options: dict[str, Any] = {"service": "backup", "statuses": {502}}
    handle = guarded(failing(HeadTimeout()), {"backup": other}, **options)
    for _ in range(2):
        with pytest.raises(HeadTimeout):
            handle(outline())
    both = guarded(failing(HeadTimeout()), {"backup": other}, body=b"sorry", **options)
    assert header(both(outline()), "x-fallback") == ["static"]
    assert len(other.asked) == 3


def test_services_that_name_each_other_end() -> None:
    first, first_stub = open_service(
        name="first", prefix="/first", policies=[Fallback(service="second")], backend=refusing
    )
    second, second_stub = open_service(
        name="second", prefix="/second", policies=[Fallback(service="first")], backend=refusing
    )
    app = make_app(first, second)
    for path in ("/first/x", "/second/x", "/first/x"):
        assert call(app, path).status == 502
    assert len(first_stub.requests) == len(second_stub.requests) == 3


def refusing(*_asked: object) -> tuple[int, dict[str, str], bytes]:
    """A backend that is not there."""
    raise ConnectFailed


def test_a_service_without_paths_can_be_there_for_this_alone() -> None:
    stub = StubTransport(lambda *_: (200, {}, b"from the backup"))
    only = Service(
        "backup",
        __name__,
        url_prefix=None,
        upstream="http://backup.internal",
        session=stub.session(),
    )
    service, _ = open_service(backend=refusing, policies=[Fallback(service="backup")])
    app = make_app(service, only)
    found = call(app, "/things/7?a=%2F")
    assert (found.status, found.body) == (200, b"from the backup")
    assert found.header("X-Fallback") == ["service"]
    assert stub.requests[0].url == "http://backup.internal/things/7?a=%2F"
    assert call(app, "/backup/7").status == 404


# -- the last answer -------------------------------------------------------------------------


class Backend:
    """Answers until told to fail."""

    def __init__(self, response: Callable[[], UpstreamResponse]) -> None:
        self.response = response
        self.works = True

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        if not self.works:
            raise ConnectFailed
        return self.response()


def framed(body: bytes = b"fresh", *fields: tuple[str, str]) -> UpstreamResponse:
    """An answer as from the wire, whose end is known."""
    return answer(200, body, headers=[("Content-Length", str(len(body))), *fields])


def test_the_last_answer_is_given_again() -> None:
    now = [1000.0]
    backend = Backend(
        lambda: framed(
            b"fresh",
            ("ETag", '"1"'),
            ("Age", "5"),
            ("Content-Location", "http://things.internal/1"),
        )
    )
    handle = guarded(backend, stale=True, remember_seconds=60, clock=lambda: now[0])
    with pytest.raises(ConnectFailed):
        backend.works = False
        handle(outline())
    backend.works = True
    first = handle(outline())
    assert header(first, "x-fallback") == []
    assert read(first) == b"fresh"
    backend.works = False
    now[0] += 30.7
    for _ in range(2):
        again = handle(outline())
        assert (again.status, read(again)) == (200, b"fresh")
        assert header(again, "x-fallback") == ["stale"]
        assert header(again, "age") == ["35"]
        assert header(again, "etag") == ['"1"']
        assert header(again, "content-length") == ["5"]
    now[0] += 30
    with pytest.raises(ConnectFailed):
        handle(outline())


def test_sources_are_tried_in_order() -> None:
    backend = Backend(framed)
    other = Other(HeadFailed(), answer(200, b"backup"))
    handle = guarded(
        backend,
        {"backup": other},
        service="backup",
        stale=True,
        view=lambda *_: (200, {}, b"view"),
        body=b"static",
    )
    read(handle(outline()))
    backend.works = False
    assert [header(handle(outline()), "x-fallback")[0] for _ in range(2)] == ["stale", "service"]
    assert header(handle(outline("POST")), "x-fallback") == ["service"]
    assert header(handle(outline(target="/new")), "x-fallback") == ["service"]


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
