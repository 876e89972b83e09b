"""Plans in an application: what is counted, what clients are told, what refuses them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway import Service, limiter, require
from gateway.rate_limiting.quotas import period_of
from gateway.testing_stub import StubTransport
from tests.support.wsgi import Answer, bearer, call, make_app, open_service, stubbed

QUOTA = ("X-Quota-Limit", "X-Quota-Remaining", "X-Quota-Reset")
RATE = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
PLANS = {
    "free": {"rate": "3/hour", "quota": "5/month"},
    "bursty": {"rate": "1/hour", "burst": 3},
    "metered": {"quota": "2/month"},
    "both": {"quota": "9/day;4/month"},
    "fast": {"rate": "5000/hour"},
    "none": {},
}


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The working directory has no database: the store alone counts."""
    monkeypatch.chdir(tmp_path)


class House:
    """A gateway with a service that everybody may use."""

    def __init__(self, *more: Service, **settings: Any) -> None:
        service, self.backend = open_service()
        self.app = make_app(service, *more, **{"PLANS": PLANS, **settings})

    def ask(self, plan: str = "", path: str = "/things/x", user: str = "ada") -> Answer:
        """A request under a plan."""
        claims = {"plan": plan} if plan else {}
        return call(self.app, path, headers=[bearer(subject=user, **claims)])

    def passed(self, times: int, plan: str = "", **options: str) -> int:
        """How many of so many are not refused for a limit."""
        return sum(self.ask(plan, **options).status != 429 for _ in range(times))


def told(answer: Answer, names: tuple[str, ...]) -> list[int]:
    """The values of fields that are there, as numbers."""
    return [int(value) for name in names for value in answer.header(name)]


def month() -> float:
    """Seconds until the month ends."""
    now = time.time()
    return period_of("month", now).ends - now


def test_rate_and_quota_have_fields_of_their_own() -> None:
    answer = House().ask("free")
    assert answer.status == 200
    assert told(answer, RATE)[:2] == [3, 2]
    assert told(answer, QUOTA)[:2] == [5, 4]
    assert told(answer, QUOTA)[2] == pytest.approx(month(), abs=30)
    assert answer.header("RateLimit-Policy") == ['"free-3600";q=3;w=3600']
    (current,) = answer.header("RateLimit")
    assert current.startswith('"free-3600";r=2;')


def test_a_rate_that_is_used_up() -> None:
    house = House()
    assert house.passed(3, "free") == 3
    answer = house.ask("free")
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.json["detail"] == "The limit of plan 'free', 3 per 1 hour, is used up."
    assert told(answer, QUOTA)[:2] == [5, 2]  # what is refused uses up nothing
    assert int(answer.header("Retry-After")[0]) <= 3600


def test_a_quota_that_is_used_up() -> None:
    house = House()
    assert house.passed(2, "metered") == 2
    answer = house.ask("metered")
    assert (answer.status, answer.code) == (429, "quota_exhausted")
    assert answer.json["detail"] == ("The quota of plan 'metered', 2 requests a month, is used up.")
    assert told(answer, QUOTA)[:2] == [2, 0]
    assert answer.header("X-RateLimit-Limit") == answer.header("RateLimit") == []
    assert int(answer.header("Retry-After")[0]) == pytest.approx(month(), abs=30)
    assert len(house.backend.requests) == 2


def test_the_quota_is_named_where_both_are_used_up() -> None:
    house = House(PLANS={"free": {"rate": "2/hour", "quota": "2/month"}})
    assert house.passed(2, "free") == 2
    answer = house.ask("free")
    assert answer.code == "quota_exhausted"
    assert told(answer, RATE)[:2] == [2, 0]
    assert int(answer.header("Retry-After")[0]) == pytest.approx(max(month(), 3600), abs=30)


def test_a_burst_is_a_token_bucket() -> None:
    assert House().passed(10, "bursty") == 4


def test_the_tightest_quota_is_told() -> None:
    house = House()
    assert told(house.ask("both"), QUOTA)[:2] == [4, 3]
    assert house.passed(10, "both") == 3
    assert house.ask("both").json["detail"].startswith("The quota of plan 'both', 4 requests a mon")


def test_headers_can_be_left_out() -> None:
    house = House(RATE_LIMIT_HEADERS=False)
    assert house.passed(2, "metered") == 2
    answer = house.ask("metered")
    assert answer.code == "quota_exhausted"
    assert told(answer, QUOTA) == told(answer, RATE) == []
    assert len(answer.header("Retry-After")) == 1


def test_what_a_backend_says_of_quotas_is_replaced() -> None:
    backend = StubTransport(lambda *_: (200, {"X-Quota-Limit": "77"}, b""))
    service = Service(
        "own", __name__, url_prefix="/own", upstream="http://own", session=backend.session()
    )
    require()(service)
    assert House(service).ask("metered", "/own/x").header("X-Quota-Limit") == ["2"]


def test_all_services_together() -> None:
    other, _ = stubbed("others", "/others")
    house = House(require()(other))
    assert house.passed(2, "free") == 2
    assert house.passed(2, "free", path="/others/x") == 1
    assert house.passed(1, "free", path="/nowhere") == 0


def test_a_path_that_there_is_not_counts() -> None:
    answer = House().ask("free", "/nowhere")
    assert answer.status == 404
    assert told(answer, QUOTA)[:2] == [5, 4]


def test_each_identity_has_its_own() -> None:
    house = House()
    assert house.passed(9, "free") == 3
    assert house.passed(9, "free", user="bob") == 3


def test_together_with_the_endpoints_own_limit() -> None:
    service, _ = stubbed("narrow", "/narrow")
    limiter.limit("1/hour")(require()(service))
    house = House(service)
    answer = house.ask("free", "/narrow/x")
    assert sorted(answer.header("RateLimit-Policy")[0].split(", ")) == [
        '"free-3600";q=3;w=3600',
        '"narrow-3600";q=1;w=3600',
    ]
    assert house.passed(9, "free", path="/narrow/x") == 0
    assert house.passed(9, "free") == 2  # the refused ones used up nothing of the plan


def test_exempt_services_are_exempt_from_plans() -> None:
    service, _ = stubbed("free_of_it", "/free-of-it")
    limiter.exempt(require()(service))
    house = House(service)
    assert house.passed(9, "metered", path="/free-of-it/x") == 9
    assert told(house.ask("metered", "/free-of-it/x"), QUOTA) == []


def test_anonymous_requests_have_no_plan() -> None:
    house = House(DEFAULT_PLAN="metered")
    for _ in range(4):
        answer = call(house.app, "/things/x")
        assert answer.status == 200
        assert told(answer, QUOTA) == []


@pytest.mark.parametrize(("plan", "passing"), [("", 2), ("gone", 2), ("none", 5)])
def test_the_default_plan(plan: str, passing: int) -> None:
    assert House(DEFAULT_PLAN="metered").passed(5, plan) == passing


def test_without_a_default_plan() -> None:
    house = House()
    assert house.passed(9) == 9
    assert told(house.ask(), QUOTA) == []


def test_a_plans_rate_stands_in_place_of_the_usual_one() -> None:
    house = House(RATE_LIMIT_DEFAULT="2/hour")
    assert house.passed(9, "fast") == 9
    assert house.passed(9, "none", user="bob") == 2
    assert house.passed(9, user="eve") == 2


def test_limits_of_users_stay() -> None:
    assert House(RATE_LIMIT_USER="2/hour").passed(9, "fast") == 2


def test_what_was_used_stays_used_under_another_plan() -> None:
    house = House(PLANS={"small": {"quota": "2/month"}, "large": {"quota": "3/month"}})
    assert house.passed(9, "small") == 2
    assert house.passed(9, "large") == 1


def test_without_plans_nothing_is_added() -> None:
    house = House(PLANS={})
    answer = house.ask("free")
    assert (answer.status, told(answer, QUOTA)) == (200, [])
    assert house.app.extensions["gateway"].records is None


def test_no_database_without_quotas() -> None:
    assert House(PLANS={"fast": {"rate": "5/second"}}).app.extensions["gateway"].records is None
