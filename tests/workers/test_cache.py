"""The response cache of four real workers: one request for many, one answer for all, none of
another's, and what is purged is gone everywhere."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from gateway.testing import Close, Hang, Received, Reset, ScriptedUpstream, Send, Until, Wait
from tests.rate_limiting.redis_server import BINARY, start_redis
from tests.support.client import exchange
from tests.support.gunicorn import ROOT, SECRET, Gateway, start_gateway, wait_for
from tests.support.messages import chunk, request, request_head, response, response_head
from tests.support.wsgi import bearer_line
from tests.workers.pinned import Client, burst, pinned, soon, together

APP = "tests.workers.cache_app:app"
CROWD = 100
FRESH = b"Cache-Control: max-age=600"
#: Old already when it comes.
STALE = b"Age: 60"


@pytest.fixture(scope="module", params=["gevent", "gthread", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, str]]]:
    """The worker under test, and the settings of where it keeps answers."""
    if request.param != "redis":
        yield str(request.param), {}
        return
    if BINARY is None:
        pytest.skip("there is no redis-server here")
    with start_redis() as redis:
        yield "gevent", {"REDIS_URL": redis.url, "REDIS_TIMEOUT": "5"}


@pytest.fixture(scope="module")
def doomed(store: tuple[str, dict[str, str]]) -> Iterator[ScriptedUpstream]:
    """A backend of each gateway's own, for a test that ends it."""
    with ScriptedUpstream() as backend:
        yield backend


@pytest.fixture(scope="module")
def environment(
    store: tuple[str, dict[str, str]],
    scripted: ScriptedUpstream,
    doomed: ScriptedUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The settings, of the workers and of who purges beside them."""
    return {
        **dict.fromkeys(("KEPT_URL", "HASTY_URL", "OWN_URL"), scripted.url),
        "DOOMED_URL": doomed.url,
        "STATE_URL": f"lmdb://{tmp_path_factory.mktemp('state')}",
        "ADMIN_PREFIX": "/admin",
        "KEEPALIVE_SECONDS": "60",
        "WORKER_THREADS": "120",
        "READ_TIMEOUT": "30",
        "TOTAL_TIMEOUT": "60",
        **store[1],
    }


@pytest.fixture(scope="module")
def running(store: tuple[str, dict[str, str]], environment: dict[str, str]) -> Iterator[Gateway]:
    """Four workers."""
    with start_gateway(APP, worker_class=store[0], workers=4, env=environment) as gateway:
        yield gateway
        assert "Traceback" not in gateway.stderr_text()


@pytest.fixture
def four(running: Gateway) -> Iterator[list[Client]]:
    """A client of each worker."""
    with pinned(running, 4) as clients:
        yield clients


@pytest.fixture
def crowd(running: Gateway) -> Iterator[list[Client]]:
    """Clients of all workers."""
    with pinned(running, CROWD) as clients:
        yield clients


def numbered(*headers: bytes) -> Callable[[Received], list[Send]]:
    """A backend whose every answer is another one."""
    numbers = itertools.count(1)
    return lambda _received: [Send(response(b"200 OK", *headers, body=b"%d" % next(numbers)))]


BODIES = {
    b"/kept/short": (4096, False),
    b"/kept/long": (300 << 10, False),
    b"/kept/chunked": (4096, True),
    b"/kept/chunked/long": (300 << 10, True),
}


@pytest.mark.parametrize("target", BODIES)
def test_one_request_for_a_hundred(
    crowd: list[Client], upstream: ScriptedUpstream, target: bytes
) -> None:
    size, chunked = BODIES[target]
    body = os.urandom(size)
    half = [body[: size // 2], body[size // 2 :]]
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    if chunked:
        half = [chunk(half[0]), chunk(half[1]) + b"0\r\n\r\n"]
    asked = threading.Event()
    upstream.script(
        [
            Until(asked),
            Send(response_head(b"200 OK", FRESH, length) + half[0]),
            Wait(0.1),
            Send(half[1]),
        ]
    )
    with burst(crowd, target) as answers:
        assert upstream.wait_until(lambda: bool(upstream.requests))
        time.sleep(0.2)  # the others are there by now, most of them
        asked.set()
    assert len(answers) == CROWD
    assert {(one.reply.status, one.reply.clean_end) for one in answers} == {(200, True)}
    assert all(one.reply.body == body for one in answers)
    assert len(upstream.requests) == 1
    assert sum(one.collapsed for one in answers) > 1


def test_nobody_waits_for_what_is_not_kept(crowd: list[Client], upstream: ScriptedUpstream) -> None:
    """Who asks while others wait would be the proof of the opposite: each answer is given when all
    are asked for."""
    first, second = threading.Event(), threading.Event()

    def answer(_received: Received) -> list[Until | Wait | Send]:
        asked = len(upstream.requests)
        if asked >= CROWD:
            first.set()
        if asked >= 2 * CROWD:
            second.set()
        held = Wait(0.3) if asked == 1 else Until(first if asked <= CROWD else second)
        return [held, Send(response(b"200 OK", b"Cache-Control: no-store", body=b"mine"))]

    upstream.answer(answer)
    target = b"/kept/uncacheable"
    for asked in (CROWD, 2 * CROWD):
        answers = together(crowd, target)
        assert {(one.reply.status, one.reply.body) for one in answers} == {(200, b"mine")}
        assert len(upstream.requests) == asked
        assert max(one.seconds for one in answers) < 10  # twenty, if one was held up
    assert not any(one.collapsed for one in answers)


def test_a_leader_is_killed_in_mid_body(
    running: Gateway, four: list[Client], upstream: ScriptedUpstream
) -> None:
    leader, *others = four
    head = response_head(b"200 OK", FRESH, b"Content-Length: 5")
    upstream.script([Send(head + b"wh"), Hang()], [Send(response(b"200 OK", FRESH, body=b"whole"))])
    target = b"/hasty/killed"
    leader.connection.send(request_head(target))
    leader.connection.read_head()
    begun = time.monotonic()
    with burst(others, target) as answers:
        os.kill(leader.worker, signal.SIGKILL)
    assert {(one.reply.status, one.reply.body) for one in answers} == {(200, b"whole")}
    assert time.monotonic() - begun < 5
    assert wait_for(
        lambda: leader.worker not in running.worker_pids() and len(running.worker_pids()) == 4
    )
    # Nothing of the dead one stays.
    assert wait_for(lambda: others[0].get(target).header(b"X-Cache") == [b"HIT"])


def test_the_leaders_client_leaves(four: list[Client], upstream: ScriptedUpstream) -> None:
    leader, *others = four
    head = response_head(b"200 OK", FRESH, b"Content-Length: 5")
    left = threading.Event()
    upstream.script(
        [Send(head + b"wh"), Until(left), Send(b"ole")],
        [Send(response(b"200 OK", FRESH, body=b"whole"))],
    )
    target = b"/kept/left"
    leader.connection.send(request_head(target))
    leader.connection.read_head()
    with burst(others, target) as answers:
        time.sleep(0.2)
        leader.connection.reset()
        left.set()
    assert {(one.reply.status, one.reply.body) for one in answers} == {(200, b"whole")}
    assert max(one.seconds for one in answers) < 10  # twenty, if it was waited for to no end
    assert len(upstream.requests) <= 4


def test_waiting_is_bounded(crowd: list[Client], upstream: ScriptedUpstream) -> None:
    leader, *others = crowd[:20]
    over = threading.Event()
    whole = Send(response(b"200 OK", FRESH, body=b"whole"))
    upstream.script([Until(over), whole], [whole])
    target = b"/hasty/slow"
    with burst([leader], target) as first:
        assert upstream.wait_until(lambda: bool(upstream.requests))
        answers = together(others, target)
        assert {(one.reply.status, one.reply.body) for one in answers} == {(200, b"whole")}
        assert max(one.seconds for one in answers) < 5  # half a second each is ten, in a row
        assert not first
        over.set()
    assert first[0].reply.body == b"whole"


def test_a_failing_backend_fails_everybody_at_once(
    crowd: list[Client], upstream: ScriptedUpstream
) -> None:
    upstream.script([Wait(0.3), Reset()])
    answers = together(crowd, b"/kept/failing")
    assert Counter(one.reply.status for one in answers) == {502: CROWD}
    assert max(one.seconds for one in answers) < 10  # half a minute, one after the other


@pytest.mark.parametrize("how", ["status", "reset"])
def test_after_an_error_nobody_waits_for_a_second_one(
    crowd: list[Client], four: list[Client], upstream: ScriptedUpstream, how: str
) -> None:
    """Also on the workers that have only looked at another one's request."""
    first, second = threading.Event(), threading.Event()
    error = Send(response(b"500 Internal Server Error", b"Content-Length: 0"))

    def answer(_received: Received) -> list[Until | Send | Reset]:
        if len(upstream.requests) > 1:
            return [Until(second), error]
        return [Until(first), Reset() if how == "reset" else error]

    upstream.answer(answer)
    asking = crowd[:20]
    for client in asking:
        client.connection.send(request_head(b"/kept/errors/" + how.encode()))
    assert upstream.wait_until(lambda: bool(upstream.requests))
    for client in four * 10:  # what was sent before is under way by then
        client.get(b"/worker/pid")
    assert len(upstream.requests) == 1
    first.set()
    assert upstream.wait_until(lambda: len(upstream.requests) == len(asking))
    second.set()
    statuses = Counter(client.connection.read_reply().status for client in asking)
    assert statuses == ({500: 20} if how == "status" else {502: 1, 500: 19})


@pytest.mark.parametrize(
    "cut",
    [
        response_head(b"200 OK", FRESH, b"Content-Length: 5") + b"wh",
        response_head(b"200 OK", FRESH, b"Transfer-Encoding: chunked") + chunk(b"wh"),
    ],
    ids=["length", "chunked"],
)
def test_who_waits_for_a_body_that_is_cut_short_asks_himself(
    four: list[Client], upstream: ScriptedUpstream, cut: bytes
) -> None:
    half = threading.Event()
    upstream.script(
        [Send(cut), Until(half), Close()], [Send(response(b"200 OK", FRESH, body=b"whole"))]
    )
    target = b"/kept/cut/%d" % len(cut)
    leader, *others = four
    leader.connection.send(request_head(target))
    assert upstream.wait_until(lambda: bool(upstream.requests))
    with burst(others, target) as answers:
        time.sleep(0.2)
        half.set()
    assert not leader.connection.read_reply().clean_end
    assert {(one.reply.status, one.reply.body) for one in answers} == {(200, b"whole")}
    assert max(one.seconds for one in answers) < 10


def test_what_one_keeps_all_have(four: list[Client], upstream: ScriptedUpstream) -> None:
    upstream.answer(numbered(FRESH))
    assert four[0].get(b"/kept/all").header(b"X-Cache") == [b"MISS"]
    for client in four:
        reply = client.get(b"/kept/all")
        assert (reply.header(b"X-Cache"), reply.body) == ([b"HIT"], b"1")
        assert int(reply.header(b"Age")[0]) < 60
        assert client.get(b"/kept/all", method=b"HEAD").header(b"X-Cache") == [b"HIT"]
    assert len(upstream.requests) == 1


def by_command(gateway: Gateway, environment: dict[str, str]) -> None:
    """As an operator would."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", APP, "gateway", "cache", "purge", "--tag", "red"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "JWT_SECRET": SECRET, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def by_unsafe_method(gateway: Gateway, environment: dict[str, str]) -> None:
    """As RFC 9111 section 4.4 says, with any query."""
    assert exchange(gateway.address, request(b"/kept/purged", method=b"PUT")).status == 200


def by_post(gateway: Gateway, environment: dict[str, str]) -> None:
    """As a deployment would, through any worker."""
    body = b'{"tag": "red"}'
    fields = (bearer_line("operator", "cache:purge"), b"Content-Type: application/json")
    asked = request(b"/admin/cache/purge", *fields, method=b"POST", body=body)
    assert exchange(gateway.address, asked).status == 200


@pytest.mark.parametrize("purge", [by_command, by_unsafe_method, by_post])
def test_what_is_purged_is_gone_for_all(
    running: Gateway,
    environment: dict[str, str],
    four: list[Client],
    upstream: ScriptedUpstream,
    purge: Callable[[Gateway, dict[str, str]], None],
) -> None:
    upstream.answer(numbered(FRESH, b"Surrogate-Key: red green"))
    target = b"/kept/purged?by=" + purge.__name__.encode()
    first = four[0].get(target)
    assert not first.header(b"Surrogate-Key")
    assert {client.get(target).body for client in four} == {first.body}
    purge(running, environment)
    lag = 2.0 if "REDIS_URL" in environment else 0.0
    for client in four:
        assert soon(client, target, lambda body: body != first.body, lag)
    assert len({client.get(target).body for client in four}) == 1


def test_one_refreshes_for_all(
    crowd: list[Client], four: list[Client], upstream: ScriptedUpstream
) -> None:
    """stale-while-revalidate, RFC 5861 section 3."""
    over = threading.Event()
    lasting = b"Cache-Control: max-age=60, stale-while-revalidate=600"
    upstream.script(
        [Send(response(b"200 OK", lasting, STALE, body=b"old"))],
        [Until(over), Send(response(b"200 OK", lasting, body=b"new"))],
    )
    target = b"/kept/refreshed"
    assert crowd[0].get(target).body == b"old"
    answers = together(crowd, target)
    assert {(one.reply.body, one.cache) for one in answers} == {(b"old", "STALE")}
    assert upstream.wait_until(lambda: len(upstream.requests) == 2)
    assert {one.reply.body for one in together(crowd, target)} == {b"old"}
    over.set()
    for client in four:
        assert soon(client, target, lambda body: body == b"new")
        assert client.get(target).header(b"X-Cache") == [b"HIT"]
    assert len(upstream.requests) == 2


def test_what_was_kept_stands_in_for_a_backend_that_is_gone(
    four: list[Client], doomed: ScriptedUpstream
) -> None:
    """stale-if-error, RFC 5861 section 4: also when the circuit is open."""
    stale = response(
        b"200 OK", b"Cache-Control: max-age=60, stale-if-error=600", STALE, body=b"kept"
    )
    doomed.respond(stale)
    assert four[0].get(b"/doomed/x").body == b"kept"
    doomed.close()
    for client in [*four, *four]:
        reply = client.get(b"/doomed/x")
        assert (reply.status, reply.body) == (200, b"kept")
        assert reply.header(b"X-Cache") == [b"STALE"]
    # Nothing is kept of this.
    assert four[0].get(b"/doomed/y").status == 503


CONTROLS = itertools.cycle(
    [
        b"Cache-Control: max-age=600",
        b"Cache-Control: private, max-age=600",
        b"Cache-Control: public, max-age=600",
        b"Cache-Control: max-age=0, stale-while-revalidate=600",
        b"Cache-Control: no-cache",
        b"Cache-Control: no-store",
    ]
)


def test_two_callers_have_their_own(crowd: list[Client], upstream: ScriptedUpstream) -> None:
    """Two hundred requests of each, in pairs of the same path, at the same time on all workers."""

    def answer(received: Received) -> list[Send]:
        [user] = received.header(b"X-User-ID")
        fields = (next(CONTROLS), b'ETag: "same"')
        if received.header(b"If-None-Match"):
            return [Send(response(b"304 Not Modified", *fields))]
        return [Send(response(b"200 OK", *fields, body=user))]

    upstream.answer(answer)
    users = [b"alice", b"bob"]
    fields = [bearer_line(user.decode()) for user in users]
    mixed: list[tuple[bytes, bytes]] = []
    hits: Counter[bytes] = Counter()

    def ask(number: int, client: Client) -> None:
        user = number % 2
        for turn in range(20):
            reply = client.get(b"/own/%d" % (turn // 3), fields[user])
            hits[reply.header(b"X-Cache")[0]] += 1
            if (reply.status, reply.body) != (200, users[user]):
                mixed.append((users[user], reply.body))

    threads = [
        threading.Thread(target=ask, args=pair, daemon=True) for pair in enumerate(crowd[:20])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not mixed
    assert sum(hits.values()) == 400
    assert hits[b"HIT"], hits
    assert {one.reply.status for one in together(crowd[:4], b"/own/1")} == {401}
