"""The thread that asks what changed: while there is somebody to know it, and no longer."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authentication.api_keys import watch as module
from gateway.authentication.api_keys.watch import Watch
from tests.authentication.api_keys.support import Asked, record_of
from tests.support.gunicorn import wait_for

KEY = "aaaaaaaaaaaa"


@pytest.fixture
def asked() -> Asked:
    """A database with one key."""
    asked = Asked()
    asked.set(KEY, record_of(KEY))
    return asked


def test_it_rests_and_wakes(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST", 0.2)
    learnt: list[Any] = []
    watch = Watch(asked, lambda *told: learnt.append(told), pause=0.01)  # type: ignore[arg-type]
    assert asked.looks == 0  # nothing is asked before anybody wants to know
    watch.wake()
    watch.wake()
    assert wait_for(lambda: asked.looks > 3)
    assert learnt == [(1, None)]
    assert wait_for(lambda: not watch._wanted.is_set())
    looks = asked.looks
    asked.set(KEY, record_of(KEY))
    watch.wake()
    assert wait_for(lambda: asked.looks > looks)
    assert wait_for(lambda: learnt[1:] == [(2, [KEY])])
    watch.close()
    assert watch._thread is not None
    assert not watch._thread.is_alive()


def test_it_goes_on_while_it_is_used(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST", 0.0)
    watch = Watch(asked, lambda *_: None, pause=0.001)  # type: ignore[arg-type]
    changes = asked.changes

    def looked(since: int | None) -> tuple[int, list[str] | None]:
        watch.used = asked.looks < 20
        return changes(since)

    asked.changes = looked  # type: ignore[method-assign]
    watch.wake()
    assert wait_for(lambda: not watch._wanted.is_set())
    assert asked.looks == 21
    watch.close()


def test_failures_are_seen_and_got_over(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    learnt: list[Any] = []
    failures: list[bool] = []
    watch = Watch(asked, lambda *told: learnt.append(told))  # type: ignore[arg-type]
    watch.ask()
    confirmed = watch.confirmed
    with monkeypatch.context() as patched:
        patched.setattr(asked, "changes", lambda since: 1 / 0)
        watch.ask()
    failures.append(watch.failed)
    assert "ZeroDivisionError" in caplog.text
    asked.broken = True
    watch.ask()
    failures.append(watch.failed)
    assert watch.confirmed == confirmed
    asked.broken = False
    watch.ask()
    failures.append(watch.failed)
    assert failures == [True, True, False]
    assert watch.confirmed > confirmed
    assert learnt == [(1, None)]
