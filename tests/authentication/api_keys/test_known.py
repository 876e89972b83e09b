"""What a worker remembers of keys, and for how long it may believe it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gateway.authentication.api_keys.known import AGE, KnownKeys
from gateway.authentication.api_keys.watch import LATE, Watch
from gateway.errors import AuthorityUnavailable
from tests.authentication.api_keys.support import Asked, Clock, record_of
from tests.support.gunicorn import wait_for

KEY, OTHER = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


class Worker:
    """What one worker knows, with a clock of the test's; its watch asks when the test says so."""

    def __init__(self, asked: Asked, **options: Any) -> None:
        self.asked = asked
        self.clock = Clock()
        self.watch = Watch(asked, self._learn, clock=self.clock)  # type: ignore[arg-type]
        self.watch.wake = lambda: None  # type: ignore[method-assign]
        self.known = KnownKeys(
            asked,  # type: ignore[arg-type]
            clock=self.clock,
            watch=self.watch,
            **options,
        )

    def _learn(self, *arguments: Any) -> None:
        self.known._learn(*arguments)

    def knows(self, key_id: str = KEY) -> str:
        """Whose key it is as this worker sees it; empty for an unknown id, "?" for no answer."""
        try:
            record = self.known.find(key_id)
        except AuthorityUnavailable:
            return "?"
        return str(record.identity.claims["owner"])


@pytest.fixture
def asked() -> Asked:
    """A database with one key."""
    asked = Asked()
    asked.set(KEY, record_of(KEY, owner="ada"))
    return asked


def test_asked_once_for_a_key_and_once_for_an_unknown_id(asked: Asked) -> None:
    worker = Worker(asked)
    for _ in range(5):
        assert worker.knows(KEY) == "ada"
        assert worker.knows(OTHER) == ""
    assert asked.finds == 2


def test_believed_for_less_than_a_second_without_the_watch(asked: Asked) -> None:
    worker = Worker(asked)
    worker.watch.ask()
    assert worker.knows() == "ada"
    asked.set(KEY, record_of(KEY, owner="eve"))
    worker.clock.now += 0.85
    assert worker.knows() == "ada"
    worker.clock.now += 0.1
    assert worker.knows() == "eve"
    assert asked.finds == 2


def test_what_was_read_before_the_watch_began_is_kept_if_it_holds(asked: Asked) -> None:
    worker = Worker(asked)
    assert worker.knows() == "ada"
    worker.watch.ask()
    assert worker.knows() == "ada"
    assert asked.finds == 1
    other = Worker(asked)
    assert other.knows() == "ada"
    asked.set(KEY, record_of(KEY, owner="eve"))
    other.watch.ask()
    assert other.knows() == "eve"


def test_the_watch_has_what_changed_forgotten(asked: Asked) -> None:
    worker = Worker(asked)
    asked.set(OTHER, record_of(OTHER, owner="bob"))
    worker.watch.ask()
    assert [worker.knows(KEY), worker.knows(OTHER)] == ["ada", "bob"]
    asked.set(KEY, record_of(KEY, owner="eve"))
    worker.watch.ask()
    assert [worker.knows(KEY), worker.knows(OTHER)] == ["eve", "bob"]
    assert asked.finds == 3


def test_a_new_key_is_known_at_the_next_look(asked: Asked) -> None:
    worker = Worker(asked)
    worker.watch.ask()
    assert worker.knows(OTHER) == ""
    asked.set(OTHER, record_of(OTHER, owner="bob"))
    assert worker.knows(OTHER) == ""
    worker.watch.ask()
    assert worker.knows(OTHER) == "bob"


def test_with_the_watch_a_key_is_read_anew_each_minute_alone(asked: Asked) -> None:
    worker = Worker(asked)
    for _ in range(int(2.5 * AGE / 0.4)):
        worker.watch.ask()
        assert worker.knows() == "ada"
        worker.clock.now += 0.4
    assert asked.finds == 3


def test_a_restored_database_has_all_forgotten(asked: Asked) -> None:
    worker = Worker(asked)
    worker.watch.ask()
    assert worker.knows() == "ada"
    asked.keys.clear()
    asked.changes = lambda since: (0, None)  # type: ignore[method-assign]
    worker.watch.ask()
    assert worker.knows() == ""


def test_an_answer_from_before_a_change_is_not_kept(asked: Asked) -> None:
    worker = Worker(asked)
    worker.watch.ask()
    find = asked.find

    def slow(key_id: str) -> Any:
        found = find(key_id)
        asked.set(KEY, record_of(KEY, owner="eve"))
        worker.watch.ask()  # sees the change before the answer is there
        return found

    asked.find = slow  # type: ignore[method-assign]
    worker.knows()
    asked.find = find  # type: ignore[method-assign]
    assert worker.knows() == "eve"


def test_without_the_database_known_keys_go_on_for_a_time(asked: Asked) -> None:
    worker = Worker(asked, grace=10)
    worker.watch.ask()
    assert [worker.knows(KEY), worker.knows(OTHER)] == ["ada", ""]
    asked.broken = True
    worker.watch.ask()
    worker.clock.now += 9
    finds = asked.finds
    # An unknown id may be that of a new key by now.
    assert [worker.knows(KEY), worker.knows(OTHER), worker.knows("c" * 12)] == ["ada", "?", "?"]
    assert asked.finds == finds  # nobody waits for a database that is known to be away
    worker.clock.now += 2
    assert worker.knows(KEY) == "?"
    asked.broken = False
    worker.watch.ask()
    assert [worker.knows(KEY), worker.knows(OTHER)] == ["ada", ""]


def test_no_grace_is_none(asked: Asked) -> None:
    worker = Worker(asked, grace=0)
    worker.watch.ask()
    assert worker.knows() == "ada"
    asked.broken = True
    worker.watch.ask()
    worker.clock.now += 1
    assert worker.knows() == "?"


def test_the_first_to_find_the_database_gone_has_what_is_known(asked: Asked) -> None:
    worker = Worker(asked)
    assert worker.knows() == "ada"
    asked.broken = True
    worker.clock.now += 5  # a watch that rested
    assert [worker.knows(), worker.knows(OTHER)] == ["ada", "?"]


def test_why_nobody_can_say(asked: Asked) -> None:
    worker = Worker(asked, grace=10)
    assert worker.knows() == "ada"
    asked.broken = True
    worker.clock.now += 11
    for key_id, why in ((KEY, "what is known of it is too old"), (OTHER, "it is not known here")):
        with pytest.raises(AuthorityUnavailable) as raised:
            worker.known.find(key_id)
        told = f"the database cannot be asked about the API key, and {why}"
        assert str(raised.value.__cause__) == told


def test_an_error_of_ours_is_no_verdict(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(asked, "find", broken)
    assert Worker(asked).knows() == "?"
    assert "ZeroDivisionError" in caplog.text


def test_made_up_ids_push_out_no_key(asked: Asked) -> None:
    worker = Worker(asked, size=3)
    assert worker.knows() == "ada"
    for number in range(100):
        worker.knows(f"{number:012}")
    finds = asked.finds
    assert worker.knows() == "ada"
    assert asked.finds == finds
    assert len(worker.known._unknown) == 3


def test_many_who_want_one_key_ask_once(asked: Asked) -> None:
    worker = Worker(asked)
    find, go_on = asked.find, threading.Event()

    def slow(key_id: str) -> Any:
        found = find(key_id)
        if key_id == KEY:
            go_on.wait(10)
        return found

    asked.find = slow  # type: ignore[method-assign]
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(worker.knows())) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: asked.finds == 1)
    assert worker.knows(OTHER) == ""  # who wants another does not wait for it
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert found == ["ada"] * 8
    assert asked.finds == 2
    assert worker.known._flights == {}


def test_many_who_want_one_key_learn_together_that_nobody_can_say(asked: Asked) -> None:
    worker = Worker(asked)
    asked.broken = True
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(worker.knows())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == ["?"] * 4


def test_a_known_key_does_not_wait_for_a_database_that_is_late(asked: Asked) -> None:
    worker = Worker(asked)
    assert worker.knows() == "ada"
    found: list[tuple[str, int]] = []

    def hanging(since: int | None) -> Any:
        worker.clock.now += 2 * LATE
        found.append((worker.knows(), asked.finds))
        found.append((worker.knows(OTHER), asked.finds))
        return 1, None

    asked.changes = hanging  # type: ignore[method-assign]
    worker.watch.ask()
    assert found == [("ada", 1), ("", 2)]
    worker.clock.now += 1
    assert worker.knows() == "ada"
    assert asked.finds == 3
