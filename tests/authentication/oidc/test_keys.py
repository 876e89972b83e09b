"""When keys are fetched, by whom, how often, and how long they are kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from gateway.authentication.oidc.discovery import FetchFailed
from gateway.authentication.oidc.entry import AGAIN, KEEP, REFRESH
from gateway.errors import AuthorityUnavailable
from tests.authentication.oidc.machine import FIRST, SECOND, THIRD, Machine, has, unavailable
from tests.authentication.oidc.support import keys_of


def test_why_nobody_can_say() -> None:
    machine, other, url = Machine(FIRST), Machine(), "https://issuer.test"
    other.document.keys = None
    worker = machine.worker()
    assert has(worker)
    machine.document.keys = None
    machine.clock.now += 60
    for one, why in (
        (worker, f"whether {url} has the key cannot be told: its keys were not fetched anew"),
        (other.worker(), f"the keys of {url} cannot be had"),
    ):
        with pytest.raises(AuthorityUnavailable) as raised:
            has(one, 7)
        assert str(raised.value.__cause__) == why


def test_keys_are_fetched_once_for_all_workers() -> None:
    machine = Machine(FIRST)
    for worker in (machine.worker(), machine.worker(), machine.worker()):
        assert has(worker)
        assert has(worker)
        worker.look()
    assert machine.document.fetches == 1


def test_they_are_fetched_before_a_request_needs_them() -> None:
    machine = Machine(FIRST)
    machine.worker().look()
    assert machine.document.fetches == 1
    assert has(machine.worker())
    assert machine.document.fetches == 1


def test_they_are_fetched_anew_after_ten_minutes_beside_the_requests() -> None:
    machine, work = Machine(FIRST), list[Callable[[], None]]()
    worker = machine.worker(run=work.append)
    worker.look()
    work.pop()()
    machine.document.keys = [SECOND]
    machine.clock.now += 0.9 * REFRESH - 1
    assert has(worker)
    assert work == []
    machine.clock.now += 1
    assert has(worker)  # with the keys at hand; nothing has been fetched yet
    assert (len(work), machine.document.fetches) == (1, 1)
    machine.clock.now += 0.5
    assert has(worker)
    assert len(work) == 1
    work.pop()()
    assert machine.document.fetches == 2
    assert has(worker, 1)
    assert not has(machine.worker(), 0)


def test_when_exactly_is_by_lot() -> None:
    for drawn in (0.0, 0.5, 1.0):
        machine = Machine(FIRST)
        machine.worker(draw=lambda drawn=drawn: drawn).look()
        assert machine.entry.due - 1000 == pytest.approx(REFRESH * (1 - drawn / 10))


def test_keys_are_kept_for_a_day_while_they_cannot_be_fetched() -> None:
    machine = Machine(FIRST)
    worker = machine.worker()
    assert has(worker)
    machine.document.keys = None
    machine.clock.now += KEEP - 1
    for one in (worker, machine.worker()):
        assert has(one)
    assert machine.document.fetches == 2  # one try that failed, then a pause
    assert machine.gone == 0
    machine.clock.now += 1
    assert unavailable(worker)
    assert machine.gone == 1
    assert unavailable(machine.worker())
    machine.document.keys = [FIRST]
    machine.clock.now += 60
    assert has(worker)


def test_an_empty_document_is_a_failure_that_takes_nothing_away() -> None:
    machine = Machine(FIRST)
    worker = machine.worker()
    assert has(worker)

    def empty() -> Any:
        raise FetchFailed("none of the 0 keys can be used")

    other = keys_of(empty, machine.state)
    machine.clock.now += REFRESH
    other.look()
    assert machine.entry.failures == 1
    assert has(other)


def test_tries_that_fail_follow_each_other_ever_more_slowly() -> None:
    machine = Machine()
    machine.document.keys = None
    worker = machine.worker()
    tried: list[float] = []
    for _ in range(3000):
        before = machine.document.fetches
        worker.look()
        if machine.document.fetches > before:
            tried.append(machine.clock.now)
        machine.clock.now += 0.1
    pauses = [b - a for a, b in itertools.pairwise(tried)]
    assert pauses[:7] == pytest.approx([1, 2, 4, 8, 16, 32, 60], abs=0.2)


def test_without_keys_requests_are_503_and_do_not_all_wait_for_an_answer() -> None:
    machine = Machine()
    machine.document.keys = None
    workers = [machine.worker() for _ in range(4)]
    assert all(unavailable(worker) for worker in workers * 50)
    assert machine.document.fetches == 1
    machine.clock.now += 1.1
    machine.document.keys = [FIRST]
    assert all(has(worker) for worker in workers)
    assert machine.document.fetches == 2


def test_a_key_that_is_not_there_has_them_fetched_once_in_thirty_seconds() -> None:
    machine = Machine(FIRST)
    workers = [machine.worker() for _ in range(4)]
    workers[0].look()
    machine.clock.now += 1
    for number in range(1000):
        assert not has(workers[number % 4], number + 5)
    assert machine.document.fetches == 2
    machine.clock.now += AGAIN - 0.1
    assert not has(workers[1], 5)
    assert machine.document.fetches == 2
    machine.clock.now += 0.1
    assert not any(has(worker, 5) for worker in workers)
    assert machine.document.fetches == 3


def test_a_bogus_name_with_no_keys_known_yet() -> None:
    """Whoever waited for the first keys does not have them fetched again at once."""
    machine = Machine(FIRST)
    workers = [machine.worker() for _ in range(4)]
    assert not has(workers[0], 5)
    assert machine.document.fetches == 1
    for number in range(100):
        assert not has(workers[number % 4], number + 5)
    assert machine.document.fetches == 2


def test_a_new_key_is_found_at_once() -> None:
    machine = Machine(FIRST)
    workers = [machine.worker() for _ in range(3)]
    assert all(has(worker) for worker in workers)
    machine.document.keys = [FIRST, SECOND]
    assert all(has(worker, 1) for worker in workers)
    assert machine.document.fetches == 2


def test_bogus_names_delay_a_new_key_by_thirty_seconds_at_most() -> None:
    machine = Machine(FIRST)
    worker = machine.worker()
    worker.look()
    machine.clock.now += 1
    assert not has(worker, 7)
    machine.document.keys = [SECOND]
    assert not has(worker, 1)
    assert has(worker, 0)
    for _ in range(30):
        machine.clock.now += 1
        assert not has(worker, 7)
    assert has(worker, 1)


def test_a_key_of_another_algorithm_is_not_one_that_is_missing() -> None:
    machine = Machine(FIRST)
    worker = machine.worker()
    assert has(worker)
    machine.clock.now += 60
    assert worker.candidates("RS256-0", "RS512") == ()
    assert worker.candidates(None, "ES256") == ()
    assert machine.document.fetches == 1


def test_a_key_that_is_not_there_cannot_be_judged_while_the_issuer_is_down() -> None:
    machine = Machine(FIRST)
    worker = machine.worker()
    assert has(worker)
    machine.document.keys = None
    machine.clock.now += 60
    for _ in range(3):
        assert unavailable(worker, 1)
        assert has(worker, 0)
    assert machine.document.fetches == 2
    machine.clock.now += 2
    machine.document.keys = [FIRST]
    worker.look()
    assert not has(worker, 1)


def test_a_key_that_leaves_is_told_and_one_that_comes_is_not() -> None:
    machine = Machine(FIRST, SECOND)
    worker, other = machine.worker(), machine.worker()
    assert has(worker)
    assert has(other)
    machine.document.keys = [FIRST, SECOND, THIRD]
    machine.clock.now += REFRESH
    worker.look()
    other.look()
    assert machine.gone == 0
    machine.document.keys = [FIRST, THIRD]
    machine.clock.now += REFRESH
    worker.look()
    assert machine.gone == 1
    other.look()
    assert machine.gone == 2
    # The same name, another key.
    machine.document.keys = [FIRST, {**SECOND, "kid": "RS256-2"}]
    machine.clock.now += REFRESH
    worker.look()
    assert machine.gone == 3


def test_what_the_state_lost_is_told_again_by_who_knows_it() -> None:
    machine = Machine(FIRST)
    worker, other = machine.worker(), machine.worker()
    assert has(worker)
    machine.state.change("oidc/test", lambda _: None)
    machine.document.keys = None
    worker.look()
    assert has(other)
    assert machine.document.fetches == 1


def test_older_keys_do_not_come_back_with_a_store_that_was_away() -> None:
    machine = Machine(FIRST)
    worker = machine.worker()
    assert has(worker)
    old = machine.state.get("oidc/test")
    machine.document.keys = [SECOND]
    machine.clock.now += REFRESH
    worker.look()
    machine.state.change("oidc/test", lambda _: old)
    worker.look()
    assert has(worker, 1)
    assert has(machine.worker(), 1)
    assert not has(worker, 0)


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    machine = Machine(FIRST)
    worker = machine.worker()
    assert has(worker)
    machine.clock.now -= 900
    machine.document.keys = [SECOND]
    assert has(worker, 1)
    machine.document.keys = [THIRD]
    machine.clock.now += REFRESH
    worker.look()
    assert has(worker, 2)


def test_a_fetch_that_breaks_is_a_failure_too(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()

    def fetch() -> Any:
        raise RuntimeError("a mistake")

    assert unavailable(keys_of(fetch, machine.state))
    assert machine.entry.failures == 1
    assert "the keys of https://issuer.test cannot be fetched" in caplog.text


def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "gateway.oidc")
    machine = Machine(FIRST)
    worker = machine.worker()
    worker.look()
    machine.document.keys = None
    for _ in range(4):
        machine.clock.now += REFRESH
        worker.look()
    machine.document.keys = [FIRST]
    machine.clock.now += REFRESH
    worker.look()
    assert [record.getMessage() for record in caplog.records] == [
        "https://issuer.test has 1 keys, and 0 that are not used",
        "the keys of https://issuer.test cannot be fetched: the issuer does not answer",
        "the keys of https://issuer.test can be fetched again",
    ]
