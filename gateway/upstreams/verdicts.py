"""Under which names the workers tell each other about upstreams."""

from __future__ import annotations


def about(service: str) -> str:
    """What all names of one service begin with."""
    return f"upstream/{service}/"


def targets(service: str) -> str:
    """The instances that discovery found."""
    return f"upstream/{service}/targets"


def health(service: str, target: str) -> str:
    """What active probes say: `healthy`, `since`, `reason`."""
    return f"upstream/{service}/health/{target}"


def ejected(service: str, target: str) -> str:
    """What passive health says: `until`, `times`."""
    return f"upstream/{service}/ejected/{target}"
