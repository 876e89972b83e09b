"""When a webhook that failed is sent again: exact, with the chance injected."""

from __future__ import annotations

import pytest

from gateway.webhooks.schedule import LONGEST_WISH, Schedule
from settings import Settings


def test_each_try_has_its_delay_and_the_last_has_none() -> None:
    schedule = Schedule((5, 30, 120), chance=lambda: 0.0)
    assert [schedule.after(tries) for tries in (1, 2, 3, 4, 5)] == [5, 30, 120, None, None]
    assert Schedule(()).after(1) is None


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 100), (0.5, 110), (1.0, 120)])
def test_a_fifth_at_the_most_is_added(chance: float, seconds: int) -> None:
    assert Schedule((100,), chance=lambda: chance).after(1) == seconds


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [(0, 5), (-3, 5), (3, 5), (5.2, 6), (90, 90), (1e9, LONGEST_WISH), (float("inf"), 21_600)],
)
def test_a_wish_makes_it_later_and_not_too_late(wish: float, seconds: int) -> None:
    schedule = Schedule((5,), chance=lambda: 0.0)
    assert schedule.after(1, wish) == seconds
    assert schedule.after(2, wish) is None


def test_the_usual_schedule_takes_about_a_day() -> None:
    delays = Settings.model_fields["WEBHOOK_RETRIES"].default
    assert 20 * 3600 < sum(delays) < 26 * 3600
    assert sorted(delays) == list(delays)
