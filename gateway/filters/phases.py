"""The four phases where they belong: hooks and error handlers of Flask, and a layer of the chain.

A gateway's filters stand around a service's: before them on the way in, after them on the way out,
as Flask calls hooks. Each place exists only where there are filters for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from flask import Request, Response, current_app, request
from flask.typing import ResponseReturnValue

from gateway.exchange import Exchange, Handler, UpstreamRequest, UpstreamResponse
from gateway.filters.steps import Step
from gateway.filters.switches import Switches

#: The gateway's own routes, which filters leave alone: `/healthz` is not to fail with one, and an
#: operator has to reach the switch.
_OWN = ("gateway_ops.", "gateway_admin.")

log = logging.getLogger("gateway")


def before(steps: Sequence[Step], switches: Switches) -> Callable[[], ResponseReturnValue | None]:
    """What Flask calls before a view: the first answer is the answer."""

    def hook() -> ResponseReturnValue | None:
        given = _current()
        if _is_own(given):
            return None
        off = switches.off
        for step in steps:
            if step.name not in off:
                answer: ResponseReturnValue | None = step(given)
                if answer is not None:
                    return answer
        return None

    return hook


def after(steps: Sequence[Step], switches: Switches) -> Callable[[Response], Response]:
    """What Flask calls with a view's answer: the filters change it, or give another one."""

    def hook(response: Response) -> Response:
        if _is_own(_current()):
            return response
        off = switches.off
        for step in steps:
            if step.name not in off:
                response = _instead(step, response)
        return response

    return hook


def _instead(step: Step, response: Response) -> Response:
    """The response that a filter gives; the same where it gives none, or fails."""
    try:
        answer = step(response)
    except Exception:
        log.exception("%s: filter %s failed", _request_id(), step.name)
        return response
    if answer is None:
        return response
    if not isinstance(answer, Response):
        log.error("filter %s returned no response: %s", step.name, type(answer).__name__)
        return response
    return answer


#: Makes the usual answer to a failure; see gateway.error_responses.
Usual = Callable[[Exception], Response]


def failing(
    usual: Usual, ours: Sequence[Step], services: Mapping[str, Sequence[Step]], switches: Switches
) -> Usual:
    """What Flask calls with a failure: the first filter that has an answer, else the usual one.
    services: their own, which are asked first, by name."""

    def handle(error: Exception) -> Response:
        response = usual(error)
        if response.status_code < 400 or getattr(error, "response", None) is not None:
            return response  # a redirection, or what a view gave to `abort`: no failure
        if _is_own(request):
            return response
        off = switches.off
        # By Flask's rule, as its hooks: a request may be refused before it has a route of ours.
        own = (step for name in request.blueprints for step in services.get(name, ()))
        for step in (*own, *ours):
            if step.name not in off and isinstance(error, step.of):
                try:
                    answer = step(error)
                    if answer is not None:
                        return current_app.make_response(answer)
                except Exception:
                    log.exception("%s: filter %s failed", _request_id(), step.name)
        return response

    return handle


def around(steps: Sequence[Step], switches: Switches, handler: Handler) -> Handler:
    """A handler with filters around it, the first outermost."""
    for step in reversed(steps):
        handler = _layer(step, switches, handler)
    return handler


def _layer(step: Step, switches: Switches, following: Handler) -> Handler:
    def handle(outlined: UpstreamRequest) -> UpstreamResponse:
        if step.name in switches.off or not step.wanted(outlined):
            return following(outlined)
        answer: UpstreamResponse = step.around(outlined, following)
        return answer

    return handle


def _current() -> Request:
    """The request itself: each look through Flask's proxy costs more than a filter does."""
    current: Request = request._get_current_object()  # type: ignore[attr-defined]
    return current


def _is_own(given: Request) -> bool:
    rule = given.url_rule
    return rule is not None and rule.endpoint.startswith(_OWN)


def _request_id() -> str:
    exchange: Exchange = request.environ["gateway.exchange"]
    return exchange.request_id
