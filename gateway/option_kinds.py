"""Options of a service that are not what they must be: told at start, with all other faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.exchange import Timeouts
from gateway.upstreams import Ejection
from gateway.upstreams.health_checks import HealthCheck

if TYPE_CHECKING:
    from gateway.service import Service


def kind_faults(service: Service) -> list[str]:
    """A line for each option of the wrong kind. None where nothing else would be known of it."""
    wanted = {
        "upstream": (isinstance(service.upstream, str | None), "an address"),
        "variable": (isinstance(service.variable, str), "the name of an environment variable"),
        "timeouts": (isinstance(service.timeouts, Timeouts), "Timeouts(...)"),
        "ejection": (isinstance(service.ejection, Ejection | None), "Ejection(...) or None"),
        "health_check": (isinstance(service.health_check, HealthCheck | None), "HealthCheck(...)"),
        "discovery": (_has(service.discovery, "begin"), "a value with a method begin()"),
        "versions": (_has(service.versions, "faults"), "Versions(...)"),
        "load_balancing": (_has(service.load_balancing, "chooser"), "a value such as RoundRobin()"),
    }
    return [f"{name} must be {kind}" for name, (right, kind) in wanted.items() if not right]


def _has(value: object, method: str) -> bool:
    if value is None:
        return True
    return not isinstance(value, type) and callable(getattr(value, method, None))


def judged(judge: Callable[[], list[str]]) -> list[str]:
    """What `judge` finds; an option it cannot compare is of the wrong kind, and a fault, too."""
    try:
        return judge()
    except (TypeError, ValueError, AttributeError) as error:
        return [f"an option is of the wrong kind: {error}"]
