"""gunicorn's hooks by themselves; `tests/workers` has them at work."""

from __future__ import annotations

import gc
import logging
import queue
import signal
import socket
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gateway import lifecycle, listening, server
from tests.test_listening import arbiter, connected

LOG = logging.getLogger("gateway")


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A worker without an application; what its hooks do to this process is undone."""
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(LOG, name, getattr(LOG, name))
    error_log = logging.getLogger("a worker")
    yield SimpleNamespace(log=SimpleNamespace(error_log=error_log), wsgi=None)
    gc.enable()
    gc.unfreeze()


def test_what_is_loaded_is_not_collected(worker: SimpleNamespace) -> None:
    server.post_fork(None, worker)
    assert not gc.isenabled()
    server.post_worker_init(worker)
    assert gc.isenabled()
    assert not any(one is LOG for one in gc.get_objects())  # it was there before
    later: list[object] = []
    assert any(one is later for one in gc.get_objects())


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, set()),
        ({"REDIS_URL": "redis://h"}, {"redis"}),
        ({"API_KEYS": True}, {"sqlalchemy"}),
        ({"PLANS": {"basic": object()}}, {"sqlalchemy"}),
    ],
)
def test_what_threads_share(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], wanted: set[str]
) -> None:
    usual = {"REDIS_URL": "", "API_KEYS": False, "PLANS": {}}
    monkeypatch.setattr(server, "_settings", SimpleNamespace(**{**usual, **changes}))
    found = set(server._libraries())
    assert found & {"redis", "sqlalchemy"} == wanted
    assert {"flask", "requests"} < found
    assert not any(name.split(".")[0] in ("gateway", "settings", "blueprints") for name in found)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is done")
@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_newcomers_are_refused_before_the_workers_are_told(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Whoever connected until then is in the queue; with the listeners closed they are reset."""
    phase = [lifecycle.SERVING]
    monkeypatch.setattr(lifecycle, "phase", lambda: phase[-1])
    monkeypatch.setattr(lifecycle, "enter", phase.append)
    monkeypatch.setattr(server, "_settings", SimpleNamespace(DRAIN_SECONDS=seconds, SEND_TIMEOUT=0))
    stopped: list[tuple[bool, int]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, connected(listener):
        master = stopping_master(listener, stopped)
        server.when_ready(master)
        master.stop()
        listener.accept()[0].close()
        with pytest.raises(ConnectionRefusedError):
            connected(listener)
    assert stopped == [(True, lifecycle.STOPPING)]


def test_a_quick_stop_refuses_nobody_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "phase", lambda: lifecycle.SERVING)
    monkeypatch.setattr(lifecycle, "enter", lambda _phase: None)
    monkeypatch.setattr(server, "_settings", SimpleNamespace(DRAIN_SECONDS=60, SEND_TIMEOUT=0))
    stopped: list[tuple[bool, int]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        master = stopping_master(listener, stopped)
        server.when_ready(master)
        master.SIG_QUEUE.put(signal.SIGINT)
        master.stop()
        assert not listening.refuses_newcomers(listener)
    assert stopped == [(False, lifecycle.SERVING)]


def stopping_master(listener: socket.socket, stopped: list[tuple[bool, int]]) -> SimpleNamespace:
    """A master that notes how it is stopped, and in which phase."""
    return arbiter(
        listener,
        stop=lambda graceful: stopped.append((graceful, lifecycle.phase())),
        reload=None,
        SIG_QUEUE=queue.SimpleQueue(),
        reap_workers=lambda: None,
        manage_workers=lambda: None,
    )
