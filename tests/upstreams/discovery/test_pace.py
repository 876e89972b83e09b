"""How fast a registry is asked."""

from __future__ import annotations

from gateway.upstreams.discovery.pace import Pace


def test_a_few_at_once_then_one_every_some_seconds() -> None:
    now = 100.0
    pace = Pace(3, 2.0, lambda: now)
    assert [pace.pause() for _ in range(3)] == [0, 0, 0]
    for _ in range(4):
        assert pace.pause() == 2.0
        now += 2.0


def test_after_a_rest_there_may_be_as_many_again_and_no_more() -> None:
    now = 100.0
    pace = Pace(3, 2.0, lambda: now)
    assert [pace.pause() for _ in range(4)] == [0, 0, 0, 2.0]
    now += 1000
    assert [pace.pause() for _ in range(4)] == [0, 0, 0, 2.0]
