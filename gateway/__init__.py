"""Gatehouse: a synchronous WSGI API gateway made of Flask blueprints.

The public names. They are imported at first use: gunicorn's master reads `gateway.server` before
a gevent worker has patched the standard library, and must not load half of it by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.lazy import at_first_use

if TYPE_CHECKING:
    from gateway.aggregation.answer import Gathered
    from gateway.aggregation.fields import chosen_fields
    from gateway.aggregation.gathering import gather
    from gateway.aggregation.leg import Leg, LegFailed, after
    from gateway.application import create_app
    from gateway.authentication import Identity, current_identity
    from gateway.authentication.forward_auth import ForwardAuth
    from gateway.authorization import READ, WRITE, all_of, any_of, public, require, role, scope
    from gateway.authorization.decision_point import PolicyDecisionPoint
    from gateway.errors import ConfigurationError, NotSent, Refusal, UpstreamError
    from gateway.exchange import Handler, Policy, Timeouts, UpstreamRequest, UpstreamResponse
    from gateway.frontend import Frontend
    from gateway.policies.bulkhead import Bulkhead
    from gateway.policies.cache import Cache
    from gateway.policies.circuit_breaker import CircuitBreaker
    from gateway.policies.deadline import Deadline
    from gateway.policies.fallback import Fallback
    from gateway.policies.fault_injection import FaultInjection
    from gateway.policies.hedge import Hedge
    from gateway.policies.load_shedding import AdaptiveConcurrency
    from gateway.policies.mirror import Mirror
    from gateway.policies.retry import Retry
    from gateway.policies.split import Split
    from gateway.policy import PolicyContext
    from gateway.rate_limiting.extension import limiter
    from gateway.response_bodies import StaticBody, watch
    from gateway.service import Service
    from gateway.upstreams.discovery import Discovery, DiscoveryError, Found, Look
    from gateway.upstreams.ejection import Ejection
    from gateway.upstreams.health_checks import HealthCheck
    from gateway.upstreams.load_balancing.consistent_hash import ConsistentHash
    from gateway.upstreams.load_balancing.least_requests import LeastRequests
    from gateway.upstreams.load_balancing.power_of_two import PowerOfTwo
    from gateway.upstreams.load_balancing.round_robin import RoundRobin
    from gateway.upstreams.load_balancing.sticky_sessions import StickySessions
    from gateway.upstreams.target import Target, parse_targets
    from gateway.versions.declaring import Version, Versions
    from gateway.view_policies import with_policies

_WHERE = {
    "AdaptiveConcurrency": "gateway.policies.load_shedding",
    "Bulkhead": "gateway.policies.bulkhead",
    "Cache": "gateway.policies.cache",
    "CircuitBreaker": "gateway.policies.circuit_breaker",
    "ConfigurationError": "gateway.errors",
    "ConsistentHash": "gateway.upstreams.load_balancing.consistent_hash",
    "Deadline": "gateway.policies.deadline",
    "Discovery": "gateway.upstreams.discovery",
    "DiscoveryError": "gateway.upstreams.discovery",
    "Ejection": "gateway.upstreams.ejection",
    "Fallback": "gateway.policies.fallback",
    "FaultInjection": "gateway.policies.fault_injection",
    "ForwardAuth": "gateway.authentication.forward_auth",
    "Found": "gateway.upstreams.discovery",
    "Frontend": "gateway.frontend",
    "Gathered": "gateway.aggregation.answer",
    "Handler": "gateway.exchange",
    "HealthCheck": "gateway.upstreams.health_checks",
    "Hedge": "gateway.policies.hedge",
    "Identity": "gateway.authentication",
    "LeastRequests": "gateway.upstreams.load_balancing.least_requests",
    "Leg": "gateway.aggregation.leg",
    "LegFailed": "gateway.aggregation.leg",
    "Look": "gateway.upstreams.discovery",
    "Mirror": "gateway.policies.mirror",
    "NotSent": "gateway.errors",
    "Policy": "gateway.exchange",
    "PolicyContext": "gateway.policy",
    "PolicyDecisionPoint": "gateway.authorization.decision_point",
    "PowerOfTwo": "gateway.upstreams.load_balancing.power_of_two",
    "READ": "gateway.authorization",
    "Refusal": "gateway.errors",
    "Retry": "gateway.policies.retry",
    "RoundRobin": "gateway.upstreams.load_balancing.round_robin",
    "Service": "gateway.service",
    "Split": "gateway.policies.split",
    "StaticBody": "gateway.response_bodies",
    "StickySessions": "gateway.upstreams.load_balancing.sticky_sessions",
    "Target": "gateway.upstreams.target",
    "Timeouts": "gateway.exchange",
    "UpstreamError": "gateway.errors",
    "UpstreamRequest": "gateway.exchange",
    "UpstreamResponse": "gateway.exchange",
    "Version": "gateway.versions.declaring",
    "Versions": "gateway.versions.declaring",
    "WRITE": "gateway.authorization",
    "after": "gateway.aggregation.leg",
    "all_of": "gateway.authorization",
    "any_of": "gateway.authorization",
    "chosen_fields": "gateway.aggregation.fields",
    "create_app": "gateway.application",
    "current_identity": "gateway.authentication",
    "gather": "gateway.aggregation.gathering",
    "limiter": "gateway.rate_limiting.extension",
    "parse_targets": "gateway.upstreams.target",
    "public": "gateway.authorization",
    "require": "gateway.authorization",
    "role": "gateway.authorization",
    "scope": "gateway.authorization",
    "watch": "gateway.response_bodies",
    "with_policies": "gateway.view_policies",
}

__all__ = [
    "READ",
    "WRITE",
    "AdaptiveConcurrency",
    "Bulkhead",
    "Cache",
    "CircuitBreaker",
    "ConfigurationError",
    "ConsistentHash",
    "Deadline",
    "Discovery",
    "DiscoveryError",
    "Ejection",
    "Fallback",
    "FaultInjection",
    "ForwardAuth",
    "Found",
    "Frontend",
    "Gathered",
    "Handler",
    "HealthCheck",
    "Hedge",
    "Identity",
    "LeastRequests",
    "Leg",
    "LegFailed",
    "Look",
    "Mirror",
    "NotSent",
    "Policy",
    "PolicyContext",
    "PolicyDecisionPoint",
    "PowerOfTwo",
    "Refusal",
    "Retry",
    "RoundRobin",
    "Service",
    "Split",
    "StaticBody",
    "StickySessions",
    "Target",
    "Timeouts",
    "UpstreamError",
    "UpstreamRequest",
    "UpstreamResponse",
    "Version",
    "Versions",
    "after",
    "all_of",
    "any_of",
    "chosen_fields",
    "create_app",
    "current_identity",
    "gather",
    "limiter",
    "parse_targets",
    "public",
    "require",
    "role",
    "scope",
    "watch",
    "with_policies",
]

__getattr__ = at_first_use(__name__, _WHERE)
