"""gunicorn's hooks by themselves; `tests/workers` has them at work."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gateway import server

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
