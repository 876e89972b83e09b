"""The fields that are told everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import Cache, Retry
from gateway.policy import chain, policy_faults
from gateway.transforms import StandardHeaders
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import call, make_app, open_service

STANDARD = StandardHeaders(wall=lambda: 1_700_000_000.9, monotonic=lambda: 50.0)


def test_the_backend_is_told_the_time_and_by_nobody_else() -> None:
    headers = [("X-Timestamp", "1"), ("X-A", "1"), ("x-timestamp", "2")]
    assert STANDARD.outlined(outline(headers=headers)).headers == [
        ("X-A", "1"),
        ("X-Timestamp", "1700000000"),
    ]


def test_the_client_is_told_how_long_it_took_and_who_answered() -> None:
    request = outline()
    request.exchange.started = 49.9876543
    fields = [("X-Service", "inner"), ("Set-Cookie", "a"), ("Set-Cookie", "b")]
    fields += [("Connection", "x-service, X-Response-Time"), ("X-Response-Time", "0")]
    assert STANDARD.returned(request, answer(headers=fields)).headers == [
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
        ("X-Response-Time", "12.346ms"),
        ("X-Service", "things"),
    ]


@pytest.mark.parametrize(
    ("policy", "told"), [(STANDARD, "things"), (replace(STANDARD, service="shop"), "shop")]
)
def test_a_version_is_called_by_the_name_of_its_service(policy: StandardHeaders, told: str) -> None:
    context = replace(make_context("things-v2"), declared="things")
    handler = chain([policy], lambda request: answer(), context)
    response = handler(outline(service="things-v2"))
    assert ("X-Service", told) in response.headers


def test_faults() -> None:
    context = make_context()
    assert policy_faults([STANDARD, Cache(), Retry()], context) == []
    assert "must come before Cache" in policy_faults([Cache(), STANDARD], context)[0]
    assert "twice" in policy_faults([STANDARD, STANDARD], context)[0]
    assert policy_faults([StandardHeaders(service="a\r\nb")], context)


def test_a_client_sees_them_beside_the_request_id() -> None:
    service, stub = open_service(policies=[StandardHeaders()])
    answered = call(make_app(service), "/things/7", headers=[("X-Timestamp", "1")])
    assert int(stub.requests[0].headers["X-Timestamp"]) > 1_700_000_000
    assert stub.requests[0].headers["X-Request-ID"] == answered.header("X-Request-ID")[0]
    (took,) = answered.header("X-Response-Time")
    assert float(took.removesuffix("ms")) >= 0
    assert answered.header("X-Service") == ["things"]
