"""Purges asked of one worker, over HTTP: no other uses what was dropped, a second later."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from gateway.testing import ScriptedUpstream
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import response
from tests.support.wsgi import bearer
from tests.workers.pinned import Client, pinned

FRESH = (b"Cache-Control: max-age=600", b"Surrogate-Key: red green")
MAY = ": ".join(bearer("cache:*")).encode()


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def running(
    backend: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Two workers with routes for operators."""
    env = {
        **dict.fromkeys(("KEPT_URL", "HASTY_URL", "OWN_URL", "DOOMED_URL"), backend.url),
        "STATE_URL": f"lmdb://{tmp_path_factory.mktemp('state')}",
        "ADMIN_PREFIX": "/admin",
    }
    with start_gateway("tests.workers.cache_app:app", workers=2, env=env) as gateway:
        yield gateway
        assert "Traceback" not in gateway.stderr_text()


@pytest.fixture
def two(running: Gateway) -> Iterator[list[Client]]:
    """A client of each worker."""
    with pinned(running, 2, workers=2) as clients:
        yield clients


def purge(client: Client, **named: str) -> int:
    """How many this drops."""
    body = orjson.dumps(named)
    head = (MAY, b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    client.connection.send(
        b"POST /admin/cache/purge HTTP/1.1\r\nHost: gateway\r\n" + b"\r\n".join(head) + b"\r\n\r\n"
    )
    client.connection.send(body)
    reply = client.connection.read_reply()
    assert reply.status == 200, reply.body
    return int(orjson.loads(reply.body)["purged"])


@pytest.mark.parametrize("named", [{"tag": "red"}, {"prefix": "/kept/dropped/by-prefix"}])
def test_what_one_worker_purges_is_gone_for_the_other(
    two: list[Client], backend: ScriptedUpstream, named: dict[str, str]
) -> None:
    one, other = two
    target = b"/kept/dropped/by-" + next(iter(named)).encode()
    backend.respond(response(b"200 OK", *FRESH, body=b"old"))
    assert one.get(target).body == b"old"
    backend.respond(response(b"200 OK", *FRESH, body=b"new"))
    for client in (one, other, other):  # it is at hand in both workers
        reply = client.get(target)
        assert (reply.body, reply.header(b"X-Cache")) == (b"old", [b"HIT"])
    assert purge(one, **named) == 1
    reply = other.get(target)  # with LMDB at once
    assert (reply.body, reply.header(b"X-Cache")) == (b"new", [b"MISS"])
    assert one.get(target).body == b"new"


def test_how_much_is_kept_and_the_log(running: Gateway, two: list[Client]) -> None:
    counts = [orjson.loads(client.get(b"/admin/cache", MAY).body) for client in two]
    assert counts[0] == counts[1]
    assert counts[0].keys() == {"entries", "bytes"}
    refused = two[0].get(b"/admin/cache")
    assert refused.status == 401
    line = running.line_of(refused.header(b"X-Request-ID")[0].decode())
    assert (line["route"], line["reason"]) == ("/admin/cache", "missing_token")


def test_the_log_tells_what_the_cache_did(running: Gateway, two: list[Client]) -> None:
    reply = two[0].get(b"/kept/logged")
    line = running.line_of(reply.header(b"X-Request-ID")[0].decode())
    assert line["cache"] == reply.header(b"X-Cache")[0].decode().lower()
    plain = two[0].get(b"/worker/pid")
    assert "cache" not in running.line_of(plain.header(b"X-Request-ID")[0].decode())
