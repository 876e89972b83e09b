"""Credentials that one address had refused: beyond a limit, no further one is looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import jwt
import pytest
from flask import Flask

from gateway import Identity, require
from gateway.authentication.scheme import Carried
from gateway.edge.origin import Edge
from gateway.errors import AuthorityUnavailable, Refusal, Unauthenticated
from gateway.rate_limiting.endpoints import setting_rules
from gateway.rate_limiting.exemptions import Exemptions
from gateway.rate_limiting.failed_logins import FailedLogins
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Windows
from tests.rate_limiting.shifted import Clock
from tests.support.wsgi import SECRET, bearer, call, make_app, make_environ, open_service, stubbed


@dataclass(slots=True)
class Authority:
    """A scheme that knows some credentials, and counts what it is asked."""

    name: str = "stub"
    carried: ClassVar[Carried] = "message"
    needs: ClassVar[str] = "a key"
    challenge: str = ""
    hides: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def find(self, environ: dict[str, Any]) -> str | None:
        """See Scheme.find."""
        return environ.get("HTTP_X_KEY")

    def verify(self, credential: str, environ: dict[str, Any]) -> Identity:
        """See Scheme.verify."""
        self.asked.append(credential)
        if credential.startswith("good"):
            return Identity(credential)
        if credential == "away":
            raise AuthorityUnavailable
        slug = credential if credential.startswith(("missing_", "key_")) else "key_invalid"
        raise Unauthenticated("The key is not valid.", slug=slug)


class Whole(Authority):
    """One that judges a request as a whole, as an authorisation service does."""

    carried: ClassVar[Carried] = "request"


class Judging:
    """The limit of a worker, with a clock."""

    def __init__(
        self, limit: str = "3/minute", windows: Windows | None = None, **options: Any
    ) -> None:
        self.clock = Clock()
        faults: list[str] = []
        rules = setting_rules(limit, "logins", faults, "here", "*logins")
        assert not faults
        self.logins = FailedLogins(
            rules,
            windows or MemoryWindows(self.clock),
            options.pop("exempt", Exemptions()),
            clock=self.clock,
            **options,
        )
        self.scheme = Authority()

    def ask(self, credential: str, address: str = "192.0.2.1", **environ: str) -> str:
        """Judge a credential: who it proves, or why it is refused."""
        made = {
            **make_environ("/"),
            "gateway.edge": Edge(address, False, address, "http", "x"),
            **environ,
        }
        try:
            return self.logins.judge(self.scheme, credential, made).subject
        except Refusal as refusal:
            return refusal.slug

    def asks(self, *credentials: str, **options: str) -> list[str]:
        """Judge some."""
        return [self.ask(one, **options) for one in credentials]


BAD = "key_invalid"
OVER = "too_many_failed_logins"


def test_beyond_the_limit_nobody_is_asked() -> None:
    one = Judging()
    assert one.asks("a", "b", "c") == [BAD] * 3
    assert one.asks("d", "good", "e") == [OVER] * 3
    assert one.scheme.asked == ["a", "b", "c"]
    assert one.ask("good", address="192.0.2.2") == "good"


def test_one_of_its_time_may_try_again() -> None:
    one = Judging()
    for credential in "abc":
        one.ask(credential)
        one.clock.now += 10
    assert one.ask("d") == OVER
    one.clock.now += 29
    assert one.ask("d") == OVER
    one.clock.now += 2  # the first is a minute old
    assert one.ask("good") == "good"
    assert one.asks("d", "e") == [BAD, OVER]
    one.clock.now += 61
    assert one.asks("a", "b", "c", "d") == [BAD, BAD, BAD, OVER]


def test_what_does_not_count() -> None:
    one = Judging("1/minute")
    for slug in ("missing_token", "missing_credential", "key_expired", "key_revoked"):
        assert one.asks(slug, slug) == [slug, slug]
    assert one.asks("away", "good", "away") == [
        "authority_unavailable",
        "good",
        "authority_unavailable",
    ]
    assert one.asks("bad", "bad") == [BAD, OVER]


def test_who_was_let_in_stays_in() -> None:
    one = Judging()
    assert one.asks("good before", "a", "good one", "b", "c") == [
        "good before",
        BAD,
        "good one",
        BAD,
        BAD,
    ]
    assert one.asks("good one", "good other", "d", "good before") == [
        "good one",
        OVER,
        OVER,
        "good before",
    ]


def test_good_ones_of_another_address_are_not_known_here() -> None:
    one = Judging("1/minute")
    one.ask("bad", address="192.0.2.2")
    assert one.ask("good", address="192.0.2.2") == OVER
    two = Judging("2/minute")
    two.asks("bad", "good", address="192.0.2.2")
    two.asks("bad", "bad")
    assert two.ask("good") == OVER


def test_a_good_one_that_was_taken_back_counts_like_any() -> None:
    one = Judging("2/minute")
    one.asks("bad", "good", "bad")
    assert one.ask("good") == "good"
    verify = Authority.verify

    def revoked(self: Authority, credential: str, environ: dict[str, Any]) -> Identity:
        return verify(self, "no more", environ)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Authority, "verify", revoked)
        assert one.asks("good", "good") == [BAD, OVER]


def test_each_customer_of_ipv6_is_one() -> None:
    one = Judging("1/minute")
    assert one.ask("a", address="2001:db8::1") == BAD
    assert one.ask("b", address="2001:db8::ffff:1") == OVER
    assert one.ask("b", address="2001:db8:0:1::1") == BAD


def test_exempt_addresses() -> None:
    one = Judging("1/minute", exempt=Exemptions(["192.0.2.0/24"]))
    assert one.asks("a", "b", "c") == [BAD] * 3
    assert one.asks("a", "b", address="198.51.100.1") == [BAD, OVER]


def test_several_limits() -> None:
    one = Judging("2/minute;3/hour")
    assert one.asks("a", "b", "c") == [BAD, BAD, OVER]
    one.clock.now += 61
    assert one.asks("d", "e") == [BAD, OVER]
    one.clock.now += 61
    assert one.ask("e") == OVER


def test_workers_learn_from_their_own_failures() -> None:
    windows = MemoryWindows(Clock())
    workers = [Judging("3/minute", windows) for _ in range(4)]
    rounds = [[worker.ask("bad") for worker in workers] for _ in range(4)]
    # The fourth could not know, and the first two had heard of less.
    assert rounds == [[BAD] * 4, [BAD, BAD, OVER, OVER], [OVER] * 4, [OVER] * 4]
    assert sum(len(worker.scheme.asked) for worker in workers) == 3 + len(workers) - 1


def test_requests_judged_as_a_whole_count_with_authorization_alone() -> None:
    one = Judging("1/minute")
    one.scheme = Whole()
    assert one.asks("", "", HTTP_COOKIE="tracking=1") == [BAD, BAD]
    assert one.asks("", HTTP_AUTHORIZATION="Basic YQ==") == [BAD]
    assert one.asks("", HTTP_AUTHORIZATION="Basic Yg==") == [OVER]
    assert one.asks("", HTTP_COOKIE="tracking=1") == [BAD]  # nothing to guess with


def test_a_store_that_fails_lets_the_refusal_be(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryWindows):
        def acquire(self, hits: Any) -> Any:
            raise OSError("no space left")

    one = Judging("1/minute", Broken())
    assert one.asks("a", "b") == [BAD, BAD]
    assert "a refused credential was not counted: OSError" in caplog.text


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.rate_limiting.failed_logins._MOST", 3)
    one = Judging("2/minute")
    for number in range(10):
        one.asks("bad", "good", address=f"192.0.2.{number}")
    assert len(one.logins._known) == len(one.logins._good) == 3
    assert not any("good" in repr(name) for name in one.logins._good)


def _app(tmp_path: Path | None = None, **changes: Any) -> tuple[Flask, Authority]:
    authority = Authority()
    service, _ = stubbed(authentication=[authority, "jwt"])
    if tmp_path is not None:
        changes["STATE_URL"] = f"lmdb://{tmp_path}"
    return make_app(require()(service), RATE_LIMIT_FAILED_LOGINS="2/minute", **changes), authority


def key(value: str) -> list[tuple[str, str]]:
    """The field that presents it."""
    return [("X-Key", value)]


def test_in_an_application() -> None:
    app, authority = _app()
    found = [call(app, "/things/7", headers=key(value)) for value in ("a", "b", "c", "good")]
    assert [one.status for one in found] == [401, 401, 429, 429]
    assert found[2].code == OVER
    assert 0 < int(found[2].header("Retry-After")[0]) <= 61
    assert authority.asked == ["a", "b"]
    assert call(app, "/things/7").status == 401  # without a credential there is nothing to try
    assert call(app, "/healthz", headers=key("c")).status == 200


def test_tokens_in_an_application() -> None:
    app, _ = _app()
    expired = jwt.encode({"sub": "ada", "exp": time.time() - 600}, SECRET, "HS256")
    old = [("Authorization", f"Bearer {expired}")]
    for _ in range(4):
        assert call(app, "/things/7", headers=old).code == "token_expired"
    wrong = [("Authorization", "Bearer wrong")]
    assert [call(app, "/things/7", headers=wrong).status for _ in range(3)] == [401, 401, 429]
    assert call(app, "/things/7", headers=[bearer()]).status == 429
    assert call(app, "/things/7", headers=[bearer()], REMOTE_ADDR="192.0.2.2").status == 200


def test_public_paths_stay_open() -> None:
    service, _ = open_service()
    app = make_app(service, RATE_LIMIT_FAILED_LOGINS="1/minute")
    wrong = [("Authorization", "Bearer wrong")]
    for _ in range(3):
        assert call(app, "/things/7", headers=wrong).status == 200


def test_applications_count_together(tmp_path: Path) -> None:
    (one, first), (other, second) = _app(tmp_path), _app(tmp_path)
    for app in (one, other, one, other, one, other):
        call(app, "/things/7", headers=key("bad"))
    assert len(first.asked) + len(second.asked) <= 3
    one.extensions["gateway"].store.close()


def test_off() -> None:
    authority = Authority()
    service, _ = stubbed(authentication=[authority])
    app = make_app(require()(service))
    for _ in range(5):
        assert call(app, "/things/7", headers=key("bad")).status == 401
    assert len(authority.asked) == 5
