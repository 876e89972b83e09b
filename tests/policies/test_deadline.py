"""Deadline: the time of a request bounded, checked and told."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gateway import Deadline, NotSent, Retry, UpstreamRequest, UpstreamResponse
from gateway.exchange import Headers
from gateway.policies.deadline import grpc_timeout
from gateway.policy import policy_faults
from tests.support.outline import answer, make_context, outline

NOW, UNIX = 1000.0, 1_700_000_000.0


class Upstream:
    """A handler that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[UpstreamRequest] = []

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        self.asked.append(request)
        return answer()


def pass_on(
    policy: Deadline, *, left: float = 5.0, headers: Headers | None = None, age: float = 0.0
) -> UpstreamRequest:
    """What an upstream gets of a request that has `left` seconds, at a fixed time."""
    request = outline(headers=headers)
    request.exchange.started = NOW - age
    upstream = Upstream()
    fixed = replace(policy, clock=lambda: NOW, wall=lambda: UNIX)
    fixed(upstream)(replace(request, deadline=NOW + left))
    (asked,) = upstream.asked
    return asked


def test_the_deadline_is_told_as_a_time() -> None:
    asked = pass_on(Deadline(), left=4.25, headers=[("Accept", "*/*")])
    assert asked.headers == [("Accept", "*/*"), ("X-Request-Deadline", "1700000004.250")]
    assert asked.deadline == NOW + 4.25


@pytest.mark.parametrize(
    ("seconds", "age", "deadline"), [(2.0, 0.0, 2.0), (2.0, 1.5, 0.5), (9.0, 0.0, 5.0)]
)
def test_seconds_count_from_arrival_and_only_shorten(
    seconds: float, age: float, deadline: float
) -> None:
    asked = pass_on(Deadline(seconds=seconds), left=5.0, age=age)
    assert asked.deadline == NOW + deadline
    assert asked.headers == [("X-Request-Deadline", f"{UNIX + deadline:.3f}")]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (Deadline(), 0.01),
        (Deadline(), -3.0),
        (Deadline(minimum=2.0), 1.9),
        (Deadline(minimum=0), 0.0),
        (Deadline(seconds=1.0), 5.0),
    ],
)
def test_too_little_left_is_refused_before_anything_is_sent(policy: Deadline, left: float) -> None:
    with pytest.raises(NotSent) as caught:
        pass_on(policy, left=left, age=1.0)
    error = caught.value
    assert (error.status, error.reason, error.party) == (504, "deadline_exceeded", "gateway")
    assert error.retry_safe


@pytest.mark.parametrize("name", ["X-Request-Deadline", "x-request-deadline"])
def test_a_client_s_own_deadline_counts_for_nothing(name: str) -> None:
    asked = pass_on(Deadline(), headers=[(name, "1.000"), ("A", "b")])
    assert asked.headers == [("A", "b"), ("X-Request-Deadline", "1700000005.000")]
    assert pass_on(Deadline(header=False), headers=[(name, "1.000")]).headers == []


def test_grpc_s_field_replaces_the_client_s_where_it_is_wanted() -> None:
    given = [("Grpc-Timeout", "1n")]
    assert pass_on(Deadline(header=False), headers=given).headers == given
    asked = pass_on(Deadline(grpc_timeout=True, header=False), left=4.5, headers=given)
    assert asked.headers == [("grpc-timeout", "4500m")]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0001, "1m"),
        (0.0129, "12m"),
        (4.5, "4500m"),
        (99_999.999, "99999999m"),
        (100_000.0, "100000S"),
        (1e12, "99999999S"),
    ],
)
def test_grpc_s_way_to_write_a_time(seconds: float, written: str) -> None:
    assert grpc_timeout(seconds) == written


def test_a_relative_time_belongs_to_one_attempt() -> None:
    context = make_context()
    assert policy_faults([Deadline(), Retry()], context) == []
    assert policy_faults([Retry(), Deadline(grpc_timeout=True)], context) == []
    assert policy_faults([Deadline(grpc_timeout=True), Retry()], context) == [
        "Deadline works per attempt and must come after Retry"
    ]


def test_both_clocks_are_the_real_ones() -> None:
    upstream = Upstream()
    Deadline()(upstream)(outline(seconds=60.0))
    ((_, told),) = upstream.asked[0].headers
    assert time.time() + 50 < float(told) < time.time() + 61


@pytest.mark.parametrize(
    "options", [{"minimum": -1.0}, {"seconds": 0.0}, {"seconds": 0.005}, {"seconds": -1.0}]
)
def test_options_that_make_no_sense_are_faults(options: dict[str, float]) -> None:
    (fault,) = Deadline(**options).faults(make_context())  # type: ignore[arg-type]
    assert fault.startswith(next(iter(options)))


def test_the_defaults_have_no_fault() -> None:
    assert Deadline().faults(make_context()) == []
