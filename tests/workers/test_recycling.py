"""Workers are replaced after so many requests, and nobody notices."""

from __future__ import annotations

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
            assert wait_for(lambda: len(clients.answered) > 100)
            gateway.signal(SIGTERM)
            assert gateway.process.wait(40) == 0
        assert clients.lost == []  # with nobody to accept them, some would be reset at the end
        ended = gateway.stderr_text().count("Autorestarting worker")
        assert ended >= 1
        assert gateway.stderr_text().count("Booting worker") == 2 + ended
