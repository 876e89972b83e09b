"""Retries on the wire: the same bytes at another instance, or nothing at all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from gateway.testing import (
    Close,
    Hang,
    ReadBody,
    Received,
    Reset,
    Script,
    ScriptedUpstream,
    Send,
    Step,
)
from tests.support.client import Connection, exchange
from tests.support.gunicorn import Gateway, free_port, start_gateway, wait_for
from tests.support.messages import chunk, chunks, request, request_head, response

OK = response(b"200 OK", body=b"ok")
CHUNKED = b"Transfer-Encoding: chunked"
DATA = random.Random(7).randbytes(1 << 20)


class Pair:
    """Two instances of a service that play one list of scripts between them."""

    def __init__(self, *instances: ScriptedUpstream) -> None:
        self._instances = instances

    def play(self, *scripts: Script, early: bool = False) -> None:
        """Play the next of these scripts for whichever instance is asked, then the last one."""
        left = list(scripts)

        def choose(_index: int, _received: Received) -> Script:
            return left.pop(0) if len(left) > 1 else left[0]

        for instance in self._instances:
            instance.reset()
            instance._scene.choose = choose
            instance._scene.early = early

    @property
    def requests(self) -> list[Received]:
        """What both instances were asked."""
        return [received for one in self._instances for received in one.requests]

    @property
    def counts(self) -> list[int]:
        """How often each of the two was asked, the lower number first."""
        return sorted(len(one.requests) for one in self._instances)

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        """Whether it came true in time."""
        return wait_for(condition)


@pytest.fixture(scope="module")
def instances() -> Iterator[tuple[ScriptedUpstream, ScriptedUpstream]]:
    """The two instances that the gateway is started with."""
    with ScriptedUpstream() as one, ScriptedUpstream() as other:
        yield one, other


@pytest.fixture(scope="module")
def retrying(
    worker_class: str, instances: tuple[ScriptedUpstream, ScriptedUpstream]
) -> Iterator[Gateway]:
    """A gateway whose services try again."""
    both = ",".join(one.url for one in instances)
    nobody = f"http://127.0.0.1:{free_port()}"
    env = {
        **{f"{name}_URL": both for name in ("TWICE", "KEYED", "BOUNDED")},
        "HALFDOWN_URL": f"{nobody},{instances[0].url}",
        "DOWN_URL": nobody,
        "HASTY_URL": instances[0].url,
    }
    with start_gateway("tests.wire.retry_app:app", worker_class=worker_class, env=env) as running:
        yield running
        assert "Traceback" not in running.stderr_text()


@pytest.fixture
def pair(instances: tuple[ScriptedUpstream, ScriptedUpstream]) -> Iterator[Pair]:
    """The two instances, without a past."""
    pair = Pair(*instances)
    pair.play([Send(OK)])
    yield pair
    pair.play([Send(OK)])


def header(message: bytes) -> bytes:
    """The id that finds a message in the access log."""
    return b"X-Request-ID: " + message


def body_of(size: int, framing: str) -> tuple[bytes, tuple[bytes, ...]]:
    """A body on the wire and the fields that frame it."""
    data = DATA[:size]
    if framing == "length":
        return data, (b"Content-Length: %d" % size,)
    pieces = [data[at : at + 9000] for at in range(0, size, 9000)]
    return chunks(*pieces), (CHUNKED,)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [0, 5, 30_000, 65_536])
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "reset"])
def test_a_body_arrives_byte_for_byte_at_the_second_instance(
    retrying: Gateway, pair: Pair, end: Step, size: int, framing: str
) -> None:
    pair.play([end], [Send(OK)])
    name = f"bytes-{type(end).__name__}-{size}-{framing}"
    body, fields = body_of(size, framing)
    message = request(b"/twice/x", header(name.encode()), *fields, method=b"PUT", body=body)
    assert exchange(retrying.port, message).status == 200
    assert pair.counts == [1, 1], "another instance was asked"
    first, second = pair.requests
    assert first.body == second.body == DATA[:size]
    assert first.complete
    assert second.complete
    assert first.head.partition(b"Host")[0] == second.head.partition(b"Host")[0]
    line = retrying.line_of(name)
    assert (line["attempts"], line["status"], line["bytes_in"]) == (2, 200, size)
    assert (line["party"], line["reason"]) == ("", ""), "nobody failed in the end"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_second_instance_gets_what_the_client_has_not_sent_yet(
    retrying: Gateway, pair: Pair, framing: str
) -> None:
    busy = response(b"503 Service Unavailable")
    pair.play([Send(busy)], [ReadBody(), Send(OK)], early=True)
    fields = (CHUNKED,) if framing == "chunked" else (b"Content-Length: %d" % len(DATA),)
    part = (lambda data: chunk(data)) if framing == "chunked" else (lambda data: data)
    with Connection(retrying.port) as client:
        client.send(request_head(b"/twice/x", *fields, method=b"PUT") + part(DATA[:1000]))
        assert pair.wait_until(lambda: pair.counts == [1, 1]), "the early answer is acted on"
        client.send(part(DATA[1000:]) + (b"0\r\n\r\n" if framing == "chunked" else b""))
        assert client.read_reply().status == 200
    assert pair.wait_until(lambda: any(one.body == DATA for one in pair.requests))


def test_an_upload_with_expect_is_sent_again(retrying: Gateway, pair: Pair) -> None:
    pair.play([Close()], [Send(OK)])
    head = request_head(
        b"/twice/x", b"Expect: 100-continue", b"Content-Length: 1000", method=b"PUT"
    )
    with Connection(retrying.port) as client:
        client.send(head)
        client.send(DATA[:1000])
        reply = client.read_reply()
    assert (reply.status, [head.split()[1] for head in reply.interim]) == (200, [b"100"])
    assert [received.body for received in pair.requests] == [DATA[:1000]] * 2


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_that_is_not_kept_passes_and_is_sent_once(
    retrying: Gateway, pair: Pair, framing: str
) -> None:
    body, fields = body_of(len(DATA), framing)
    message = request(b"/twice/x", *fields, method=b"PUT", body=body)
    assert exchange(retrying.port, message).status == 200
    assert [received.body for received in pair.requests] == [DATA]
    pair.play([Close()], [Send(OK)])
    assert exchange(retrying.port, message).status == 502
    assert [received.body for received in pair.requests] == [DATA]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_instance_that_is_down_costs_no_upload_of_any_size(
    retrying: Gateway, pair: Pair, framing: str
) -> None:
    body, fields = body_of(len(DATA), framing)
    attempts = set()
    for number in range(4):
        name = f"down-{framing}-{number}"
        message = request(b"/halfdown/x", header(name.encode()), *fields, method=b"POST", body=body)
        assert exchange(retrying.port, message).status == 200
        attempts.add(retrying.line_of(name)["attempts"])
    assert [received.body for received in pair.requests] == [DATA] * 4
    assert attempts == {1, 2}, "some were sent to the one that is down first"


def test_with_a_single_instance_the_same_one_is_tried_again(retrying: Gateway, pair: Pair) -> None:
    reply = exchange(retrying.port, request(b"/down/x", header(b"single-one"), method=b"POST"))
    assert reply.status == 502
    line = retrying.line_of("single-one")
    assert (line["attempts"], line["reason"]) == (2, "connection_refused")


def test_an_order_is_not_placed_twice_without_a_key(retrying: Gateway, pair: Pair) -> None:
    key = b"Idempotency-Key: order-7"
    for message, asked in (
        (request(b"/twice/x", key, method=b"POST", body=b"order"), 1),
        (request(b"/keyed/x", method=b"POST", body=b"order"), 1),
        (request(b"/keyed/x", key, method=b"POST", body=b"order"), 2),
    ):
        pair.play([Close()], [Send(OK)])
        assert exchange(retrying.port, message).status == (200 if asked == 2 else 502)
        assert [received.body for received in pair.requests] == [b"order"] * asked


def test_retry_after_is_kept_and_a_long_one_is_passed_on(retrying: Gateway, pair: Pair) -> None:
    busy = response(b"503 Service Unavailable", b"Retry-After: 1", body=b"busy")
    pair.play([Send(busy)], [Send(OK)])
    began = time.monotonic()
    assert exchange(retrying.port, request(b"/twice/x")).body == b"ok"
    assert time.monotonic() - began >= 1
    pair.play([Send(busy.replace(b"After: 1", b"After: 99"))], [Send(OK)])
    reply = exchange(retrying.port, request(b"/twice/x"))
    assert (reply.status, reply.body, reply.header(b"Retry-After")) == (503, b"busy", [b"99"])


def test_a_client_that_leaves_meanwhile_is_tried_for_no_more(retrying: Gateway, pair: Pair) -> None:
    busy = response(b"503 Service Unavailable", b"Retry-After: 2")
    pair.play([Send(busy)], [Send(OK)])
    with Connection(retrying.port) as client:
        client.send(request(b"/twice/x", header(b"left-early")))
        assert pair.wait_until(lambda: pair.counts == [0, 1])
    line = retrying.line_of("left-early")
    assert (line["status"], line["reason"], line["attempts"]) == (499, "client_gone", 1)
    assert pair.counts == [0, 1]


def test_a_silent_instance_takes_its_share_of_the_time_only(retrying: Gateway, pair: Pair) -> None:
    pair.play([Hang()], [Send(OK)])
    assert exchange(retrying.port, request(b"/bounded/x"), timeout=5).status == 200
    pair.play([Hang()], [Send(OK)])
    message = request(b"/bounded/x", method=b"PUT", body=b"small")
    assert exchange(retrying.port, message, timeout=5).status == 200
    assert [received.body for received in pair.requests] == [b"small"] * 2


def test_a_slow_client_is_not_taken_for_a_silent_instance(retrying: Gateway, pair: Pair) -> None:
    head = request_head(b"/bounded/x", b"Content-Length: 10", b"X-A: b", method=b"PUT")
    with Connection(retrying.port) as client:
        client.send(head + b"12345")
        time.sleep(0.8)
        client.send(b"67890")
        assert client.read_reply().status == 200
    assert [received.body for received in pair.requests] == [b"1234567890"]


def test_the_deadline_is_told_and_the_client_s_is_not(retrying: Gateway, pair: Pair) -> None:
    pair.play([Close()], [Send(OK)])
    began = time.time()
    message = request(b"/twice/x", b"X-Request-Deadline: 1.0", b"x-request-DEADLINE: 2.0")
    assert exchange(retrying.port, message).status == 200
    told = [received.header(b"X-Request-Deadline") for received in pair.requests]
    assert told[0] == told[1], "a retry has no time of its own"
    ((deadline,), _) = told
    assert began + 24 < float(deadline) < time.time() + 26


def test_a_shorter_deadline_ends_the_wait(retrying: Gateway, pair: Pair) -> None:
    pair.play([Hang()])
    assert exchange(retrying.port, request(b"/hasty/x"), timeout=5).status == 504


def test_an_outage_is_not_answered_with_twice_the_load(retrying: Gateway) -> None:
    offered = 100
    for number in range(offered):
        name = header(b"storm-%d-of-many" % number)
        assert exchange(retrying.port, request(b"/down/storm", name)).status == 502
    retrying.line_of(f"storm-{offered - 1}-of-many")
    lines = [line for line in retrying.stdout_lines() if line["path"] == "/down/storm"]
    asked = sum(line["attempts"] for line in lines)
    assert offered + 10 <= asked <= 1.2 * offered + 30
