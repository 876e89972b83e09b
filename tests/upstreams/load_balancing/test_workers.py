"""Two workers before three instances: weights hold over both, and a client stays with either."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import Reply, exchange
from tests.support.gunicorn import SECRET, Gateway, start_gateway
from tests.support.messages import response

WEIGHTS = (4, 2, 1)


@pytest.fixture
def upstreams() -> Iterator[list[ScriptedUpstream]]:
    """Three that tell their number."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(ScriptedUpstream()) for _ in WEIGHTS]
        for number, upstream in enumerate(found):
            upstream.respond(response(b"200 OK", body=b"%d" % number))
        yield found


@pytest.fixture(params=["gevent", "gthread"])
def gateway(request: pytest.FixtureRequest, upstreams: list[ScriptedUpstream]) -> Iterator[Gateway]:
    """Two workers before them."""
    pairs = zip(upstreams, WEIGHTS, strict=True)
    env = {
        "PLAIN_URL": ",".join(f"{upstream.url};weight={weight}" for upstream, weight in pairs),
        "STICKY_URL": ",".join(upstream.url for upstream in upstreams),
        "SECRET_KEY": SECRET,
    }
    app = "tests.upstreams.load_balancing.app:app"
    with start_gateway(app, worker_class=request.param, workers=2, env=env) as running:
        yield running


def ask(gateway: Gateway, path: bytes, cookie: bytes = b"") -> Reply:
    """One request on a connection of its own, so that either worker may get it."""
    field = b"Cookie: theme=dark; %b\r\n" % cookie if cookie else b""
    return exchange(
        gateway.port, b"GET %b HTTP/1.1\r\nHost: a\r\n%bConnection: close\r\n\r\n" % (path, field)
    )


def stays(gateway: Gateway, cookie: bytes) -> bytes:
    """The only instance that both workers choose for this cookie."""
    answers, workers = set[bytes](), set[bytes]()
    for turn in range(400):
        reply = ask(gateway, b"/sticky/x", cookie)
        assert reply.status == 200
        assert not reply.header(b"Set-Cookie")
        answers.add(reply.body)
        workers.update(reply.header(b"X-Worker"))
        if turn >= 20 and len(workers) == 2:
            break
    assert len(workers) == 2
    (answer,) = answers
    return answer


def test_weights_and_sticky_sessions(gateway: Gateway, upstreams: list[ScriptedUpstream]) -> None:
    for _ in range(280):
        assert ask(gateway, b"/plain/x").status == 200
    for upstream, weight in zip(upstreams, WEIGHTS, strict=True):
        assert len(upstream.requests) == pytest.approx(weight * 40, abs=40 if weight > 1 else 28)

    first = ask(gateway, b"/sticky/x")
    (told,) = first.header(b"Set-Cookie")
    cookie = told.partition(b";")[0]
    home = stays(gateway, cookie)
    assert home == first.body
    seen = upstreams[int(home)].requests[-1]
    assert seen.header(b"Cookie") == [b"theme=dark"]

    upstreams[int(home)].close()
    for _ in range(60):  # each worker meets the failure a few times, then it is left out for both
        reply = ask(gateway, b"/sticky/x", cookie)
        if reply.status == 200:
            break
    (told,) = reply.header(b"Set-Cookie")
    assert reply.body != home
    moved = told.partition(b";")[0]
    assert moved != cookie
    assert stays(gateway, moved) == reply.body
