"""Balancing seen from outside: an application, its cookies and its keys."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gateway import (
    ConfigurationError,
    ConsistentHash,
    Retry,
    RoundRobin,
    Service,
    StickySessions,
    public,
)
from gateway.errors import ConnectFailed
from gateway.testing_stub import StubTransport
from tests.support.wsgi import SECRET, Answer, bearer, call, make_app

URLS = "http://a.test,http://b.test,http://c.test"


class Shop:
    """A gateway before three instances, whose names the answers tell."""

    def __init__(self, balancing: Any, **options: Any) -> None:
        self.down: set[str] = set()
        self.stub = StubTransport(self._backend)
        self.headers: list[tuple[str, str]] = []
        settings = options.pop("settings", {"SECRET_KEY": SECRET})
        service = Service(
            "shop",
            __name__,
            **{"url_prefix": "/shop", "upstream": URLS, **options},
            load_balancing=balancing,
            session=self.stub.session(),
        )
        self.app = make_app(public(service), **settings)

    def _backend(self, method: str, url: str, *_rest: object) -> Any:
        host = url.split("/")[2]
        if host in self.down:
            raise ConnectFailed
        return 200, self.headers, host.encode()

    def ask(self, *fields: tuple[str, str], **changes: Any) -> Answer:
        """One request."""
        return call(self.app, "/shop/x", headers=fields, **changes)


def pair(reply: Answer) -> tuple[str, str]:
    """The `Cookie` field that brings back what an answer set."""
    (told,) = reply.header("Set-Cookie")
    return "Cookie", told.partition(";")[0]


def test_a_client_stays_and_the_backend_does_not_see_why() -> None:
    shop = Shop(StickySessions(inner=RoundRobin()))
    replies = [shop.ask() for _ in range(3)]
    assert {reply.body for reply in replies} == {b"a.test", b"b.test", b"c.test"}
    for reply in replies * 2:
        name, value = pair(reply)
        again = shop.ask((name, f"theme=dark; {value}; lang=en"))
        assert again.body == reply.body
        assert again.header("Set-Cookie") == []
        assert shop.stub.requests[-1].headers["Cookie"] == "theme=dark; lang=en"
    shop.ask(pair(replies[0]))
    assert "Cookie" not in shop.stub.requests[-1].headers


def test_the_cookie_is_for_this_service_alone() -> None:
    (told,) = Shop(StickySessions()).ask().header("Set-Cookie")
    assert told.startswith("gw_shop=")
    assert told.partition("; ")[2] == "Path=/shop; HttpOnly; SameSite=Lax"
    stripped = Shop(StickySessions(), strip_prefix=True)
    assert "Path=/shop;" in stripped.ask().header("Set-Cookie")[0]


@pytest.mark.parametrize(
    ("changes", "fields", "trusted", "expected"),
    [
        ({}, [], "", False),
        ({"wsgi.url_scheme": "https"}, [], "", True),
        ({}, [("X-Forwarded-Proto", "https")], "192.0.2.1", True),
        ({}, [("X-Forwarded-Proto", "https")], "", False),
        ({}, [("X-Forwarded-Proto", "http, https")], "192.0.2.1", True),
    ],
)
def test_it_is_secure_where_the_client_came_by_https(
    changes: dict[str, str], fields: list[tuple[str, str]], trusted: str, expected: bool
) -> None:
    shop = Shop(StickySessions(), settings={"SECRET_KEY": SECRET, "TRUSTED_PROXIES": trusted})
    (told,) = shop.ask(*fields, **changes).header("Set-Cookie")
    assert told.endswith("; Secure") is expected


def test_cookies_of_the_backend_stand_beside_ours() -> None:
    shop = Shop(StickySessions())
    shop.headers = [("Set-Cookie", "x=1"), ("Set-Cookie", "y=2; Path=/")]
    assert shop.ask().header("Set-Cookie")[:2] == ["x=1", "y=2; Path=/"]
    assert len(shop.ask().header("Set-Cookie")) == 3


def test_a_retry_moves_the_session_to_who_answered() -> None:
    shop = Shop(StickySessions(inner=RoundRobin()), policies=[Retry(attempts=2)])
    first = shop.ask()
    shop.down = {first.body.decode()}
    second = shop.ask(pair(first))
    assert second.body not in (first.body, b"")
    assert pair(second) != pair(first)
    shop.down = set()
    third = shop.ask(pair(second))
    assert (third.body, third.header("Set-Cookie")) == (second.body, [])


def test_without_a_retry_a_failure_sets_nothing() -> None:
    shop = Shop(StickySessions(inner=RoundRobin()))
    first = shop.ask()
    shop.down = {"a.test", "b.test", "c.test"}
    failed = shop.ask(pair(first))
    assert (failed.status, failed.header("Set-Cookie")) == (502, [])


def test_when_its_instance_is_left_out_a_client_moves_for_good() -> None:
    shop = Shop(StickySessions(inner=RoundRobin()))
    first = shop.ask()
    shop.down = {first.body.decode()}
    others = [shop.ask() for _ in range(3)]
    assert sum(other.status == 200 for other in others) >= 2
    statuses = Counter(shop.ask(pair(first)).status for _ in range(10))
    assert statuses[200] >= 5  # five failures in a row, then it is left out
    moved = shop.ask(pair(first))
    assert moved.status == 200
    assert pair(moved) != pair(first)
    shop.down = set()
    assert shop.ask(pair(moved)).body == moved.body


def test_one_instance_alone_pins_too_so_that_there_can_be_more_tomorrow() -> None:
    shop = Shop(StickySessions(), upstream="http://a.test")
    reply = shop.ask()
    assert pair(reply)[1].startswith("gw_shop=")
    assert shop.ask(pair(reply)).header("Set-Cookie") == []
    more = Shop(StickySessions(inner=RoundRobin()))
    assert {more.ask(pair(reply)).body for _ in range(4)} == {b"a.test"}


def test_a_short_secret_is_a_fault_at_start_with_the_others() -> None:
    with pytest.raises(ConfigurationError) as failed:
        Shop(StickySessions(), settings={"SECRET_KEY": "short"}, url_prefix="no-slash")
    secret, prefix = sorted(failed.value.faults, key=lambda fault: "SECRET_KEY" not in fault)
    assert secret.startswith("service 'shop': StickySessions: it needs SECRET_KEY, 32 bytes")
    assert f"({__file__}:" in secret
    assert "url_prefix 'no-slash'" in prefix


def test_users_have_their_instance() -> None:
    shop = Shop(ConsistentHash("user"))
    homes = {}
    for number in range(30):
        field = bearer(sub=f"user-{number}")
        homes[number] = {shop.ask(field).body for _ in range(3)}
    assert all(len(home) == 1 for home in homes.values())
    assert len(set.union(*homes.values())) == 3


def test_clients_have_their_instance_by_address_also_behind_a_proxy() -> None:
    shop = Shop(ConsistentHash("address"), settings={"TRUSTED_PROXIES": "192.0.2.1"})
    homes = {}
    for number in range(30):
        field = ("X-Forwarded-For", f"198.51.100.{number}")
        homes[number] = {shop.ask(field).body for _ in range(3)}
        direct = shop.ask(REMOTE_ADDR=f"198.51.100.{number}")
        assert homes[number] == {direct.body}
    assert len(set.union(*homes.values())) == 3


@pytest.mark.parametrize(
    ("by", "name", "value"),
    [("header:x-tenant", "X-Tenant", "{}"), ("cookie:session", "Cookie", "a=1; session={}; b=2")],
)
def test_fields_and_cookies_have_their_instance(by: str, name: str, value: str) -> None:
    shop = Shop(ConsistentHash(by))
    homes = {
        number: {shop.ask((name, value.format(number))).body for _ in range(3)}
        for number in range(30)
    }
    assert all(len(home) == 1 for home in homes.values())
    assert len(set.union(*homes.values())) == 3
    assert len({shop.ask().body for _ in range(60)}) == 3


def test_no_client_chooses_the_instance_of_another_user() -> None:
    shop = Shop(ConsistentHash("header:X-User-ID"))
    home = shop.ask(bearer(sub="ada")).body
    for number in range(20):
        forged = ("X-User-ID", f"user-{number}")
        assert shop.ask(bearer(sub="ada"), forged).body == home
