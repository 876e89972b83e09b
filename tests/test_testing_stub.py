"""The transport without a network that is shipped for tests."""

from __future__ import annotations

from gateway.testing_stub import StubTransport
from tests.support.wsgi import answer_ok, call, make_app, open_service


def test_stub_takes_pairs_and_lists_requests() -> None:
    def backend(*_asked: object) -> tuple[int, list[tuple[str, str]], bytes]:
        return 200, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], b""

    service, stub = open_service(backend=backend)
    app = make_app(service)
    assert call(app, "/things/x").header("Set-Cookie") == ["a=1", "b=2"]
    call(app, "/things/y", headers=[("Cookie", "mine=1")])
    assert [request.url[-2:] for request in stub.requests] == ["/x", "/y"]
    assert "Cookie" not in stub.requests[0].headers


def test_stub_serves_a_session_too() -> None:
    with StubTransport(answer_ok).session() as session:
        assert session.post("http://a/x", data="text").text == "ok"
        assert session.get("http://a/x").headers["content-type"] == "text/plain"
