"""Forwarding without a network: what a backend is sent, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import Service, public
from gateway.errors import ConnectFailed
from tests.support.wsgi import bearer, call, make_app, open_service


def test_forward_sends_what_came() -> None:
    service, stub = open_service(strip_prefix=True)
    call(make_app(service), "/things/a%7Eb?q=%20", "POST", [("X-A", "1")], b"body")
    (sent,) = stub.requests
    assert (sent.method, sent.url) == ("POST", "http://things.internal/a%7Eb?q=%20")
    assert sent.body == b"body"
    assert sent.headers["X-A"] == "1"
    assert sent.headers["Content-Length"] == "4"
    assert "Host" not in sent.headers  # the URL's own


def test_forward_tells_who_asks_and_nobody_else_can() -> None:
    service, stub = open_service()
    forged = [("X-User-ID", "root"), ("X-User-Roles", "admin"), ("X-User-Permissions", "*")]
    app = make_app(service)
    call(app, "/things/x", headers=[*forged, bearer("a:b", roles=["r\r\nX-Evil: 1"])])
    call(app, "/things/x", headers=[*forged, ("Connection", "X-User-ID")])
    known, unknown = (request.headers for request in stub.requests)
    assert known["X-User-ID"] == "ada"
    assert known["X-User-Roles"] == "r%0D%0AX-Evil: 1"
    assert known["X-User-Permissions"] == "a:b"
    assert not [name for name in unknown if name.lower().startswith("x-user")]


def test_credentials_can_be_hidden() -> None:
    service, stub = open_service(hide_credentials=True)
    token = bearer()[1].removeprefix("Bearer ")
    for place in (bearer(), ("X-Access-Tokens", token)):
        call(make_app(service), "/things/x", headers=[place])
        names = {name.lower() for name in stub.requests[-1].headers}
        assert not names & {"authorization", "x-access-tokens"}
        assert "x-user-id" in names


def test_host_can_be_preserved() -> None:
    service, stub = open_service(preserve_host=True)
    call(make_app(service), "/things/x")
    assert stub.requests[0].headers["Host"] == "gateway.example"


@pytest.mark.parametrize(("limit", "status"), [(3, 413), (4, 200), (None, 200)])
def test_body_limit_of_a_service(limit: int | None, status: int) -> None:
    service, _ = open_service(max_body=limit)
    app = make_app(service, MAX_BODY_BYTES=1)
    assert call(app, "/things/x", "POST", body=b"four").status == status
    chunked: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert call(app, "/things/x", "POST", body=b"four", **chunked).status == status


def test_body_limit_of_the_settings() -> None:
    service, _ = open_service()
    assert call(make_app(service, MAX_BODY_BYTES=3), "/things/x", body=b"four").status == 413


def test_other_codings_are_not_implemented() -> None:
    service, stub = open_service()
    answer = call(make_app(service), "/things/x", HTTP_TRANSFER_ENCODING="gzip, chunked")
    assert (answer.status, answer.code) == (501, "transfer_coding")
    assert not stub.requests


def test_no_instance_answers_503() -> None:
    service = public(Service("a", __name__, url_prefix="/a", upstream=""))
    assert call(make_app(service), "/a/x").status == 503


def test_service_without_a_session_gets_its_own() -> None:
    service = public(Service("a", __name__, url_prefix="/a", upstream="http://127.0.0.1:1"))
    assert call(make_app(service), "/a/x").code == ConnectFailed.reason


@pytest.mark.parametrize("status", [204, 304, 200])
def test_head_and_empty_answers_have_no_body(status: int) -> None:
    def backend(method: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
        return status, {"Content-Length": "2"}, b"ok" if method == "GET" and status == 200 else b""

    service, _ = open_service(backend=backend)
    answer = call(make_app(service), "/things/x", "HEAD")
    assert (answer.status, answer.body) == (status, b"")
    assert answer.header("Content-Length") == ([] if status == 204 else ["2"])
