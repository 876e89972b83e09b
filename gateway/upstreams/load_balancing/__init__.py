"""Which of several instances gets a request."""

from gateway.upstreams.load_balancing.choice import (
    BalancedService,
    Chooser,
    LoadBalancing,
    balancing_faults,
)
from gateway.upstreams.load_balancing.consistent_hash import ConsistentHash
from gateway.upstreams.load_balancing.least_requests import LeastRequests
from gateway.upstreams.load_balancing.power_of_two import PowerOfTwo
from gateway.upstreams.load_balancing.round_robin import RoundRobin
from gateway.upstreams.load_balancing.sticky_sessions import StickySessions

__all__ = [
    "BalancedService",
    "Chooser",
    "ConsistentHash",
    "LeastRequests",
    "LoadBalancing",
    "PowerOfTwo",
    "RoundRobin",
    "StickySessions",
    "balancing_faults",
]
