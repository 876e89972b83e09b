"""Streams: each piece is passed on when it comes, however long the whole takes or grows."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import pytest

from gateway.testing import Close, Hang, ScriptedUpstream, Send, Step, Until
from tests.support.client import Connection
from tests.support.gunicorn import Gateway
from tests.support.messages import chunk, request_head, response_head

EVENTS = [b"data: %d\n\n" % number for number in range(5)]
STREAM = b"Content-Type: text/event-stream"
SOON = 0.25


def chunked_stream(go: list[threading.Event]) -> list[Step]:
    """A head, then one event each time the test says go."""
    steps: list[Step] = [Send(response_head(b"200 OK", STREAM, b"Transfer-Encoding: chunked"))]
    for signal, event in zip(go, EVENTS, strict=True):
        steps += [Until(signal), Send(chunk(event))]
    return [*steps, Hang()]


def close_delimited_stream(go: list[threading.Event]) -> list[Step]:
    """The same, for a stream that lasts until the connection closes."""
    steps: list[Step] = [Send(response_head(b"200 OK", STREAM))]
    for signal, event in zip(go, EVENTS, strict=True):
        steps += [Until(signal), Send(event)]
    return [*steps, Close()]


@pytest.mark.parametrize("stream", [chunked_stream, close_delimited_stream])
def test_events_arrive_as_they_are_sent(
    gateway: Gateway,
    upstream: ScriptedUpstream,
    stream: Callable[[list[threading.Event]], list[Step]],
) -> None:
    go = [threading.Event() for _ in EVENTS]
    upstream.script(stream(go))
    delays = []
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/plain/events"))
        head = connection.read_head()  # comes though no event is there yet
        assert head.header(b"Content-Type") == [b"text/event-stream"]
        for signal, event in zip(go, EVENTS, strict=True):
            sent = time.monotonic()
            signal.set()
            assert connection.read_chunk() == event
            delays.append(time.monotonic() - sent)
    # The median: one late event on a busy machine says nothing, a buffer delays every one.
    assert statistics.median(delays) < SOON


def test_piece_of_a_known_length_is_not_held_back(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    go = threading.Event()
    upstream.script([Send(response_head(b"200 OK", b"Content-Length: 4") + b"ab"), Until(go)])
    with Connection(gateway.port) as connection:
        connection.send(request_head(b"/plain/x"))
        connection.read_head()
        assert connection.read_exactly(2) == b"ab"
    go.set()


def test_two_streams_do_not_wait_for_each_other(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    go = [[threading.Event() for _ in EVENTS] for _ in range(2)]
    upstream.script(chunked_stream(go[0]), chunked_stream(go[1]))
    with Connection(gateway.port) as first, Connection(gateway.port) as second:
        for connection in (first, second):
            connection.send(request_head(b"/plain/events"))
            connection.read_head()
        for events, connection in ((go[1], second), (go[0], first)):
            for signal, event in zip(events, EVENTS, strict=True):
                signal.set()
                assert connection.read_chunk() == event
