"""The cache as a policy: its options, what they mean at start, and what it shares."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from gateway import Cache, CircuitBreaker, Fallback, NotSent, Policy, Retry, UpstreamRequest
from gateway.caching.handler import Cached
from gateway.errors import ConnectFailed
from gateway.policy import chain, policy_faults
from tests.caching.handling import label, read, says
from tests.support.outline import make_context, outline


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"ttl": -1}, "ttl=-1 must be seconds from 0"),
        ({"ttl": float("inf")}, "ttl=inf must be seconds from 0"),
        ({"stale_if_error": float("nan")}, "stale_if_error=nan must be seconds from 0"),
        ({"collapse": -1}, "collapse=-1 must be seconds from 0"),
        ({"max_bytes": -1}, "max_bytes=-1 must be from 0"),
        ({"ttl": "60"}, "ttl='60' must be seconds from 0"),
        ({"collapse": None}, "collapse=None must be seconds from 0"),
        ({"vary": "Accept"}, "vary='Accept' must be a collection of names, such as"),
        ({"override": None}, "override=None must be a collection of names, such as"),
        ({"query": [1]}, "query=[1] must be a collection of names, such as"),
        ({"statuses": 200}, "statuses=200 must be a collection, such as [200, 404]"),
        ({"shared": "no"}, "shared='no' must be True or False"),
        ({"version": 3}, "version=3 must be text"),
        ({"vary": ["*", "a b"]}, "vary: ['*', 'a b'] are no names of fields"),
        ({"override": ["privat"]}, "override: ['privat'] are none of must-revalidate, no-cache,"),
        (
            {"statuses": [200, 700, 206]},
            "statuses: [206, 700] must be from 200 to 599, but neither 206 nor 304",
        ),
        (
            {"shared": True, "cookies": ["sid"]},
            "cookies= says who asks, which does not count with shared=True: omit one",
        ),
    ],
)
def test_faults(options: dict[str, Any], fault: str) -> None:
    found = policy_faults([Cache(**options)], make_context())
    assert len(found) == 1
    assert found[0].startswith(f"Cache: {fault}")


def test_all_faults_are_told_at_once() -> None:
    policy: Any = Cache
    options = {"ttl": "60", "version": 3, "vary": ["*"], "override": "private", "statuses": [99]}
    found = policy_faults([policy(**options)], make_context())
    words = [fault.removeprefix("Cache: ").replace("=", " ").replace(":", " ") for fault in found]
    assert [fault.split()[0] for fault in words] == [
        "ttl",
        "override",
        "version",
        "vary",
        "statuses",
    ]


def test_all_options_together() -> None:
    policy = Cache(
        ttl=300,
        vary=["Accept-Language"],
        cookies=[],
        statuses=[200, 404],
        negative_ttl=5,
        stale_while_revalidate=30,
        stale_if_error=0,
        query=["page"],
        sort_query=True,
        version="2",
        override=["private", "set-cookie"],
        client_no_cache=True,
        max_bytes=0,
        collapse=0,
    )
    assert policy_faults([policy], make_context()) == []
    rules = policy.rules(1000, 2000)
    assert (rules.ttl, rules.negative_ttl, rules.max_bytes) == (300, 5, 0)
    assert (rules.while_revalidating, rules.if_error) == (30, 0)
    assert rules.override == {"private", "set-cookie"}
    assert Cache().rules(1000, 2000).max_bytes == 1000
    assert Cache(max_bytes=3000).rules(1000, 2000).max_bytes == 2000


def test_it_stands_before_what_repeats() -> None:
    assert policy_faults([Cache(), CircuitBreaker(), Retry()], make_context()) == []
    assert policy_faults([Retry(), Cache()], make_context()) != []
    assert policy_faults([CircuitBreaker(), Cache()], make_context()) != []
    assert policy_faults([Cache(), Cache()], make_context()) != []


def test_services_share_one_store_and_no_answers() -> None:
    commons: dict[str, Any] = {}
    handlers = {}
    for name in ("one", "two"):
        context = make_context(name)
        context.commons.update(commons)

        def origin(_request: UpstreamRequest, name: str = name) -> Any:
            return says("max-age=60", name.encode())

        handlers[name] = Cache().wrap(origin, context)
        commons = context.commons
    assert len(commons) == 1
    for name, handler in handlers.items():
        assert read(handler(outline())) == name.encode()
        assert read(handler(outline())) == name.encode()


def test_the_name_of_the_gateway_is_the_caches() -> None:
    def told(**settings: Any) -> str:
        handler = Cache().wrap(lambda _: says(), make_context(**settings))
        return dict(handler(outline()).headers)["Cache-Status"]

    assert told(VIA_PSEUDONYM="gw") == "gw; fwd=uri-miss; stored"
    assert told(VIA_PSEUDONYM="") == "gatehouse; fwd=uri-miss; stored"
    assert told(VIA_PSEUDONYM="9gw") == '"9gw"; fwd=uri-miss; stored'


def test_stale_instead_of_an_open_circuit() -> None:
    play: Callable[[], Any] = says

    def origin(_request: UpstreamRequest) -> Any:
        return play()

    now = [1000.0]
    context = make_context()
    breaker = CircuitBreaker(failures=1, recovery=3600.0)
    handler = chain([Cache(stale_if_error=600), breaker], origin, context)
    assert isinstance(handler, Cached)
    handler._wall = handler._asking._wall = lambda: now[0]  # the clock is the handler's own
    read(handler(outline()))
    now[0] += 60

    def fails() -> Any:
        raise ConnectFailed

    play = fails
    for _ in range(3):
        response = handler(outline())
        assert (label(response), read(response)) == ("STALE", b"answer")
    with pytest.raises(NotSent):
        handler(outline(target="/things/8"))


def test_a_fallback_outside_lets_early_answers_pass() -> None:
    handler = chain([Fallback(body="sorry"), Cache()], lambda _: says(), make_context())
    early = getattr(handler, "early", None)
    assert early is not None
    assert early(outline()) is None
    read(handler(outline()))
    response = early(outline())
    assert response is not None
    assert (label(response), read(response)) == ("HIT", b"answer")


def test_a_fallback_outside_still_replaces_what_is_a_failure_to_it() -> None:
    policies: list[Policy] = [Fallback(body="sorry", statuses={404}), Cache(negative_ttl=60)]
    handler = chain(policies, lambda _: says(None, b"none", 404), make_context())
    early = handler.early  # type: ignore[attr-defined]
    assert read(handler(outline())) == b"sorry"
    assert early(outline()) is None
    response = handler(outline())
    assert (response.status, read(response)) == (503, b"sorry")


def test_a_fallback_without_a_cache_has_nothing_early() -> None:
    handler = chain([Fallback()], lambda _: says(), make_context())
    assert getattr(handler, "early", None) is None


def test_nothing_of_it_is_imported_where_it_is_not_used() -> None:
    code = (
        "import sys, gateway, gateway.application, gateway.policies.fallback\n"
        "kept = ('gateway.caching', 'gateway.policies.cache')\n"
        "print([name for name in sys.modules if name.startswith(kept)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
