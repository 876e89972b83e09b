"""Where a service's instances are, how they are, and which of them gets the next request."""

from gateway.upstreams.ejection import Ejection
from gateway.upstreams.node import Node
from gateway.upstreams.pool import Connections, UpstreamPool
from gateway.upstreams.target import Target, parse_target, parse_targets

__all__ = [
    "Connections",
    "Ejection",
    "Node",
    "Target",
    "UpstreamPool",
    "parse_target",
    "parse_targets",
]
