"""Limits by address over the workers of a real gateway."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.client import Address, Connection
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.wsgi import bearer

LIMIT, WORKERS = 20, 4


def status(address: Address, data: bytes) -> int:
    """The status of the answer, once the connection has ended: all that the request held has been
    given back by then."""
    with Connection(address) as connection:
        connection.send(data)
        reply = connection.read_reply()
        connection.read_to_end()
    return reply.status


def ask(running: Gateway, token: str, times: int) -> Counter[int]:
    """Ask so often, one after the other, each on a connection of its own."""
    head = f"GET /own/x HTTP/1.1\r\nHost: own\r\nConnection: close\r\n{token}\r\n\r\n"
    return Counter(status(running.address, head.encode()) for _ in range(times))


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_failed_logins(worker_class: str) -> None:
    with start_gateway(
        "tests.workers.concurrency_app:app",
        worker_class=worker_class,
        workers=WORKERS,
        env={
            "COUNTED_URL": "",
            "OWN_URL": "",
            "RATE_LIMIT_FAILED_LOGINS": f"{LIMIT}/hour",
        },
    ) as running:
        assert wait_for(lambda: len(running.worker_pids()) == WORKERS)
        good = ": ".join(bearer())
        assert ask(running, good, 10) == {503: 10}  # let in; there is no instance
        found = ask(running, "Authorization: Bearer wrong", 100)
        assert set(found) == {401, 429}
        assert LIMIT <= found[401] <= LIMIT + WORKERS - 1
        # A worker may have met no bad one yet, and lets a good one in without a question.
        assert set(ask(running, good, 20)) <= {503, 429}


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_requests_by_address(worker_class: str) -> None:
    with start_gateway(
        "tests.workers.concurrency_app:app",
        worker_class=worker_class,
        workers=WORKERS,
        env={"COUNTED_URL": "", "OWN_URL": "", "RATE_LIMIT_ADDRESS": f"{LIMIT}/hour"},
    ) as running:
        assert ask(running, "Authorization: Bearer wrong", 60) == {401: LIMIT, 429: 60 - LIMIT}
