"""The way of a request through the rooms, told and not gone: see the package."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from gateway.client import ClientConnection
from gateway.edge.door import Door
from gateway.edge.origin import Edge, TrustedProxies
from gateway.error_responses import answer_to
from gateway.errors import phrase
from gateway.exchange import UpstreamRequest
from gateway.explaining import callers, routing
from gateway.explaining.case import Case
from gateway.explaining.chain import Walk
from gateway.explaining.declared import filters_of, version_of
from gateway.explaining.described import Described, Unreadable
from gateway.explaining.limiting import Limiting
from gateway.explaining.masking import Masking
from gateway.explaining.sending import choose, sent, times
from gateway.forwarding import prepare
from gateway.headers import request_fields
from gateway.routes import UNMATCHED
from gateway.service import Runtime
from gateway.state import MemoryState
from gateway.telling import signed_fields
from gateway.upstreams.overview import Overview

_UNREAD = "the server cannot read it, and the application never sees it"


def explain(app: Flask, described: Described, *, ask: bool = False) -> dict[str, Any]:
    """What would become of a request, ready for JSON. No backend is called, nothing is counted,
    kept, elected or published, and no view or hook of the fork's own is run.

    Its `outcome`: forwarded, kept, refused, unknown, or own, where a view or the gateway answers.
    ask: whether those are asked that a request would ask, such as an introspection endpoint, and
    functions of `require` are called; False: that they would be is told.
    """
    try:
        environ = described.environ()
    except Unreadable as error:
        return {"outcome": "refused", "answer": error.answer, "notes": [_UNREAD]}
    told: dict[str, Any] = {}

    def inside(environ: dict[str, Any], start: Any) -> tuple[bytes, ...]:
        # In a context that is thrown away: what a fork has do at a request's end is not done.
        told.update(copy_context().run(lambda: _Explanation(app, environ, ask).told()))
        start("204 No Content", [])
        return ()

    proxies = TrustedProxies(app.extensions["gateway"].settings.TRUSTED_PROXIES)
    Door(inside, proxies, None)(environ, lambda *_: None).close()  # type: ignore[attr-defined]
    return told


class _Explanation:
    """One explanation, in the order of the rooms."""

    def __init__(self, app: Flask, environ: dict[str, Any], ask: bool) -> None:
        app.request_context(environ).push()
        self._case = Case(app, environ, ask)
        gateway = self._case.gateway
        secret = gateway.schemes.credential_fields if gateway.schemes is not None else ()
        self._mask = Masking(frozenset(secret) | signed_fields(gateway.tokens))
        self._told: dict[str, Any] = {}

    def told(self) -> dict[str, Any]:
        """All of it."""
        case, told = self._case, self._told
        told["request"] = self._asked()
        passed = case.take(case.app.check)  # type: ignore[attr-defined]  # see gateway.application
        told["route"] = routing.matched(case)
        told["others"] = routing.others(case)
        if passed:
            self._guard()
        outcome = "refused"
        if passed and case.refusal is None:
            outcome = self._beyond()
        if case.refusal is not None:
            outcome = "refused"
        elif case.unknown:
            outcome = "unknown"
        self._note()
        answer = None if case.refusal is None else _answer(case.refusal)
        return {
            "outcome": outcome,
            "answer": answer,
            "asks": list(dict.fromkeys(case.unknown)),
            **told,
            "notes": list(dict.fromkeys(case.notes)),
        }

    def _asked(self) -> dict[str, Any]:
        environ = self._case.environ
        edge: Edge = environ["gateway.edge"]
        return {
            "method": environ["REQUEST_METHOD"],
            "target": self._mask.target(environ["RAW_URI"]),
            "url": edge.url,
            "address": edge.address,
            "trusted_peer": edge.trusted,
            "fields": self._mask.fields(request_fields(environ)),
        }

    def _guard(self) -> None:
        """Room 2, in the order of gateway.application; all of it, also where one refuses."""
        case, told = self._case, self._told
        limits = case.gateway.limits
        limiting = None if limits is None else Limiting(case, limits)
        if limiting is not None:
            limiting.by_address()
        told["identity"] = callers.authenticate(case)
        if limiting is not None:
            limiting.usual()
        told["decision"] = callers.decide(case)
        if limiting is not None:
            limiting.at_once()
            told["limits"] = limiting.found
            if limiting.unread:
                case.notes.append("the store of limits cannot be read: nothing counted is known")
        if request.routing_exception is not None:  # raised by Flask only now
            case.refusal = case.refusal or request.routing_exception
            if case.refusal is request.routing_exception:  # what admission refuses comes to none
                told["filters"] = filters_of(case)

    def _beyond(self) -> str:
        """What becomes of a request that was let in."""
        case, route = self._case, self._case.route
        endpoint = route.endpoint
        service = route.service
        runtime = None if service is None else case.gateway.runtimes.get(service.name)
        if runtime is not None and runtime.versions is not None:
            choice = runtime.versions
            settled = case.take(lambda: choice.settle(case.environ))
            self._told["version"] = version_of(case.environ, choice)
            if not settled:
                return "refused"
            runtime = choice.of(case.environ)
        self._told["filters"] = filters_of(case)
        if routing.is_claim(case.app, endpoint):
            view = case.app.view_functions[endpoint]
            case.take(lambda: view(**(request.view_args or {})))
            return "refused"
        if route is UNMATCHED:
            case.refusal = case.refusal or NotFound()
            return "refused"
        routing.note_hooks(case)
        automatic = getattr(request.url_rule, "provide_automatic_options", False)
        if automatic and request.method == "OPTIONS":
            case.notes.append("answered with Allow, by Flask")
            return "own"
        if runtime is None:
            used = ", ".join(one.name for one in getattr(service, "uses", ()))
            asking = f" and asks {used}" if used else ""
            case.notes.append(f"a view answers{asking}; it is not called here")
            return "own"
        if routing.is_view(endpoint, service):
            case.notes.append(
                "a view answers, which is not called: told is what becomes of service.forward()"
                " with the service's timeouts"
            )
        return self._forward(runtime)

    def _forward(self, runtime: Runtime) -> str:
        """Rooms 3 to 5."""
        case, told = self._case, self._told
        found: list[UpstreamRequest] = []
        if not case.take(lambda: found.append(self._outline(runtime))):
            return "refused"
        gateway = case.gateway
        overview = Overview(gateway.carrying, gateway.state, gateway.loads, gateway.pulse.office)
        gateway.state.refresh()
        walk = Walk(case, runtime, found[0], overview, self._mask)
        walk.go()
        told["policies"] = walk.policies
        told["cache"] = walk.cache
        told["times"] = times(walk)
        if walk.answered is not None:
            told["kept_status"] = walk.answered
        choice = choose(walk)
        told["target"] = choice.told
        told["upstream"] = None if choice.target is None else sent(walk, choice.target, self._mask)
        if walk.answered is not None:
            return "kept"
        if choice.error is not None:
            case.refusal = case.refusal or choice.error
        if case.refusal is not None and walk.instead:
            case.notes.append(f"instead, {' or '.join(walk.instead)}")
        return "forwarded"

    def _outline(self, runtime: Runtime) -> UpstreamRequest:
        case, environ = self._case, self._case.environ
        client: ClientConnection = environ["gateway.client"]
        view = case.route.endpoint if runtime.views else ""
        return prepare(
            environ, runtime, case.identity, case.exchange, client, runtime.timeouts, view
        )

    def _note(self) -> None:
        case = self._case
        state = case.gateway.state
        if case.unidentified:
            case.notes.append("who asks is not known: what depends on that is left out")
        if isinstance(state, MemoryState):
            case.notes.append(
                "STATE_URL=memory://: what workers counted and found out cannot be seen from here"
            )
        elif getattr(state, "degraded", False):
            case.notes.append("the store that the workers share cannot be read")


def _answer(error: Exception) -> dict[str, Any]:
    """The answer to a request that ends so."""
    response: Response = answer_to(error)
    body = response.get_json(silent=True) if response.is_json else None
    members = body if isinstance(body, dict) else {}
    return {
        "status": response.status_code,
        "code": members.get("code"),
        "detail": members.get("detail") or phrase(response.status_code),
        "headers": [
            (name, value) for name, value in response.headers if name not in ("Content-Length",)
        ],
    }
