"""Flask-Limiter's declarations, decided at once for all limits of a request.

Flask-Limiter evaluates one limit after another and counts the first even if the second refuses;
here all limits of a request are counted, or none. Endpoint, service, user and default limits stack.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import flask_limiter
from flask import Blueprint, Flask, Response
from flask_limiter import RouteLimit
from limits.strategies import MovingWindowRateLimiter

from gateway.admission import Step
from gateway.authentication.identity import Identity
from gateway.rate_limiting.concurrency.declaring import DeclaredConcurrency, Per
from gateway.rate_limiting.context import LimitContext
from gateway.rate_limiting.deciding import EndpointLimits, decide
from gateway.rate_limiting.keys import client_key
from gateway.rate_limiting.rules import EXEMPT, MARK
from gateway.rate_limiting.storage import WindowStorage
from gateway.rate_limiting.windows import OnFailure
from gateway.routes import UNMATCHED, Route

_OWN = f"{Path(__file__).parent}/"

T = TypeVar("T", bound=Callable[..., Any] | Blueprint)


@dataclass(frozen=True, slots=True)
class Options:
    """What a declared limit has beside Flask-Limiter's own options; see Limiter.limit."""

    burst: int | None = None
    nodelay: bool = True
    deduct_when: Callable[[Response], bool] | None = None
    dry_run: bool = False
    on_failure: OnFailure = "local"


class DeclaredLimit(RouteLimit):
    """A limit that notes itself on a view or a service; it wraps nothing."""

    def __init__(
        self, *, options: Options = Options(), declared_at: str = "", **declared: Any
    ) -> None:
        super().__init__(**declared)
        self.options = options
        self.declared_at = declared_at

    def __call__(self, obj: T) -> T:  # type: ignore[override]  # a service is returned, too
        """Declare the limit on `obj` and return `obj`."""
        # A list of its own: `functools.wraps` hands a view's attributes on to its wrapper.
        setattr(obj, MARK, [*getattr(obj, MARK, []), self])
        return obj

    def __enter__(self) -> None:
        """Not offered: the limits of a request are decided at once, before its view."""
        raise TypeError("a limit is declared on a view or a service, not entered")


class Limiter(flask_limiter.Limiter):
    """The gateway's Flask-Limiter. Declare with `limit`, `shared_limit`, `concurrency`
    and `exempt`:

        limiter.limit("100/minute")(orders)      shared by all paths of the service
        @limiter.limit("5/minute")               on top, for one view
        @limiter.limit("10/minute", cost=5, methods=["POST"])
        limiter.concurrency(50)(orders)          at the same time
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
        burst: int | None = None,
        nodelay: bool = True,
        deduct_when: Callable[[Response], bool] | None = None,
        dry_run: bool = False,
        on_failure: OnFailure = "local",
    ) -> DeclaredLimit:
        """Limit a service or a view to `limit_value`, such as `"10/second;1000/hour"`.

        key_func: whose limit it is; default the user, else the address. per_method: each method
        counts apart. methods: only these. cost: what a request counts. scope: part of the view
        or service; with `shared`, one limit for everything with that scope.

        burst: None, a moving window. A number: a token bucket, in which requests are spaced by
        `limit_value`, and so many more may come at once; 0 permits none ahead of its time.
        nodelay: whether those go on at once, or each when its time has come. deduct_when: count
        after the response, and only if this says so of it; room is asked for before. dry_run:
        count and log, refuse nothing. on_failure: when the shared store cannot be asked, "local"
        counts in this machine or worker, "open" lets pass, "closed" answers 503.

        TypeError for methods that are one text: its letters would be methods.
        """
        if isinstance(methods, str):
            raise TypeError(f"methods={methods!r} must be a list of methods")
        return DeclaredLimit(
            declared_at=_place(),
            options=Options(burst, nodelay, deduct_when, dry_run, on_failure),
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

    def concurrency(
        self,
        limit: int,
        *,
        per: Per = "all",
        dry_run: bool = False,
        on_failure: OnFailure = "local",
    ) -> DeclaredConcurrency:
        """Let a service or a view have at most `limit` requests at the same time, from their
        arrival here to the last byte of their answer; more are refused with 429.

        per: "all" counts everybody's together, "identity" those of each user, else address.
        dry_run, on_failure: as of `limit`.
        """
        return DeclaredConcurrency(limit, per, dry_run, on_failure)

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
        self,
        app: Flask,
        context: LimitContext | None = None,
    ) -> None:
        """Set the application's limits up; `step` decides them."""
        if context is None:
            raise TypeError("the gateway's limiter is set up by create_app")
        self._storage = WindowStorage(context.windows)
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._strategy = "moving-window"
        self.initialized = True
        app.extensions.setdefault("limiter", set()).add(self)
        app.extensions["gateway_limits"] = {}

    def step(self, endpoints: Mapping[str, EndpointLimits], context: LimitContext) -> Step:
        """The step of admission that counts a request and refuses what is too many."""

        def check_limits(environ: dict[str, Any]) -> None:
            limits = self.limits_of(environ, endpoints, context)
            if limits is not None:
                decide(limits, context, environ)

        return check_limits

    def limits_of(
        self,
        environ: dict[str, Any],
        endpoints: Mapping[str, EndpointLimits],
        context: LimitContext,
    ) -> EndpointLimits | None:
        """What limits a request, those of its plan among them; None for nothing."""
        route: Route = environ.get("gateway.route", UNMATCHED)
        limits = endpoints.get(route.endpoint)
        if limits is None or context.exempt.cover(environ):
            return None
        identity: Identity | None = environ.get("gateway.identity")
        plan = None if identity is None else context.plans.plan_of(identity)
        if plan is not None:
            limits = context.plans.applied(route.endpoint, limits, plan)
        if not (limits.rules or limits.quotas):
            return None
        return None if any(lifted() for lifted in self._request_filters) else limits


def _place() -> str:
    """The file and line of whoever declares a limit; empty for a setting's."""
    frame = sys._getframe(2)
    if frame.f_code.co_filename == __file__ and frame.f_back is not None:
        frame = frame.f_back
    name = frame.f_code.co_filename
    return "" if name.startswith(_OWN) else f" ({name}:{frame.f_lineno})"


#: The gateway's one Flask-Limiter.
limiter: Limiter = Limiter()
