"""Delays and failures on purpose, where a setting lets them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import FaultInjection, Handler, NotSent, UpstreamRequest, UpstreamResponse
from gateway.errors import ClientGone, HeadFailed, HeadTimeout
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import call, make_app, open_service


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def respond(request: UpstreamRequest) -> UpstreamResponse:
    return answer()


def injected(**options: Any) -> Handler:
    context = make_context(FAULT_INJECTION=True)
    policy = FaultInjection(**options)
    assert policy.faults(context) == []
    return policy.wrap(respond, context)


def test_without_the_setting_it_is_not_in_the_chain() -> None:
    assert FaultInjection(abort=503).wrap(respond, make_context()) is respond


@pytest.mark.parametrize("status", [400, 429, 500, 503, 504])
def test_an_abort_is_a_problem_of_that_status(status: int) -> None:
    service, stub = open_service(policies=[FaultInjection(abort=status)])
    reply = call(make_app(service, FAULT_INJECTION=True), "/things/1")
    assert (reply.status, reply.code) == (status, "fault_injected")
    assert reply.json["status"] == status
    assert reply.header("Retry-After") == (["1"] if status == 503 else [])
    assert stub.requests == []


def test_without_the_setting_nothing_is_aborted() -> None:
    service, _ = open_service(policies=[FaultInjection(abort=503, delay=100)])
    assert call(make_app(service), "/things/1").status == 200


def test_a_status_is_nobodys_failure_and_a_reset_is_the_backends() -> None:
    with pytest.raises(NotSent) as kept_back:
        injected(abort=503)(outline())
    assert (kept_back.value.party, kept_back.value.retry_safe) == ("gateway", True)
    with pytest.raises(HeadFailed) as broken:
        injected(abort="reset")(outline())
    assert (broken.value.party, broken.value.retry_safe) == ("upstream", False)


def test_a_delay_is_slept_in_slices() -> None:
    request = outline(seconds=60)
    clock = Clock(request.exchange.started)
    handler = injected(delay=0.6, sleep=clock.sleep, clock=clock)
    assert handler(request).status == 200
    assert clock.slept == pytest.approx([0.25, 0.25, 0.1])


def test_a_delay_ends_at_the_deadline() -> None:
    request = outline(seconds=2)
    clock = Clock(request.exchange.started)
    with pytest.raises(HeadTimeout):
        injected(delay=60, sleep=clock.sleep, clock=clock)(request)
    assert sum(clock.slept) == pytest.approx(2)


def test_a_delay_ends_when_the_client_leaves() -> None:
    clock = Clock(0.0)
    request = outline(seconds=60, abandoned=lambda: len(clock.slept) == 2)
    clock.now = request.exchange.started
    with pytest.raises(ClientGone):
        injected(delay=60, sleep=clock.sleep, clock=clock)(request)
    assert len(clock.slept) == 2


def test_percentages_are_drawn_apart() -> None:
    lots = iter([0.3, 0.1, 0.1, 0.3, 0.1, 0.1])
    clock = Clock(0.0)
    handler = injected(
        delay=0.1,
        delay_percent=20,
        abort="reset",
        abort_percent=20,
        draw=lambda: next(lots),
        sleep=clock.sleep,
        clock=clock,
    )
    with pytest.raises(HeadFailed):
        handler(outline())
    assert clock.slept == []
    assert handler(outline()).status == 200
    assert len(clock.slept) == 1
    with pytest.raises(HeadFailed):
        handler(outline())


@pytest.mark.parametrize("lot", [0.0, 0.5, 0.9999999999999999])
def test_none_and_all_are_exact(lot: float) -> None:
    assert injected(abort=500, abort_percent=0, draw=lambda: lot)(outline()).status == 200
    with pytest.raises(NotSent):
        injected(abort=500, abort_percent=100, draw=lambda: lot)(outline())


def test_only_requests_with_the_field() -> None:
    handler = injected(abort=500, header="X-Fault")
    assert handler(outline(headers=[("X-Other", "1")])).status == 200
    with pytest.raises(NotSent):
        handler(outline(headers=[("x-fault", "anything")]))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "it has neither a delay nor an abort"),
        ({"delay": -1, "abort": 503}, "delay=-1 must be seconds, 0 or more"),
        ({"delay": float("inf")}, "delay=inf must be seconds, 0 or more"),
        ({"delay": 1, "delay_percent": 101}, "delay_percent=101 must be from 0 to 100"),
        ({"abort": 503, "abort_percent": -1}, "abort_percent=-1 must be from 0 to 100"),
        ({"abort": 200}, "abort=200 must be a status from 400 to 599, or 'reset'"),
        ({"abort": "hang"}, "abort='hang' must be a status from 400 to 599, or 'reset'"),
    ],
)
def test_wrong_options_are_faults_with_and_without_the_setting(
    options: dict[str, Any], fault: str
) -> None:
    for allowed in (False, True):
        assert FaultInjection(**options).faults(make_context(FAULT_INJECTION=allowed)) == [fault]
