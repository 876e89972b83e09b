"""Plans as they are declared, and which of them an identity has."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

from gateway import create_app
from gateway.authentication import Identity
from gateway.errors import ConfigurationError
from gateway.plan_fields import PlanFields
from gateway.rate_limiting.deciding import EndpointLimits
from gateway.rate_limiting.plans import Plans
from gateway.rate_limiting.rules import EVERYBODY, Rule
from tests.support.wsgi import SECRET, make_settings, open_service

FREE = PlanFields(rate="5/second", burst=10, quota="1000/day", concurrency=2)
PRO = PlanFields(rate="100/second;10000/hour", quota="1000000/month;50000/day")


def plans(default: str = "free") -> Plans:
    """A free and a paid plan."""
    return Plans({"free": FREE, "pro": PRO}, default)


def ada(plan: str = "", **overrides: Any) -> Identity:
    """Somebody with a plan, and limits of her own."""
    return Identity("ada", plan=plan, overrides=overrides)


def test_what_a_plan_is_made_of() -> None:
    plan = plans().plan_of(ada("free"))
    assert plan is not None
    assert (plan.name, plan.concurrency) == ("free", 2)
    assert [(r.name, r.limit, r.seconds, r.burst) for r in plan.rules] == [("free-1", 5, 1, 10)]
    assert [(q.limit, q.kind) for q in plan.quotas] == [(1000, "day")]


def test_a_burst_is_the_first_rates() -> None:
    made = Plans({"pro": PlanFields(rate="10000/hour;100/second", burst=7)}).plan_of(ada("pro"))
    assert made is not None
    assert [(r.seconds, r.burst) for r in made.rules] == [(1, None), (3600, 7)]


def test_several_rates_and_quotas() -> None:
    plan = plans().plan_of(ada("pro"))
    assert plan is not None
    assert [(r.limit, r.seconds) for r in plan.rules] == [(100, 1), (10000, 3600)]
    assert [(q.limit, q.kind) for q in plan.quotas] == [(1_000_000, "month"), (50_000, "day")]
    assert plan.concurrency == 0


@pytest.mark.parametrize(
    ("named", "default", "found"),
    [
        ("pro", "free", "pro"),
        ("pro", "", "pro"),
        ("", "free", "free"),
        ("", "", None),
        ("gone", "free", "free"),
        ("gone", "", None),
    ],
)
def test_which_plan_an_identity_has(named: str, default: str, found: str | None) -> None:
    plan = plans(default).plan_of(ada(named))
    assert (plan and plan.name) == found


def test_the_same_plan_each_time() -> None:
    made = plans()
    assert made.plan_of(ada("pro")) is made.plan_of(Identity("bob", plan="pro"))
    own = made.plan_of(ada("pro", rate="1/second"))
    assert own is made.plan_of(ada("pro", rate="1/second"))


def test_an_unknown_plan_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    made = plans()
    for _ in range(3):
        made.plan_of(ada("gold\nfake line"))
    assert [record.getMessage() for record in caplog.records] == [
        "there is no plan 'gold\\nfake line': DEFAULT_PLAN applies"
    ]


def test_complaints_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    made = plans()
    for number in range(300):
        made.plan_of(ada(f"plan{number}" + "x" * 100))
    assert len(caplog.records) == 100
    assert all(len(record.getMessage()) < 120 for record in caplog.records)


def test_without_plans_a_claim_of_that_name_means_something_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert Plans({}).plan_of(ada("enterprise")) is None
    assert not caplog.records


# -- limits of its own ------------------------------------------------------------------------


def test_own_limits_replace_the_plans_field_by_field() -> None:
    plan = plans().plan_of(ada("free", rate="7/minute", concurrency=9))
    assert plan is not None
    assert [(r.limit, r.seconds, r.burst) for r in plan.rules] == [(7, 60, 10)]
    assert [(q.limit, q.kind) for q in plan.quotas] == [(1000, "day")]
    assert (plan.name, plan.concurrency) == ("free", 9)


def test_own_limits_may_lift_the_plans() -> None:
    plan = plans().plan_of(ada("free", quota="", rate="", burst=None))
    assert plan is not None
    assert (plan.rules, plan.quotas, plan.concurrency) == ((), (), 2)


def test_own_limits_without_a_plan() -> None:
    plan = plans("").plan_of(ada(quota="5/month"))
    assert plan is not None
    assert [(q.plan, q.limit, q.kind) for q in plan.quotas] == [("own", 5, "month")]


def test_own_limits_may_be_any_mapping() -> None:
    own = Identity("ada", plan="free", overrides=MappingProxyType({"concurrency": 3}))
    plan = plans().plan_of(own)
    assert plan is not None
    assert plan.concurrency == 3


FAULTY: dict[str, dict[str, Any]] = {
    "unknown field": {"rates": "5/second"},
    "no rate": {"rate": "often"},
    "rate of 0": {"rate": "0/second"},
    "rate beyond counting": {"rate": "1000000000000000/second"},
    "burst beyond counting": {"burst": 10**15},
    "not text": {"rate": 5},
    "negative": {"burst": -1},
    "no number": {"burst": True},
    "fraction": {"concurrency": 1.5},
    "week": {"quota": "5/week"},
    "twice": {"quota": "5/day;6/day"},
    "nothing": {"quota": None},
    "none": {"quota": "0/day"},
    "deep": {"quota": {"day": [1]}},
}


@pytest.mark.parametrize("name", FAULTY)
def test_faulty_limits_of_ones_own_break_nothing(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = FAULTY[name]
    made = plans()
    usual = made.plan_of(ada("free"))
    assert made.plan_of(ada("free", **own)) is usual
    assert made.plan_of(ada("free", **own)) is usual
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    told = record.getMessage()
    assert told.startswith(f"limits of a key are ignored: {next(iter(own))}: ")


def test_what_is_no_json_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    made = plans()
    assert made.plan_of(ada("free", rate=object())) is made.plan_of(ada("free"))
    assert len(caplog.records) == 1


# -- beside the limits of an endpoint ---------------------------------------------------------


def rule(scope: str, limit: int = 9) -> Rule:
    """A limit of a minute."""
    return Rule(f"{scope}-60", scope, limit, 60)


def test_a_plan_is_added_to_an_endpoints_limits() -> None:
    made = plans()
    plan = made.plan_of(ada("pro"))
    assert plan is not None
    limits = EndpointLimits((rule("orders"), rule(EVERYBODY)), "")
    found = made.applied("orders.view", limits, plan)
    assert [r.name for r in found.rules] == ["pro-1", "orders-60", "pro-3600"]
    assert found.policy == '"pro-1";q=100;w=1, "orders-60";q=9;w=60, "pro-3600";q=10000;w=3600'
    assert found.quotas == plan.quotas
    assert made.applied("orders.view", limits, plan) is found
    assert made.applied("orders.other", EndpointLimits((), ""), plan) is not found


def test_a_plan_without_a_rate_leaves_the_usual_one() -> None:
    made = Plans({"slow": PlanFields(quota="5/day")}, "slow")
    plan = made.plan_of(ada())
    assert plan is not None
    found = made.applied("x", EndpointLimits((rule(EVERYBODY),), ""), plan)
    assert [r.scope for r in found.rules] == [EVERYBODY]


def test_what_is_remembered_is_bounded() -> None:
    made = plans()
    plan = made.plan_of(ada("pro"))
    assert plan is not None
    limits = EndpointLimits((), "")
    first = made.applied("0", limits, plan)
    for number in range(1, 8192):
        made.applied(str(number), limits, plan)
    assert made.applied("0", limits, plan) is first
    made.applied("8192", limits, plan)
    assert made.applied("0", limits, plan) is not first


# -- settings ---------------------------------------------------------------------------------


def faults_of(plans_: str, monkeypatch: pytest.MonkeyPatch, default: str = "") -> list[str]:
    """What a gateway with these settings does not start for."""
    monkeypatch.setenv("PLANS", plans_)
    monkeypatch.setenv("DEFAULT_PLAN", default)
    monkeypatch.setenv("JWT_SECRET", SECRET)
    service, _ = open_service()
    with pytest.raises(ConfigurationError) as raised:
        create_app(services=[service])
    return list(raised.value.faults)


def test_all_faults_of_plans_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = faults_of(
        '{"free": {"rate": "five", "brust": 3}, "pro": {"quota": "5/year"}, "slow": {"burst": 3},'
        ' "odd": 7, "a\\"b": {}}',
        monkeypatch,
    )
    told = [fault.partition(": ")[0] for fault in faults]
    assert told == [
        "PLANS.free.rate",
        "PLANS.free.brust",
        "PLANS.pro.quota",
        "PLANS.slow",
        "PLANS.odd",
        'PLANS.a"b.[key]',
    ]
    assert "couldn't parse rate limit string 'five'" in faults[0]
    assert "a burst needs a rate" in faults[3]


def test_plans_that_are_no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    (fault,) = faults_of('{"free": ', monkeypatch)
    assert fault.startswith("PLANS: Value error, this is not JSON: ")


def test_a_default_plan_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults_of('{"free": {}}', monkeypatch, "fre") == [
        "DEFAULT_PLAN: Value error, there is no plan 'fre' in PLANS"
    ]


def test_a_default_plan_among_faulty_ones_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    (fault,) = faults_of('{"free": {"rate": "5"}}', monkeypatch, "free")
    assert fault.startswith("PLANS.free.rate: ")


def test_two_rates_for_the_same_time() -> None:
    with pytest.raises(ValidationError, match="two rates are for the same time"):
        PlanFields(rate="5/minute;7/60seconds")


def test_plans_may_be_written_in_settings() -> None:
    made = make_settings(PLANS={"free": {"rate": "5/second"}}).PLANS
    assert made == {"free": PlanFields(rate="5/second")}
    assert make_settings(PLANS="").PLANS == {}
