"""What clients are told: numbers that are true, integers, and nothing after which they fail."""

from __future__ import annotations

import time

import pytest

from gateway import limiter
from gateway.rate_limiting.fields import limit_fields, policy, retry_after
from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import Window
from tests.rate_limiting.apps import numbers, passed, service
from tests.rate_limiting.conftest import MakeClient

RULES = [Rule("a-1", "a", 10, 1), Rule("a-60", "a", 100, 60)]


def told(*windows: Window) -> dict[str, str]:
    """The fields for the first rules."""
    rules = RULES[: len(windows)]
    return dict(limit_fields(rules, windows, policy(rules)))


def test_fields_of_one_limit() -> None:
    assert told(Window(7, 0.3, 0)) == {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "7",
        "X-RateLimit-Reset": "1",
        "RateLimit-Policy": '"a-1";q=10;w=1',
        "RateLimit": '"a-1";r=7;t=1',
    }


@pytest.mark.parametrize(
    ("windows", "limit"),
    [
        ((Window(7, 1, 0), Window(71, 60, 0)), 10),
        ((Window(7, 1, 0), Window(69, 60, 0)), 100),
        ((Window(0, 1, 0.5), Window(50, 60, 0)), 10),
        ((Window(0, 1, 0.5), Window(0, 60, 59)), 100),
        ((Window(0, 1, 0), Window(50, 60, 20)), 100),
    ],
)
def test_the_tightest_limit_is_told(windows: tuple[Window, ...], limit: int) -> None:
    assert told(*windows)["X-RateLimit-Limit"] == str(limit)


def test_every_limit_is_told() -> None:
    fields = told(Window(7, 0.2, 0), Window(71, 59.01, 0))
    assert fields["RateLimit"] == '"a-1";r=7;t=1, "a-60";r=71;t=60'
    assert fields["RateLimit-Policy"] == '"a-1";q=10;w=1, "a-60";q=100;w=60'


def test_fields_of_a_bucket() -> None:
    rules = [Rule("a-1", "a", 10, 1, burst=20)]
    assert dict(limit_fields(rules, [Window(20, 0.1, 0)], policy(rules))) == {
        "X-RateLimit-Limit": "21",
        "X-RateLimit-Remaining": "20",
        "X-RateLimit-Reset": "1",
        "RateLimit-Policy": '"a-1";q=10;w=1;burst=20',
        "RateLimit": '"a-1";r=20;t=1',
    }


def test_a_bucket_is_as_tight_as_its_burst() -> None:
    rules = [Rule("a-1", "a", 10, 1, burst=99), Rule("a-60", "a", 100, 60)]
    fields = dict(limit_fields(rules, [Window(50, 0, 0), Window(60, 0, 0)], policy(rules)))
    assert fields["X-RateLimit-Limit"] == "100"
    assert fields["X-RateLimit-Remaining"] == "50"


@pytest.mark.parametrize(
    ("retries", "seconds"), [([0.001], "1"), ([1.0], "1"), ([1.01], "2"), ([0.5, 59.2, 0], "60")]
)
def test_retry_after_is_whole_and_long_enough(retries: list[float], seconds: str) -> None:
    assert retry_after([Window(0, 0, retry) for retry in retries]) == seconds


def test_answers_tell_how_much_is_left(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("3/minute")(orders)
    client = make_client(orders)
    told = [numbers(client.get("/orders/x")) for _ in range(4)]
    assert [numbers[:2] for numbers in told] == [(3, 2), (3, 1), (3, 0), (3, 0)]
    assert all(50 <= reset <= 60 for _, _, reset in told)


def test_refusal(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("1/minute")(orders)
    client = make_client(orders)
    client.get("/orders/x")
    refused = client.get("/orders/x")
    assert refused.status_code == 429
    assert refused.content_type == "application/problem+json"
    assert refused.json is not None
    assert refused.json["status"] == 429
    assert refused.json["code"] == "rate_limited"
    assert refused.json["request_id"] == refused.headers["X-Request-ID"]
    assert 50 <= int(refused.headers["Retry-After"]) <= 60
    assert numbers(refused)[:2] == (1, 0)
    assert refused.headers["RateLimit"].startswith('"orders-60";r=0;t=')


def test_after_retry_after_it_succeeds(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("3/2second;2/second")(orders)
    client = make_client(orders)
    served = 0
    for _ in range(6):
        response = client.get("/orders/x")
        if response.status_code == 429:
            time.sleep(int(response.headers["Retry-After"]))
            assert client.get("/orders/x").status_code != 429
        served += 1
    assert served == 6


def test_headers_can_be_left_out(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("1/minute")(orders)
    client = make_client(orders, RATE_LIMIT_HEADERS=False)
    assert passed(client, "/orders/x", 1) == 1
    refused = client.get("/orders/x")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert not [name for name, _ in refused.headers if "ratelimit" in name.lower()]
