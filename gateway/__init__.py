"""Gatehouse: a synchronous WSGI API gateway made of Flask blueprints.

The public names. They are imported at first use: gunicorn's master reads `gateway.server` before
a gevent worker has patched the standard library, and must not load half of it by then.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.application import create_app
    from gateway.authentication import Identity, current_identity
    from gateway.authorization import READ, WRITE, any_of, public, require, role
    from gateway.errors import ConfigurationError, NotSent, Refusal, UpstreamError
    from gateway.exchange import Handler, Policy, Timeouts, UpstreamRequest, UpstreamResponse
    from gateway.policy import PolicyContext
    from gateway.rate_limiting.extension import limiter
    from gateway.response_bodies import StaticBody, watch
    from gateway.service import Service
    from gateway.upstreams.ejection import Ejection
    from gateway.upstreams.load_balancing.power_of_two import PowerOfTwo
    from gateway.upstreams.load_balancing.round_robin import RoundRobin

_WHERE = {
    "ConfigurationError": "gateway.errors",
    "Ejection": "gateway.upstreams.ejection",
    "Handler": "gateway.exchange",
    "Identity": "gateway.authentication",
    "NotSent": "gateway.errors",
    "Policy": "gateway.exchange",
    "PolicyContext": "gateway.policy",
    "PowerOfTwo": "gateway.upstreams.load_balancing.power_of_two",
    "READ": "gateway.authorization",
    "Refusal": "gateway.errors",
    "RoundRobin": "gateway.upstreams.load_balancing.round_robin",
    "Service": "gateway.service",
    "StaticBody": "gateway.response_bodies",
    "Timeouts": "gateway.exchange",
    "UpstreamError": "gateway.errors",
    "UpstreamRequest": "gateway.exchange",
    "UpstreamResponse": "gateway.exchange",
    "WRITE": "gateway.authorization",
    "any_of": "gateway.authorization",
    "create_app": "gateway.application",
    "current_identity": "gateway.authentication",
    "limiter": "gateway.rate_limiting.extension",
    "public": "gateway.authorization",
    "require": "gateway.authorization",
    "role": "gateway.authorization",
    "watch": "gateway.response_bodies",
}

__all__ = [
    "READ",
    "WRITE",
    "ConfigurationError",
    "Ejection",
    "Handler",
    "Identity",
    "NotSent",
    "Policy",
    "PolicyContext",
    "PowerOfTwo",
    "Refusal",
    "RoundRobin",
    "Service",
    "StaticBody",
    "Timeouts",
    "UpstreamError",
    "UpstreamRequest",
    "UpstreamResponse",
    "any_of",
    "create_app",
    "current_identity",
    "limiter",
    "public",
    "require",
    "role",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'gateway' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value
