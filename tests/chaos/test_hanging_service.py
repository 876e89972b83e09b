"""One service hangs, with hundreds of clients on it; the others must not feel it."""

from __future__ import annotations

import time
from pathlib import Path

from tests.chaos.backends import instances
from tests.chaos.clients import Crowd, crowd, percentile
from tests.chaos.conftest import Start

CLIENTS = 500
TOTAL = 3.0  # what tests.chaos.app allows the hanging service
#: What a loaded machine of two cores makes of any p99, whoever hangs.
NOISE = 0.025


def p99(port: int, seconds: float = 2.0) -> float:
    """Of the service that is well, asked by a few clients."""
    with crowd(port, "/calm/x", 4, pause=0.01) as calm:
        time.sleep(seconds)
    assert set(calm.statuses()) == {200}
    return percentile([one.seconds for one in calm.outcomes], 0.99)


def test_another_service_goes_on_as_before(start: Start, tmp_path: Path) -> None:
    with instances(tmp_path, "sick", "well") as (sick, well):
        with start(hung=[sick], calm=[well]) as gateway:
            sick.mode("hang")
            p99(gateway.port, 0.5)  # warm
            quiet = max(p99(gateway.port), p99(gateway.port))
            waiting = Crowd(gateway.port, "/hung/x", pause=1.0)
            waiting.start(CLIENTS)
            time.sleep(1.0)
            loud = min(p99(gateway.port) for _ in range(3))
            waiting.finish()
    assert loud <= max(2 * quiet, quiet + NOISE)
    assert set(waiting.statuses()) <= {503, 504}
    assert len(waiting.outcomes) >= CLIENTS
    assert waiting.statuses()[504] > 0
    assert max(one.seconds for one in waiting.outcomes) < TOTAL + 2.0
