"""JSON bodies of answers, changed on their way back."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from gateway import Cache, CircuitBreaker, Handler, Retry, UpstreamRequest, UpstreamResponse
from gateway.errors import BodyFailed, UnusableAnswer, UpstreamError
from gateway.exchange import Headers
from gateway.transforms import ResponseJSON
from tests.caching.handling import Pieces
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import Answer, call, make_app, open_service

JSON = ("Content-Type", "application/json")
HIDING = ResponseJSON(deny=["password"])
USER = b'{"id": 1.10, "password": "x"}'
SHOWN = b'{"id":1.10}'


def returned(
    response: UpstreamResponse, policy: ResponseJSON = HIDING, method: str = "GET"
) -> UpstreamResponse:
    return policy.returned(outline(method), response)


def body_of(response: UpstreamResponse) -> bytes:
    return b"".join(response.body)


def unusable(response: UpstreamResponse, policy: ResponseJSON = HIDING) -> UnusableAnswer:
    with pytest.raises(UnusableAnswer) as raised:
        returned(response, policy)
    return raised.value


@pytest.mark.parametrize("status", [200, 201, 404, 500])
def test_a_body_is_changed_whatever_the_status(status: int) -> None:
    given = answer(status, USER, headers=[JSON, ("Content-Length", "29"), ("X-A", "b")])
    response = returned(given)
    assert (response.status, response.target) == (status, "things.internal")
    assert response.headers == [JSON, ("X-A", "b"), ("Content-Length", "11")]
    assert body_of(response) == SHOWN
    assert len(given.headers) == 3  # what was given stays as it is


def test_only_some_statuses() -> None:
    policy = ResponseJSON(wrap="data", statuses=range(200, 300))
    assert body_of(returned(answer(200, b"1", headers=[JSON]), policy)) == b'{"data":1}'
    failed = answer(404, b"1", headers=[JSON])
    assert returned(failed, policy) is failed


@pytest.mark.parametrize(
    "media", ["text/event-stream", "application/grpc", "application/x-ndjson", "image/png", ""]
)
def test_another_body_is_not_read(media: str) -> None:
    body = Pieces(b"piece")
    response = UpstreamResponse(
        200, "", [("Content-Type", media), ("Content-Encoding", "br")], body
    )
    assert returned(response) is response
    assert (body.given, body.closed) == (0, False)


STRICT = ResponseJSON(deny=["password"], statuses=[200, 204, 206, 304], strict=True)


@pytest.mark.parametrize("media", ["text/html", "application/x-ndjson", "text/event-stream", ""])
@pytest.mark.parametrize("status", [200, 206])
def test_another_body_is_no_use_where_that_is_strict(status: int, media: str) -> None:
    body = Pieces(b"", b"<password>", b"more")
    response = UpstreamResponse(status, "", [("Content-Type", media)], body)
    error = unusable(response, STRICT)
    assert (error.status, error.reason) == (502, "untransformable_response")
    assert not error.retry_safe
    assert body.closed
    assert body.given < 3  # no more than it takes to see that there is one


@pytest.mark.parametrize(
    ("status", "method", "data"),
    [
        (204, "GET", b"x"),
        (304, "GET", b""),
        (200, "HEAD", b""),
        (200, "GET", b""),
        (404, "GET", b"x"),
    ],
)
def test_what_has_no_content_or_is_not_concerned_passes_where_that_is_strict(
    status: int, method: str, data: bytes
) -> None:
    fields = [("Content-Type", "text/html")]
    given = answer(status, data, headers=fields)
    response = returned(given, STRICT, method)
    assert (response.status, response.headers, body_of(response)) == (status, fields, data)


def test_json_is_changed_where_that_is_strict() -> None:
    assert body_of(returned(answer(200, USER, headers=[JSON]), STRICT)) == SHOWN


def test_ranges_are_not_offered_of_another_body_either() -> None:
    fields = [("Content-Type", "image/png"), ("accept-ranges", "bytes"), ("ETag", '"a"')]
    response = returned(answer(headers=fields))
    assert response.headers == [fields[0], fields[2]]


def test_what_is_said_of_the_bytes_is_put_right() -> None:
    told: Headers = [
        ("content-type", "application/json; charset=utf-16"),
        ("Content-Encoding", "gzip"),
        ("ETag", '"a"'),
        *((name, "x") for name in ("Digest", "Repr-Digest", "Content-MD5", "Signature")),
        ("Accept-Ranges", "bytes"),
        ("Transfer-Encoding", "chunked"),
        ("Last-Modified", "then"),
    ]
    response = returned(answer(body=gzip.compress(USER.decode().encode("utf-16")), headers=told))
    assert response.headers == [
        ("content-type", "application/json; charset=utf-8"),
        ("ETag", 'W/"a"'),
        ("Last-Modified", "then"),
        ("Content-Length", "11"),
    ]
    assert body_of(response) == SHOWN


def test_a_head_says_what_is_known_of_the_body_of_a_get() -> None:
    fields = [JSON, ("Content-Length", "29"), ("ETag", '"a"'), ("Content-Encoding", "gzip")]
    response = returned(answer(body=b"", headers=fields), method="HEAD")
    assert response.headers == [JSON, ("ETag", 'W/"a"')]


def test_a_304_has_the_tag_that_clients_know() -> None:
    fields = [("ETag", '"a"'), ("Content-Length", "29"), ("Vary", "Accept")]
    assert returned(answer(304, b"", headers=fields)).headers == [("ETag", 'W/"a"'), fields[2]]
    weak = answer(304, b"", headers=[("Etag", 'W/"a"')])
    assert returned(weak).headers == weak.headers
    bare = answer(304, b"", headers=[("Vary", "Accept")])
    assert returned(bare) is bare


def test_what_has_no_content_passes() -> None:
    response = answer(204, b"", headers=[JSON, ("ETag", '"a"')])
    assert returned(response) is response


def test_what_should_have_no_content_is_changed_where_it_has() -> None:
    assert body_of(returned(answer(205, USER, headers=[JSON]))) == SHOWN
    assert body_of(returned(answer(205, b"", headers=[JSON]))) == b""


@pytest.mark.parametrize(
    "types",
    ["application/json, application/json", "text/html,application/json; charset=utf-8"],
)
def test_what_clients_may_take_for_json_is_json(types: str) -> None:
    assert body_of(returned(answer(200, USER, headers=[("Content-Type", types)]))) == SHOWN


def test_an_empty_body_is_no_json_and_passes() -> None:
    response = returned(answer(body=b"", headers=[JSON, ("Content-Length", "0")]))
    assert response.headers == [JSON, ("Content-Length", "0")]
    assert body_of(response) == b""


@pytest.mark.parametrize(
    ("body", "fields", "reason"),
    [
        (b"{", [], "untransformable_response"),
        (b'"\xff"', [], "untransformable_response"),
        (b"[" * 3000, [], "untransformable_response"),
        (b" " * 5000, [], "http_response_body_size"),
        (b"{}", [("Content-Length", "5000")], "http_response_body_size"),
        (
            gzip.compress(b" " * 5000, mtime=0),
            [("Content-Encoding", "gzip")],
            "http_response_body_size",
        ),
        (b"{}", [("Content-Encoding", "br")], "http_response_content_coding"),
        (b"{}", [("Content-Encoding", "gzip")], "http_response_content_coding"),
    ],
)
def test_what_cannot_be_changed_does_not_pass(body: bytes, fields: Headers, reason: str) -> None:
    error = unusable(answer(body=body, headers=[JSON, *fields]), ResponseJSON(max_bytes=4000))
    assert (error.status, error.reason, error.party) == (502, reason, "upstream")
    assert error.target == "things.internal"


@pytest.mark.parametrize("media", ["application/json", "multipart/byteranges; boundary=x"])
def test_a_part_does_not_pass(media: str) -> None:
    assert unusable(answer(206, b"1", headers=[("Content-Type", media)])).status == 502
    part = answer(206, b"1", headers=[("Content-Type", "image/png")])
    assert returned(part) is part


def test_a_name_that_is_there_twice_is_hidden_twice() -> None:
    body = b'{"password":1,"a":1,"password":2,"a":2}'
    assert body_of(returned(answer(body=body, headers=[JSON]))) == b'{"a":2}'


def test_a_type_that_is_told_twice_hides_nothing() -> None:
    response = answer(body=USER, headers=[("Content-Type", "text/plain"), JSON])
    assert body_of(returned(response)) == SHOWN


def test_an_answer_that_breaks_is_closed() -> None:
    body = Pieces(b"{", broken=True)
    with pytest.raises(BodyFailed):
        HIDING(lambda request: UpstreamResponse(200, "", [JSON], body))(outline())
    assert body.closed


def asked(*fields: tuple[str, str]) -> dict[str, str]:
    """What goes on of these fields."""
    request = outline(headers=[*fields])
    found = HIDING.outlined(request).headers
    assert request.headers == [*fields]
    return dict(found)


def test_all_of_an_answer_is_asked_for_in_a_coding_that_is_known() -> None:
    assert asked() == {"Accept-Encoding": "identity"}
    assert asked(("accept-encoding", "gzip, br"), ("Range", "bytes=0-1"), ("If-Range", '"a"')) == {
        "Accept-Encoding": "gzip"
    }
    assert asked(("If-None-Match", 'W/"a"'), ("Accept-Encoding", "gzip")) == {
        "If-None-Match": 'W/"a"',
        "Accept-Encoding": "gzip",
    }


@pytest.mark.parametrize(
    ("told", "goes_on"),
    [('W/"a"', '"a"'), ('"a", W/"b"', '"a", "b"'), ('"aW/", "W/"', '"aW/", "W/"'), ("*", "*")],
)
def test_a_precondition_is_about_what_the_backend_has(told: str, goes_on: str) -> None:
    assert asked(("If-Match", told))["If-Match"] == goes_on


# -- among other policies --------------------------------------------------------------------------


class Backend:
    """Answers one after the other, the last one ever after."""

    def __init__(self, *answers: tuple[int, Headers, bytes]) -> None:
        self.answers = [*answers]
        self.requests: list[UpstreamRequest] = []

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        self.requests.append(request)
        status, fields, body = self.answers[0]
        if len(self.answers) > 1:
            del self.answers[0]
        return answer(status, body, headers=[*fields])


def test_an_answer_of_no_use_is_asked_for_again() -> None:
    backend = Backend((200, [JSON], b"{"), (200, [JSON], USER))
    retry = Retry(sleep=lambda seconds: None)
    handler: Handler = retry.wrap(HIDING(backend), make_context())
    assert body_of(handler(outline())) == SHOWN


def test_it_counts_for_the_circuit_in_front_of_it_alone() -> None:
    for inside, opens in ((True, True), (False, False)):
        backend, context = Backend((200, [JSON], b"{")), make_context()
        breaker = CircuitBreaker(failures=1)
        handler: Handler = (
            breaker.wrap(HIDING(backend), context)
            if inside
            else HIDING(breaker.wrap(backend, context))
        )
        reasons = []
        for _ in range(2):
            with pytest.raises(UpstreamError) as raised:
                handler(outline())
            reasons.append(raised.value.reason)
        assert reasons == ["untransformable_response", "circuit_open" if opens else reasons[0]]


KEPT: Headers = [JSON, ("Cache-Control", "max-age=60"), ("ETag", '"a"')]
ASKED_ANEW: Headers = [JSON, ("Cache-Control", "no-cache"), ("ETag", '"a"')]


def cached_app(*policies: Any, told: Headers) -> tuple[Any, list[Any]]:
    """A gateway with a cache, and what its backend is asked."""

    def backend(method: str, url: str, headers: Any, body: bytes) -> tuple[int, Headers, bytes]:
        if headers.get("If-None-Match") in ('"a"', 'W/"a"'):
            return 304, [field for field in told if field[0] != "Content-Type"], b""
        return 200, [*told, ("Content-Length", str(len(USER)))], USER

    service, stub = open_service(backend=backend, policies=policies)
    return make_app(service), stub.requests


@pytest.mark.parametrize("statuses", [None, [200], [201]])
def test_a_304_does_not_say_of_what_was_changed_how_it_was(statuses: list[int] | None) -> None:
    """It may be written over the fields of what a cache in front keeps (RFC 9111 section 3.2)."""
    written = ("Content-Type", "application/json; charset=latin-1")
    told = ResponseJSON(deny=["a"], statuses=statuses).returned(
        outline(), answer(304, b"", headers=[written])
    )
    kept = statuses == [201]
    assert told.headers == [written if kept else (written[0], "application/json; charset=utf-8")]


def got(app: Any, *fields: tuple[str, str]) -> Answer:
    return call(app, "/things/1", headers=fields)


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
@pytest.mark.parametrize("told", [KEPT, ASKED_ANEW], ids=["fresh", "asked anew"])
def test_a_cache_before_it_or_behind_it(first: bool, told: Headers) -> None:
    policies = [Cache(), HIDING] if first else [HIDING, Cache()]
    app, requests = cached_app(*policies, told=told)
    for _ in range(2):
        whole = got(app)
        assert (whole.status, whole.body) == (200, SHOWN)
        assert (whole.header("ETag"), whole.header("Content-Length")) == (['W/"a"'], ["11"])
        for tag in ('W/"a"', '"a"'):
            same = got(app, ("If-None-Match", tag))
            assert (same.status, same.body, same.header("ETag")) == (304, b"", ['W/"a"'])
        assert got(app, ("If-None-Match", '"b"')).body == SHOWN
        head = call(app, "/things/1", "HEAD")
        assert (head.status, head.header("ETag")) == (200, ['W/"a"'])
        assert head.header("Content-Length") in ([], ["11"])
    assert len(requests) == (1 if told is KEPT else 10)
    assert {request.headers.get("If-None-Match") for request in requests} <= {
        None,
        *('"a"', 'W/"a"', '"b"'),
    }


def test_a_cache_behind_it_is_not_asked_for_parts() -> None:
    app, _ = cached_app(HIDING, Cache(), told=KEPT)
    for _ in range(2):
        assert (got(app, ("Range", "bytes=0-1")).status, got(app).body) == (200, SHOWN)


def test_a_client_is_told_of_a_bad_answer_and_nothing_else() -> None:
    service, _ = open_service(
        backend=lambda *asked: (200, [JSON], b'{"password": x'), policies=[HIDING]
    )
    answered = call(make_app(service), "/things/1")
    assert (answered.status, answered.code) == (502, "untransformable_response")
    assert b"line" not in answered.body
    assert b"password" not in answered.body


def test_options_that_make_no_sense_are_faults() -> None:
    for statuses in ([100], "200", 200):
        options: dict[str, Any] = {"statuses": statuses, "deny": [""]}
        assert len(ResponseJSON(**options).faults(make_context())) == 2
