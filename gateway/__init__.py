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
    from gateway.errors import ConfigurationError, Refusal, UpstreamError
    from gateway.exchange import Handler, Policy, Timeouts, UpstreamRequest, UpstreamResponse
    from gateway.rate_limiting.extension import limiter
    from gateway.service import Service

_WHERE = {
    "ConfigurationError": "gateway.errors",
    "Handler": "gateway.exchange",
    "Identity": "gateway.authentication",
    "Policy": "gateway.exchange",
    "READ": "gateway.authorization",
    "Refusal": "gateway.errors",
    "Service": "gateway.service",
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
}

__all__ = [
    "READ",
    "WRITE",
    "ConfigurationError",
    "Handler",
    "Identity",
    "Policy",
    "Refusal",
    "Service",
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
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'gateway' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value
