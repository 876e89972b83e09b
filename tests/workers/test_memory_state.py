"""Memory cannot be shared: with several workers it is refused unless somebody insists."""

from __future__ import annotations

import pytest

from tests.support.client import exchange
from tests.support.messages import request
from tests.workers.conftest import Start
from tests.workers.starting import run_gunicorn


def test_two_workers_are_refused(worker_class: str) -> None:
    outcome = run_gunicorn(WORKER_CLASS=worker_class, WEB_CONCURRENCY="2", STATE_URL="memory://")
    assert outcome.code != 0
    (fault,) = outcome.faults
    assert "memory://" in fault
    assert "ALLOW_MEMORY_STATE" in fault
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("workers", "insisted"), [(1, "false"), (2, "true")], ids=["one worker", "insisted"]
)
def test_otherwise_it_serves(start: Start, workers: int, insisted: str) -> None:
    with start(workers=workers, STATE_URL="memory://", ALLOW_MEMORY_STATE=insisted) as gateway:
        assert exchange(gateway.address, request(b"/plain/x")).status == 200


def test_one_worker_counts_in_it(start: Start) -> None:
    with start(workers=1, STATE_URL="memory://", RATE_LIMIT_DEFAULT="3/hour") as gateway:
        statuses = [exchange(gateway.address, request(b"/plain/x")).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
