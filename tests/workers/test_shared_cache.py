"""What real workers keep beside versions, transforms and legs: each caller's own, and gone for all
ways that lead to it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import orjson
import pytest

from gateway.testing import Received, ScriptedUpstream, Send, Wait
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import response
from tests.support.wsgi import bearer_line
from tests.workers.pinned import Answered, Client, burst, pinned

WORKERS, CROWD = 2, 48
FRESH = b"Cache-Control: max-age=600"
ANA, BOB = (bearer_line(name) for name in ("ana", "bob"))
#: Ways to ask for the same, and the versions that answer.
WAYS = {
    "plain": (b"/users/7", (), ["v1"]),
    "by header": (b"/users/7", (b"API-Version: 2",), ["v2"]),
    "by path": (b"/v2/users/7", (), ["v2"]),
    "page": (b"/pages/7", (), ["v1", "v2"]),
}


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def running(
    request: pytest.FixtureRequest,
    scripted: ScriptedUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    """Two workers, and one backend for both versions."""
    env = {
        **{f"USERS_{label}_URL": f"{scripted.url}/{label.lower()}" for label in ("V1", "V2")},
        "STATE_URL": f"lmdb://{tmp_path_factory.mktemp('state')}",
        "KEEPALIVE_SECONDS": "60",
        "WORKER_THREADS": "120",
    }
    with start_gateway(
        "tests.workers.shared_cache_app:app",
        worker_class=str(request.param),
        workers=WORKERS,
        env=env,
    ) as gateway:
        yield gateway
        assert "Traceback" not in gateway.stderr_text()


@pytest.fixture
def crowd(running: Gateway) -> Iterator[list[Client]]:
    """Clients of both workers; the first two are apart."""
    with pinned(running, CROWD, WORKERS) as clients:
        yield clients


def told(answered: Answered) -> list[str]:
    """What the backend said to whom, in an answer or in the parts of a page."""
    found = orjson.loads(answered.reply.body)
    return [found["old"], found["new"]] if isinstance(found, dict) else [found]


def test_everybody_has_his_own_by_every_way(
    crowd: list[Client], upstream: ScriptedUpstream
) -> None:
    def answer(received: Received) -> list[Wait | Send]:
        [who] = received.header(b"X-Own")
        version = received.target.split(b"/")[1]
        body = b'"%s %s"' % (version, who)
        fields = (FRESH, b"Content-Type: application/json", b"X-Request-ID: old")
        return [Wait(0.2), Send(response(b"200 OK", *fields, body=body))]

    upstream.answer(answer)
    asks = list(itertools.product(WAYS.values(), ((ANA, "ana"), (BOB, "bob"))))
    size = CROWD // len(asks)
    with contextlib.ExitStack() as stack:
        bursts = []
        for number, ((target, fields, versions), (token, who)) in enumerate(asks):
            some = crowd[number * size : (number + 1) * size]
            wanted = [f"{version} {who}" for version in versions]
            bursts.append((wanted, stack.enter_context(burst(some, target, token, *fields))))
    for wanted, answers in bursts:
        assert [told(one) for one in answers] == [wanted] * size
    replies = [one.reply for _, answers in bursts for one in answers]
    ids = [reply.header(b"X-Request-ID") for reply in replies]
    assert len({one for [one] in ids}) == CROWD
    timed = [reply for reply in replies if reply.header(b"X-Response-Time")]
    assert len(timed) == CROWD * 3 // 4  # all but the pages
    # Each user's v1, and v2 under each of its two paths.
    assert len(upstream.requests) == 6


def test_what_is_changed_by_one_way_is_gone_for_all(
    crowd: list[Client], upstream: ScriptedUpstream
) -> None:
    numbers = itertools.count()
    kept = (FRESH, b"Content-Type: application/json")
    upstream.answer(
        lambda _received: [Send(response(b"200 OK", *kept, body=b'"%d"' % next(numbers)))]
    )
    for changing, fields, _ in WAYS.values():
        if changing == b"/pages/7":
            continue
        before = {
            way: crowd[0].get(target, ANA, *more).body for way, (target, more, _) in WAYS.items()
        }
        crowd[1].get(changing, BOB, *fields, method=b"POST")
        for client in crowd[:WORKERS]:
            for way, (target, more, _) in WAYS.items():
                body = client.get(target, ANA, *more).body
                assert body != before[way], way
