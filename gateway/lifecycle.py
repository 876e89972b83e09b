"""Which phase of its life the whole gateway is in: one byte that master and workers share.

The master makes it before it forks; an application served otherwise is simply serving.
"""

from __future__ import annotations

import mmap

SERVING, DRAINING, STOPPING = 0, 1, 2

_phase = mmap.mmap(-1, 1)


def phase() -> int:
    """SERVING; DRAINING, when `/readyz` says 503 and everything else goes on; or STOPPING."""
    return _phase[0]


def enter(new: int) -> None:
    """Move to a phase. Only the master does, and only forward."""
    _phase[0] = new


def draining() -> bool:
    """Whether no new traffic is wanted."""
    return _phase[0] != SERVING
