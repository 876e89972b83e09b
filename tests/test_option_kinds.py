"""Options of the wrong kind are faults at start, like those out of bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway import (
    Bulkhead,
    CircuitBreaker,
    ConfigurationError,
    Deadline,
    Fallback,
    FaultInjection,
    HealthCheck,
    Hedge,
    Retry,
    RoundRobin,
    Service,
    Split,
    public,
)
from tests.support.wsgi import make_app, open_service

anything: Any = None  # what mypy would not let us write
kinds: dict[str, Any] = {
    "a word": "Retry",
    "a class": Retry,
    "a number": 5,
}
POLICIES: list[Callable[[], Any]] = [
    lambda: Retry(backoff=kinds["a number"]),
    lambda: Retry(statuses=kinds["a number"]),
    lambda: CircuitBreaker(failures=kinds["a word"]),
    lambda: Fallback(statuses=kinds["a number"]),
    lambda: Hedge(after=anything),
    lambda: Split("other", percent=kinds["a word"]),
    lambda: FaultInjection(delay=kinds["a word"]),
    lambda: Bulkhead(limit=kinds["a word"]),
    lambda: Deadline(seconds=kinds["a word"]),
]
OPTIONS: list[tuple[str, Any]] = [
    ("health_check", True),
    ("health_check", HealthCheck(statuses=kinds["a number"])),
    ("timeouts", 5),
    ("load_balancing", "round-robin"),
    ("load_balancing", RoundRobin),
    ("ejection", True),
    ("discovery", 5),
    ("upstream", 5),
]


def faults(**options: Any) -> list[str]:
    """What a start with these options is refused for, beside a fault of another service."""
    given = {"upstream": "http://a", **options}
    if "discovery" in options:
        del given["upstream"]
    wrong = public(Service("wrong", __name__, url_prefix="/wrong", **given))
    other, _ = open_service(name="other", prefix="/other", policies=[Retry(attempts=0)])
    with pytest.raises(ConfigurationError) as raised:
        make_app(wrong, other, FAULT_INJECTION=True)
    found = raised.value.faults
    assert any("attempts=0" in fault for fault in found), "the others are told, too"
    return [fault for fault in found if "'wrong'" in fault]


@pytest.mark.parametrize("make", POLICIES)
def test_options_of_policies(make: Callable[[], Any]) -> None:
    (fault,) = faults(policies=[make()])
    assert type(make()).__name__ in fault
    assert "test_option_kinds.py:" in fault


@pytest.mark.parametrize("kind", kinds.values(), ids=list(kinds))
def test_what_is_no_policy(kind: Any) -> None:
    (fault,) = faults(policies=[kind])
    assert "is no policy: that is a value such as Retry()" in fault


@pytest.mark.parametrize(("name", "value"), OPTIONS)
def test_options_of_services(name: str, value: Any) -> None:
    (fault,) = faults(**{name: value})
    assert f"{name} must be" in fault or "of the wrong kind" in fault


def test_the_address_in_the_declaration_is_named_with_its_place() -> None:
    (fault,) = faults(upstream="http://user:hunter2@h:x")
    assert fault.startswith("service 'wrong': upstream (")
    assert "hunter2" not in fault


@pytest.mark.parametrize(
    "address",
    ["http://a/?q=hunter2", "http://user:hunter2", "http://a:b:hunter2", "http://a#hunter2"],
)
def test_what_may_be_a_secret_is_not_repeated(address: str) -> None:
    (fault,) = faults(upstream=address)
    assert "hunter2" not in fault
