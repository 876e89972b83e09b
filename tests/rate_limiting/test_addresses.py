"""Limits by address, before a credential is looked at."""

from __future__ import annotations

import pytest

from gateway import ConfigurationError, limiter, require
from tests.support.wsgi import bearer, call, make_app, open_service, stubbed


def test_counted_before_anybody_is_known() -> None:
    service, _ = stubbed()
    app = make_app(require()(service), RATE_LIMIT_ADDRESS="3/minute")
    found = [
        call(app, "/things/7", headers=[bearer(sub="ada")]),
        call(app, "/things/7", headers=[bearer(sub="bob")]),
        call(app, "/things/7"),
        call(app, "/things/7", headers=[bearer(sub="eve")]),
    ]
    assert [one.status for one in found] == [200, 200, 401, 429]
    assert found[-1].code == "rate_limited"
    assert int(found[-1].header("Retry-After")[0]) > 50
    assert not found[0].header("RateLimit")
    assert call(app, "/things/7", headers=[bearer()], REMOTE_ADDR="192.0.2.9").status == 200


def test_an_ipv6_customer_has_one_address() -> None:
    service, _ = open_service()
    app = make_app(service, RATE_LIMIT_ADDRESS="1/minute")
    addresses = ["2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1"]
    found = [call(app, "/things/7", REMOTE_ADDR=address).status for address in addresses]
    assert found == [200, 429, 200]


def test_it_stacks_with_the_others() -> None:
    service, _ = open_service()
    limiter.limit("1/hour")(service)
    app = make_app(service, RATE_LIMIT_ADDRESS="2/minute")
    answers = [call(app, "/things/7") for _ in range(3)]
    assert [one.status for one in answers] == [200, 429, 429]
    assert answers[1].header("X-RateLimit-Limit") == ["1"]
    assert not answers[2].header("X-RateLimit-Limit")


def test_what_is_exempt_and_what_matches_nothing() -> None:
    service, _ = open_service()

    @service.get("/free")
    @limiter.exempt
    def free() -> str:
        return "ok"

    app = make_app(service, RATE_LIMIT_ADDRESS="1/minute")
    for _ in range(3):
        assert call(app, "/things/free").status == 200
        assert call(app, "/healthz").status == 200
    assert [call(app, "/nothing").status for _ in range(2)] == [404, 429]


@pytest.mark.parametrize("name", ["RATE_LIMIT_ADDRESS", "RATE_LIMIT_FAILED_LOGINS"])
def test_a_limit_that_cannot_be_read(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: "):
        make_app(**{name: "many"})
