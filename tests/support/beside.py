"""What is done beside the requests of this process."""

from __future__ import annotations

import os

from gateway import parallel


def nothing_beside() -> bool:
    """Whether every thread beside the requests waits for its next task."""
    workers = parallel._workers.get(os.getpid())
    return workers is None or len(workers._idle) == workers._count
