"""Who asks, and whether that may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Request

from gateway.authentication.accepted import AcceptedSchemes
from gateway.authentication.identity import Identity
from gateway.authentication.scheme import NotAsked, Scheme
from gateway.authorization.parts import AllOf, AnyOf, Decision, Part, calls
from gateway.explaining.case import Case
from gateway.explaining.routing import is_claim
from gateway.guard import make_authenticate, make_check_access
from gateway.routes import UNMATCHED


def authenticate(case: Case) -> dict[str, Any] | None:
    """Settle the identity as a request's is settled; what can be told of it. None for nobody."""
    schemes = case.gateway.schemes
    if schemes is None or not case.take(lambda: _step(schemes, case.ask)(case.environ)):
        case.unidentified = True
        return None
    refusal = case.environ.get("gateway.refusal")  # whether it matters, the route says
    if refusal is not None and not refusal.slug.startswith("missing_"):
        return {"refused": refusal.slug, "scheme": refusal.scheme}
    identity = case.identity
    if identity is None:
        return None
    limits = case.gateway.limits
    plan = None if limits is None else limits.plans.plan_of(identity)
    return {
        "scheme": identity.scheme,
        "kind": identity.kind,
        "subject": identity.subject,
        "roles": list(identity.roles),
        "permissions": list(identity.permissions),
        "scopes": list(identity.scopes),
        "plan": None if plan is None else plan.name,
    }


def _step(schemes: AcceptedSchemes, ask: bool) -> Callable[[dict[str, Any]], None]:
    def judge(scheme: Scheme, credential: str, environ: dict[str, Any]) -> Identity:
        try:
            return _peeked(scheme, credential, environ)
        except NotAsked:
            if ask:
                return scheme.verify(credential, environ)
            raise

    return make_authenticate(schemes, judge=judge)


def _peeked(scheme: Scheme, credential: str, environ: dict[str, Any]) -> Identity:
    peek: Callable[..., Identity] | None = getattr(scheme, "peek", None)
    if peek is None:
        raise NotAsked(scheme.name)
    return peek(credential, environ)


def decide(case: Case) -> dict[str, Any]:
    """What the route requires, what of it is met, and what comes of that."""
    route, method = case.route, case.environ["REQUEST_METHOD"]
    claim = is_claim(case.app, route.endpoint)
    if route is UNMATCHED or route.internal or claim:
        return {"public": None, "requirements": [], "result": "nothing is required"}
    parts = route.access[method]
    if parts is None:
        told: dict[str, Any] = {"public": True, "requirements": []}
    else:
        asked = tuple(part if case.ask else unasked(part) for part in parts)
        case.environ["gateway.route"] = replace(route, access={method: asked})
        unknown = case.unidentified
        told = {
            "public": False,
            "requirements": [
                {"part": str(part), "met": None if unknown else _met(one, case.identity)}
                for part, one in zip(parts, asked, strict=True)
            ],
        }
        if unknown:  # nobody knows who it is
            return {**told, "result": "unknown"}
    before = len(case.unknown)
    permitted = case.take(lambda: make_check_access()(case.environ))
    case.environ["gateway.route"] = route
    if permitted:
        return {**told, "result": "permitted"}
    return {**told, "result": "unknown" if len(case.unknown) > before else "refused"}


def _met(part: Part, identity: Identity | None) -> bool | None:
    """Whether an identity meets a part; None where that cannot be told."""
    if identity is None:
        return None if calls(part) else False
    try:
        return part.held_by(identity)
    except Exception:  # noqa: BLE001  what it comes to, the decision tells
        return None


def unasked(part: Part) -> Part:
    """The same part with functions that are not called: they may ask a server, or a database."""
    if isinstance(part, AnyOf | AllOf):
        return type(part)(tuple(map(unasked, part.parts)))
    return Decision(_Unasked(part.name)) if isinstance(part, Decision) else part


class _Unasked:
    """Stands for a function of `require`."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, identity: Identity, request: Request) -> bool:
        raise NotAsked(self.__name__)
