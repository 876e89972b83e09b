"""A share of the requests for another service, the same requesters each time."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import Cache, ConfigurationError, Fallback, Handler, Service, Split
from gateway.errors import ConnectFailed
from gateway.exchange import Headers
from gateway.policies.split import Dealer
from gateway.policy import order_faults
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import bearer, call, make_app, open_service, stubbed

#: However busy the machine is.
unhurried = settings(deadline=None, max_examples=200)
PERCENT = st.floats(0, 100)
KEYS = [f"user-{number}" for number in range(2000)]


def named(name: str) -> Handler:
    return lambda request: answer(target=name)


def split(*others: str, context_of: str = "orders", **options: Any) -> Handler:
    context = make_context(context_of, others={name: named(name) for name in others})
    policy = Split(**{"to": others[0], **options})
    assert policy.faults(context) == []
    return policy.wrap(named(context_of), context)


def asked(handler: Handler, **options: Any) -> str:
    return handler(outline(**{"service": "orders", **options})).target


@unhurried
@given(st.text(), st.text(), PERCENT, PERCENT)
def test_raising_a_percentage_only_adds_requesters(
    key: str, salt: str, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    if Dealer("orders", {"canary": low}, salt).by_key(key) == "canary":
        assert Dealer("orders", {"canary": high}, salt).by_key(key) == "canary"


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    """Percentages of three services, at most 100 in all."""
    left = 100.0
    drawn = {}
    for name in ("a", "b", "c"):
        drawn[name] = draw(st.floats(0, left))
        left = max(left - drawn[name], 0.0)
    return drawn


@unhurried
@given(st.text(), shares(), st.sampled_from("abc"), st.floats(0, 1))
def test_raising_one_of_several_keeps_who_was_sent_elsewhere_or_takes_them(
    key: str, before: dict[str, float], raised: str, by: float
) -> None:
    after = {**before, raised: before[raised] + max(100 - sum(before.values()), 0) * by}
    old, new = Dealer("orders", before).by_key(key), Dealer("orders", after).by_key(key)
    if old != "orders":
        assert new in (old, raised)


@unhurried
@given(st.text(), shares())
def test_a_further_service_takes_none_from_the_others(key: str, before: dict[str, float]) -> None:
    after = {**before, "d": max(100 - sum(before.values()), 0)}
    old, new = Dealer("orders", before).by_key(key), Dealer("orders", after).by_key(key)
    if old != "orders":
        assert new in (old, "d")


@unhurried
@given(st.text(), st.floats(0, 1, exclude_max=True))
def test_none_and_all_are_exact(key: str, lot: float) -> None:
    none, every = Dealer("orders", {"canary": 0.0}), Dealer("orders", {"canary": 100.0})
    full = Dealer("orders", {"canary": 33.3, "next": 66.7})
    assert none.by_key(key) == none.by_chance(lot) == "orders"
    assert every.by_key(key) == every.by_chance(lot) == "canary"
    assert "orders" not in (full.by_key(key), full.by_chance(lot))


@pytest.mark.parametrize("sticky", [True, False])
def test_shares_come_out_right(sticky: bool) -> None:
    dealer = Dealer("orders", {"canary": 20.0, "next": 10.0})
    dealt = random.Random(7)
    counts = dict.fromkeys(("orders", "canary", "next"), 0)
    for number in range(20_000):
        key = f"user-{number}"
        counts[dealer.by_key(key) if sticky else dealer.by_chance(dealt.random())] += 1
    assert abs(counts["canary"] - 4000) < 250
    assert abs(counts["next"] - 2000) < 200


def test_the_deal_is_the_same_in_every_process_and_release() -> None:
    dealt = [Dealer("orders", {"canary": 30.0}).by_key(key) for key in KEYS[:12]]
    assert [number for number, name in enumerate(dealt) if name == "canary"] == PINNED


PINNED = [1, 3, 5]


def test_services_and_salts_deal_anew() -> None:
    def dealt(*arguments: Any) -> list[str]:
        return [Dealer(*arguments).by_key(key) for key in KEYS]

    first = dealt("orders", {"canary": 50.0})
    assert dealt("orders", {"canary": 50.0}) == first
    assert dealt("orders", {"canary": 50.0}, "again") != first
    others = ["canary" if name == "canary" else "orders" for name in dealt("x", {"canary": 50.0})]
    assert others != first


def cookies(value: str) -> Headers:
    return [("Accept", "*/*"), ("Cookie", value)]


@pytest.mark.parametrize(
    ("sticky", "of"),
    [
        ("user", lambda key: {"user": key}),
        ("address", lambda key: {"client": key}),
        ("header:X-Tenant", lambda key: {"headers": [("X-TENANT", key)]}),
        ("cookie:sid", lambda key: {"headers": cookies(f"a=b; sid={key}; sidx=1")}),
        ("cookie:sid", lambda key: {"headers": [*cookies("a=b"), ("cookie", f"sid={key}")]}),
    ],
)
def test_who_a_requester_is(sticky: str, of: Any) -> None:
    handler = split("canary", percent=50, sticky=sticky, draw=lambda: 1 / 0)
    dealer = Dealer("orders", {"canary": 50.0})
    for key in KEYS[:50]:
        assert asked(handler, **of(key)) == dealer.by_key(key)


@pytest.mark.parametrize("sticky", [None, "user", "header:X-Tenant", "cookie:sid"])
def test_nobody_is_dealt_by_chance(sticky: str | None) -> None:
    lots = iter([0.49, 0.5, 0.0, 0.99])
    handler = split("canary", percent=50, sticky=sticky, draw=lambda: next(lots))
    assert [asked(handler) for _ in range(4)] == ["canary", "orders", "canary", "orders"]


@pytest.mark.parametrize(
    ("value", "service"),
    [("always", "canary"), ("never", "orders"), ("next", "next"), ("orders", "orders")],
)
def test_a_field_can_decide(value: str, service: str) -> None:
    for percents in ({"canary": 0, "next": 0}, {"canary": 50, "next": 50}):
        handler = split("canary", "next", to=percents, force_header="X-Canary")
        assert asked(handler, user="ada", headers=[("x-canary", value)]) == service


def test_a_field_that_says_something_else_decides_nothing() -> None:
    handler = split("canary", percent=100, force_header="X-Canary")
    assert asked(handler, headers=[("X-Canary", "users")]) == "canary"
    assert asked(handler) == "canary"


def test_what_another_service_passed_on_is_not_split_again() -> None:
    handler = split("canary", percent=100)
    request = outline(service="orders")
    request.exchange.service = "front"
    assert handler(request).target == "orders"


def faults(**options: Any) -> list[str]:
    return Split(**options).faults(make_context("orders", others={"canary": named("canary")}))


def test_wrong_options() -> None:
    assert faults(to="orders", percent=5) == ["it cannot send requests to its own service"]
    assert faults(to="nobody", percent=5) == ["there is no service 'nobody'"]
    assert faults(to="canary", percent=101) == [
        "101 is not a percentage for 'canary'",
        "the percentages are more than 100 in all",
    ]
    missing = ["a percentage is needed for each service, and only one"]
    assert faults(to="canary") == faults(to={}) == missing
    assert faults(to={"canary": 5}, percent=5) == missing
    for sticky in ("cookie", "header:", "session", ""):
        assert faults(to="canary", percent=5, sticky=sticky) == [
            f"sticky={sticky!r} is no way to know a requester"
        ]
    assert faults(to={"canary": 5}, sticky="cookie:sid") == []


def test_faults_are_told_at_start() -> None:
    service, _ = open_service(policies=[Split("things", percent=5)])
    with pytest.raises(ConfigurationError, match="Split: it cannot send requests to its own"):
        make_app(service)


def test_what_is_kept_is_one_services() -> None:
    (fault,) = order_faults([Cache(), Split("canary", percent=5)])
    assert fault.startswith("Split must come before Cache: what is kept would not differ")
    assert order_faults([Split("canary", percent=5), Fallback(), Cache()]) == []


def canary(**options: Any) -> tuple[Service, Service, list[str]]:
    """Orders, and a canary without routes; the list holds which of the two were asked."""
    seen: list[str] = []

    def backend(name: str) -> Any:
        def answered(method: str, url: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
            seen.append(url)
            return 200, {}, name.encode()

        return answered

    policies = [Split("orders-canary", **options)]
    main, _ = open_service(
        name="orders", prefix="/orders", backend=backend("main"), policies=policies
    )
    other, _ = stubbed("orders-canary", None, backend("canary"))  # type: ignore[arg-type]  # no paths
    return main, other, seen


def test_a_canary_serves_the_routes_of_its_service() -> None:
    main, other, seen = canary(percent=100)
    reply = call(make_app(main, other), "/orders/7?a=1")
    assert (reply.status, reply.body) == (200, b"canary")
    assert seen == ["http://orders-canary.internal/orders/7?a=1"]


def test_a_user_meets_the_same_service_each_time() -> None:
    main, other, _ = canary(percent=50)
    app = make_app(main, other)
    replies = {
        user: {call(app, "/orders/7", headers=[bearer(sub=user)]).body for _ in range(5)}
        for user in KEYS[:20]
    }
    assert all(len(bodies) == 1 for bodies in replies.values())
    assert {b"main", b"canary"} == set.union(*replies.values())


def test_a_split_into_each_other_ends() -> None:
    first, _ = open_service(name="a", prefix="/a", policies=[Split("b", percent=100)])
    second, stub = open_service(name="b", prefix="/b", policies=[Split("a", percent=100)])
    assert call(make_app(first, second), "/a/1").status == 200
    assert [asked.url for asked in stub.requests] == ["http://b.internal/a/1"]


@pytest.mark.parametrize("options", [{"sticky": "address"}, {"force_header": "X-Canary"}])
def test_what_a_canary_falls_back_with_is_not_sent_to_it_again(options: dict[str, Any]) -> None:
    asked_canary: list[object] = []

    def broken(*asked: object) -> tuple[int, dict[str, str], bytes]:
        asked_canary.append(asked)
        raise ConnectFailed

    split_off = Split("orders-canary", percent=100, **options)
    main, stub = open_service(name="orders", prefix="/orders", policies=[split_off])
    other, _ = stubbed("orders-canary", None, broken, policies=[Fallback(service="orders")])  # type: ignore[arg-type]  # no paths
    app = make_app(main, other)
    for count in (1, 2):  # the second is split as the first was
        assert call(app, "/orders/7", headers=[("X-Canary", "always")]).body == b"ok"
        assert (len(asked_canary), len(stub.requests)) == (count, count)
