"""Where a request would be sent, and what would be sent there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gateway.errors import NoTarget, NotSent, UpstreamError
from gateway.exchange import Headers, UpstreamRequest
from gateway.explaining.chain import Walk
from gateway.explaining.masking import Masking
from gateway.upstreams import Target
from gateway.upstreams.load_balancing.choice import Outgoing
from gateway.urls import join

# So often a target is chosen, to see whether it is always the same.
_DRAWS = 16


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known of a service's instances, and what a request's choice among them comes to.

    target: one that it may come to; None where there is none, and error is why. It is drawn several
    times: `chosen` of what is told has all that came.
    """

    told: dict[str, Any]
    target: Target | None = None
    error: UpstreamError | None = None


def choose(walk: Walk) -> Choice:
    """The target of a request that has come down its chain."""
    service = walk.runtime.service
    known = walk.overview.look()["services"][service.name]
    told: dict[str, Any] = {
        "service": service.name,
        "balancing": repr(service.load_balancing),
        "discovered": known["discovered"],
        "chosen": [],
        "instances": known["targets"],
    }
    pool = walk.overview.pool(walk.runtime)
    admit, refused = _admitting(walk.admit)
    request = replace(walk.request, admit=admit)
    chosen: dict[str, Target] = {}
    try:
        for _ in range(_DRAWS):
            target = pool.choose(request).target
            chosen[target.name] = target
    except NoTarget as error:
        return Choice(told, error=NotSent("circuit_open") if refused else error)
    told["chosen"] = sorted(chosen)
    return Choice(told, target)


def _admitting(
    admit: Callable[[str], bool] | None,
) -> tuple[Callable[[str], bool] | None, list[str]]:
    """What lets targets in, and those that it did not."""
    refused: list[str] = []
    if admit is None:
        return None, refused

    def noting(name: str) -> bool:
        if admit(name):
            return True
        refused.append(name)
        return False

    return noting, refused


def sent(walk: Walk, target: Target, mask: Masking) -> dict[str, Any]:
    """What this target would be sent: the request line, and the fields."""
    outgoing: Outgoing | None = getattr(walk.runtime.pool.chooser, "outgoing", None)
    request = walk.request if outgoing is None else outgoing(walk.request)
    origin = target.origin
    fields: Headers = [("Host", origin.authority if request.host is None else request.host)]
    return {
        "method": request.method,
        "url": origin.url + join(origin.base_path, mask.target(request.target), None),
        "fields": mask.fields([*fields, *request.headers, *_framing(request)]),
    }


def _framing(request: UpstreamRequest) -> Headers:
    if request.body is None:
        return []
    length = request.body.length
    return [("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))]


def times(walk: Walk) -> dict[str, Any]:
    """How long it may take, in seconds; the deadline from the arrival on."""
    timeouts = walk.request.timeouts
    return {
        "connect": timeouts.connect,
        "read": timeouts.read,
        "total": timeouts.total,
        "deadline": round(walk.request.deadline - walk.case.exchange.started, 3),
    }
