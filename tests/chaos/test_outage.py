"""Everything is down, and retries are on: they must not make it worse."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.backends import instances
from tests.chaos.clients import Crowd
from tests.chaos.conftest import Start

MOST = 1.25


@pytest.mark.parametrize(
    ("mode", "clients", "rounds", "statuses"),
    [
        ("storm", 20, 60, {503}),
        ("reset", 20, 60, {502}),
        ("hang", 60, 8, {504}),
    ],
)
def test_retries_do_not_multiply_an_outage(
    start: Start, tmp_path: Path, mode: str, clients: int, rounds: int, statuses: set[int]
) -> None:
    with (
        instances(tmp_path, "a", "b", "c") as three,
        start(outage=three, WORKER_THREADS="64") as gateway,
    ):
        for one in three:
            one.mode(mode)
        working = Crowd(gateway.port, "/outage/x", rounds=rounds, pause=0.005)
        working.start(clients)
        working.join(90)
        offered = clients * rounds
        seen = sum(one.seen()["requests"] for one in three)
    assert len(working.outcomes) == offered
    assert set(working.statuses()) == statuses
    assert offered <= seen <= offered * MOST
