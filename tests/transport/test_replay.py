"""A reused connection that was closed meanwhile: replayed where that is safe, and only there."""

from __future__ import annotations

import io
import time

import pytest

from gateway.bodies import RequestBody
from gateway.errors import HeadFailed, UpstreamError
from gateway.exchange import IDEMPOTENT
from gateway.testing import Close, ReadBody, Reset, ScriptedUpstream, Send
from tests.support.messages import response
from tests.transport.conftest import Sender

OK = response(b"200 OK", body=b"ok")
OTHERS = ["POST", "PATCH", "BREW"]


def _warm(send: Sender, upstream: ScriptedUpstream, *second: Send | Close | Reset) -> None:
    """Leave a connection in the pool that will be closed when a request comes on it."""
    upstream.script([Send(OK)], second, [Send(OK)])
    assert send(upstream.url) == b"ok"


@pytest.mark.parametrize("method", sorted(IDEMPOTENT))
@pytest.mark.parametrize("end", [Close(), Reset()])
def test_idempotent_request_is_sent_again_once(
    send: Sender, upstream: ScriptedUpstream, method: str, end: Close | Reset
) -> None:
    _warm(send, upstream, end)
    assert send(upstream.url, method) == (b"" if method == "HEAD" else b"ok")
    assert [r.connection for r in upstream.requests] == [0, 0, 1]


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("body", [None, b"abc"])
def test_other_request_is_never_sent_twice(
    send: Sender, upstream: ScriptedUpstream, method: str, body: bytes | None
) -> None:
    _warm(send, upstream, Close())
    stream = None if body is None else RequestBody(io.BytesIO(body), len(body))
    with pytest.raises(HeadFailed) as failed:
        send(upstream.url, method, body=stream)
    assert not failed.value.retry_safe
    assert len(upstream.requests) == 2
    assert send(upstream.url) == b"ok"


@pytest.mark.parametrize("length", [5, None])
def test_small_body_is_sent_again_whole(
    send: Sender, upstream: ScriptedUpstream, length: int | None
) -> None:
    _warm(send, upstream, Close())
    assert send(upstream.url, "PUT", body=RequestBody(io.BytesIO(b"hello"), length)) == b"ok"
    first, second = upstream.requests[1:]
    assert second.raw == first.raw
    assert second.complete
    assert second.body == b"hello"


@pytest.mark.parametrize("length", [100_000, None])
def test_streamed_body_is_not_sent_again(
    send: Sender, upstream: ScriptedUpstream, length: int | None
) -> None:
    _warm(send, upstream, Close())
    with pytest.raises(UpstreamError) as failed:
        send(upstream.url, "PUT", body=RequestBody(io.BytesIO(bytes(100_000)), length))
    assert not failed.value.retry_safe
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_nothing_is_sent_again_once_the_answer_has_begun(
    send: Sender, upstream: ScriptedUpstream, begun: bytes
) -> None:
    _warm(send, upstream, Send(begun), Close())
    with pytest.raises(HeadFailed):
        send(upstream.url)
    assert len(upstream.requests) == 2


def test_fresh_connection_is_not_replaced(send: Sender, upstream: ScriptedUpstream) -> None:
    upstream.script([Close()], [Send(OK)])
    with pytest.raises(HeadFailed):
        send(upstream.url)
    assert len(upstream.requests) == 1


def test_replay_that_fails_too_is_the_end(send: Sender, upstream: ScriptedUpstream) -> None:
    upstream.script([Send(OK)], [Close()], [Close()], [Send(OK)])
    send(upstream.url)
    with pytest.raises(HeadFailed):
        send(upstream.url)
    assert len(upstream.requests) == 3
    assert send(upstream.url) == b"ok"


def test_connection_lives_on_after_a_replay(send: Sender, upstream: ScriptedUpstream) -> None:
    _warm(send, upstream, Close())
    for _ in range(2):
        send(upstream.url, "PUT", body=RequestBody(io.BytesIO(b"hello"), None))
    assert upstream.connections == 2


class Late(RequestBody):
    """A body of which more is asked for only once the upstream has had time to leave."""

    __slots__ = ("_finished",)

    @property
    def finished(self) -> bool:
        """Whether all was taken."""
        time.sleep(0.05)
        return self._finished

    @finished.setter
    def finished(self, value: bool) -> None:
        self._finished: bool = value


def test_end_seen_inside_the_body_is_forgotten_by_the_replay(
    send: Sender, upstream: ScriptedUpstream
) -> None:
    upstream.script([Send(OK)], [Close()], [ReadBody(), Send(OK)], early=True)
    send(upstream.url)
    body = Late(io.BytesIO(b"hello"), None)
    assert send(upstream.url, "PUT", body=body) == b"ok"
    assert upstream.requests[2].body == b"hello"
    send(upstream.url)
    assert upstream.connections == 2
