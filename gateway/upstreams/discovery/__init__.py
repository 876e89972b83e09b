"""Instances that come and go: where they are is asked of a registry, and shared by all workers."""

from gateway.upstreams.discovery.provider import Discovery, DiscoveryError, Found, Look

__all__ = ["Discovery", "DiscoveryError", "Found", "Look"]
