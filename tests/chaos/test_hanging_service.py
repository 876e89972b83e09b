"""One service hangs, with hundreds of clients on it; the others must not feel it."""

from __future__ import annotations

import time
from pathlib import Path

from tests.chaos.backends import instances
from tests.chaos.clients import crowd, percentile
from tests.chaos.conftest import Start
from tests.chaos.elsewhere import crowd_elsewhere

CLIENTS = 500
TOTAL = 3.0  # what tests.chaos.app allows the hanging service
#: What other tests on the same two cores make of a p99 of some milliseconds, whoever hangs. One who
#: feels the hanging service waits for its second, at least.
NOISE = 0.25
ROUNDS = 5


def p99(port: int, seconds: float = 1.5) -> float:
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
            with crowd_elsewhere(gateway.port, "/hung/x", CLIENTS, pause=1.0) as waiting:
                time.sleep(2.0)
                loud = min(p99(gateway.port) for _ in range(ROUNDS))
    assert loud <= max(2 * quiet, quiet + NOISE)
    assert set(waiting.statuses) <= {503, 504}
    assert sum(waiting.statuses.values()) >= CLIENTS
    assert waiting.statuses[504] > 0
    assert waiting.slowest < TOTAL + 2.0
