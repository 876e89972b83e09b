"""What a health check makes of its answers, and which options are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import HealthCheck, Service, public
from gateway.errors import ConfigurationError
from gateway.state import Value
from gateway.upstreams import verdicts
from tests.support.wsgi import make_app

CHECK = HealthCheck(interval=10, healthy=2, unhealthy=3)


def judged(answers: str, old: Value | None = None, now: float = 1000.0) -> Value:
    """The verdict after these answers, one each ten seconds: `+` good, `-` bad."""
    for answer in answers:
        old = CHECK.verdict(old, "" if answer == "+" else "status 503", now)
        now += 10
    assert old is not None
    return old


@pytest.mark.parametrize(
    ("answers", "healthy"),
    [
        ("+", True),
        ("-", True),
        ("--", True),
        ("---", False),
        ("--+--", True),
        ("--+---", False),
        ("---+", False),
        ("---+-+", False),
        ("---++", True),
        ("---++--", True),
        ("---++---", False),
    ],
)
def test_so_many_in_a_row_change_the_verdict(answers: str, healthy: bool) -> None:
    assert judged(answers)["healthy"] is healthy


def test_a_verdict_says_since_when_and_why() -> None:
    bad = judged("+---")
    assert (bad["since"], bad["checked"], bad["reason"]) == (1030, 1030, "status 503")
    worse = judged("-", bad, 1040)
    assert (worse["since"], worse["checked"], worse["healthy"]) == (1030, 1040, False)
    better = judged("++", worse, 1050)
    assert (better["since"], better["reason"], better["healthy"]) == (1060, "", True)


def test_another_prober_goes_on_where_the_last_one_ended() -> None:
    assert judged("-", judged("--"), 1020)["healthy"] is False
    assert judged("+", judged("---+"), 1040)["healthy"] is True


def test_a_verdict_that_nobody_renews_counts_no_longer() -> None:
    bad = judged("---")
    assert not verdicts.is_healthy(bad, 1049.9)
    assert verdicts.is_healthy(bad, 1050)
    assert judged("-", bad, 1051)["healthy"] is True
    assert judged("---", bad, 1051)["healthy"] is False


def test_a_takeover_does_not_outlast_the_verdicts_of_short_intervals() -> None:
    verdict = HealthCheck(interval=0.1, timeout=0.1).verdict(None, "", 1000.0)
    assert verdict["expires"] == 1005


def test_one_of_each_is_enough_where_that_is_said() -> None:
    check = HealthCheck(healthy=1, unhealthy=1)
    bad = check.verdict(None, "connection_refused", 1000.0)
    assert bad["healthy"] is False
    assert check.verdict(bad, "", 1010.0)["healthy"] is True


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"path": "health"}, "path"),
    ({"path": ""}, "path"),
    ({"path": "/a b"}, "path"),
    ({"path": "/a#b"}, "path"),
    ({"path": "/a\r\nX: y"}, "path"),
    ({"path": "/ä"}, "path"),
    ({"interval": 0, "timeout": 0}, "interval"),
    ({"interval": -1}, "interval"),
    ({"timeout": 0}, "timeout"),
    ({"interval": 1, "timeout": 1.5}, "timeout"),
    ({"interval": float("nan")}, "interval"),
    ({"healthy": 0}, "healthy"),
    ({"unhealthy": 0}, "healthy"),
    ({"statuses": ()}, "statuses"),
    ({"statuses": [200, 99]}, "statuses"),
    ({"jitter": 1}, "jitter"),
    ({"jitter": -0.1}, "jitter"),
    ({"host": ""}, "host"),
    ({"host": "a\nb"}, "host"),
    ({"headers": {"X-A": "b\r\nc"}}, "headers"),
    ({"headers": {"X A": "b"}}, "headers"),
    ({"headers": {"host": "b"}}, "headers"),
    ({"headers": {"Content-Length": "1"}}, "headers"),
]


@pytest.mark.parametrize(("options", "word"), WRONG)
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    assert any(
        fault.startswith(f"HealthCheck: {word}") for fault in HealthCheck(**options).faults()
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": "/"},
        {"path": '/a?b=%20c&d="e"!$~'},
        {"interval": 0.5, "timeout": 0.5, "jitter": 0},
        {"statuses": [200, 301, 503], "healthy": 1, "unhealthy": 1},
        {"host": "health.example", "headers": {"User-Agent": "probe/1.0", "X-Token": "a b"}},
    ],
)
def test_right_options_have_no_fault(options: dict[str, Any]) -> None:
    assert HealthCheck(**options).faults() == []


def test_all_faults_are_told_at_start_together() -> None:
    check = HealthCheck(path="health", interval=0, healthy=0)
    service = Service("a", __name__, url_prefix="/a", upstream="http://a.test", health_check=check)
    with pytest.raises(ConfigurationError) as caught:
        make_app(public(service))
    assert len([f for f in caught.value.faults if "HealthCheck" in f]) == 4
    assert all(__file__ in fault for fault in caught.value.faults if "HealthCheck" in fault)
