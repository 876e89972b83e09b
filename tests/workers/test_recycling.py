"""Workers are replaced after so many requests, and nobody notices."""

from __future__ import annotations

import time
from signal import SIGTERM

from gateway.testing import ScriptedUpstream, Send, Step, Wait
from tests.support.gunicorn import wait_for
from tests.support.messages import response
from tests.workers.conftest import Start
from tests.workers.load import load

SLOWLY: list[Step] = [Wait(0.01), Send(response(b"200 OK", body=b"ok"))]


def test_every_worker_is_replaced_and_no_request_lost(
    start: Start, upstream: ScriptedUpstream
) -> None:
    upstream.script(SLOWLY)
    with start(MAX_REQUESTS="60", MAX_REQUESTS_JITTER="60") as gateway:
        first = set(gateway.worker_pids())
        with load(gateway.address) as clients:
            assert wait_for(lambda: not first & set(gateway.worker_pids()), 30)
            assert wait_for(lambda: len(gateway.worker_pids()) == 2)
            assert wait_for(lambda: len(clients.answered) > 200)
        assert (clients.lost, clients.refused) == ([], 0)
        assert gateway.stderr_text().count("Autorestarting worker") >= 2


def test_no_worker_is_missing_while_draining(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.script(SLOWLY)
    with start(MAX_REQUESTS="60", MAX_REQUESTS_JITTER="0", DRAIN_SECONDS="4") as gateway:
        with load(gateway.address) as clients:
            assert wait_for(lambda: len(clients.answered) > 20)
            gateway.signal(SIGTERM)
            told = time.monotonic()
            assert gateway.process.wait(40) == 0
        assert clients.lost == []
        # Without new workers the first two end at 120 requests and those under way.
        assert clients.answered_since(told) > 200
