"""One of three instances is killed under load, and comes back."""

from __future__ import annotations

import time
from pathlib import Path

from tests.chaos.backends import Instance, instances
from tests.chaos.clients import crowd
from tests.chaos.conftest import Start
from tests.support.gunicorn import wait_for

CLIENTS = 12


def gets_traffic(one: Instance) -> bool:
    """Whether requests arrive there."""
    before = one.seen()["requests"]
    return wait_for(lambda: one.seen()["requests"] > before + 5, 6)


def test_who_asks_safely_notices_nothing(start: Start, tmp_path: Path) -> None:
    with instances(tmp_path, "a", "b", "c") as three, start(shop=three) as gateway:
        for one in three:
            one.mode("paced")
        first = three[0]
        with (
            crowd(gateway.port, "/shop/x", CLIENTS, pause=0.02) as getting,
            crowd(gateway.port, "/shop/x", CLIENTS, pause=0.02, method="POST") as posting,
        ):
            assert gets_traffic(first)
            first.kill()
            time.sleep(2)
            since = time.monotonic()
            time.sleep(1)
            first.start()
            assert gets_traffic(first), "it is back, and nobody asks it"
        # Idempotent requests do not fail at all.
        assert set(getting.statuses()) == {200}
        # Of the others only those that were in flight there, and none once it is known to be gone.
        failed = sum(n for status, n in posting.statuses().items() if status != 200)
        assert failed <= CLIENTS
        assert set(posting.statuses(since)) == {200}
        assert len(getting.outcomes) > 100
