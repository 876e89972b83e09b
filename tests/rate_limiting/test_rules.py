"""Limits that cannot be kept are faults at start, all of them at once."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway import ConfigurationError, Service, Timeouts, limiter
from gateway.rate_limiting.rules import Rule, distinct
from tests.rate_limiting.apps import passed, service, view
from tests.rate_limiting.conftest import MakeClient


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "often", "10", "10/fortnight", "/minute", "-1/minute", "5/minute;oops"),
        *("0/minute", "1000000000000000/minute"),
    ],
)
@pytest.mark.parametrize("where", ["service", "view"])
def test_malformed_limit(make_client: MakeClient, where: str, text: str) -> None:
    orders = service()
    if where == "service":
        limiter.limit(text)(orders)
    else:
        view(orders, "/view", limiter.limit(text))
    with pytest.raises(ConfigurationError, match=where):
        make_client(orders)


@pytest.mark.parametrize("name", ["RATE_LIMIT_DEFAULT", "RATE_LIMIT_USER"])
def test_malformed_setting(make_client: MakeClient, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        make_client(service(), **{name: "plenty"})


def test_all_faults_at_once(make_client: MakeClient) -> None:
    orders, users = service("orders"), service("users")
    limiter.limit("often")(orders)
    limiter.limit("seldom")(users)
    with pytest.raises(ConfigurationError) as caught:
        make_client(orders, users, RATE_LIMIT_DEFAULT="plenty")
    said = str(caught.value)
    assert [said.count(where) for where in ("RATE_LIMIT_DEFAULT", "'orders'", "'users'")] == [1] * 3


def test_each_limit_is_told_with_its_place(make_client: MakeClient) -> None:
    orders = service()
    for text in ("often", "0/minute", "5/minute"):
        limiter.limit(text)(orders)
    with pytest.raises(ConfigurationError) as caught:
        make_client(orders)
    often, never = caught.value.faults
    assert "often" in often
    assert never.startswith("service 'orders': a limit of 0 permits nothing")
    assert all(f"({__file__}:" in fault for fault in (often, never))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cost": 6}, "cost 6"),
        ({"cost": 0}, "cost 0"),
        ({"cost": -1}, "cost -1"),
        ({"scope": "größe", "shared": True}, "größe"),
        ({"scope": 'a"b', "shared": True}, "quotes"),
        ({"burst": -1}, "burst=-1 must"),
        ({"burst": 2.5}, "burst=2.5 must"),
        ({"burst": True}, "burst=True must"),
        ({"burst": "20"}, "burst='20' must"),
        ({"nodelay": False}, "nodelay=False needs a burst"),
        ({"burst": 3, "cost": 5}, "cost 5 does not lie between 1 and burst"),
        ({"burst": 3, "cost": 0}, "cost 0"),
        ({"cost": 1.5}, "cost 1.5 is neither"),
        ({"cost": "2"}, "cost '2' is neither"),
        ({"burst": 10**15}, "1000000000000000 is more than can be counted"),
        ({"nodelay": "no", "burst": 3}, "nodelay='no' must be True or False"),
        ({"dry_run": 1}, "dry_run=1 must be True or False"),
        ({"methods": ["GET", "fetch"]}, "methods .'FETCH'. are none that are served"),
        ({"key_func": 3}, "key_func=3 is no function"),
        ({"exempt_when": "always"}, "exempt_when='always' is no function"),
        ({"on_failure": "shut"}, "on_failure='shut' must be one of local, open, closed"),
        ({"burst": 3, "nodelay": False}, "burst=3 lets requests wait for 36 s, .* 25 s in all"),
    ],
)
def test_options_that_cannot_be(make_client: MakeClient, options: Any, said: str) -> None:
    orders = service()
    limiter.limit("5/minute", **options)(orders)
    with pytest.raises(ConfigurationError, match=said):
        make_client(orders)


def test_one_method_is_a_list_too() -> None:
    with pytest.raises(TypeError, match="methods='GET' must be a list"):
        limiter.limit("5/minute", methods=cast("list[str]", "GET"))


def test_a_burst_may_cost_more_than_the_rate(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("5/minute", burst=9, cost=10)(orders)
    assert passed(make_client(orders), "/orders/x", 2) == 1


def test_a_wait_is_measured_against_the_time_of_the_service(make_client: MakeClient) -> None:
    def paced(total: float) -> Service:
        orders = service(timeouts=Timeouts(total=total))
        limiter.limit("5/minute", burst=3, nodelay=False)(orders)
        view(orders, "/a")
        view(orders, "/b")
        return orders

    make_client(paced(37))
    with pytest.raises(ConfigurationError) as caught:
        make_client(paced(36))
    assert str(caught.value).count("lets requests wait") == 1


def test_a_bucket_and_a_window_of_the_same_numbers(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("5/hour")(orders)
    limiter.limit("5/hour", burst=2)(orders)
    client = make_client(orders)
    assert client.get("/orders/x").headers["RateLimit-Policy"] == (
        '"orders-3600";q=5;w=3600, "orders-3600-2";q=5;w=3600;burst=2'
    )
    assert passed(client, "/orders/x", 5) == 2


def test_two_bursts_in_one_bucket(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("5/minute", burst=1)(orders)
    limiter.limit("5/minute", burst=2)(orders)
    with pytest.raises(ConfigurationError, match="scope"):
        make_client(orders)


def test_two_limits_in_one_window(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("5/minute")(orders)
    limiter.limit("5/minute", cost=2)(orders)
    with pytest.raises(ConfigurationError, match="scope"):
        make_client(orders)


def test_shared_limit_with_two_costs(make_client: MakeClient) -> None:
    orders = service()
    limiter.shared_limit("5/minute", "all")(orders)
    view(orders, "/view", limiter.shared_limit("5/minute", "all", cost=2))
    with pytest.raises(ConfigurationError, match="scope"):
        make_client(orders)


def test_said_twice_counts_once(make_client: MakeClient) -> None:
    orders = service()
    for _ in range(2):
        limiter.limit("5/minute")(orders)
    client = make_client(orders)
    assert client.get("/orders/x").headers["RateLimit"] == '"orders-60";r=4;t=60'


def test_shortest_window_first_and_names_of_their_own() -> None:
    rules = [Rule("a-60", "a", 9, 60), Rule("a-60", "a", 5, 60), Rule("a-1", "a", 9, 1)]
    kept = [(rule.name, rule.limit, rule.seconds) for rule in distinct(rules)]
    assert kept == [("a-1", 9, 1), ("a-60", 5, 60), ("a-60-2", 9, 60)]


def test_hit_names_everything_that_counts_apart() -> None:
    def key(rule: Rule, who: str, method: str = "GET") -> str:
        hit = rule.hit({"REQUEST_METHOD": method}, who)
        assert hit is not None
        return hit.key

    plain, apart = Rule("a-1", "a", 5, 1), Rule("a-1", "a", 5, 1, per_method=True)
    keys = [
        key(plain, "user:a"),
        key(plain, "user:b"),
        key(Rule("b-1", "b", 5, 1), "user:a"),
        key(Rule("a-1", "a", 6, 1), "user:a"),
        key(apart, "user:a"),
        key(apart, "user:a", "POST"),
    ]
    assert len(set(keys)) == len(keys)
    assert key(plain, "user:a", "POST") == key(plain, "user:a")
