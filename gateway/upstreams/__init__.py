"""Where a service's instances are, and which of them gets the next request."""

from gateway.upstreams.pool import UpstreamPool
from gateway.upstreams.target import Target, parse_targets

__all__ = ["Target", "UpstreamPool", "parse_targets"]
