"""Under which names the workers tell each other about upstreams, and what stands there.

A value with `expires`, in the state's clock, means nothing from then on, and is swept away.
"""

from __future__ import annotations

from gateway.state import Value


def about(service: str) -> str:
    """What all names of one service begin with."""
    return f"upstream/{service}/"


def targets(service: str) -> str:
    """The instances that discovery found."""
    return f"upstream/{service}/targets"


def health(service: str, target: str) -> str:
    """What active probes say: `healthy`, `since`, `checked`, `reason` (the last probe's failure,
    empty for none), `streak` (probes in a row that spoke against the verdict), `expires`."""
    return f"upstream/{service}/health/{target}"


def ejected(service: str, target: str) -> str:
    """What passive health says: `until`, `times`, `expires` (when it is all forgotten), and
    `passed` (good probes since then)."""
    return f"upstream/{service}/ejected/{target}"


def is_healthy(verdict: Value | None, now: float) -> bool:
    """Whether an instance may be taken for healthy: also if nobody has looked for long."""
    return verdict is None or bool(verdict["healthy"]) or now >= verdict["expires"]
