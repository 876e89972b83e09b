"""JSON bodies of requests, changed on their way to a backend."""

from __future__ import annotations

import gc
import gzip
import io
import logging
import weakref
import zlib
from typing import Any

import pytest

from gateway import Handler, Mirror, Retry, Service, UpstreamRequest, UpstreamResponse
from gateway.bodies import BytesBody, RequestBody
from gateway.errors import HeadFailed, Refusal
from gateway.exchange import Headers
from gateway.policy import order_faults
from gateway.testing_stub import StubTransport
from gateway.transforms import RequestJSON, ResponseJSON
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import Answer, call, make_app, open_service

JSON = ("Content-Type", "application/json")
RENAMED = RequestJSON(rename={"clientId": "client_id"})


def asked(
    data: bytes,
    *fields: tuple[str, str],
    media: str = "application/json",
    chunked: bool = False,
) -> UpstreamRequest:
    """A POST with a body that is still to be read."""
    body = RequestBody(io.BytesIO(data), None if chunked else len(data))
    return outline("POST", headers=[("Content-Type", media), *fields], body=body)


def sent(request: UpstreamRequest) -> bytes:
    """All of its body."""
    pieces = []
    while request.body is not None and not request.body.finished:
        pieces.append(request.body.next_piece())
    return b"".join(pieces)


def refused(policy: RequestJSON, request: UpstreamRequest) -> Refusal:
    """How it is refused."""
    with pytest.raises(Refusal) as raised:
        policy.outlined(request)
    return raised.value


def fields_of(request: UpstreamRequest) -> Headers:
    return [(name.lower(), value) for name, value in request.headers]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_changed(chunked: bool) -> None:
    request = RENAMED.outlined(asked(b'{ "clientId": 1.10 }', chunked=chunked))
    assert request.body is not None
    assert request.body.length == 18
    assert sent(request) == b'{"client_id":1.10}'


@pytest.mark.parametrize("media", ["text/plain", "application/x-ndjson", "application/grpc+json"])
def test_another_body_is_not_read(media: str) -> None:
    request = asked(b'{"clientId":1}', media=media)
    assert RENAMED.outlined(request) is request
    assert isinstance(request.body, RequestBody)
    assert not request.body.started


def test_without_a_body_there_is_nothing_to_change() -> None:
    request = outline(headers=[JSON])
    assert RequestJSON(strict=True).outlined(request) is request


@pytest.mark.parametrize("chunked", [False, True])
def test_an_empty_body_is_no_json_and_passes(chunked: bool) -> None:
    request = RequestJSON(wrap="data").outlined(asked(b"", chunked=chunked))
    assert request.body is not None
    assert (request.body.length, sent(request)) == (0, b"")


def test_strict_lets_nothing_else_pass() -> None:
    strict = RequestJSON(deny=["admin"], strict=True)
    error = refused(strict, asked(b'{"admin":1}', media="text/plain"))
    assert (error.code, error.slug) == (415, "unsupported_media_type")
    assert error.extra_headers == (("Accept", "application/json"),)
    assert refused(strict, outline(body=BytesBody(b"{}"))).code == 415
    assert sent(strict.outlined(asked(b'{"admin":1}'))) == b"{}"
    empty = asked(b"", media="text/plain")
    assert strict.outlined(empty) is empty


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", gzip.compress(b'{"clientId":1}', mtime=0)),
        ("deflate", zlib.compress(b'{"clientId":1}')),
        ("deflate, gzip", gzip.compress(zlib.compress(b'{"clientId":1}'), mtime=0)),
    ],
)
def test_what_was_said_of_the_bytes_is_not_said_again(coding: str, data: bytes) -> None:
    told = ("Digest", "Content-Digest", "Repr-Digest", "Content-MD5", "Signature-Input")
    request = RENAMED.outlined(
        asked(data, ("content-encoding", coding), ("X-A", "b"), *((name, "x") for name in told))
    )
    assert sent(request) == b'{"client_id":1}'
    assert fields_of(request) == [("content-type", "application/json"), ("x-a", "b")]


def test_another_charset_is_sent_on_as_utf_8() -> None:
    media = "application/json; charset=iso-8859-1"
    request = RENAMED.outlined(asked('{"clientId":"ä"}'.encode("latin-1"), media=media))
    assert sent(request) == '{"client_id":"ä"}'.encode()
    assert fields_of(request) == [("content-type", "application/json; charset=utf-8")]


@pytest.mark.parametrize(
    ("data", "fields", "status", "slug"),
    [
        (b'{"secret":\n oops}', [], 400, "malformed_json"),
        (b'{"a":1,"a":2}', [], 400, "malformed_json"),
        (b"[NaN]", [], 400, "malformed_json"),
        (b"[" * 5000, [], 400, "malformed_json"),
        (b'"\xff"', [], 400, "malformed_json"),
        (b"{}", [("Content-Encoding", "gzip")], 400, "malformed_content_encoding"),
        (b"{}", [("Content-Type", "text/plain")], 400, "two_content_types"),
        (b" " * 10_000, [], 413, "body_too_large"),
        (
            gzip.compress(b" " * 10_000, mtime=0),
            [("Content-Encoding", "gzip")],
            413,
            "body_too_large",
        ),
        (b"{}", [("Content-Encoding", "br")], 415, "unsupported_content_encoding"),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused(
    data: bytes, fields: Headers, status: int, slug: str
) -> None:
    error = refused(RequestJSON(max_bytes=6000), asked(data, *fields))
    assert (error.code, error.slug) == (status, slug)
    assert "oops" not in str(error.description)


def test_a_charset_that_is_not_known_is_refused() -> None:
    error = refused(RENAMED, asked(b"{}", media="application/json;charset=ebcdic-us"))
    assert (error.code, error.slug) == (415, "unsupported_charset")


def test_what_it_is_given_stays_as_it_is() -> None:
    request = outline("POST", headers=[JSON, ("Digest", "x")], body=BytesBody(b'{"clientId":1}'))
    first, second = RENAMED.outlined(request), RENAMED.outlined(request)
    assert sent(first) == sent(second) == b'{"client_id":1}'
    assert request.headers == [JSON, ("Digest", "x")]


class Failing:
    """A backend that breaks at first, and keeps what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        self.bodies.append(sent(request))
        if len(self.bodies) == 1:
            raise HeadFailed
        return answer()


def test_a_large_body_can_be_sent_again_at_once() -> None:
    backend, context = Failing(), make_context()
    retry = Retry(methods={"POST"}, sleep=lambda seconds: None, replay_bytes=10)
    handler: Handler = RENAMED(retry.wrap(backend, context))
    assert handler(asked(b'{"clientId":"' + b"x" * 300_000 + b'"}')).status == 200
    assert backend.bodies[0] == backend.bodies[1]
    assert len(backend.bodies[0]) == 300_016


def test_its_place_is_above_what_repeats() -> None:
    assert order_faults([RENAMED, Retry()]) == []
    assert order_faults([Retry(), RENAMED])
    assert order_faults([Mirror("x"), RENAMED, Retry()]) == []


def service_with(*policies: Any, **options: Any) -> tuple[Service, StubTransport]:
    return open_service(policies=policies, methods=["GET", "POST"], **options)


def post(app: Any, data: bytes, media: str = "application/json", **more: str) -> Answer:
    fields = [(name.replace("_", "-"), value) for name, value in more.items()]
    return call(app, "/things/1", "POST", fields, data, CONTENT_TYPE=media)


def test_a_client_and_a_backend() -> None:
    service, stub = service_with(RequestJSON(rename={"clientId": "client_id"}, max_bytes=100))
    app = make_app(service)
    assert post(app, b'{"clientId": 7}').status == 200
    assert stub.requests[0].body == b'{"client_id":7}'
    assert stub.requests[0].headers["Content-Length"] == "15"
    malformed = post(app, b'{"clientId":\n!}')
    assert (malformed.status, malformed.code) == (400, "malformed_json")
    assert malformed.json["detail"] == (
        "The request body cannot be used: not valid JSON at line 2, column 1."
    )
    brotli = post(app, b"x", Content_Encoding="br")
    assert (brotli.status, brotli.header("Accept-Encoding")) == (415, ["gzip, deflate"])
    assert post(app, b'"' + b"x" * 100 + b'"').status == 413
    assert len(stub.requests) == 1


def test_options_that_make_no_sense_are_faults() -> None:
    options: dict[str, Any] = {"strict": "yes", "deny": [""]}
    assert len(RequestJSON(**options).faults(make_context())) == 2


class Marked(str):
    """Can be seen to be gone."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize(
    ("sends", "answers", "status"),
    [(b'{"a":1}', b"[1]", 200), (b"{", b"[1]", 400), (b'{"a":1}', b"[", 502)],
    ids=["well", "bad request", "bad answer"],
)
def test_a_request_leaves_nothing_for_the_collector(
    sends: bytes, answers: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "gateway")  # what is captured holds errors and their frames
    policies = (RequestJSON(drop_nulls=True), ResponseJSON(wrap="data"))
    service, stub = service_with(*policies, backend=lambda *_: (200, [JSON], answers))
    app = make_app(service)
    post(app, b"{}")  # what is made at the first request is made
    post(app, sends)
    gc.collect()
    gc.disable()
    try:
        marked = Marked("192.0.2.9")
        gone = weakref.ref(marked)
        found = call(app, "/things/1", "POST", (), sends, CONTENT_TYPE=JSON[1], REMOTE_ADDR=marked)
        assert found.status == status
        del marked
        stub.requests.clear()
        assert gone() is None
    finally:
        gc.enable()
