"""Flask-Limiter's declarations, decided at once for all limits of a request.

Flask-Limiter evaluates one limit after another and counts the first even if the second refuses;
here all limits of a request are counted, or none. Endpoint, service, user and default limits stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import flask_limiter
from flask import Blueprint, Flask, request
from flask.sansio.blueprints import Blueprint as AnyBlueprint
from flask_limiter import Limit, RouteLimit
from limits.strategies import MovingWindowRateLimiter

from gateway.errors import Refusal
from gateway.rate_limiting.fields import limit_fields, policy, retry_after
from gateway.rate_limiting.keys import client_key, key_of
from gateway.rate_limiting.plan import EXEMPT, MARK, Rule, distinct, rules_of
from gateway.rate_limiting.storage import WindowStorage
from gateway.rate_limiting.windows import Hit, Windows
from gateway.routes import UNMATCHED, Route

T = TypeVar("T", bound=Callable[..., Any] | Blueprint)


class DeclaredLimit(RouteLimit):
    """A limit that notes itself on a view or a service; it wraps nothing."""

    def __call__(self, obj: T) -> T:  # type: ignore[override]  # a service is returned, too
        """Declare the limit on `obj` and return `obj`."""
        # A list of its own: `functools.wraps` hands a view's attributes on to its wrapper.
        setattr(obj, MARK, [*getattr(obj, MARK, []), self])
        return obj

    def __enter__(self) -> None:
        """Not offered: the limits of a request are decided at once, before its view."""
        raise TypeError("a limit is declared on a view or a service, not entered")


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules of one endpoint, and what is said of them on every response."""

    rules: tuple[Rule, ...]
    policy: str


class Limiter(flask_limiter.Limiter):
    """The gateway's Flask-Limiter. Declare with `limit`, `shared_limit` and `exempt`:

        limiter.limit("100/minute")(orders)      shared by all paths of the service
        @limiter.limit("5/minute")               on top, for one view
        @limiter.limit("10/minute", cost=5, methods=["POST"])
        limiter.exempt(status)                   no limits at all

    A limit that cannot be read is a fault at start.
    """

    def __init__(self) -> None:
        super().__init__(client_key)

    def limit(  # type: ignore[override]  # fewer options: only those that are decided here
        self,
        limit_value: str,
        *,
        key_func: Callable[[], str] | None = None,
        per_method: bool = False,
        methods: list[str] | None = None,
        error_message: str | None = None,
        exempt_when: Callable[[], bool] | None = None,
        cost: int | Callable[[], int] = 1,
        scope: str | None = None,
        shared: bool = False,
    ) -> DeclaredLimit:
        """Limit a service or a view to `limit_value`, such as `"10/second;1000/hour"`.

        key_func: whose limit it is; default the user, else the address. per_method: each method
        counts apart. methods: only these. cost: what a request counts. scope: part of the view
        or service; with `shared`, one limit for everything with that scope.
        """
        return DeclaredLimit(
            limit_provider=limit_value,
            limiter=self,
            key_function=key_func or self._key_func,
            shared=shared,
            scope=scope,
            per_method=per_method,
            methods=methods,
            error_message=error_message,
            exempt_when=exempt_when,
            override_defaults=False,
            cost=cost,
        )

    def shared_limit(self, limit_value: str, scope: str, **options: Any) -> DeclaredLimit:  # type: ignore[override]
        """One limit for all views and services that name the same `scope`."""
        return self.limit(limit_value, scope=scope, shared=True, **options)

    def exempt(self, obj: Any = None, **_flags: Any) -> Any:
        """Lift all limits, the defaults too, from a view or a service."""
        if obj is None:
            return self.exempt
        setattr(obj, EXEMPT, True)
        return obj

    def init_app(  # called once, by create_app
        self, app: Flask, windows: Windows | None = None, *, headers: bool = True
    ) -> None:
        """Decide the application's limits in `windows`. Registers the `before_request` hook."""
        if windows is None:
            raise TypeError("the gateway's limiter is set up by create_app")
        self._storage = WindowStorage(windows)
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._strategy = "moving-window"
        self.initialized = True
        app.extensions.setdefault("limiter", set()).add(self)
        plans: dict[str, Plan] = {}
        app.extensions["gateway_limits"] = plans
        app.before_request(self._hook(plans, windows, headers))

    def _hook(self, plans: Mapping[str, Plan], windows: Windows, tell: bool) -> Callable[[], None]:
        def check_limits() -> None:
            environ = request.environ
            route: Route = environ.get("gateway.route", UNMATCHED)
            plan = plans.get(route.endpoint)
            if plan is not None and not any(lifted() for lifted in self._request_filters):
                decide(plan, windows, environ, tell)

        return check_limits


def decide(plan: Plan, windows: Windows, environ: dict[str, Any], tell: bool) -> None:
    """Count a request against its plan. Raises Refusal (429) if a limit has no room."""
    key = key_of(environ)
    rules: Sequence[Rule] = plan.rules
    found = [rule.hit(environ, key) for rule in rules]
    hits: list[Hit] = [hit for hit in found if hit is not None]
    if not hits:
        return
    policies = plan.policy
    if len(hits) < len(found):
        rules = [rule for rule, hit in zip(rules, found, strict=True) if hit is not None]
        policies = policy(rules)
    allowed, states = windows.acquire(hits)
    if tell:
        environ["gateway.added"] += limit_fields(rules, states, policies)
    if not allowed:
        full = next(r for r, s in zip(rules, states, strict=True) if s.retry)
        raise Refusal(
            full.message or f"The limit of {full.limit} requests in {full.seconds} s is used up.",
            status=429,
            slug="rate_limited",
            headers=[("Retry-After", retry_after(states))],
        )


def compile_plans(app: Flask, routes: Mapping[str, Route], *, default: str, user: str) -> list[str]:
    """Settle the plan of every endpoint; returns the faults."""
    plans: dict[str, Plan] = app.extensions["gateway_limits"]
    faults: list[str] = []
    everybody = _everybody(default, user, faults)
    known: dict[str, list[Rule]] = {}
    for endpoint, route in [*routes.items(), ("", UNMATCHED)]:
        view = app.view_functions.get(endpoint)
        owners = _blueprints(app, endpoint)
        exempt = any(getattr(obj, EXEMPT, False) for obj in (view, *owners.values()))
        if route.internal or exempt:
            continue
        rules = everybody + _read(getattr(view, MARK, []), endpoint, faults, f"view {endpoint!r}")
        for name, owner in owners.items():
            if name not in known:
                known[name] = _read(getattr(owner, MARK, []), name, faults, f"service {name!r}")
            rules += known[name]
        try:
            kept = distinct(rules)
        except ValueError as error:
            faults.append(f"view {endpoint!r}: {error}")
        else:
            if kept:
                plans[endpoint] = Plan(kept, policy(kept))
    return faults


def _blueprints(app: Flask, endpoint: str) -> dict[str, AnyBlueprint]:
    """The service an endpoint belongs to, and the blueprints between them."""
    found: dict[str, AnyBlueprint] = {}
    name = endpoint
    while "." in name:
        name = name.rpartition(".")[0]
        if name in app.blueprints:
            found[name] = app.blueprints[name]
    return found


def _everybody(default: str, user: str, faults: list[str]) -> list[Rule]:
    shared = [limiter.limit(default)] if default else []
    users = [limiter.limit(user)] if user else []
    # The scopes are none that a service could have.
    return [
        *_read(shared, "default", faults, "RATE_LIMIT_DEFAULT", "*default"),
        *map(_users_only, _read(users, "user", faults, "RATE_LIMIT_USER", "*user")),
    ]


def _read(
    declared: Sequence[Limit], name: str, faults: list[str], where: str, scope: str = ""
) -> list[Rule]:
    try:
        return list(distinct(rules_of(declared, name, scope or name, client_key)))
    except ValueError as error:
        faults.append(f"{where}: {error}")
        return []


def _users_only(rule: Rule) -> Rule:
    return replace(rule, users_only=True)


#: The gateway's one Flask-Limiter.
limiter: Limiter = Limiter()

__all__ = ["DeclaredLimit", "Limiter", "Plan", "compile_plans", "decide", "limiter"]
