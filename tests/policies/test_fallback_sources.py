"""What a fallback answers from: a view, another service, the last answer."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from gateway import (
    Fallback,
    Service,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway.bodies import RequestBody
from gateway.errors import (
    ConnectFailed,
    HeadFailed,
    HeadTimeout,
)
from gateway.exchange import Attempt, BodySource
from gateway.testing_stub import StubTransport
from tests.policies.falling_back import failing, guarded, header, read, refusing
from tests.support.outline import answer, outline
from tests.support.wsgi import call, make_app, open_service


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
