"""Retry: how long it waits, and how long a try may take."""

from __future__ import annotations

import io
from dataclasses import replace
from email.utils import formatdate

import pytest

from gateway.bodies import RequestBody
from gateway.errors import ClientGone, ConnectFailed, HeadTimeout
from tests.policies.retrying import Time, Upstream, asking, failing, retrying
from tests.support.outline import answer


def test_waits_double_up_to_the_most() -> None:
    time = Time()
    with pytest.raises(ConnectFailed):
        retrying(
            Upstream([ConnectFailed()]), time, attempts=5, backoff=(0.025, 0.1), budget_minimum=10
        )(asking())
    assert time.slept == pytest.approx([0.025, 0.05, 0.1, 0.1])


def test_waits_are_random_below_that() -> None:
    drawn: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 4

    time = Time()
    retrying(Upstream([ConnectFailed(), answer()]), time, jitter=jitter)(asking())
    assert drawn == [(0.0, 0.025)]
    assert time.slept == pytest.approx([0.00625])


@pytest.mark.parametrize(
    ("value", "waited"),
    [
        ("2", 2.0),
        (" 3 ", 3.0),
        (formatdate(1004, usegmt=True), 4.0),
        ("Thu Jan  1 00:16:44 1970", 4.0),
        (formatdate(900, usegmt=True), 0.025),
        ("0", 0.025),
        ("-1", 0.025),
        ("1.5", 0.025),
        ("soon", 0.025),
        ("Thu, 99 Jan 1970 00:00:00 GMT", 0.025),
        ("", 0.025),
    ],
)
def test_retry_after_is_waited_for(value: str, waited: float) -> None:
    time = Time()
    first, _ = failing(retry_after=value)
    assert retrying(Upstream([first, answer()]), time)(asking()).status == 200
    assert sum(time.slept) == pytest.approx(waited)
    assert max(time.slept) <= 0.5


@pytest.mark.parametrize("value", ["5", "60", "9" * 5000, formatdate(2000, usegmt=True)])
def test_a_retry_after_that_does_not_fit_is_the_client_s(value: str) -> None:
    time = Time()
    first, body = failing(Retry_After=value)
    upstream = Upstream([first])
    given = retrying(upstream, time)(asking())
    assert (given.status, given.headers) == (503, [("Retry-After", value)])
    assert (len(upstream.asked), time.slept, body.closed) == (1, [], False)


def test_no_try_begins_behind_the_deadline() -> None:
    time = Time()
    upstream = Upstream([ConnectFailed()])
    with pytest.raises(ConnectFailed):
        retrying(upstream, time, attempts=10, backoff=(1.0, 1.0), budget_minimum=20)(
            asking(left=3.5)
        )
    assert (len(upstream.asked), time.now) == (4, 1003.0)
    assert {request.deadline for request in upstream.asked} == {1003.5}


def test_a_client_that_leaves_ends_the_waiting() -> None:
    time = Time()
    first, body = failing(retry_after="4")
    upstream = Upstream([first, answer()])
    request = replace(asking(), abandoned=lambda: time.now >= 1001.0)
    with pytest.raises(ClientGone):
        retrying(upstream, time)(request)
    assert (len(upstream.asked), body.closed) == (1, True)
    assert time.now <= 1001.5


def test_what_it_took_from_the_budget_comes_back_when_the_client_leaves() -> None:
    time = Time()
    upstream = Upstream([ConnectFailed(), ConnectFailed(), ConnectFailed(), answer()])
    handler = retrying(upstream, time, budget_minimum=1, budget_ratio=1.0)
    for _ in range(3):
        with pytest.raises(ClientGone):
            handler(replace(asking(), abandoned=lambda: True))
    assert handler(asking()).status == 200


def test_a_bound_of_its_own_shortens_each_try() -> None:
    time = Time()
    upstream = Upstream([HeadTimeout()])
    with pytest.raises(HeadTimeout):
        retrying(upstream, time, attempts=3, try_seconds=2.0, backoff=(2.0, 2.0))(asking(left=4.5))
    assert [request.deadline for request in upstream.asked] == [1002.0, 1004.0, 1004.5]


@pytest.mark.parametrize(
    ("length", "deadlines"),
    [(4, [1002.0]), (5, [1005.0]), (None, [1005.0])],
    ids=["short", "longer than what is kept", "of unknown length"],
)
def test_a_slow_body_is_not_the_upstream_s_fault(
    length: int | None, deadlines: list[float]
) -> None:
    upstream = Upstream([answer()])
    body = RequestBody(io.BytesIO(b"body!"[: length or 5]), length)
    retrying(upstream, try_seconds=2.0, replay_bytes=4)(replace(asking("POST"), body=body))
    assert [request.deadline for request in upstream.asked] == deadlines
    assert upstream.bodies == [b"body!"[: length or 5]]
